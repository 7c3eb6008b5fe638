/*
 * Connections that ask for recipients. See verify.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/io/tls.h"
#include "proxyd/caps.h"
#include "proxyd/identity.h"
#include "proxyd/servers.h"
#include "proxyd/verify_i.h"

#define IN_MAX		(16 << 10)
#define OUT_MAX		(32 << 10)
#define QUIT_MS		2000		/* to get QUIT out */
#define TAG_PROBE	0x100		/* the RCPT that can't be there */

static size_t		 nconns;
/* The one whose replies are read; NULL once it has been freed. */
static struct vconn	*alive;

static const struct stream_ops ops;

size_t
vconn_count(void)
{
	return nconns;
}

/* ---- its end ------------------------------------------------------------ */

static void
hang_up(struct vconn *v)
{
	smtp_client_free(v->c);
	stream_free(v->s);
	v->c = NULL;
	v->s = NULL;
}

/* Its batch is empty. */
static void
vconn_free(struct vconn *v)
{
	if (alive == v)
		alive = NULL;
	hang_up(v);
	LIST_REMOVE(v, entry);
	v->dest->nconns--;
	nconns--;
	free(v->cands);
	free(v->server);
	free(v);
}

void
vconn_quit(struct vconn *v)
{
	if (smtp_client_simple(v->c, STEP_QUIT)) {
		smtp_client_free(v->c);
		v->c = NULL;
		stream_finish(v->s, QUIT_MS);
		v->s = NULL;
	}
	vconn_free(v);
}

/* It was there and is of no use any more: others shall ask what it has not
 * answered. */
static void
lost(struct vconn *v, const char *why)
{
	struct vdest		*d = v->dest;
	struct vquestion	*q;
	char			 text[700];

	snprintf(text, sizeof(text), "4.4.2 %s: %s", v->server, why);
	for (size_t i = v->nbatch; i-- > 0;) {
		if ((q = v->batch[i]) == NULL)
			continue;
		v->batch[i] = NULL;
		/* Only the probe's answer is missing. */
		if (q->said)
			verify_answer(q, q->state, q->reply, v->server);
		else
			verify_again(q, text);
	}
	vconn_free(v);
	verify_go(d);
}

/* ---- its beginning ------------------------------------------------------ */

void
vconn_next(struct vconn *v, const char *why)
{
	struct vdest		*d = v->dest;
	const struct addr	*source = d->action->source.family != 0 ?
				    &d->action->source : NULL;
	char			 text[700], server[512], ip[ADDR_STRLEN];
	struct hosts_cand	*c;

	strlcpy(text, why, sizeof(text));
	while (v->next < v->ncands && clock_mono().ms - v->since.ms <
	    VERIFY_OPEN_MS) {
		hang_up(v);
		c = &v->cands[v->next++];
		snprintf(server, sizeof(server), "%s[%s]:%u", c->name,
		    addr_str(&c->addr, ip), c->addr.port);
		free(v->server);
		if ((v->server = strdup(server)) == NULL)
			fatal("verify");
		v->phase = V_CONNECT;
		v->tls = conf_tls_of(d->action, d->list != NULL ? d->list :
		    d->action->pool, (enum conf_scheme)c->scheme);
		v->secured = (struct tls_facts){ .verified = false };
		v->s = stream_connect(verify_base(), &c->addr, source, IN_MAX,
		    OUT_MAX, &ops, v);
		if (v->s != NULL) {
			if ((v->c = smtp_client_new(stream_out(v->s))) == NULL)
				fatal("smtp_client_new");
			/* No client's: our own question. */
			identity_connect(NULL, d->action->identity,
			    stream_out(v->s));
			stream_timeout(v->s, VERIFY_CONNECT_MS);
			return;
		}
		snprintf(text, sizeof(text), "%s: %s", server,
		    strerror(errno));
		servers_failed(d->action, c, text);
	}
	vconn_free(v);
	/* The others of its connections may still do their work. */
	if (d->nconns == 0)
		verify_down(d, text);
}

