/*
 * See idle.h. Few of them, so a list will do.
 *
 *	link ── QUIT of its client ─▶ RESET ─250─▶ kept ─▶ the next link
 *	                                │ else      │ time, server's end: closed
 *	                                ▼           ▼
 */
#include "proxyd/idle.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/open.h"
#include "proxyd/place.h"

struct idle {
	TAILQ_ENTRY(idle) entry;	/* the one kept last comes first */
	const struct conf_action *action;
	bool		 reset;		/* RSET is answered: it may be used */
	struct mono	 since;
	/* as in struct link */
	char		*server, *greeting;
	struct stream	*s;
	struct smtp_client *c;
	struct srv	*srv;
	struct addr	 at;
	struct conf_tls	 tls;
	struct tls_facts secured;
	unsigned	 uses, errors;
};

static TAILQ_HEAD(, idle)	 idles = TAILQ_HEAD_INITIALIZER(idles);
static const struct conf	*conf;
static int64_t			*allowed;	/* ms, by the action's index */
static bool			 ending;
/* Servers at which places were wanted, and until when none is kept there; the
 * oldest makes room. */
static struct scarce {
	struct addr	 at;
	int64_t		 until_ms;
} scarce[IDLE_SCARCE_MAX];

static const struct stream_ops	 ops;

void
idle_init(const struct conf *c)
{
	conf = c;
	ending = false;
	memset(scarce, 0, sizeof(scarce));
	free(allowed);
	if ((allowed = calloc(c->nactions + 1, sizeof(*allowed))) == NULL)
		fatal("idle");
	for (size_t i = 0; i <= c->nactions; i++)
		allowed[i] = IDLE_MAX_MS;
}

static int64_t *
allowed_of(const struct conf_action *a)
{
	size_t	i = 0;

	while (i < conf->nactions && conf->actions[i] != a)
		i++;
	return &allowed[i];
}

size_t
idle_count(const struct conf_action *a)
{
	const struct idle	*i;
	size_t			 n = 0;

	TAILQ_FOREACH(i, &idles, entry)
		n += a == NULL || i->action == a;
	return n;
}

bool
idle_may_keep(const struct conf_action *a)
{
	return a->idle_connections > 0 && (a->identity == IDENTITY_NONE ||
	    a->identity == IDENTITY_HEADER);
}

/* ---- its end ------------------------------------------------------------ */

/* What a taker has taken is NULL by now. */
static void
idle_free(struct idle *i)
{
	TAILQ_REMOVE(&idles, i, entry);
	smtp_client_free(i->c);
	stream_free(i->s);
	if (i->at.family != 0)
		place_give(i->action, &i->at, false);
	if (i->srv != NULL) {
		srv_conns(i->srv, -1);
		srv_unref(i->srv);
	}
	free(i->server);
	free(i->greeting);
	free(i);
}

static void
quit(struct idle *i)
{
	if (i->reset && smtp_client_simple(i->c, STEP_QUIT)) {
		stream_finish(i->s, LINK_CLOSE_MS);
		i->s = NULL;
	}
	idle_free(i);
}

static bool
same(const struct addr *a, const struct addr *b)
{
	return addr_eq(a, b) && a->port == b->port;
}

static bool
is_scarce(const struct addr *a)
{
	int64_t	now = clock_mono().ms;

	for (size_t k = 0; k < IDLE_SCARCE_MAX; k++)
		if (scarce[k].until_ms > now && same(&scarce[k].at, a))
			return true;
	return false;
}

static void
note_scarce(const struct addr *a)
{
	struct scarce	*s = &scarce[0];

	for (size_t k = 0; k < IDLE_SCARCE_MAX; k++) {
		if (same(&scarce[k].at, a)) {
			s = &scarce[k];
			break;
		}
		if (scarce[k].until_ms < s->until_ms)
			s = &scarce[k];
	}
	*s = (struct scarce){ *a, clock_mono().ms + PLACE_WAIT_MS };
}

void
idle_scarce(const struct addr *a)
{
	struct idle	*i;

	note_scarce(a);
	TAILQ_FOREACH(i, &idles, entry) {
		if (same(&i->at, a)) {
			quit(i);
			return;
		}
	}
}

void
idle_paused(void)
{
	struct idle	*i, *next;

	TAILQ_FOREACH_SAFE(i, &idles, entry, next)
		if (place_is_paused(i->action, i->srv->name, &i->at))
			quit(i);
}

