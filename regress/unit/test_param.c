/*
 * ESMTP parameters: what is taken, what reply a bad one gets, and the whole
 * argument of MAIL and RCPT.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/smtp/ehlo.h"
#include "common/smtp/param.h"
#include "common/smtp/path.h"

#define ALL	(CAP_SIZE | CAP_8BITMIME | CAP_DSN | CAP_SMTPUTF8 | CAP_AUTH)
#define X50	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* code 0: good, and this is how it is written. */
static const struct { const char *in; uint16_t code; const char *out; }
mail_rows[] = {
	{ "", 0, "" },
	{ "  ", 0, "" },
	{ " SIZE=1000", 0, " SIZE=1000" },
	{ " size=0", 0, " SIZE=0" },
	{ " SIZE=18446744073709551615", 0, " SIZE=18446744073709551615" },
	{ " SIZE=99999999999999999999", 0, " SIZE=18446744073709551615" },
	{ " BODY=8bitmime  SIZE=5 ", 0, " SIZE=5 BODY=8BITMIME" },
	{ " BODY=7BIT", 0, " BODY=7BIT" },
	{ " SMTPUTF8", 0, " SMTPUTF8" },
	{ " RET=FULL ENVID=QQ314159", 0, " RET=FULL ENVID=QQ314159" },
	{ " RET=hdrs", 0, " RET=HDRS" },
	{ " ENVID=a+2Bb+20c", 0, " ENVID=a+2Bb+20c" },
	{ " ENVID=" X50 X50, 0, " ENVID=" X50 X50 },
	{ " AUTH=<>", 0, " AUTH=<>" },
	{ " AUTH=e+3Dmc2@example.com", 0, " AUTH=e+3Dmc2@example.com" },
	{ " requiretls", 0, " REQUIRETLS" },
	{ " REQUIRETLS BODY=7BIT", 0, " BODY=7BIT REQUIRETLS" },
	{ "SIZE=1", 501, NULL },
	{ "\tSIZE=1", 501, NULL },
	{ " SIZE", 501, NULL },
	{ " SIZE=", 501, NULL },
	{ " SIZE=-1", 501, NULL },
	{ " SIZE=1k", 501, NULL },
	{ " SIZE=1=2", 501, NULL },
	{ " SIZE=111111111111111111111", 501, NULL },
	{ " SIZE=1 SIZE=1", 501, NULL },
	{ " BODY=BINARYMIME", 504, NULL },
	{ " BODY=x", 501, NULL },
	{ " BODY", 501, NULL },
	{ " SMTPUTF8=yes", 501, NULL },
	{ " REQUIRETLS=yes", 501, NULL },
	{ " REQUIRETLS=", 501, NULL },
	{ " REQUIRETLS REQUIRETLS", 501, NULL },
	{ " RET=NONE", 501, NULL },
	{ " ENVID=", 501, NULL },
	{ " ENVID=" X50 X50 "x", 501, NULL },
	{ " ENVID=a+0D+0Ab", 501, NULL },
	{ " ENVID=a+00", 501, NULL },
	{ " ENVID=a+7F", 501, NULL },
	{ " ENVID=a+80", 501, NULL },
	{ " ENVID=a+2b", 501, NULL },
	{ " ENVID=a+2", 501, NULL },
	{ " ENVID=a+", 501, NULL },
	{ " ENVID=\xc3\xa4", 501, NULL },
	{ " AUTH=a=b", 501, NULL },
	{ " AUTH", 501, NULL },
	{ " =x", 501, NULL },
	{ " -x=y", 501, NULL },
	{ " S\xc3\xa4=1", 501, NULL },
	{ " SIZE=1\x01", 501, NULL },
	{ " FUTURE=1", 555, NULL },
	{ " FUTURE", 555, NULL },
	{ " NOTIFY=NEVER", 555, NULL },
	{ " SIZE=1 FUTURE", 555, NULL },
};
static const struct { const char *in; uint16_t code; const char *out; }
rcpt_rows[] = {
	{ "", 0, "" },
	{ " NOTIFY=NEVER", 0, " NOTIFY=NEVER" },
	{ " NOTIFY=delay,SUCCESS", 0, " NOTIFY=SUCCESS,DELAY" },
	{ " NOTIFY=SUCCESS,FAILURE,DELAY", 0, " NOTIFY=SUCCESS,FAILURE,DELAY" },
	{ " ORCPT=rfc822;a+2Bb@c.example", 0, " ORCPT=rfc822;a+2Bb@c.example" },
	{ " ORCPT=utf-8;\xc3\xa4@c.example", 0, " ORCPT=utf-8;\xc3\xa4@c.example" },
	{ " NOTIFY=FAILURE ORCPT=x400;y", 0, " NOTIFY=FAILURE ORCPT=x400;y" },
	{ " NOTIFY", 501, NULL },
	{ " NOTIFY=", 501, NULL },
	{ " NOTIFY=,", 501, NULL },
	{ " NOTIFY=SUCCESS,", 501, NULL },
	{ " NOTIFY=NEVER,SUCCESS", 501, NULL },
	{ " NOTIFY=MAYBE", 501, NULL },
	{ " ORCPT=rfc822", 501, NULL },
	{ " ORCPT=rfc822;", 501, NULL },
	{ " ORCPT=;a", 501, NULL },
	{ " ORCPT=rfc822;a+0Ab", 501, NULL },
	{ " ORCPT=rfc822;\xc3\xa4", 501, NULL },
	{ " ORCPT=rf(c;a", 501, NULL },
	{ " SIZE=1", 555, NULL },
};

