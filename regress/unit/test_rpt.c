/*
 * TLSRPT (RFC 8460): the record, the addresses in it, the report as JSON, and
 * the message that it goes in.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/mime/tlsrpt.h"
#include "common/tls/rpt.h"

static bool
rua(const char *a, const char *b, const char *want)
{
	struct span	txt[2] = { span_str(a), span_str(b) }, got;
	bool		is = rpt_record(txt, b != NULL ? 2 : 1, &got);

	assert_true(is == (got.len > 0));
	return want != NULL ? is && span_is(got, want) : !is;
}

static void
records(void **state)
{
	(void)state;
	assert_true(rua("v=TLSRPTv1; rua=mailto:a@b.test", NULL,
	    "mailto:a@b.test"));
	assert_true(rua("v=TLSRPTv1;rua=mailto:a@b.test;", NULL,
	    "mailto:a@b.test"));
	assert_true(rua("v=TLSRPTv1 ; x=1; rua=https://b.test/x , "
	    "mailto:a@b.test ; y=2", NULL,
	    "https://b.test/x , mailto:a@b.test"));
	/* Others do not count, another of its own does. */
	assert_true(rua("v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.test",
	    "mailto:a@b.test"));
	assert_true(rua("v=TLSRPTv1; rua=mailto:x@b.test",
	    "v=TLSRPTv1; rua=mailto:a@b.test", NULL));
	assert_true(rua("v=TLSRPTv1", NULL, NULL));
	assert_true(rua("v=TLSRPTv1;", NULL, NULL));
	assert_true(rua("v=TLSRPTv1; rua=", NULL, NULL));
	assert_true(rua("v=TLSRPTv10; rua=mailto:a@b.test", NULL, NULL));
	assert_true(rua("V=TLSRPTv1; rua=mailto:a@b.test", NULL, NULL));
	assert_true(rua("v=TLSRPTv1; rua", NULL, NULL));
	assert_true(rua("v=TLSRPTv1; ; rua=mailto:a@b.test", NULL, NULL));
	assert_true(rua("v=TLSRPTv1; rua=mailto:a\n@b.test", NULL, NULL));
	assert_true(rua("", NULL, NULL));
}

static void
too_long(void **state)
{
	char		text[1200];
	struct span	txt, got;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "v=TLSRPTv1;rua=mailto:", 22);
	txt = span(text, 15 + RPT_RUA_MAX);
	assert_true(rpt_record(&txt, 1, &got));
	txt.len++;
	assert_false(rpt_record(&txt, 1, &got));
}

static void
names(void **state)
{
	char	name[DNS_NAME_MAX + 1], domain[DNS_NAME_MAX + 1];

	(void)state;
	assert_true(rpt_record_name("b.test", name, sizeof(name)));
	assert_string_equal(name, "_smtp._tls.b.test");
	memset(domain, 'a', sizeof(domain));
	for (size_t i = 60; i < sizeof(domain); i += 61)
		domain[i] = '.';
	domain[250] = '\0';
	assert_false(rpt_record_name(domain, name, sizeof(name)));
}

/* The next address that can be used. */
static void
next(struct span *list, bool https, const char *to)
{
	struct rpt_uri	u;

	if (to == NULL) {
		assert_false(rpt_uri_next(list, &u));
		return;
	}
	assert_true(rpt_uri_next(list, &u));
	assert_true(u.https == https);
	assert_string_equal(u.to, to);
}

static void
addresses(void **state)
{
	struct span	list = span_str("mailto:a@b.test, https://b.test/v1?x=y"
			    ",MAILTO:c%2Bd@b.test?subject=x");

	(void)state;
	next(&list, false, "a@b.test");
	next(&list, true, "https://b.test/v1?x=y");
	next(&list, false, "c+d@b.test");
	next(&list, false, NULL);
	/* What can't be used is passed over. */
	list = span_str(",, ftp://x.test, mailto:, mailto:@b.test, mailto:a@, "
	    "mailto:a, mailto:a%0d%0aBcc:x@b.test, mailto:a%@b.test, "
	    "mailto:a%4@b.test, mailto:a b@b.test, mailto:%22a%22@b.test, "
	    "mailto:a@b..test, mailto:a%00@b.test, mailto:a@b.test%00, "
	    "https://b.test/a b, mailto:good@b.test");
	next(&list, false, "good@b.test");
	next(&list, false, NULL);
}

