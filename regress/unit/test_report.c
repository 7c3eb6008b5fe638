/*
 * What deliverd tells of TLS for reports: which sessions, held to what, with
 * which result; and a domain's record, asked for once. What is remembered of
 * policies and what DNS says is what a case says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "deliverd/pool_i.h"
#include "deliverd/report.h"
#include "regress/lib/confhelp.h"

/* ---- the world ---- */

static struct asked {
	void	(*done)(void *, const struct ask_answer *);
	void	*arg;
} asked[8];
static size_t	nasked;
static char	asked_name[DNS_NAME_MAX + 1];

uint32_t
ask_send(struct ask *a, enum dns_type type, const char *name,
    void (*done)(void *, const struct ask_answer *), void *arg)
{
	(void)a;
	assert_int_equal(type, DNS_TXT);
	assert_true(nasked < 8);
	strlcpy(asked_name, name, sizeof(asked_name));
	asked[nasked++] = (struct asked){ done, arg };
	return (uint32_t)nasked;
}

/* All questions have this answer; NULL: there is no such name. */
static void
record(const char *text, uint32_t ttl)
{
	struct ask_rr		rr = { .text = span_str(text) };
	struct ask_answer	ans = { .status = text != NULL ? DNS_OK :
				    DNS_NXDOMAIN, .ttl = ttl,
				    .n = text != NULL, .rr = &rr };

	for (size_t i = 0; i < nasked; i++)
		asked[i].done(asked[i].arg, &ans);
	nasked = 0;
}

static struct told {
	char		 domain[256], rua[1025], policy[256], strings[8001],
			 mx[256], reason[301];
	enum rpt_kind	 kind;
	enum rpt_result	 result;
} told[REPORT_WAIT_MAX + 8];
static size_t	ntold;

bool
job_tell(uint16_t type, const void *msg)
{
	const struct ipc_d_tls	*m = msg;
	struct told		*t = &told[ntold++];

	assert_int_equal(type, IPC_T_d_tls);
	assert_true(ntold <= sizeof(told) / sizeof(told[0]));
	t->kind = (enum rpt_kind)m->kind;
	t->result = (enum rpt_result)m->result;
	assert_true(span_cstr(m->domain, t->domain, sizeof(t->domain)) &&
	    span_cstr(m->rua, t->rua, sizeof(t->rua)) &&
	    span_cstr(m->policy_domain, t->policy, sizeof(t->policy)) &&
	    span_cstr(m->strings, t->strings, sizeof(t->strings)) &&
	    span_cstr(m->mx, t->mx, sizeof(t->mx)) &&
	    span_cstr(m->reason, t->reason, sizeof(t->reason)));
	return true;
}

static struct sts_policy	 sts;
static bool			 has_sts;
static enum rpt_result		 fault;

const struct sts_policy *
sts_holds(const char *domain)
{
	(void)domain;
	return has_sts ? &sts : NULL;
}

enum rpt_result
sts_fault(const char *domain, const char **why)
{
	(void)domain;
	*why = "no host";
	return fault;
}

int
stream_fd(const struct stream *s)
{
	(void)s;
	return -1;
}

/* ---- a connection ---- */

#define RECORD	"v=TLSRPTv1; rua=mailto:r@x.example"

static struct conf		*conf;
static struct conf_action	*by_mx, *listed, *off;
static struct dest		 d;
static struct conn		 c;
static struct srv		 srv;
static struct hosts_tls		 demand;
static struct job		 job;
static int64_t			 now = 1000;

static void
pass(int64_t ms)
{
	now += ms;
	clock_fake(&(struct mono){ now }, NULL);
}

/* Each case has a domain of its own. */
static void
begin(const char *domain)
{
	d = (struct dest){ .action = by_mx };
	strlcpy(d.domain, domain, sizeof(d.domain));
	TAILQ_INIT(&d.jobs);
	TAILQ_INIT(&d.conns);
	job = (struct job){ .from = span_str("a@gw.example") };
	TAILQ_INSERT_TAIL(&d.jobs, &job, entry);
	d.reported = report_wants(&d);
	demand = (struct hosts_tls){ .dane = DANE_NONE };
	srv = (struct srv){ .refs = 1 };
	addr_parse(span_str("192.0.2.1"), &srv.addr);
	c = (struct conn){ .dest = &d, .srv = &srv, .demand = &demand };
	strlcpy(c.host, "mx.x.example", sizeof(c.host));
	has_sts = false;
	fault = RPT_OK;
	ntold = 0;
	assert_int_equal(nasked, 0);
}

