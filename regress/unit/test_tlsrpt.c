/*
 * Reports of TLS: sums a domain and day that survive, the day's turn by a clock
 * that stands still, what does not fit, and the messages that come of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <endian.h>

#include "common/base/clock.h"
#include "common/smtp/param.h"
#include "queued/rpt.h"
#include "queued/side.h"
#include "regress/lib/queuehelp.h"

#define HOUR	INT64_C(3600000)
#define DAY	(24 * HOUR)

static const char	*path;
static struct conf	*conf;
static struct help	 h;

/* What was delivered, its soft breaks taken out. */
static struct sent {
	char	 from[100], to[100], text[80000];
} sent[8];
static size_t	nsent;

static void
hand(struct help *hp, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct sent	*s = &sent[nsent++ % 8];
	size_t		 n = 0;

	assert_true(span_cstr(m->from, s->from, sizeof(s->from)));
	strlcpy(s->to, j->rcpts[0].to, sizeof(s->to));
	assert_int_equal(j->rcpts[0].notify, NOTIFY_NEVER);
	for (size_t i = 0; i < r->content.len; i++) {
		if (r->content.p[i] == '=' && i + 2 < r->content.len &&
		    r->content.p[i + 1] == '\r')
			i += 2;
		else
			s->text[n++] = (char)r->content.p[i];
	}
	s->text[n] = '\0';
	help_end(hp, j, D_OK, "250 2.0.0 ok", D_DEST_OK);
}

/* A deliverd, or none. */
static bool	 is_there;
static unsigned	 nposts;
static char	 post_url[200], post_body[30001];
static uint8_t	 post_key[300];
static size_t	 post_key_len;

static bool
post(struct queue *q, struct span key, struct span url, struct span body)
{
	(void)q;
	if (!is_there)
		return false;
	nposts++;
	memcpy(post_key, key.p, key.len);
	post_key_len = key.len;
	assert_true(span_cstr(url, post_url, sizeof(post_url)));
	assert_true(span_cstr(body, post_body, sizeof(post_body)));
	return true;
}

static void
open_queue(void)
{
	static struct queue_ops	ops;

	help_open(&h, conf);
	assert_false(h.q->down);
	ops = *h.q->ops;
	ops.post = post;
	h.q->ops = &ops;
}

static int
enter(void **state)
{
	(void)state;
	path = help_dir();
	help_clock();
	/* The first hour of a day. */
	help_advance(DAY - clock_wall().ms % DAY + HOUR);
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	nsent = 0;
	if (conf == NULL)
		conf = help_conf();
	conf->report_from = (char *)(uintptr_t)"tls@gw.example.org";
	is_there = true;
	nposts = 0;
	open_queue();
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	if (h.q != NULL)
		help_close(&h);
	help_dir_remove(path);
	return 0;
}

static struct ipc_d_tls
word(const char *domain, enum rpt_result result)
{
	struct ipc_d_tls	m = { .domain = span_str(domain),
				    .rua = span_str("mailto:r@rpt.example"),
				    .policy_domain = span_str(domain),
				    .result = (uint8_t)result,
				    .mx = span_str("mx.x.example") };

	addr_parse(span_str("192.0.2.1"), &m.theirs);
	m.theirs.port = 25;
	return m;
}

static void
tell(const char *domain, enum rpt_result result)
{
	struct ipc_d_tls	m = word(domain, result);

	assert_true(rpt_add(h.q, &m));
}

/* All reports that are due, into the queue and out of it. */
static void
make(void)
{
	while (rpt_step(h.q))
		continue;
	queue_flush(h.q);
	queue_run(h.q);
}

static void
has(const struct sent *s, const char *text)
{
	if (strstr(s->text, text) == NULL)
		fail_msg("no \"%s\" in\n%s", text, s->text);
}

static void
lacks(const struct sent *s, const char *text)
{
	if (strstr(s->text, text) != NULL)
		fail_msg("\"%s\" in\n%s", text, s->text);
}

static uint64_t
rows(void)
{
	return side_count(store_rpt(h.q->store));
}

static void
again(void)
{
	help_close(&h);
	open_queue();
}