static void
url(const char *text, const char *host, const char *target)
{
	char		got[DNS_NAME_MAX + 1];
	struct span	t;

	if (host == NULL) {
		assert_false(rpt_url(span_str(text), got, &t));
		return;
	}
	assert_true(rpt_url(span_str(text), got, &t));
	assert_string_equal(got, host);
	assert_true(span_is(t, target));
}

static void
urls(void **state)
{
	(void)state;
	url("https://b.test", "b.test", "/");
	url("HTTPS://b.test:443/x?y=z#f", "b.test", "/x?y=z");
	url("https://b.test/a@b:c", "b.test", "/a@b:c");
	url("http://b.test/", NULL, NULL);
	url("https://", NULL, NULL);
	url("https:///x", NULL, NULL);
	url("https://b.test:25/", NULL, NULL);
	url("https://u@b.test/", NULL, NULL);
	url("https://127.0.0.1/", NULL, NULL);
	url("https://[::1]/", NULL, NULL);
	url("https://localhost/", NULL, NULL);
	url("https://b.test/\r\nX: y", NULL, NULL);
	url("https://b.test/ HTTP/1.1", NULL, NULL);
}

static void
strings(void **state)
{
	struct buf	b;

	(void)state;
	buf_init(&b, 100);
	assert_true(json_string(&b, span_str("a\"b\\c\nd\x01\xc3\xbc")));
	assert_string_equal(buf_cstr(&b),
	    "\"a\\\"b\\\\c\\nd\\u0001\xc3\xbc\"");
	buf_reset(&b);
	assert_true(json_string(&b, span_str("\xff")));
	assert_string_equal(buf_cstr(&b), "\"\\u00ff\"");
	buf_clear(&b);
}

static void
write_one(struct buf *b)
{
	struct rpt_writer	w;
	struct rpt_detail	d = { .result = RPT_EXPIRED,
				    .mx = span_str("mx1.b.test"),
				    .reason = span_str("it \"was\" once"),
				    .sessions = 3 };

	addr_parse(span_str("192.0.2.1"), &d.ours);
	addr_parse(span_str("2001:db8::1"), &d.theirs);
	rpt_begin(&w, b, &(struct rpt_head){ .organization = span_str("Org"),
	    .contact = span_str("a@gw.test"), .id = span_str("1@gw.test"),
	    .begin_s = 1767139200, .end_s = 1767225599 });
	rpt_policy(&w, &(struct rpt_policy){ .kind = RPT_STS,
	    .domain = span_str("b.test"), .strings =
	    span_str("version: STSv1\nmode: testing\nmx: *.b.test\n"
	    "mx: mx.b.test\n"), .ok = 5, .failed = 4 });
	rpt_detail(&w, &d);
	rpt_detail(&w, &(struct rpt_detail){ .result = RPT_VALIDATION,
	    .sessions = 1 });
	rpt_policy(&w, &(struct rpt_policy){ .kind = RPT_TLSA,
	    .domain = span_str("mx1.b.test"), .mx = span_str("mx1.b.test"),
	    .strings = span_str("3 1 1 00ff\n"), .ok = 1 });
	rpt_policy(&w, &(struct rpt_policy){ .kind = RPT_NO_POLICY,
	    .domain = span_str("b.test"), .failed = 1 });
	assert_true(rpt_end(&w));
}