static void
is(size_t i, enum rpt_kind kind, enum rpt_result result, const char *strings)
{
	assert_true(i < ntold);
	assert_int_equal(told[i].kind, kind);
	assert_int_equal(told[i].result, result);
	assert_string_equal(told[i].strings, strings);
	assert_string_equal(told[i].domain, d.domain);
	assert_string_equal(told[i].rua, "mailto:r@x.example");
}

/* ---- the record ---- */

static void
once(void **state)
{
	(void)state;
	begin("once.example");
	report_session(&c, RPT_OK, "");
	assert_string_equal(asked_name, "_smtp._tls.once.example");
	report_session(&c, RPT_VALIDATION, "a handshake");
	assert_int_equal(nasked, 1);
	assert_int_equal(ntold, 0);
	record(RECORD, 600);
	assert_int_equal(ntold, 2);
	is(0, RPT_NO_POLICY, RPT_OK, "");
	is(1, RPT_NO_POLICY, RPT_VALIDATION, "");
	assert_string_equal(told[1].reason, "a handshake");
	assert_string_equal(told[1].mx, "mx.x.example");
	assert_string_equal(told[1].policy, "once.example");
	pass(599999);
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 0);
	assert_int_equal(ntold, 3);
	pass(1);
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 1);
	record(NULL, 60);
	assert_int_equal(ntold, 3);
	/* No record is remembered too, not for less than five minutes. */
	pass(REPORT_TTL_MIN * 1000 - 1);
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 0);
	assert_int_equal(ntold, 3);
	/* Nor for more than a day. */
	pass(1);
	report_session(&c, RPT_OK, "");
	record(RECORD, UINT32_MAX);
	pass(REPORT_TTL_MAX * 1000);
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 1);
	record(NULL, 60);
}

/* Many wait for one answer, not any number of them. */
static void
waiting(void **state)
{
	(void)state;
	begin("wait.example");
	for (int i = 0; i < REPORT_WAIT_MAX + 5; i++)
		report_session(&c, RPT_OK, "");
	record(RECORD, 600);
	assert_int_equal(ntold, REPORT_WAIT_MAX);
}

/* ---- which sessions ---- */

static void
which(void **state)
{
	(void)state;
	begin("which.example");
	assert_true(report_wants(&d));
	d.action = listed;
	assert_false(report_wants(&d));
	d.action = off;
	assert_false(report_wants(&d));
	d.action = by_mx;
	strlcpy(d.domain, "[192.0.2.1]", sizeof(d.domain));
	assert_false(report_wants(&d));
	strlcpy(d.domain, "ruled.example", sizeof(d.domain));
	assert_false(report_wants(&d));
	d.reported = false;
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 0);
}

/* A report is not reported. */
static void
loop(void **state)
{
	struct job	other = { .from = span_str("a@gw.example") };

	(void)state;
	begin("loop.example");
	job.from = span_str("TLS@gw.example");
	report_session(&c, RPT_OK, "");
	report_left_out(&d, &(struct hosts_list){ .left_out = "x.example" });
	assert_int_equal(nasked, 0);
	/* Whom the connection was made for is on another one by now. */
	TAILQ_REMOVE(&d.jobs, &job, entry);
	TAILQ_INSERT_TAIL(&d.conns, &c, entry);
	c.job = &job;
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 0);
	c.job = &other;
	report_session(&c, RPT_OK, "");
	assert_int_equal(nasked, 1);
	record(NULL, 60);
}

/* ---- held to what ---- */

#define STRINGS(mode)	"version: STSv1\nmode: " mode "\nmax_age: 86400\n" \
			    "mx: mx.x.example\n"

static void
policy(enum sts_mode mode)
{
	d.by_sts = has_sts = true;
	sts = (struct sts_policy){ .mode = mode, .max_age = 86400, .nmx = 1,
	    .mx = { span_str("mx.x.example") } };
}

static void
by_sts(void **state)
{
	(void)state;
	begin("sts.example");
	policy(STS_MODE_ENFORCE);
	assert_false(report_tests(&c));
	report_session(&c, RPT_OK, "");
	record(RECORD, 600);
	is(0, RPT_STS, RPT_OK, STRINGS("enforce"));
	policy(STS_MODE_TESTING);
	assert_true(report_tests(&c));
	report_session(&c, RPT_OK, "");
	is(1, RPT_STS, RPT_OK, STRINGS("testing"));
	/* What would not have been used. */
	strlcpy(c.host, "other.x.example", sizeof(c.host));
	report_session(&c, RPT_OK, "");
	is(2, RPT_STS, RPT_VALIDATION, STRINGS("testing"));
	report_unnamed(&d, "other.x.example");
	is(3, RPT_STS, RPT_VALIDATION, STRINGS("testing"));
	assert_string_equal(told[3].mx, "other.x.example");
	policy(STS_MODE_NONE);
	report_session(&c, RPT_OK, "");
	is(4, RPT_NO_POLICY, RPT_OK, "");
	assert_int_equal(ntold, 5);
}