void
idle_end(void)
{
	struct idle	*i;

	ending = true;
	while ((i = TAILQ_FIRST(&idles)) != NULL)
		quit(i);
}

/* ---- from one client to the next ---------------------------------------- */

bool
idle_keep(struct link *l)
{
	struct idle	*i;

	if (ending || !idle_may_keep(l->action) || l->authed || l->mail_open ||
	    l->greeting == NULL || l->srv == NULL || l->uses >= IDLE_USES_MAX ||
	    l->errors > IDLE_ERRORS_MAX || l->flow.mode != FLOW_NONE ||
	    l->flow.resets > 0 || smtp_client_pending(l->c) > 0 ||
	    stream_in(l->s).len > 0 || is_scarce(&l->at) ||
	    idle_count(l->action) >= l->action->idle_connections ||
	    place_is_paused(l->action, l->srv->name, &l->at) ||
	    !smtp_client_simple(l->c, STEP_RSET))
		return false;
	if ((i = calloc(1, sizeof(*i))) == NULL)
		fatal("idle");
	*i = (struct idle){ .action = l->action, .since = clock_mono(),
	    .server = l->server, .greeting = l->greeting, .s = l->s, .c = l->c,
	    .srv = l->srv, .at = l->at, .tls = l->tls, .secured = l->secured,
	    .uses = l->uses, .errors = l->errors };
	if ((l->server = strdup(i->server)) == NULL)
		fatal("idle");		/* p_closed names it */
	l->greeting = NULL;
	l->s = NULL;
	l->c = NULL;
	l->srv = NULL;
	l->at.family = 0;
	TAILQ_INSERT_HEAD(&idles, i, entry);
	stream_owner(i->s, &ops, i);
	stream_timeout(i->s, IDLE_RESET_MS);
	stream_kick(i->s);
	return true;
}

bool
idle_take(struct link *l, const struct addr *a)
{
	struct idle	*i;

	TAILQ_FOREACH(i, &idles, entry)
		if (i->reset && i->action == l->action &&
		    same(&i->at, a))
			break;
	if (i == NULL)
		return false;
	log_debug("session=%s event=idle server=%s result=taken age=%lldms "
	    "uses=%u", l->session, log_quote(span_str(i->server)),
	    (long long)(clock_mono().ms - i->since.ms), i->uses);
	free(l->server);
	free(l->greeting);
	l->server = i->server;
	l->greeting = i->greeting;
	l->s = i->s;
	l->c = i->c;
	l->srv = i->srv;
	l->at = i->at;
	l->tls = i->tls;
	l->secured = i->secured;
	l->uses = i->uses;
	l->errors = i->errors;
	stream_owner(l->s, &link_stream_ops, l);
	stream_timeout(l->s, 0);
	i->server = i->greeting = NULL;
	i->s = NULL;
	i->c = NULL;
	i->srv = NULL;
	i->at.family = 0;
	idle_free(i);
	return true;
}

/* ---- the stream --------------------------------------------------------- */

/* The server has had enough of it: the next ones are kept for less. */
static void
ended(struct idle *i, const char *why)
{
	int64_t	 ms = clock_mono().ms - i->since.ms;
	int64_t	*most = allowed_of(i->action);

	log_debug("event=idle server=%s result=closed age=%lldms why=%s",
	    log_quote(span_str(i->server)), (long long)ms, why);
	if (i->reset && ms * 3 / 4 < *most)
		*most = ms * 3 / 4 > IDLE_MIN_MS ? ms * 3 / 4 : IDLE_MIN_MS;
	idle_free(i);
}

static void
on_readable(struct stream *s, void *arg)
{
	struct idle			*i = arg;
	struct smtp_client_event	 ev;
	struct span			 in = stream_in(s), before = in;
	const char			*why;
	enum parse			 res;

	res = smtp_client_feed(i->c, &in, &ev, &why);
	stream_eat(s, before.len - in.len);
	if (res == PARSE_MORE)
		return;
	if (res != PARSE_OK || i->reset || ev.code != 250 || in.len > 0) {
		ended(i, i->reset ? "said" : "reset");
		return;
	}
	i->reset = true;
	i->since = clock_mono();
	stream_timeout(s, *allowed_of(i->action));
	stream_trim(s);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	(void)s;
	(void)error;
	ended(arg, "lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	(void)s;
	quit(arg);
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.closed = on_closed,
	.timeout = on_timeout
};
