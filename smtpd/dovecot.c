/*
 * See dovecot.h.
 */
#include "smtpd/dovecot.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/conf/table.h"
#include "common/io/stream.h"
#include "common/ipc/wait.h"
#include "common/sasl/dovecot.h"
#include "smtpd/auth.h"

#define IN_MAX		(DOVECOT_LINE_MAX + 1024)
#define OUT_MAX		(1 << 20)

/* A table's server. */
struct server {
	const struct conf_table *table;
	struct stream	*s;		/* NULL: away */
	bool		 done;		/* it has said all of its hello */
	char		 hello[512];	/* mechanisms, while they come */
	char		 mechs[512];	/* as last known */
	struct event	*retry;
	bool		 told;		/* that it is away */
};
/* A session's exchange. */
struct dove {
	struct session	*s;
	struct server	*server;
	uint32_t	 id;
	struct event	*timer;
	struct cmd	*cmd;		/* that waits; NULL: the client's turn */
};

static struct proc	*proc;
static struct server	*servers;
static size_t		 nservers;
static struct wait	*asked;		/* exchanges by their id */

static void	away(struct server *, const char *);

/* ---- the connection -------------------------------------------------------- */

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct server	*v = arg;

	(void)fd;
	(void)what;
	proc_auth_socket(proc, table_name(v->table));
}

static void
end_one(uint32_t id, void *owner, void *arg)
{
	struct dove	*d = owner;

	if (d->server != arg)
		return;
	wait_take(asked, id);
	d->id = 0;
	/* In the client's turn its next line finds out. */
	if (d->cmd != NULL)
		auth_judged(d->s, d->cmd, 454, "4.7.0 Temporary "
		    "authentication failure", span_str("the connection to "
		    "Dovecot was lost"));
}

static void
away(struct server *v, const char *why)
{
	const struct timeval	tv = { DOVECOT_RETRY_MS / 1000, 0 };

	if (!v->told)
		log_warnx("event=dovecot table=%s result=away why=%s",
		    log_quote(span_str(table_name(v->table))),
		    log_quote(span_str(why)));
	v->told = true;
	stream_free(v->s);
	v->s = NULL;
	v->done = false;
	wait_each(asked, end_one, v);
	evtimer_add(v->retry, &tv);
}

static void
add_mech(struct server *v, struct span mech)
{
	size_t	len = strlen(v->hello);

	if (len + mech.len + 2 > sizeof(v->hello))
		return;
	if (len > 0)
		v->hello[len++] = ' ';
	memcpy(v->hello + len, mech.p, mech.len);
	v->hello[len + mech.len] = '\0';
}

static void
ready(struct server *v)
{
	stream_timeout(v->s, 0);
	v->done = true;
	v->told = false;
	strlcpy(v->mechs, v->hello, sizeof(v->mechs));
	log_info("event=dovecot table=%s result=ok mechs=%s",
	    log_quote(span_str(table_name(v->table))),
	    log_quote(span_str(v->mechs)));
}

/* The exchange that a line is about; it may be over here. */
static struct dove *
dove_of(struct server *v, uint32_t id)
{
	struct dove	*d = wait_get(asked, id);

	return d != NULL && d->server == v && d->cmd != NULL ? d : NULL;
}

static void
answered(struct server *v, const struct dovecot_line *l)
{
	struct dove	*d = dove_of(v, l->id);
	struct cmd	*c;
	struct session	*s;

	if (d == NULL)
		return;
	c = d->cmd;
	s = d->s;
	evtimer_del(d->timer);
	if (l->kind == DOVECOT_CONT) {
		d->cmd = NULL;
		session_answer(c, 334, l->data);
		return;
	}
	/* It is over there. */
	wait_take(asked, d->id);
	d->id = 0;
	if (l->kind == DOVECOT_OK && auth_name(s, l->user))
		auth_judged(s, c, 235, "2.7.0 Authentication successful",
		    span(NULL, 0));
	else if (l->kind == DOVECOT_OK)
		auth_judged(s, c, 454, "4.7.0 Temporary authentication "
		    "failure", span_str("Dovecot does not say who it is"));
	else if (l->temp)
		auth_judged(s, c, 454, "4.7.0 Temporary authentication "
		    "failure", span_str(l->reason));
	else
		auth_judged(s, c, 535, "5.7.8 Authentication credentials "
		    "invalid", span_str(l->reason));
}

static void
on_readable(struct stream *s, void *arg)
{
	struct server		*v = arg;
	struct dovecot_line	 l;
	struct span		 in = stream_in(s), before;
	const char		*why;
	enum parse		 r;

	for (;;) {
		before = in;
		if ((r = dovecot_read(&in, &l, &why)) != PARSE_OK)
			break;
		stream_eat(s, before.len - in.len);
		if (l.kind == DOVECOT_MECH && !v->done)
			add_mech(v, l.mech);
		else if (l.kind == DOVECOT_DONE && !v->done)
			ready(v);
		else if (l.kind == DOVECOT_CONT || l.kind == DOVECOT_OK ||
		    l.kind == DOVECOT_FAIL)
			answered(v, &l);
		if (v->s != s)
			return;
	}
	if (r == PARSE_BAD)
		away(v, why);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	(void)s;
	away(arg, error == 0 ? "closed" : strerror(error));
}