static void
tell_and_die(void *arg)
{
	(void)arg;
	open_queue();
	tell("x.example", RPT_EXPIRED);
}

static void
sums(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_EXPIRED);

	(void)state;
	tell("x.example", RPT_OK);
	m.domain = span_str("X.Example");
	m.result = RPT_OK;
	assert_true(rpt_add(h.q, &m));
	again();
	help_close(&h);
	assert_int_equal(help_child(tell_and_die, NULL), 0);
	open_queue();
	tell("x.example", RPT_EXPIRED);
	m.result = RPT_EXPIRED;
	m.theirs.port = 26;	/* no part of an address here */
	assert_true(rpt_add(h.q, &m));
	tell("x.example", RPT_NOT_TRUSTED);
	tell("y.example", RPT_OK);
	make();
	assert_int_equal(nsent, 0);
	/* At the end of the day and up to four hours. */
	help_advance(23 * HOUR - 1000);
	make();
	assert_int_equal(nsent, 0);
	help_advance(4 * HOUR + 1000);
	make();
	assert_int_equal(nsent, 2);
	assert_int_equal(h.q->stats.tls_reports, 2);
	if (strstr(sent[0].text, "Domain: x.example") == NULL)
		sent[0] = sent[1];
	assert_string_equal(sent[0].from, "tls@gw.example.org");
	assert_string_equal(sent[0].to, "r@rpt.example");
	has(&sent[0], "TLS-Report-Domain: x.example\r\n");
	has(&sent[0], "\"total-successful-session-count\":2,"
	    "\"total-failure-session-count\":4}");
	has(&sent[0], "{\"result-type\":\"certificate-expired\","
	    "\"receiving-mx-hostname\":\"mx.x.example\","
	    "\"receiving-ip\":\"192.0.2.1\",\r\n\"failed-session-count\":3");
	has(&sent[0], "{\"result-type\":\"certificate-not-trusted\"");
	has(&sent[0], "T00:00:00Z\",\"end-datetime\":");
	has(&sent[0], "T23:59:59Z\"}");
	/* And that is all. Rows of the day go with it, later. */
	help_advance(5 * DAY);
	make();
	assert_int_equal(nsent, 2);
	assert_int_equal(rows(), 0);
}

/* Each day has its own, and each policy. */
static void
days(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_OK);

	(void)state;
	tell("x.example", RPT_OK);
	m.kind = RPT_STS;
	m.strings = span_str("version: STSv1\nmode: enforce\nmx: a.test\n");
	assert_true(rpt_add(h.q, &m));
	m.strings = span_str("version: STSv1\nmode: testing\nmx: a.test\n");
	assert_true(rpt_add(h.q, &m));
	assert_true(rpt_add(h.q, &m));
	m.kind = RPT_TLSA;
	m.strings = span_str("3 1 1 00\n");
	assert_true(rpt_add(h.q, &m));
	help_advance(23 * HOUR);
	tell("x.example", RPT_DNSSEC_INVALID);
	help_advance(4 * HOUR);
	make();
	assert_int_equal(nsent, 1);
	has(&sent[0], "\"policy-type\":\"no-policy-found\"");
	has(&sent[0], "\"mode: enforce\"");
	has(&sent[0], "\"mx: a.test\"],\r\n\"policy-domain\":\"x.example\","
	    "\r\n\"mx-host\":[\"a.test\"]},\r\n\"summary\":{"
	    "\"total-successful-session-count\":2,");
	has(&sent[0], "\"policy-type\":\"tlsa\"");
	lacks(&sent[0], "dnssec-invalid");
	help_advance(DAY);
	make();
	assert_int_equal(nsent, 2);
	has(&sent[1], "{\"result-type\":\"dnssec-invalid\"");
	has(&sent[1], "\"total-successful-session-count\":0,"
	    "\"total-failure-session-count\":1}");
}

struct seen {
	unsigned		n;
	struct rpt_domain	last;
};

static void
see(const struct rpt_domain *d, void *arg)
{
	struct seen	*s = arg;

	s->n++;
	s->last = *d;
}

