/*
 * See relay.h. An action is open if one of its servers is; it is closed if all
 * have said no; else nothing new is known, and the last result stays.
 */
#include "smtpd/relay.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/link.h"

#define SERVERS_MAX	64	/* of an action, remembered */

struct told {
	uint8_t		 state;
	char		*server, *reply;
};
struct relay {
	const struct conf_action *action;
	enum { RELAY_UNKNOWN, RELAY_CLOSED, RELAY_OPEN } state;
	uint32_t	 tid;		/* of the test that runs; 0: none */
	struct told	 told[SERVERS_MAX];
	size_t		 ntold;
	char		 why[301];	/* there was no server to ask */
	int64_t		 at_ms;		/* wall clock, of the last one's end */
	struct event	*timer;
};

static struct proc	*proc;
static struct relay	*relays;
static size_t		 nrelays;
static uint32_t		 last_tid;

static const char *const states[] = { "unknown", "closed", "open" };

static void
forget(struct relay *r)
{
	for (size_t i = 0; i < r->ntold; i++) {
		free(r->told[i].server);
		free(r->told[i].reply);
	}
	r->ntold = 0;
	r->why[0] = '\0';
}

static void
later(struct relay *r, int64_t ms)
{
	const struct timeval	tv = { ms / 1000, 0 };

	evtimer_add(r->timer, &tv);
}

static void
test(struct relay *r)
{
	struct chan	*c = link_proxy();

	if (r->tid != 0 || c == NULL)
		return;
	forget(r);
	r->tid = ++last_tid != 0 ? last_tid : ++last_tid;
	CHAN_SEND(c, p_relay, .tid = r->tid,
	    .action = span_str(r->action->name));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct relay	*r = arg;

	(void)fd;
	(void)what;
	test(r);
	if (r->tid == 0)
		later(r, RELAY_RETRY_MS);
}

static bool
have(const struct conf_action *a)
{
	for (size_t i = 0; i < nrelays; i++)
		if (relays[i].action == a)
			return true;
	return false;
}

void
relay_init(struct proc *p, const struct conf *c)
{
	proc = p;
	nrelays = 0;
	if ((relays = calloc(c->nlistens + 1, sizeof(*relays))) == NULL)
		fatal("relay");
	for (size_t i = 0; i < c->nlistens; i++) {
		const struct conf_action	*a = c->listens[i]->proxy;

		if (a == NULL || a->open || have(a))
			continue;
		relays[nrelays].action = a;
		if ((relays[nrelays].timer = evtimer_new(proc_base(p),
		    on_timer, &relays[nrelays])) == NULL)
			fatalx("evtimer_new");
		nrelays++;
	}
}

void
relay_start(void)
{
	for (size_t i = 0; i < nrelays; i++)
		test(&relays[i]);
}

void
relay_proxy(void)
{
	for (size_t i = 0; i < nrelays; i++)
		if (relays[i].state == RELAY_UNKNOWN)
			test(&relays[i]);
}

void
relay_proxy_gone(void)
{
	/* Whichever it was: what comes of the others finds no test. */
	for (size_t i = 0; i < nrelays; i++) {
		if (relays[i].tid == 0)
			continue;
		relays[i].tid = 0;
		later(&relays[i], RELAY_RETRY_MS);
	}
}

/* ---- results --------------------------------------------------------------- */

static void
judge(struct relay *r)
{
	const struct told	*yes = NULL;
	int			 was = r->state;
	bool			 all = r->ntold > 0;

	for (size_t i = 0; i < r->ntold; i++) {
		if (r->told[i].state == V_GOOD && yes == NULL)
			yes = &r->told[i];
		all = all && r->told[i].state == V_BAD;
	}
	if (yes != NULL)
		r->state = RELAY_OPEN;
	else if (all)
		r->state = RELAY_CLOSED;
	r->at_ms = clock_wall().ms;
	later(r, yes != NULL || all ? RELAY_AGAIN_MS : RELAY_RETRY_MS);
	if ((int)r->state == was)
		return;
	if (yes != NULL)
		log_warnx("event=relay action=%s server=%s result=open "
		    "reply=%s why=%s", log_quote(span_str(r->action->name)),
		    log_quote(span_str(yes->server)),
		    log_quote_reply(span_str(yes->reply)),
		    log_quote(span_str("it takes mail for anybody from us; "
		    "recipients of strangers are refused here")));
	else
		log_info("event=relay action=%s result=closed",
		    log_quote(span_str(r->action->name)));
}

void
relay_told(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_relayed	*m = msg;
	struct relay			*r = NULL;
	struct told			*v;

	(void)c;
	(void)fd;
	for (size_t i = 0; i < nrelays; i++)
		if (relays[i].tid == m->tid && m->tid != 0)
			r = &relays[i];
	if (r == NULL)
		return;
	if (m->last) {
		span_cstr(m->reply, r->why, sizeof(r->why));
		r->tid = 0;
		judge(r);
	} else if (r->ntold < SERVERS_MAX) {
		v = &r->told[r->ntold++];
		v->state = m->state;
		v->server = span_dup(m->server);
		v->reply = span_dup(m->reply);
		if (v->server == NULL || v->reply == NULL)
			fatal("relay");
	}
}

bool
relay_denied(const struct session *s)
{
	if (s->listen->proxy == NULL || s->listen->recipients != NULL ||
	    s->authed || session_local(s))
		return false;
	for (size_t i = 0; i < nrelays; i++)
		if (relays[i].action == s->listen->proxy)
			return relays[i].state == RELAY_OPEN;
	return false;
}

/* ---- control --------------------------------------------------------------- */

static void
row(struct ctl *ctl, const struct relay *r, const struct told *v)
{
	const char	*result = states[r->state];

	if (v != NULL)
		result = v->state == V_GOOD ? "open" : v->state == V_BAD ?
		    "closed" : "unknown";
	ctl_row(ctl, "relay");
	ctl_str(ctl, "action", r->action->name);
	ctl_str(ctl, "server", v != NULL ? v->server : "");
	ctl_str(ctl, "result", result);
	ctl_str(ctl, "reply", v != NULL ? v->reply : r->why);
	ctl_num(ctl, "tested_ms", r->at_ms);
	ctl_num(ctl, "testing", r->tid != 0);
	ctl_row_end(ctl);
}

void
relay_rows(struct ctl *ctl)
{
	for (size_t i = 0; i < nrelays; i++) {
		row(ctl, &relays[i], NULL);
		for (size_t k = 0; k < relays[i].ntold; k++)
			row(ctl, &relays[i], &relays[i].told[k]);
	}
}