static const char	written[] =
    "{\"organization-name\":\"Org\",\n"
    "\"date-range\":{\"start-datetime\":\"2025-12-31T00:00:00Z\","
    "\"end-datetime\":\"2025-12-31T23:59:59Z\"},\n"
    "\"contact-info\":\"a@gw.test\",\n"
    "\"report-id\":\"1@gw.test\",\n"
    "\"policies\":[\n"
    "{\"policy\":{\"policy-type\":\"sts\",\n"
    "\"policy-string\":[\"version: STSv1\",\n\"mode: testing\",\n"
    "\"mx: *.b.test\",\n\"mx: mx.b.test\"],\n"
    "\"policy-domain\":\"b.test\",\n"
    "\"mx-host\":[\"*.b.test\",\n\"mx.b.test\"]},\n"
    "\"summary\":{\"total-successful-session-count\":5,"
    "\"total-failure-session-count\":4},\n"
    "\"failure-details\":[\n"
    "{\"result-type\":\"certificate-expired\","
    "\"sending-mta-ip\":\"192.0.2.1\","
    "\"receiving-mx-hostname\":\"mx1.b.test\","
    "\"receiving-ip\":\"2001:db8::1\",\n"
    "\"failed-session-count\":3,\n"
    "\"failure-reason-code\":\"it \\\"was\\\" once\"},\n"
    "{\"result-type\":\"validation-failure\",\n"
    "\"failed-session-count\":1}]},\n"
    "{\"policy\":{\"policy-type\":\"tlsa\",\n"
    "\"policy-string\":[\"3 1 1 00ff\"],\n"
    "\"policy-domain\":\"mx1.b.test\",\n"
    "\"mx-host\":[\"mx1.b.test\"]},\n"
    "\"summary\":{\"total-successful-session-count\":1,"
    "\"total-failure-session-count\":0}},\n"
    "{\"policy\":{\"policy-type\":\"no-policy-found\",\n"
    "\"policy-domain\":\"b.test\"},\n"
    "\"summary\":{\"total-successful-session-count\":0,"
    "\"total-failure-session-count\":1}}]}\n";

static void
json(void **state)
{
	struct buf	b;

	(void)state;
	buf_init(&b, 4096);
	write_one(&b);
	assert_string_equal(buf_cstr(&b), written);
	buf_clear(&b);
	/* Too small: said once, at the end. */
	buf_init(&b, 100);
	{
		struct rpt_writer	w;

		rpt_begin(&w, &b, &(struct rpt_head){ .begin_s = 0 });
		rpt_policy(&w, &(struct rpt_policy){ .ok = 1 });
		assert_false(rpt_end(&w));
	}
	buf_clear(&b);
}

static void
has(struct buf *b, const char *text)
{
	if (strstr(buf_cstr(b), text) == NULL)
		fail_msg("no \"%s\" in\n%s", text, buf_cstr(b));
}

static void
message(void **state)
{
	struct tlsrpt	t = { .host = span_str("gw.test"),
			    .id = span_str("abc"),
			    .domain = span_str("b.test"),
			    .from = span_str("tls@gw.test"),
			    .to = span_str("r@b.test"), .begin_s = 1767139200,
			    .end_s = 1767225599, .now_s = 1767226000 };
	struct buf	b;
	const char	*p;

	(void)state;
	t.json = span_str("{\"a\":1,\n\"b\":\"x=y\"}\n");
	buf_init(&b, TLSRPT_MAX);
	assert_true(tlsrpt_write(&b, &t));
	has(&b, "Date: Thu, 01 Jan 2026 00:06:40 +0000\r\n");
	has(&b, "\r\nFrom: <tls@gw.test>\r\nTo: <r@b.test>\r\n");
	has(&b, "\r\nSubject: Report Domain: b.test\r\n\tSubmitter: gw.test\r\n"
	    "\tReport-ID: <abc.tlsrpt@gw.test>\r\n");
	has(&b, "\r\nTLS-Report-Domain: b.test\r\n"
	    "TLS-Report-Submitter: gw.test\r\n");
	has(&b, "\r\nTLS-Required: No\r\n");
	has(&b, "multipart/report; report-type=\"tlsrpt\";");
	has(&b, "\r\nContent-Type: application/tlsrpt+json\r\n");
	has(&b, "filename=\"gw.test!b.test!1767139200!1767225599!abc.json\"");
	has(&b, "\r\n\r\n{\"a\":1,\r\n\"b\":\"x=3Dy\"}\r\n\r\n--=_abc.tlsrpt--"
	    "\r\n");
	/* Lines as SMTP has them. */
	for (p = buf_cstr(&b); (p = strpbrk(p, "\r\n")) != NULL; p += 2)
		assert_memory_equal(p, "\r\n", 2);
	buf_clear(&b);
	buf_init(&b, 500);
	assert_false(tlsrpt_write(&b, &t));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(too_long),
		cmocka_unit_test(names),
		cmocka_unit_test(addresses),
		cmocka_unit_test(urls),
		cmocka_unit_test(strings),
		cmocka_unit_test(json),
		cmocka_unit_test(message)
	};

	return cmocka_run_group_tests_name("rpt", tests, NULL, NULL);
}
