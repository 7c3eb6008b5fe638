/*
 * For tests of recipients that are verified at RCPT: a configuration, and queued
 * and proxyd answered by hand. For cmocka.
 */
#ifndef REGRESS_VERIFYHELP_H
#define REGRESS_VERIFYHELP_H

#include "regress/lib/smtpdtest.h"

#include "common/conf/known.h"
#include "regress/lib/loghelp.h"
#include "smtpd/verify.h"

#define QUESTIONS	1000

static const char	conf_text[] =
    "hostname gw.example.org\n"
    "table people { anna@sel.example }\n"
    "table staff { dora@staff.example }\n"
    "pool \"p\" { \"192.0.2.9\" }\n"
    "table t { one.example = \"192.0.2.7\" }\n"
    "action \"sel\" relay to \"192.0.2.9\" "
    "recipients { <people>, server cache 2h } known-good 3d\n"
    "action \"late\" relay to pool \"p\" "
    "recipients { server, directory <staff>, <people> } unknown 450\n"
    "action \"tables\" relay to \"192.0.2.9\" recipients { <people> }\n"
    "action \"by\" relay to <t> by rcpt-domain recipients { server }\n"
    "action \"mx\" relay recipients { server }\n"
    "action \"backup\" relay to \"192.0.2.9\" recipients "
    "{ directory <staff>, <people> } backup-mx\n"
    "action \"plain\" relay to \"192.0.2.9\"\n"
    "action \"live\" proxy to \"192.0.2.9\"\n"
    "listen on 192.0.2.1 port 25\n"
    "listen on 192.0.2.1 port 26 proxy \"live\"\n"
    "match tag nobody for any action \"live\"\n"
    "match from any for domain \"sel.example\" action \"sel\"\n"
    "match from any for domain { late.example } action \"late\"\n"
    "match from any for domain \"tables.example\" action \"tables\"\n"
    "match from any for rcpt-to { late2@staff.example } action \"late\"\n"
    "match from any for domain { \"backup.example\", staff.example } "
    "action \"backup\"\n"
    "match from any for domain \"one.example\" action \"by\"\n"
    "match from any for domain \"mx.example\" action \"mx\"\n"
    "match from any for domain \"plain.example\" action \"plain\"\n";

/* ---- queued and proxyd by hand ------------------------------------------- */

/* What was asked there, the oldest first; what is answered is taken out. */
static struct asked_q {
	uint32_t	 tid;
	char		 text[300];
	bool		 probe;
} at_queued[QUESTIONS], at_proxyd[QUESTIONS];
static size_t		 nqueued, nproxyd;
static char		 told[1000];	/* "1 state any reply;" */
static struct ipc_v_ask	 last_ask;

static inline void
on_ask(const struct ipc_v_ask *m)
{
	struct asked_q	*q = &at_queued[nqueued++];

	q->tid = m->tid;
	last_ask = *m;
	snprintf(q->text, sizeof(q->text), "%.*s|%.*s|%.*s",
	    (int)m->where.len, (const char *)m->where.p,
	    (int)m->target.len, (const char *)m->target.p,
	    (int)m->to.len, (const char *)m->to.p);
}

static inline void
on_tell(const struct ipc_v_tell *m)
{
	size_t	n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%u %u %.*s;", m->state, m->any,
	    (int)m->reply.len, (const char *)m->reply.p);
}

static inline void
on_verify(const struct ipc_p_verify *m)
{
	struct asked_q	*q = &at_proxyd[nproxyd++];

	q->tid = m->tid;
	q->probe = m->probe;
	snprintf(q->text, sizeof(q->text), "%.*s|%.*s|%.*s",
	    (int)m->action.len, (const char *)m->action.p,
	    (int)m->target.len, (const char *)m->target.p,
	    (int)m->to.len, (const char *)m->to.p);
}

static uint32_t
take(struct asked_q *q, size_t *n, const char *text)
{
	size_t		 i = 0;
	uint32_t	 t;

	world_run();
	while (i < *n && strcmp(q[i].text, text) != 0)
		i++;
	if (i == *n)
		fail_msg("\"%s\" is not asked (\"%s\")", text,
		    *n > 0 ? q[0].text : "nothing");
	t = q[i].tid;
	memmove(&q[i], &q[i + 1], (*n - i - 1) * sizeof(*q));
	(*n)--;
	return t;
}

/* queued says what it knows of the one who was asked for. */
static inline void
knows(const char *text, uint8_t state, bool ask, bool good, const char *reply)
{
	CHAN_SEND(queued.chan, v_answer, .tid = take(at_queued, &nqueued,
	    text), .state = state, .ask = ask, .probe = ask, .good = good,
	    .reply = span_str(reply), .server = span_str("s[192.0.2.9]:25"));
	world_run();
}

static inline void
server_says(const char *text, uint8_t state, uint8_t any, const char *reply)
{
	CHAN_SEND(proxyd.chan, p_verified, .tid = take(at_proxyd, &nproxyd,
	    text), .state = state, .any = any, .reply = span_str(reply),
	    .server = span_str("s[192.0.2.9]:25"));
	world_run();
}

#define SEL(x)		"action sel|" "|" x "@sel.example"
#define ASKED(x)	"sel||" x "@sel.example"

/* Nothing is asked, or waits. */
static inline void
nothing_open(void)
{
	world_run();
	assert_int_equal(nqueued, 0);
	assert_int_equal(nproxyd, 0);
	assert_int_equal(verify_count(), 0);
}

static inline int
setup(void **state)
{
	(void)state;
	queued.v_ask = on_ask;
	queued.v_tell = on_tell;
	proxyd.verify = on_verify;
	world_reset();
	/* What a case that failed has left open. */
	queued_die();
	proxyd_die();
	world_reset();
	nqueued = nproxyd = 0;
	told[0] = '\0';
	return 0;
}

static inline struct client *
begun(void)
{
	struct client	*c = hello(REGULAR);

	say(c, "MAIL FROM:<a@b.example>", "250");
	return c;
}

static inline int
init(void **state)
{
	(void)state;
	world_init(conf_text);
	return 0;
}

#define CASE(f)	cmocka_unit_test_setup(f, setup)

#endif