/* There is one, and it can't be had. */
static void
no_policy(void **state)
{
	(void)state;
	begin("gone.example");
	d.by_sts = true;
	fault = RPT_STS_WEBPKI;
	report_session(&c, RPT_OK, "");
	record(RECORD, 600);
	assert_int_equal(ntold, 2);
	is(0, RPT_NO_POLICY, RPT_OK, "");
	is(1, RPT_STS, RPT_STS_WEBPKI, "");
	assert_string_equal(told[1].reason, "no host");
	assert_string_equal(told[1].mx, "");
}

static void
by_tlsa(void **state)
{
	static const uint8_t	bytes[] = { 0x0d, 0xff };
	struct dane_set		*set = calloc(1, sizeof(*set));
	struct hosts_list	list = { .n = 0 };

	(void)state;
	set->n = 1;
	set->rr[0] = (struct dane_rr){ 3, 1, 1, span(bytes, 2) };
	begin("dane.example");
	policy(STS_MODE_TESTING);
	demand = (struct hosts_tls){ .dane = DANE_REQUIRED, .set = set };
	strlcpy(demand.base, "mx.base.example", sizeof(demand.base));
	assert_false(report_tests(&c));
	report_session(&c, RPT_OK, "");
	record(RECORD, 600);
	is(0, RPT_TLSA, RPT_OK, "3 1 1 0dff\n");
	assert_string_equal(told[0].policy, "mx.base.example");
	demand = (struct hosts_tls){ .dane = DANE_UNUSABLE };
	report_session(&c, RPT_OK, "");
	is(1, RPT_TLSA, RPT_TLSA_INVALID, "");
	assert_string_equal(told[1].policy, "mx.x.example");
	/* Hosts that can't be used at all. */
	report_left_out(&d, &list);
	assert_int_equal(ntold, 2);
	list.left_out = "mx.bogus.example";
	report_left_out(&d, &list);
	is(2, RPT_TLSA, RPT_DNSSEC_INVALID, "");
	list.dane_missing = true;
	report_left_out(&d, &list);
	is(3, RPT_TLSA, RPT_DANE_REQUIRED, "");
	assert_string_equal(told[3].mx, "mx.bogus.example");
	free(set);
}

/* As much of a policy as there is room for, in whole lines. */
static void
long_policy(void **state)
{
	static char	name[240];
	size_t		len;

	(void)state;
	begin("long.example");
	policy(STS_MODE_ENFORCE);
	snprintf(name, sizeof(name), "%063d.%063d.%063d.example", 0, 0, 0);
	for (sts.nmx = 0; sts.nmx < STS_MX_MAX; sts.nmx++)
		sts.mx[sts.nmx] = span_str(name);
	report_session(&c, RPT_EXPIRED, "old");
	record(RECORD, 600);
	len = strlen(told[0].strings);
	assert_true(len <= RPT_STRINGS_MAX && len > RPT_STRINGS_MAX - 250);
	assert_int_equal(told[0].strings[len - 1], '\n');
	assert_int_equal(report_fault(VERIFY_NAME), RPT_HOST_MISMATCH);
}

static const char	text[] =
    "hostname gw.example\n"
    "report tls from tls@gw.example\n"
    "tls policy { ruled.example = require }\n"
    "action mx relay\n"
    "action list relay to 192.0.2.9\n"
    "action off relay tls off\n"
    "listen on 127.0.0.1 port 1\n"
    "match for any action mx\n";

static int
start(void **state)
{
	struct buf	 msgs;

	(void)state;
	log_init("deliverd", LOG_FORM_TEXT, LOG_LV_WARN);
	pass(0);
	buf_init(&msgs, 65536);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s\n", buf_cstr(&msgs));
		return -1;
	}
	buf_clear(&msgs);
	by_mx = conf->actions[0];
	listed = conf->actions[1];
	off = conf->actions[2];
	report_init(conf, NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(once),
		cmocka_unit_test(waiting),
		cmocka_unit_test(which),
		cmocka_unit_test(loop),
		cmocka_unit_test(by_sts),
		cmocka_unit_test(no_policy),
		cmocka_unit_test(by_tlsa),
		cmocka_unit_test(long_policy)
	};

	return cmocka_run_group_tests_name("report", tests, start, NULL);
}