static void
limits(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_VALIDATION);
	struct seen		s = { .n = 0 };
	static char		strings[8001], reason[301], domain[40];
	size_t			len;

	(void)state;
	/* As much as there may be of one domain: the report is made. */
	memset(reason, '\x01', 300);
	m.kind = RPT_STS;
	for (int i = 0; i < 20; i++) {
		for (len = 0; len < 7900; len += 64)
			snprintf(strings + len, 65, "mx: %059d\n", i);
		m.strings = span(strings, len);
		for (int k = 0; k < 10; k++) {
			snprintf(reason, 300, "%d", k);
			reason[1] = '\x01';
			m.reason = span(reason, 300);
			assert_true(rpt_add(h.q, &m));
		}
	}
	rpt_each(h.q, see, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.last.policies, RPT_POLICIES_MAX);
	assert_int_equal(s.last.details, RPT_DETAILS_MAX);
	assert_int_equal(s.last.failed, 200);
	assert_int_equal(rows(), 2 + RPT_POLICIES_MAX + RPT_DETAILS_MAX);
	assert_int_equal(rpt_send_all(h.q), 1);
	queue_run(h.q);
	assert_int_equal(nsent, 1);
	has(&sent[0], "\"total-failure-session-count\":10}");
	has(&sent[0], "]}\r\n");
	/* As many domains as there may be, and one more. */
	for (int i = 0; i < RPT_DOMAINS_MAX; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		tell(domain, RPT_OK);
	}
	s.n = 0;
	rpt_each(h.q, see, &s);
	assert_int_equal(s.n, RPT_DOMAINS_MAX);
	tell("d1.example", RPT_OK);
	help_advance(DAY);
	tell("late.example", RPT_OK);
	s.n = 0;
	rpt_each(h.q, see, &s);
	assert_int_equal(s.n, RPT_DOMAINS_MAX + 1);
}

/* An administrator does not wait for the end of the day. */
static void
now(void **state)
{
	(void)state;
	assert_int_equal(rpt_send_all(h.q), 0);
	tell("x.example", RPT_OK);
	tell("y.example", RPT_OK);
	tell("z.example", RPT_OK);
	assert_int_equal(rpt_send_all(h.q), 3);
	queue_run(h.q);
	assert_int_equal(nsent, 3);
	has(&sent[0], "T00:00:00Z\",\"end-datetime\":");
	has(&sent[0], "T01:00:00Z\"}");
	assert_int_equal(rpt_send_all(h.q), 0);
	help_advance(HOUR);
	tell("y.example", RPT_EXPIRED);
	help_advance(26 * HOUR);
	make();
	assert_int_equal(nsent, 4);
	has(&sent[3], "T01:00:01Z\",\"end-datetime\":");
	has(&sent[3], "T23:59:59Z\"}");
	has(&sent[3], "\"total-successful-session-count\":0,"
	    "\"total-failure-session-count\":1}");
}

/* It waits for a queue that takes mail. */
static void
waits(void **state)
{
	(void)state;
	tell("x.example", RPT_OK);
	help_advance(27 * HOUR);
	h.q->low = true;
	assert_int_equal(rpt_send_all(h.q), -1);
	make();
	assert_int_equal(nsent, 0);
	h.q->low = false;
	make();
	assert_int_equal(nsent, 0);
	help_advance(RPT_AGAIN_MS);
	make();
	assert_int_equal(nsent, 1);
	h.q->closed = true;
	tell("x.example", RPT_OK);
	assert_false(rpt_step(h.q));
	h.q->closed = false;
	assert_int_equal(rpt_send_all(h.q), 0);
}

/* Addresses: where there is none, nothing is sent, and nothing stays. */
static void
whom(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_OK);

	(void)state;
	m.rua = span_str("ftp://x.example/rpt");
	assert_true(rpt_add(h.q, &m));
	rpt_send_all(h.q);
	make();
	assert_int_equal(nsent, 0);
	assert_int_equal(nposts, 0);
	m.rua = span_str("mailto:a@x.example,mailto:b@x.example,"
	    "mailto:c@x.example,https://x.example/,mailto:d@x.example");
	assert_true(rpt_add(h.q, &m));
	rpt_send_all(h.q);
	queue_run(h.q);
	assert_int_equal(nsent, 3);
	assert_string_equal(sent[0].to, "a@x.example");
	assert_string_equal(sent[2].to, "c@x.example");
}