static void
on_timeout(struct stream *s, void *arg)
{
	(void)s;
	away(arg, "it does not say what it can do");
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.closed = on_closed,
	.timeout = on_timeout
};

void
dovecot_socket(struct span table, int fd, struct span why)
{
	struct server	*v = NULL;
	char		 text[257];

	for (size_t i = 0; i < nservers; i++)
		if (span_is(table, table_name(servers[i].table)))
			v = &servers[i];
	if (v == NULL || v->s != NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (fd == -1) {
		span_cstr(why, text, sizeof(text));
		away(v, text);
		return;
	}
	v->hello[0] = '\0';
	if ((v->s = stream_new(session_base(), fd, IN_MAX, OUT_MAX, &ops,
	    v)) == NULL)
		fatal("dovecot");
	/* Any number that no other client has at the same time. */
	if (!dovecot_hello(stream_out(v->s), rand_below(INT32_MAX) + 1))
		fatalx("dovecot");
	stream_kick(v->s);
	stream_timeout(v->s, DOVECOT_REPLY_MS);
}

void
dovecot_init(struct proc *p, const struct conf *c)
{
	static const struct timeval	now = { 0, 0 };

	proc = p;
	if ((servers = calloc(c->ntables + 1, sizeof(*servers))) == NULL ||
	    (asked = wait_new(DOVECOT_ASKED_MAX)) == NULL)
		fatal("dovecot");
	nservers = 0;
	for (size_t i = 0; i < c->ntables; i++) {
		struct server	*v = &servers[nservers];

		if (table_dovecot(c->tables[i]) == NULL)
			continue;
		v->table = c->tables[i];
		if ((v->retry = evtimer_new(proc_base(p), on_retry,
		    v)) == NULL || evtimer_add(v->retry, &now) == -1)
			fatal("dovecot");
		nservers++;
	}
}

/* ---- listeners ------------------------------------------------------------- */

bool
dovecot_judges(const struct conf_listen *l)
{
	return l->auth_users != NULL && table_dovecot(l->auth_users) != NULL;
}

static struct server *
server_of(const struct conf_listen *l)
{
	for (size_t i = 0; i < nservers; i++)
		if (servers[i].table == l->auth_users)
			return &servers[i];
	return NULL;
}

void
dovecot_mechs(const struct conf_listen *l, char to[512])
{
	const struct server	*v = server_of(l);

	/* What was known stays, as with a server of `auth via`. */
	auth_list(l, v == NULL ? "" : v->mechs, to);
}

/* ---- exchanges ------------------------------------------------------------- */

void
dovecot_clear(struct session *s)
{
	struct dove	*d = s->dove;

	if (d == NULL)
		return;
	s->dove = NULL;
	/* Nobody waits for its end. */
	if (d->id != 0 && d->server->s != NULL &&
	    dovecot_cancel(stream_out(d->server->s), d->id))
		stream_kick(d->server->s);
	if (d->id != 0)
		wait_take(asked, d->id);
	event_free(d->timer);
	free(d);
}

static void
later(struct cmd *c, const char *why)
{
	auth_judged(c->s, c, 454, "4.7.0 Temporary authentication failure",
	    span_str(why));
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct dove	*d = arg;

	(void)fd;
	(void)what;
	later(d->cmd, "no answer from Dovecot");
}

static void
said(struct dove *d, struct cmd *c, bool ok)
{
	const struct timeval	tv = { DOVECOT_REPLY_MS / 1000, 0 };

	if (!ok) {
		later(c, "too much is asked of Dovecot");
		return;
	}
	d->cmd = c;
	evtimer_add(d->timer, &tv);
	stream_kick(d->server->s);
}

void
dovecot_begin(struct cmd *c, const char *mech, const struct span *initial)
{
	struct session	*s = c->s;
	struct server	*v = server_of(s->listen);
	struct dove	*d;
	struct buf	*out;

	if (v == NULL || v->s == NULL || !v->done) {
		later(c, "Dovecot is away");
		return;
	}
	if ((d = calloc(1, sizeof(*d))) == NULL ||
	    (d->timer = evtimer_new(session_base(), on_late, d)) == NULL)
		fatal("dovecot");
	d->s = s;
	d->server = v;
	s->dove = d;
	if ((d->id = wait_add(asked, d)) == 0) {
		said(d, c, false);
		return;
	}
	out = stream_out(v->s);
	out->secret = true;
	said(d, c, dovecot_auth(out, &(struct dovecot_auth){ .id = d->id,
	    .mech = span_str(mech), .client = &s->client, .local = &s->local,
	    .secured = s->tls != NULL, .has_initial = initial != NULL,
	    .initial = initial != NULL ? *initial : span(NULL, 0) }));
}

void
dovecot_line(struct cmd *c, struct span line)
{
	struct dove	*d = c->s->dove;
	struct buf	*out;

	if (d->id == 0 || d->server->s == NULL) {
		later(c, "the connection to Dovecot was lost");
		return;
	}
	out = stream_out(d->server->s);
	out->secret = true;
	said(d, c, dovecot_cont(out, d->id, line));
}
