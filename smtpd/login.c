/*
 * See login.h.
 */
#include "smtpd/login.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/table.h"
#include "smtpd/session.h"

struct question {
	uint32_t	 tid;
	struct event	*timer;
	void		(*done)(void *, const struct login_answer *);
	void		*arg;
};
/* What the users of a table can be asked by beside their passwords. */
struct table {
	const struct conf_table	*table;
	unsigned		 can;	/* enum k_can bits */
};

static struct proc		*proc;
static const struct conf	*conf;
static struct chan		*chan;	/* NULL: away */
static uint16_t			 peer_worker;
/* By tid. A struct wait would not do: it gives each question a number of its
 * own, and keyd knows an exchange of several questions by their one number,
 * which takes no place here while its client thinks. */
static struct map		*questions;
static uint32_t			 last;
static struct table		*tables;
static size_t			 ntables;

void
login_init(struct proc *p, const struct conf *c)
{
	proc = p;
	conf = c;
	if ((questions = map_new(LOGINS_MAX)) == NULL ||
	    (tables = calloc(c->ntables + 1, sizeof(*tables))) == NULL)
		fatal("logins");
	ntables = 0;
	for (size_t i = 0; i < c->ntables; i++)
		if (table_users(c->tables[i]) != NULL)
			tables[ntables++].table = c->tables[i];
}

static void
finish(uint32_t tid, const struct login_answer *a)
{
	struct question	*q = map_del_u64(questions, tid);

	if (q == NULL)
		return;
	event_free(q->timer);
	q->done(q->arg, a);
	free(q);
}

static void
away(uint32_t tid, const char *why)
{
	finish(tid, &(struct login_answer){ .verdict = K_LATER,
	    .why = span_str(why) });
}

static void
on_judged(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_judged	*m = msg;

	(void)fd;
	if (m->verdict > K_MALFORMED) {
		chan_reject(c, "no verdict");
		return;
	}
	finish(m->tid, &(struct login_answer){
	    .verdict = (enum k_verdict)m->verdict, .said = m->said,
	    .why = m->why });
}

static void
on_table(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_table	*m = msg;

	(void)c;
	(void)fd;
	/* Another generation may have tables that this one has not. */
	for (size_t i = 0; i < ntables; i++)
		if (span_is(m->table, table_name(tables[i].table)))
			tables[i].can = m->can;
}

static const struct chan_row rows[] = {
	{ IPC_T_k_judged, on_judged },
	{ IPC_T_k_table, on_table },
	{ 0, NULL }
};

static bool
end_one(struct span key, void *v, void *arg)
{
	struct question	*q = v;

	(void)key;
	(void)arg;
	away(q->tid, "passwd is away");
	return true;
}

static void
lost(struct chan *c, const char *why)
{
	if (why != NULL)
		proc_report(proc, IPC_PASSWD, peer_worker, why);
	chan_free(c);
	if (chan != c)
		return;
	chan = NULL;
	/* Passwords are not kept, so nobody can be asked again. */
	map_each(questions, end_one, NULL);
}

void
login_peer(uint16_t worker, int fd)
{
	if (chan != NULL) {
		chan_free(chan);
		chan = NULL;
		map_each(questions, end_one, NULL);
	}
	peer_worker = worker;
	if ((chan = chan_new(session_base(), fd, IPC_SMTPD, IPC_PASSWD, rows,
	    lost, NULL)) == NULL)
		fatal("chan_new");
}

static void
too_old(evutil_socket_t fd, short what, void *arg)
{
	struct question	*q = arg;

	(void)fd;
	(void)what;
	away(q->tid, "no answer from passwd");
}

uint32_t
login_ask(const struct ipc_k_login *m, void (*done)(void *,
    const struct login_answer *), void *arg)
{
	const struct timeval	 tv = { LOGIN_TIMEOUT_MS / 1000, 0 };
	struct ipc_k_login	 ask = *m;
	struct question		*q;

	if (chan == NULL || (q = calloc(1, sizeof(*q))) == NULL)
		return 0;
	if (ask.tid == 0)
		while (++last == 0 || map_get_u64(questions, last) != NULL)
			;
	ask.tid = q->tid = ask.tid == 0 ? last : ask.tid;
	q->done = done;
	q->arg = arg;
	if (!map_set_u64(questions, q->tid, q)) {
		free(q);
		return 0;
	}
	if ((q->timer = evtimer_new(session_base(), too_old, q)) == NULL ||
	    evtimer_add(q->timer, &tv) == -1)
		fatalx("evtimer_new");
	chan_send_secret(chan, IPC_T_k_login, &ask);
	return q->tid;
}

void
login_cancel(uint32_t number)
{
	struct question	*q = map_del_u64(questions, number);

	if (q == NULL)
		return;
	event_free(q->timer);
	free(q);
}

void
login_mechs(const struct conf_listen *l, bool plus, char to[512])
{
	unsigned	can = 0;

	for (size_t i = 0; i < ntables; i++)
		if (tables[i].table == l->auth_users)
			can = tables[i].can;
	to[0] = '\0';
	if ((can & K_CAN_SCRAM) != 0)
		strlcat(to, plus ? "SCRAM-SHA-256-PLUS SCRAM-SHA-256 " :
		    "SCRAM-SHA-256 ", 512);
	/* Its hashes are as good as the password for who steals them. */
	if ((can & K_CAN_CRAM_MD5) != 0 && l->announce != NULL &&
	    table_get(l->announce, span_str("CRAM-MD5"), NULL))
		strlcat(to, "CRAM-MD5 ", 512);
	strlcat(to, "PLAIN LOGIN", 512);
}