static void
told(const char *why)
{
	rpt_posted(h.q, span(post_key, post_key_len), span_str(why));
}

/* By POST: again and again until it is taken, also after a restart. */
static void
posted(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_OK);
	static char		first[30001];
	uint64_t		had;

	(void)state;
	m.rua = span_str("https://rpt.x.example/v1");
	assert_true(rpt_add(h.q, &m));
	help_advance(27 * HOUR);
	is_there = false;
	make();
	assert_int_equal(nposts, 0);
	is_there = true;
	make();
	assert_int_equal(nposts, 0);
	help_advance(RPT_AGAIN_MS);
	make();
	assert_int_equal(nposts, 1);
	assert_string_equal(post_url, "https://rpt.x.example/v1");
	assert_non_null(strstr(post_body, "\"policy-domain\":\"x.example\""));
	strlcpy(first, post_body, sizeof(first));
	told("timed out");
	again();
	make();
	assert_int_equal(nposts, 1);
	help_advance(RPT_POST_MS);
	make();
	assert_int_equal(nposts, 2);
	assert_string_equal(post_body, first);
	/* Without an answer too; each time later. */
	help_advance(RPT_POST_MS);
	make();
	assert_int_equal(nposts, 2);
	help_advance(RPT_POST_MS);
	make();
	assert_int_equal(nposts, 3);
	had = rows();
	told("");
	assert_int_equal(rows(), had - 1);
	help_advance(HOUR);
	make();
	assert_int_equal(nposts, 3);
	assert_int_equal(nsent, 0);
	/* The last word of one that has gone, and a lie. */
	told("");
	tell("y.example", RPT_OK);
	had = rows();
	for (uint32_t day = 0; day < 2; day++) {
		uint32_t	be = htobe32((uint32_t)(clock_wall().ms /
				    DAY) + day);

		memcpy(post_key, &be, 4);
		memcpy(post_key + 4, "y.example", 10);
		post_key_len = 14;
		told("");
	}
	assert_int_equal(rows(), had);
}

/* Not for ever. */
static void
given_up(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_OK);
	uint64_t		had;

	(void)state;
	m.rua = span_str("https://rpt.x.example/v1");
	assert_true(rpt_add(h.q, &m));
	assert_int_equal(rpt_send_all(h.q), 1);
	had = rows();
	for (int i = 0; i < 23; i++) {
		make();
		told("no");
		help_advance(HOUR);
	}
	assert_true(nposts > 5 && nposts < 15);
	assert_int_equal(rows(), had);
	help_advance(5 * HOUR);
	make();
	assert_true(rows() < had);
	had = nposts;
	help_advance(5 * HOUR);
	make();
	assert_int_equal(nposts, had);
}

/* Not configured, or not any more. */
static void
off(void **state)
{
	(void)state;
	tell("x.example", RPT_OK);
	conf->report_from = NULL;
	tell("y.example", RPT_OK);
	assert_int_equal(rows(), 3);
	help_advance(27 * HOUR);
	make();
	assert_int_equal(nsent, 0);
	help_advance(5 * DAY);
	make();
	assert_int_equal(rows(), 0);
}

static void
lies(void **state)
{
	struct ipc_d_tls	m = word("x.example", RPT_OK);

	(void)state;
	m.kind = RPT_KINDS;
	assert_false(rpt_add(h.q, &m));
	m = word("x.example", RPT_OK);
	m.result = RPT_RESULTS;
	assert_false(rpt_add(h.q, &m));
	m = word("", RPT_OK);
	assert_false(rpt_add(h.q, &m));
	m = word("x.example\r\nBcc: x", RPT_OK);
	assert_false(rpt_add(h.q, &m));
	m = word("x.example", RPT_OK);
	m.rua = span_str("");
	assert_true(rpt_add(h.q, &m));
	assert_int_equal(rows(), 0);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = { T(sums), T(days), T(limits),
	    T(now), T(waits), T(whom), T(posted), T(given_up),
	    T(off), T(lies) };

	return cmocka_run_group_tests_name("tlsrpt", tests, NULL, NULL);
}