void
vconn_new(struct vdest *d)
{
	struct vconn	*v = calloc(1, sizeof(*v));

	if (v == NULL || (v->cands = calloc(d->ncands,
	    sizeof(*v->cands))) == NULL)
		fatal("verify");
	v->dest = d;
	memcpy(v->cands, d->cands, d->ncands * sizeof(*v->cands));
	v->ncands = d->ncands;
	v->since = clock_mono();
	LIST_INSERT_HEAD(&d->conns, v, entry);
	d->nconns++;
	nconns++;
	vconn_next(v, "No server");
}

/* This address is of no use; another one may be. */
void
vconn_unusable(struct vconn *v, const char *why)
{
	char	text[700];

	snprintf(text, sizeof(text), "%s: %s", v->server, why);
	log_debug("event=connect server=%s result=failed why=%s",
	    log_quote(span_str(v->server)), log_quote_reply(span_str(why)));
	servers_failed(v->dest->action, &v->cands[v->next - 1], text);
	vconn_next(v, text);
}

static void
no_welcome(struct vconn *v, const struct smtp_client_event *ev)
{
	struct buf	flat;

	buf_init(&flat, 64 << 10);
	smtp_reply_flat(&flat, ev->code, ev->text);
	vconn_unusable(v, buf_cstr(&flat) != NULL ? buf_cstr(&flat) : "refused");
	buf_clear(&flat);
}

static struct span
helo(const struct vconn *v)
{
	return span_str(v->dest->action->helo != NULL ?
	    v->dest->action->helo : verify_conf()->hostname);
}

static void
idle(struct vconn *v)
{
	struct vdest	*d = v->dest;

	v->phase = V_IDLE;
	v->since = clock_mono();
	stream_timeout(v->s, 0);
	verify_go(d);
}

bool
vconn_hello(struct vconn *v)
{
	if (!smtp_client_ehlo(v->c, helo(v), true)) {
		vconn_unusable(v, "EHLO could not be sent");
		return false;
	}
	v->phase = V_HELLO;
	stream_timeout(v->s, VERIFY_HELLO_MS);
	stream_kick(v->s);
	return true;
}

static void
greeted(struct vconn *v, const struct smtp_client_event *ev)
{
	if (ev->code != 220) {
		no_welcome(v, ev);
	} else
		vconn_hello(v);
}

static void
helloed(struct vconn *v, const struct smtp_client_event *ev)
{
	if (ev->code / 100 == 2 && v->secured.protocol[0] == '\0' &&
	    vtls_helloed(v))
		return;
	if (ev->code / 100 == 2) {
		servers_works(v->dest->action, &v->cands[v->next - 1]);
		free(v->cands);
		v->cands = NULL;
		v->ncands = v->next = 0;
		caps_learn(v->server, smtp_client_caps(v->c));
		verify_up(v->dest);
		idle(v);
	} else if (ev->step == STEP_EHLO && ev->code / 100 == 5 &&
	    smtp_client_ehlo(v->c, helo(v), false))
		stream_kick(v->s);
	else
		no_welcome(v, ev);
}

/* ---- questions ---------------------------------------------------------- */

static bool
has_utf8(const char *s)
{
	for (; *s != '\0'; s++)
		if ((uint8_t)*s >= 0x80)
			return true;
	return false;
}

/* Takes what waits; what this server can't be asked is answered. */
static bool
fill(struct vconn *v)
{
	bool			 can = smtp_client_caps(v->c)->bits &
				    CAP_SMTPUTF8, utf8 = false;
	struct vquestion	*q;

	v->nbatch = 0;
	while (v->nbatch < VERIFY_BATCH &&
	    (q = verify_take(v->dest)) != NULL) {
		if (!can && has_utf8(q->to)) {
			verify_answer(q, V_BAD, "553 5.6.7 The server does "
			    "not offer SMTPUTF8", v->server);
			continue;
		}
		utf8 = utf8 || has_utf8(q->to);
		v->batch[v->nbatch++] = q;
	}
	return utf8;
}

