/*
 * The children: started by fork and exec of descriptors opened long ago, told
 * who they are, started again when they die.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/conf/dest.h"
#include "common/conf/known.h"
#include "common/conf/table.h"
#include "postern/postern.h"

#define YOUNG_MS	10000	/* who lives longer is started at once again */
#define START_MS	30000	/* for a worker to get ready; providers have no
				 * limit, as a queue may take long to recover */
#define SLACK_MS	2000	/* after what a child was given, it is killed */
#define STOP_MS		5000	/* for a provider to end in order */

static void	on_ready(struct chan *, const void *, int);
static void	on_reloaded(struct chan *, const void *, int);
static void	on_report(struct chan *, const void *, int);
static void	on_log_lost(struct chan *, const void *, int);
static void	on_auth_want(struct chan *, const void *, int);

static const struct chan_row	rows[] = {
	{ IPC_T_ready, on_ready },
	{ IPC_T_reloaded, on_reloaded },
	{ IPC_T_report, on_report },
	{ IPC_T_log_lost, on_log_lost },
	{ IPC_T_auth_want, on_auth_want },
	{ 0, NULL }
};

void
executables_open(struct gateway *gw)
{
	char	 path[4096];

	for (unsigned i = 1; i < NROLES; i++) {
		enum ipc_role	 role = (enum ipc_role)(1 << i);

		/* The one executable is both, by its title. */
		snprintf(path, sizeof(path), "%s/%s", gw->libexec,
		    role_name(role == IPC_PASSWD ? IPC_KEYD : role));
		if ((gw->exe[i] = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			fatal("%s", path);
	}
}

const struct conf *
child_conf(const struct child *c)
{
	return c->set != NULL ? c->set->conf : c->gw->set->conf;
}

/* The lowest number that no living child of the role has. */
static uint16_t
free_worker(const struct gateway *gw, enum ipc_role role)
{
	const struct child	*c;
	uint16_t		 n = 1;
again:
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->role == role && c->worker == n) {
			n++;
			goto again;
		}
	return n;
}

/* Its next start is due; or what it was told has not been done in time. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child	*c = arg;

	(void)fd;
	(void)what;
	if (c->state == CHILD_WAITING) {
		child_start(c);
		return;
	}
	log_warnx("daemon=%s event=kill pid=%d why=\"%s\"", c->title,
	    (int)c->pid, c->state == CHILD_STARTING ? "it does not get ready" :
	    c->state == CHILD_READY ? "no answer to a reload" :
	    "it does not end");
	(void)kill(c->pid, SIGKILL);
}

void
child_deadline(struct child *c, int64_t ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(c->timer, &tv);
}

struct child *
child_new(struct gateway *gw, enum ipc_role role, unsigned class,
    struct set *set)
{
	struct child	*c = calloc(1, sizeof(*c));

	if (c == NULL)
		fatalx("out of memory");
	c->gw = gw;
	c->role = role;
	c->class = class;
	c->set = set;
	c->ctl_fd = -1;
	c->state = CHILD_WAITING;
	if (set != NULL) {
		c->worker = free_worker(gw, role);
		snprintf(c->title, sizeof(c->title), "%s.%u", role_name(role),
		    c->worker);
	} else
		snprintf(c->title, sizeof(c->title), "%s", role_name(role));
	if ((c->timer = event_new(gw->base, -1, 0, on_timer, c)) == NULL)
		fatalx("out of memory");
	TAILQ_INSERT_TAIL(&gw->children, c, next);
	return c;
}

void
child_free(struct child *c)
{
	control_child_gone(c);
	chan_free(c->chan);
	event_free(c->timer);
	TAILQ_REMOVE(&c->gw->children, c, next);
	free(c);
}

/* In the child: exactly descriptors 0 to 3, nothing of our environment. */
static _Noreturn void
child_exec(const struct child *c, int sock)
{
	char		*argv[] = { (char *)(uintptr_t)c->title, NULL };
	char		*envp[8] = { (char *)(uintptr_t)"TZ=:/etc/localtime",
			    (char *)(uintptr_t)"LC_ALL=C", NULL };
	int		 exe = c->gw->exe[role_index(c->role)], null;
	sigset_t	 none;

#ifdef POSTERN_NO_SANDBOX
	static const char *const pass[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS",
	    "LSAN_OPTIONS", "GCOV_PREFIX", NULL };
	int		 n = 2;

	for (int i = 0; pass[i] != NULL; i++) {
		const char	*v = getenv(pass[i]);

		if (v != NULL && asprintf(&envp[n], "%s=%s", pass[i], v) > 0)
			envp[++n] = NULL;
	}
#endif
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
	    dup2(null, 0) == -1 || dup2(null, 1) == -1)
		_exit(126);
	/* Out of the way of 3 and 4 first. */
	if ((exe = fcntl(exe, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    (sock = fcntl(sock, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    dup2(sock, 3) == -1 || dup3(exe, 4, O_CLOEXEC) == -1 ||
	    close_range(5, ~0U, 0) == -1)
		_exit(126);
	execveat(4, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

static void
chan_closed(struct chan *chan, const char *why)
{
	struct child	*c = chan_arg(chan);

	/* The end itself is told by SIGCHLD. One that lives on without its
	 * channel could not be told anything any more. */
	if (why != NULL)
		log_warnx("daemon=%s event=malformed why=%s", c->title,
		    log_quote(span_str(why)));
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

#define PORTS_MAX	1024	/* as the child takes */

struct ports {
	uint16_t	 v[PORTS_MAX];
	size_t		 n;
};

static void
port_add(struct ports *p, uint16_t port)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == port)
			return;
	if (p->n < PORTS_MAX)
		p->v[p->n++] = port;
}

static void
ports_of(struct ports *p, const struct conf_dest *d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		port_add(p, d[i].port);
}

static bool
ports_of_value(struct span key, struct span value, void *arg)
{
	const char		*why;
	struct conf_pool	*list = dest_list(value, &why);

	(void)key;
	if (list != NULL)
		ports_of(arg, list->dests, list->ndests);
	dest_list_free(list);
	return true;
}

/* Ports of TCP that this daemon may connect to (Landlock). */
static void
send_ports(struct child *c)
{
	const struct conf	*conf = child_conf(c);
	struct ports		 p = { .n = 0 };

	if (c->role == IPC_LOOKUPD) {
		for (size_t i = 0; i < conf->nresolvers; i++)
			port_add(&p, conf->resolvers[i].port);
	} else if (c->role == IPC_DELIVERD || c->role == IPC_PROXYD) {
		/* Servers by MX; policies of MTA-STS. */
		if (c->role == IPC_DELIVERD) {
			port_add(&p, 25);
			port_add(&p, 443);
		}
		for (size_t i = 0; i < conf->nactions; i++) {
			const struct conf_action *a = conf->actions[i];

			ports_of(&p, a->dests, a->ndests);
			if (a->ndests == 0 && conf_asks_server(a))
				port_add(&p, 25);
			if (a->by != BY_NONE)
				table_each(a->to_table, ports_of_value, &p);
		}
	}
	for (size_t i = 0; i < p.n; i++)
		CHAN_SEND(c->chan, boot_port, .port = p.v[i]);
}

static void
send_boot(struct child *c)
{
	struct gateway		*gw = c->gw;
	const struct set	*set = c->set != NULL ? c->set : gw->set;
	const struct conf	*conf = set->conf;
	unsigned		 r = role_index(c->role);
	const struct plan_role	*p = &set->plan.role[r];
	bool			 queued = c->role == IPC_QUEUED;
	char			 workdir[1100];
	struct ipc_boot		 m = { .title = span_str(c->title),
		.role = (uint8_t)c->role, .worker = c->worker,
		.generation = set->generation, .uid = gw->uid[r],
		.gid = gw->gid[r], .nofile = p->nofile, .fsize = p->fsize,
		/* The one in use, the next at a reload, and what is made of
		 * its texts. */
		.as = p->as == 0 ? 0 : p->as + 3 * set->bundle.len,
		.memlock = p->memlock,
		.syslog = !gw->foreground,
		.sessions = (uint16_t)set->plan.sessions };
	int64_t			 now = clock_wall().ms;

	/* No two lives of a worker number make the same id. */
	gw->id_floor_ms = now > gw->id_floor_ms ? now : gw->id_floor_ms + 1;
	m.id_floor_ms = (uint64_t)gw->id_floor_ms;
	m.log_level = (uint8_t)(gw->log_level >= 0 ? gw->log_level :
	    conf->log_level);
	if (gw->root)
		m.root = span_str(queued ? conf->queue_path : gw->empty);
	if (queued) {
		snprintf(workdir, sizeof(workdir), "%s/queue", gw->root ? "" :
		    conf->queue_path);
		m.workdir = span_str(workdir);
	}
	chan_send(c->chan, IPC_T_boot, &m, -1);
	send_ports(c);
	CHAN_SEND_FD(c->chan, boot_conf, fcntl(set->conf_fd, F_DUPFD_CLOEXEC,
	    3), .tid = 0);
}

static void
send_listeners(struct child *c)
{
	for (size_t i = 0; i < c->set->nsockets; i++) {
		const struct listen_socket *s = &c->set->sockets[i];

		if (s->passwords != (c->class == 1) || s->fd == -1)
			continue;
		CHAN_SEND_FD(c->chan, listener, fcntl(s->fd, F_DUPFD_CLOEXEC,
		    3), .index = (uint16_t)s->index, .addr = s->addr);
	}
}

/* It died and is wanted, or could not be started: again, later the more often
 * it dies young. */
static void
child_again(struct child *c, int64_t lived_ms)
{
	c->fails = lived_ms >= YOUNG_MS ? 0 : c->fails + 1;
	c->state = CHILD_WAITING;
	c->restarts++;
	child_deadline(c, backoff_ms(c->fails == 0 ? 0 : c->fails - 1));
}

/* Forks; false, with nothing changed, if the machine has no room. */
static bool
child_fork(struct child *c, int *sock)
{
	int	 sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		return false;
	if ((c->pid = fork()) == -1) {
		c->pid = 0;
		close(sv[0]);
		close(sv[1]);
		return false;
	}
	if (c->pid == 0)
		child_exec(c, sv[1]);
	close(sv[1]);
	*sock = sv[0];
	return true;
}

void
child_start(struct child *c)
{
	struct gateway	*gw = c->gw;
	int		 sock;

	if (gw->stopping)
		return;
	if (!child_fork(c, &sock)) {
		if (!gw->ready)
			fatal("%s cannot be started", c->title);
		log_warn("daemon=%s event=start", c->title);
		child_again(c, 0);
		return;
	}
	c->started = clock_mono();
	c->state = CHILD_STARTING;
	if ((c->chan = chan_new(gw->base, sock, IPC_PARENT, c->role, rows,
	    chan_closed, c)) == NULL)
		fatalx("out of memory");
	if (c->set != NULL)
		child_deadline(c, START_MS);
	send_boot(c);
	if (c->role == IPC_SMTPD)
		send_listeners(c);
	if (c->role == IPC_KEYD || c->role == IPC_PASSWD)
		secrets_send(c, child_conf(c));
	trust_send(c, child_conf(c));
	wire_all(c);
	CHAN_SEND(c->chan, boot_end, .tid = 0);
	/* It takes other messages from here on. */
	chan_cut(c->chan);
}

static void
on_ready(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_ready	*m = msg;
	struct child		*c = chan_arg(chan);

	(void)fd;
	if (c->said_ready) {
		chan_reject(chan, "ready twice");
		return;
	}
	c->said_ready = true;
	/* Told to end while it was starting: it will. */
	if (c->state != CHILD_STARTING)
		return;
	event_del(c->timer);
	c->state = CHILD_READY;
	if ((int64_t)m->id_floor_ms > c->gw->id_floor_ms &&
	    c->role == IPC_QUEUED)
		c->gw->id_floor_ms = (int64_t)m->id_floor_ms;
	log_debug("daemon=%s event=ready pid=%d", c->title, (int)c->pid);
	control_child(c);
	for (size_t i = 0; c->role == IPC_SMTPD && i < c->set->nsockets; i++)
		if (c->set->sockets[i].paused)
			CHAN_SEND(chan, pause_listener, .index = (uint16_t)
			    c->set->sockets[i].index, .on = true);
	if (c->role == IPC_SMTPD)
		fallback_tell(c->gw, chan);
	gateway_child_ready(c->gw, c);
}

static void
on_reloaded(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_reloaded	*m = msg;
	struct child			*c = chan_arg(chan);

	(void)fd;
	if (!c->asked)
		chan_reject(chan, "an answer that nobody asked for");
	else
		reload_answer(c, m->ok, m->why);
}

static void
on_report(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_report	*m = msg;
	char			 why[257];

	(void)fd;
	span_cstr(m->why, why, sizeof(why));
	wire_report(chan_arg(chan), (enum ipc_role)m->role, m->worker, why);
}

static void
on_auth_want(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_auth_want	*m = msg;

	(void)fd;
	target_auth(chan_arg(chan), m->table);
}

static void
on_log_lost(struct chan *chan, const void *msg, int fd)
{
	int	 s = log_socket();

	(void)msg;
	(void)fd;
	if (s != -1)
		CHAN_SEND_FD(chan, log_fd, s, .tid = 0);
}

void
child_drain(struct child *c, uint32_t grace_ms)
{
	if (c->state == CHILD_WAITING) {
		child_free(c);
		return;
	}
	if (c->state != CHILD_ENDING)
		c->state = CHILD_DRAINING;
	CHAN_SEND(c->chan, drain, .grace_ms = grace_ms);
	child_deadline(c, (int64_t)grace_ms + SLACK_MS);
}

void
child_stop(struct child *c)
{
	if (c->state == CHILD_WAITING) {
		child_free(c);
		return;
	}
	c->state = CHILD_ENDING;
	CHAN_SEND(c->chan, stop, .tid = 0);
	child_deadline(c, STOP_MS);
}

static void
log_death(const struct child *c, int status, int64_t lived_ms)
{
	char	 up[32], how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal=SIG%s",
		    sigabbrev_np(WTERMSIG(status)) != NULL ?
		    sigabbrev_np(WTERMSIG(status)) : "?");
	else
		snprintf(how, sizeof(how), "status=%d%s", WEXITSTATUS(status),
		    WEXITSTATUS(status) == 99 ?
		    " why=\"a refused system call\"" : "");
	log_warnx("daemon=%s event=died pid=%d %s uptime=%s restarts=%u",
	    c->title, (int)c->pid, how, clock_format_duration(lived_ms, up,
	    sizeof(up)), c->restarts);
}

void
child_died(struct gateway *gw, pid_t pid, int status)
{
	struct child	*c;
	int64_t		 lived;
	bool		 wanted, starting;

	TAILQ_FOREACH(c, &gw->children, next)
		if (c->pid == pid && c->state != CHILD_WAITING)
			break;
	if (c == NULL)
		return;
	lived = clock_mono().ms - c->started.ms;
	starting = c->state == CHILD_STARTING;
	wanted = (starting || c->state == CHILD_READY) && !gw->stopping;
	/* One that was told to end may do that, and nothing else. */
	if (wanted || status != 0)
		log_death(c, status, lived);
	control_child_gone(c);
	event_del(c->timer);
	chan_free(c->chan);
	c->chan = NULL;
	c->pid = 0;
	c->said_ready = false;
	memset(c->reports, 0, sizeof(c->reports));
	if (wanted && starting && !gw->ready)
		fatalx("%s did not get ready; see the lines above", c->title);
	if (wanted && starting && gw->next != NULL && c->set == gw->next) {
		reload_child_died(c);
		return;
	}
	if (wanted) {
		child_again(c, lived);
		if (c->set == NULL)
			reload_provider_died(c);
	} else
		child_free(c);
	gateway_check_end(gw);
}

size_t
children_in(const struct gateway *gw, const struct set *set,
    enum child_state state)
{
	const struct child	*c;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &gw->children, next)
		if (c->set == set && c->state == state)
			n++;
	return n;
}

/* All workers of a generation. */
void
set_start(struct gateway *gw, struct set *set)
{
	static const enum ipc_role order[] = { IPC_DELIVERD, IPC_PROXYD,
	    IPC_SMTPD };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		unsigned classes = order[i] == IPC_DELIVERD ? 1 :
		    set->plan.classes;

		for (unsigned k = 0; k < classes; k++)
			for (unsigned n = 0; n < set->plan.role[
			    role_index(order[i])].count; n++)
				child_start(child_new(gw, order[i], k, set));
	}
}

void
set_drain(struct gateway *gw, struct set *set, uint32_t grace_ms)
{
	struct child	*c, *tmp;

	TAILQ_FOREACH_SAFE(c, &gw->children, next, tmp)
		if (c->set == set)
			child_drain(c, grace_ms);
}