static void
mail(void **state)
{
	struct smtp_mail_params	 p;
	struct buf		 b;
	const char		*why;
	uint16_t		 code;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(mail_rows) / sizeof(mail_rows[0]); i++) {
		code = 0;
		why = NULL;
		if (smtp_mail_params(span_str(mail_rows[i].in), &p, &code,
		    &why) != PARSE_OK) {
			assert_int_equal(code, mail_rows[i].code);
			assert_non_null(why);
			continue;
		}
		assert_int_equal(mail_rows[i].code, 0);
		buf_reset(&b);
		assert_true(smtp_mail_params_write(&b, &p, ALL));
		assert_true(span_is(buf_content(&b), mail_rows[i].out));
		buf_reset(&b);
		assert_true(smtp_mail_params_write(&b, &p, 0));
		assert_true(span_is(buf_content(&b), p.utf8 ? " SMTPUTF8" :
		    p.requiretls ? " REQUIRETLS" : ""));
	}
	buf_clear(&b);
}

static void
rcpt(void **state)
{
	struct smtp_rcpt_params	 p;
	struct buf		 b;
	const char		*why;
	uint16_t		 code;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(rcpt_rows) / sizeof(rcpt_rows[0]); i++) {
		code = 0;
		why = NULL;
		if (smtp_rcpt_params(span_str(rcpt_rows[i].in), &p, &code,
		    &why) != PARSE_OK) {
			assert_int_equal(code, rcpt_rows[i].code);
			assert_non_null(why);
			continue;
		}
		assert_int_equal(rcpt_rows[i].code, 0);
		buf_reset(&b);
		assert_true(smtp_rcpt_params_write(&b, &p, ALL));
		assert_true(span_is(buf_content(&b), rcpt_rows[i].out));
		buf_reset(&b);
		assert_true(smtp_rcpt_params_write(&b, &p, 0));
		assert_int_equal(buf_len(&b), 0);
	}
	buf_clear(&b);
}

static void
whole(void **state)
{
	static const struct { const char *in; bool rcpt, utf8; uint16_t code;
	    const char *addr; } t[] = {
		{ "FROM:<a@b.c>", false, false, 0, "a@b.c" },
		{ "from:<>", false, false, 0, "" },
		{ "FROM:  <a@b.c>  SIZE=1", false, false, 0, "a@b.c" },
		{ "FROM:<\xc3\xa4@b.c> SMTPUTF8", false, false, 0,
		    "\xc3\xa4@b.c" },
		{ "FROM:<\xc3\xa4@b.c>", false, false, 553, NULL },
		{ "FROM:<\xc3\xa4@b.c> SIZE=1", false, false, 553, NULL },
		{ "FROM:a@b.c", false, false, 501, NULL },
		{ "FROM <a@b.c>", false, false, 501, NULL },
		{ "FROM:", false, false, 501, NULL },
		{ "", false, false, 501, NULL },
		{ "TO:<a@b.c>", false, false, 501, NULL },
		{ "FROM:<a@b.c>SIZE=1", false, false, 501, NULL },
		{ "FROM:<a@b.c> X=1", false, false, 555, NULL },
		{ "FROM:<postmaster>", false, false, 501, NULL },
		{ "TO:<a@b.c>", true, false, 0, "a@b.c" },
		{ "TO:<postmaster>", true, false, 0, "postmaster" },
		{ "To:<@x:a@b.c> NOTIFY=NEVER", true, false, 0, "a@b.c" },
		{ "TO:<\xc3\xa4@b.c>", true, true, 0, "\xc3\xa4@b.c" },
		{ "TO:<\xc3\xa4@b.c>", true, false, 553, NULL },
		{ "TO:<a@b.c> ORCPT=utf-8;\xc3\xa4", true, false, 553, NULL },
		{ "TO:<>", true, false, 501, NULL },
		{ "TO:<a@b.c> SMTPUTF8", true, false, 555, NULL },
	};
	struct smtp_mail_params	 mp;
	struct smtp_rcpt_params	 rp;
	struct smtp_path	 path;
	const char		*why;
	enum parse		 res;
	uint16_t		 code;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		code = 0;
		res = t[i].rcpt ? smtp_rcpt_parse(span_str(t[i].in),
		    t[i].utf8, &path, &rp, &code, &why) :
		    smtp_mail_parse(span_str(t[i].in), &path, &mp, &code,
		    &why);
		assert_int_equal(res, t[i].code == 0 ? PARSE_OK : PARSE_BAD);
		if (res == PARSE_OK)
			assert_true(span_is(path.text, t[i].addr));
		else
			assert_int_equal(code, t[i].code);
	}
}

/* R11: any byte at any place of the argument; nothing that is taken carries a
 * control character on. */
static void
every_byte(void **state)
{
	static const char	 model[] =
	    "FROM:<a.b@c.example> SIZE=10 RET=FULL ENVID=a+20b AUTH=<>";
	char			 s[sizeof(model)];
	struct smtp_mail_params	 p;
	struct smtp_path	 path;
	struct buf		 b;
	const char		*why;
	uint16_t		 code;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(model) - 1; i++) {
		for (int c = 0; c < 256; c++) {
			memcpy(s, model, sizeof(s));
			s[i] = (char)c;
			if (smtp_mail_parse(span(s, sizeof(s) - 1), &path, &p,
			    &code, &why) != PARSE_OK)
				continue;
			buf_reset(&b);
			assert_true(smtp_path_write(&b, &path));
			assert_true(smtp_mail_params_write(&b, &p, ALL));
			for (size_t k = 0; k < buf_len(&b); k++)
				assert_true(buf_content(&b).p[k] >= ' ' &&
				    buf_content(&b).p[k] < 127);
		}
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail),
		cmocka_unit_test(rcpt),
		cmocka_unit_test(whole),
		cmocka_unit_test(every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