void
vconn_batch(struct vconn *v)
{
	struct smtp_mail_params	 mail = { .utf8 = fill(v) };
	struct smtp_rcpt_params	 rcpt = { 0 };
	bool			 ok;

	if (v->nbatch == 0)
		return;
	v->phase = V_BATCH;
	v->mail_ok = false;
	v->left = 1;
	ok = smtp_client_mail(v->c, span(NULL, 0), &mail);
	for (size_t i = 0; ok && i < v->nbatch; i++) {
		if (v->batch[i]->to[0] == '\0')
			continue;
		ok = smtp_client_rcpt(v->c, span_str(v->batch[i]->to), &rcpt,
		    (uint32_t)i);
		v->left++;
	}
	if (!ok) {
		lost(v, "the question could not be written");
		return;
	}
	stream_timeout(v->s, VERIFY_REPLY_MS);
	stream_kick(v->s);
}

/* All of the batch has its answer: the transaction is taken back. */
static void
batch_done(struct vconn *v)
{
	v->nbatch = 0;
	v->phase = V_RESET;
	if (!smtp_client_simple(v->c, STEP_RSET)) {
		lost(v, "RSET could not be sent");
		return;
	}
	stream_timeout(v->s, VERIFY_REPLY_MS);
	stream_kick(v->s);
}

static void
settle(struct vconn *v, size_t i)
{
	struct vquestion	*q = v->batch[i];

	v->batch[i] = NULL;
	log_debug("event=verify to=<%s> server=%s state=%u reply=%s",
	    log_quote(span_str(q->to)), log_quote(span_str(v->server)),
	    (unsigned)q->state, log_quote_reply(span_str(q->reply)));
	verify_answer(q, q->state, q->reply, v->server);
}

static struct span
domain_of(const struct vquestion *q)
{
	struct span	to = span_str(q->to);

	return span_sub(to, span_rfind(to, '@'), to.len);
}

/* An address that nobody has, in the domain of one that was taken. False: it
 * need not be asked for (or an earlier one of the batch does it). */
static bool
probe(struct vconn *v, size_t i)
{
	const struct smtp_rcpt_params none = { 0 };
	struct vquestion	*q = v->batch[i];
	struct span		 domain = domain_of(q);
	char			 to[400];

	if (!q->probe || q->state != V_GOOD || domain.len == 0 ||
	    domain.len > 300)
		return false;
	for (size_t k = 0; k < v->nbatch; k++)
		if (k != i && v->batch[k] != NULL && v->batch[k]->said &&
		    span_caseeq(domain_of(v->batch[k]), domain))
			return false;
	snprintf(to, sizeof(to), "nobody-%016llx%.*s",
	    (unsigned long long)rand_u64(), (int)domain.len,
	    (const char *)domain.p);
	if (!smtp_client_rcpt(v->c, span_str(to), &none,
	    (uint32_t)i | TAG_PROBE))
		return false;
	v->left++;
	stream_timeout(v->s, VERIFY_REPLY_MS);
	stream_kick(v->s);
	return true;
}

static void
mail_replied(struct vconn *v, const struct smtp_client_event *ev)
{
	struct buf	flat;

	v->mail_ok = ev->code / 100 == 2;
	buf_init(&flat, 64 << 10);
	smtp_reply_flat(&flat, ev->code, ev->text);
	for (size_t i = 0; i < v->nbatch; i++) {
		struct vquestion	*q = v->batch[i];

		if (q->to[0] != '\0' && v->mail_ok)
			continue;
		/* It is there; but who takes no empty sender can't be asked
		 * (RFC 5321, 4.5.5). */
		q->state = q->to[0] == '\0' ? V_GOOD : V_LATER;
		if (buf_cstr(&flat) != NULL)
			strlcpy(q->reply, buf_cstr(&flat), sizeof(q->reply));
		settle(v, i);
	}
	buf_clear(&flat);
}

