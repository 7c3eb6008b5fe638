/*
 * See check.h.
 */
#include "keyd/check.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/chan.h"

#define WORKER_FD	3		/* of a worker, all it has but its log */

struct check {
	STAILQ_ENTRY(check) entry;
	char		*hash;
	struct {
		char	*p;
		size_t	 len;
	} password;
	void		(*done)(void *, enum hash_result);
	void		*arg;
};
struct worker {
	int		 fd;
	struct chan	*chan;
	struct check	*check;		/* in work; NULL: idle */
};

static struct worker	workers[CHECK_WORKERS_MAX];
static unsigned		nworkers;
static STAILQ_HEAD(, check) waiting = STAILQ_HEAD_INITIALIZER(waiting);
static size_t		nwaiting;
static void		(*on_dead)(void *);
static void		*dead_arg;

/* ---- in a worker ----------------------------------------------------------- */

static void
on_check(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_check	*m = msg;
	struct ipc_k_checked		 answer = { .tid = m->tid };

	(void)fd;
	answer.result = (uint8_t)hash_check(m->hash, m->password, chan_arg(c));
	if (chan_send_now(chan_fd(c), IPC_T_k_checked, &answer, -1) == -1)
		_exit(0);
}

static const struct chan_row worker_rows[] = {
	{ IPC_T_k_check, on_check, true },
	{ 0, NULL }
};

static _Noreturn void
work(void)
{
	struct crypt_data	*data = calloc(1, sizeof(*data));
	const char		*why;
	const bool		 never = false;

	if (data == NULL)
		fatal("memory of crypt");
	(void)chan_recv_until(WORKER_FD, IPC_PASSWD, IPC_PASSWD, worker_rows,
	    data, &never, &why);
	/* The other side has ended. */
	_exit(0);
}

bool
check_fork(unsigned n, void (*confine)(void *), void *arg)
{
	int	sv[2];
	pid_t	pid;

	for (nworkers = 0; nworkers < n && nworkers < CHECK_WORKERS_MAX;
	    nworkers++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
		    sv) == -1 || (pid = fork()) == -1)
			return false;
		if (pid == 0) {
			if (dup2(sv[1], WORKER_FD) == -1 ||
			    close_range(WORKER_FD + 1, ~0U, 0) == -1)
				_exit(1);
			confine(arg);
			work();
		}
		close(sv[1]);
		workers[nworkers] = (struct worker){ .fd = sv[0] };
	}
	return true;
}

/* ---- beside them ----------------------------------------------------------- */

static void
check_free(struct check *k)
{
	freezero(k->password.p, k->password.len);
	freezero(k->hash, strlen(k->hash));
	free(k);
}

static uint32_t
tid_of(const struct worker *w)
{
	return (uint32_t)(w - workers) + 1;
}

/* To the first that is idle. */
static void
hand_out(void)
{
	struct check	*k;

	for (unsigned i = 0; i < nworkers && nwaiting > 0; i++) {
		struct worker	*w = &workers[i];

		if (w->check != NULL || w->chan == NULL)
			continue;
		k = STAILQ_FIRST(&waiting);
		STAILQ_REMOVE_HEAD(&waiting, entry);
		nwaiting--;
		w->check = k;
		chan_send_secret(w->chan, IPC_T_k_check, &(struct ipc_k_check){
		    .tid = tid_of(w), .hash = span_str(k->hash),
		    .password = span(k->password.p, k->password.len) });
	}
}

static void
on_checked(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_checked	*m = msg;
	struct worker			*w = chan_arg(c);
	struct check			*k = w->check;

	(void)fd;
	if (k == NULL || m->tid != tid_of(w) || m->result > HASH_FAILED) {
		chan_reject(c, "an answer that nobody waits for");
		return;
	}
	w->check = NULL;
	k->done(k->arg, (enum hash_result)m->result);
	check_free(k);
	hand_out();
}

static const struct chan_row rows[] = {
	{ IPC_T_k_checked, on_checked },
	{ 0, NULL }
};

static void
closed(struct chan *c, const char *why)
{
	struct worker	*w = chan_arg(c);

	if (why != NULL)
		log_warnx("event=malformed peer=check why=%s",
		    log_quote(span_str(why)));
	chan_free(c);
	w->chan = NULL;
	on_dead(dead_arg);
}

void
check_init(struct event_base *base, void (*dead)(void *), void *arg)
{
	on_dead = dead;
	dead_arg = arg;
	for (unsigned i = 0; i < nworkers; i++)
		if ((workers[i].chan = chan_new(base, workers[i].fd,
		    IPC_PASSWD, IPC_PASSWD, rows, closed, &workers[i])) == NULL)
			fatalx("out of memory");
}

bool
check_ask(struct span hash, struct span password,
    void (*done)(void *, enum hash_result), void *arg)
{
	struct check	*k;

	if (nwaiting >= CHECK_WAITING_MAX || hash.len > HASH_MAX ||
	    password.len > HASH_PASSWORD_MAX ||
	    (k = calloc(1, sizeof(*k))) == NULL)
		return false;
	*k = (struct check){ .hash = span_dup(hash), .done = done,
	    .arg = arg };
	k->password.p = malloc(password.len + 1);
	if (k->hash == NULL || k->password.p == NULL)
		fatal("check");
	memcpy(k->password.p, password.p, password.len);
	k->password.len = password.len;
	STAILQ_INSERT_TAIL(&waiting, k, entry);
	nwaiting++;
	hand_out();
	return true;
}

size_t
check_waiting(void)
{
	return nwaiting;
}

unsigned
check_workers(void)
{
	return nworkers;
}

void
check_stop(void)
{
	struct check	*k;

	while ((k = STAILQ_FIRST(&waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&waiting, entry);
		check_free(k);
	}
	nwaiting = 0;
	for (unsigned i = 0; i < nworkers; i++) {
		if (workers[i].check != NULL)
			check_free(workers[i].check);
		chan_free(workers[i].chan);
		workers[i] = (struct worker){ .fd = -1 };
	}
	nworkers = 0;
}