static void
rcpt_replied(struct vconn *v, const struct smtp_client_event *ev)
{
	struct vquestion	*q = v->batch[ev->tag];
	struct buf		 flat;

	if (q == NULL)
		return;		/* MAIL was refused */
	q->said = true;
	q->state = ev->code / 100 == 2 ? V_GOOD :
	    ev->code / 100 == 5 ? V_BAD : V_LATER;
	v->refused += q->state == V_BAD;
	buf_init(&flat, 64 << 10);
	smtp_reply_flat(&flat, ev->code, ev->text);
	if (buf_cstr(&flat) != NULL)
		strlcpy(q->reply, buf_cstr(&flat), sizeof(q->reply));
	buf_clear(&flat);
	if (!probe(v, ev->tag))
		settle(v, ev->tag);
}

static void
probe_replied(struct vconn *v, const struct smtp_client_event *ev)
{
	size_t	i = ev->tag & ~(uint32_t)TAG_PROBE;

	if (v->batch[i] == NULL)
		return;
	v->batch[i]->any = ev->code / 100 == 2 ? V_ANY_YES :
	    ev->code / 100 == 5 ? V_ANY_NO : V_ANY_NOT_ASKED;
	v->refused += ev->code / 100 == 5;
	settle(v, i);
}

static void
one_reply(struct vconn *v, const struct smtp_client_event *ev)
{
	if (v->phase == V_GREETING) {
		greeted(v, ev);
		return;
	}
	if (v->phase == V_HELLO) {
		helloed(v, ev);
		return;
	}
	if (v->phase == V_STARTTLS) {
		vtls_replied(v, ev);
		return;
	}
	if (ev->code == 421) {
		lost(v, "the server ends the session (421)");
		return;
	}
	verify_up(v->dest);
	if (v->phase == V_RESET) {
		if (ev->code / 100 != 2 || v->dest->fresh ||
		    v->refused >= VERIFY_REFUSALS) {
			struct vdest	*d = v->dest;

			vconn_quit(v);
			verify_go(d);
		} else
			idle(v);
		return;
	}
	if (ev->step == STEP_MAIL)
		mail_replied(v, ev);
	else if (ev->tag & TAG_PROBE)
		probe_replied(v, ev);
	else
		rcpt_replied(v, ev);
	if (--v->left == 0)
		batch_done(v);
}

/* ---- the stream --------------------------------------------------------- */

static void
on_connected(struct stream *s, void *arg)
{
	struct vconn	*v = arg;

	if (v->tls.at_once) {
		vtls_begin(v);
		return;
	}
	v->phase = V_GREETING;
	stream_timeout(s, VERIFY_HELLO_MS);
}

static void
on_secured(struct stream *s, void *arg)
{
	struct vconn	*v = arg;

	if (!vtls_done(v))
		return;
	if (!v->tls.at_once) {
		vconn_hello(v);
		return;
	}
	v->phase = V_GREETING;
	stream_timeout(s, VERIFY_HELLO_MS);
}

static void
failed(struct vconn *v, const char *what)
{
	if (v->phase == V_STARTTLS || v->phase == V_TLS)
		vtls_failed(v, what);
	else if (v->phase <= V_HELLO)
		vconn_unusable(v, what);
	else
		lost(v, what);
}

static void
on_readable(struct stream *s, void *arg)
{
	struct vconn			*v = arg;
	struct smtp_client_event	 ev;
	struct span			 in, before;
	const char			*why = "";
	enum parse			 res;

	alive = v;
	for (;;) {
		before = in = stream_in(s);
		res = smtp_client_feed(v->c, &in, &ev, &why);
		stream_eat(s, before.len - in.len);
		if (res != PARSE_OK)
			break;
		one_reply(v, &ev);
		/* Gone, or on to another server. */
		if (alive != v || v->s != s)
			return;
	}
	if (res == PARSE_BAD)
		failed(v, why);
	else
		stream_kick(s);
}

static void
on_drained(struct stream *s, void *arg)
{
	(void)s;
	smtp_client_flush(((struct vconn *)arg)->c);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	const char	*why = stream_tls_why(s);

	failed(arg, why != NULL ? why : error != 0 ? strerror(error) :
	    "connection lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	(void)s;
	failed(arg, "timed out");
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.drained = on_drained,
	.closed = on_closed,
	.timeout = on_timeout,
	.connected = on_connected,
	.secured = on_secured
};
