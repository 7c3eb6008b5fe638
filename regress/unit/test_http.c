/*
 * HTTP's answers: what is taken for the document, at every cut, and what is not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/tls/http.h"

#define OK	"HTTP/1.1 200 OK\r\n"
#define PLAIN	"Content-Type: text/plain\r\n"

static const struct { const char *in, *body; bool by_eof; } good[] = {
	{ OK PLAIN "Content-Length: 5\r\n\r\nhello", "hello", false },
	{ OK "content-type: Text/Plain; charset=utf-8\r\nX: y\r\n"
	    "CONTENT-LENGTH:5\r\n\r\nhello", "hello", false },
	{ "HTTP/1.0 200\nContent-Type: text/plain\n\nhello", "hello", true },
	{ OK PLAIN "\r\n", "", true },
	{ OK PLAIN "Content-Length: 0\r\n\r\n", "", false },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"
	    "2;ext=1\r\nlo\r\n0\r\n", "hello", false },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n"
	    "00a\r\n0123456789\r\n0\r\n", "0123456789", false },
};

static const struct { const char *in, *why; } bad[] = {
	{ "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
	    "its status is not 200" },
	{ "HTTP/1.1 2000 OK\r\n\r\n", "its status is not 200" },
	{ "HTTP/2 200 OK\r\n\r\n", "no HTTP" },
	{ "220 mx.example ESMTP\r\n", "no HTTP" },
	{ OK "Content-Type: text/html\r\n\r\n", "it is not text/plain" },
	{ OK "Content-Length: 5\r\n\r\nhello", "it is not text/plain" },
	{ OK PLAIN "Content-Encoding: gzip\r\n\r\n", "it is not text/plain" },
	{ OK PLAIN "Content-Length: x\r\n\r\n", "a malformed header" },
	{ OK PLAIN "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
	    "a malformed header" },
	{ OK PLAIN "no colon\r\n\r\n", "a malformed header" },
	{ OK PLAIN "Transfer-Encoding: gzip, chunked\r\n\r\n",
	    "a malformed header" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
	    "its length is said twice" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\nx\r\n",
	    "a malformed chunk" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n\x13\r\nhel\r\n0\r\n",
	    "a malformed chunk" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n\r\n",
	    "a malformed chunk" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n11111111\r\n",
	    "a malformed chunk" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
	    "a malformed chunk" },
	{ OK PLAIN "Transfer-Encoding: chunked\r\n\r\n64\r\n",
	    "it is too long" },
	{ OK PLAIN "Content-Length: 100\r\n\r\n", "it is too long" },
	{ OK PLAIN "\r\n0123456789012345678901234567890123456789",
	    "it is too long" },
	{ OK PLAIN "Content-Length: 5\r\n\r\nhell", "it is cut short" },
	{ OK PLAIN, "it is cut short" },
	{ "", "it is cut short" },
};

static void
taken(void **state)
{
	struct buf	 body;
	const char	*why;

	(void)state;
	buf_init(&body, 32);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct span	in = span_str(good[i].in);

		for (size_t n = 0; n < in.len; n++) {
			enum parse	res = http_text(span_sub(in, 0, n),
					    false, &body, &why);

			if (res == PARSE_BAD)
				fail_msg("answer %zu cut at %zu: %s", i, n,
				    why);
		}
		if (http_text(in, good[i].by_eof, &body, &why) != PARSE_OK)
			fail_msg("answer %zu: %s", i, why);
		assert_true(span_is(buf_content(&body), good[i].body));
	}
	buf_clear(&body);
}

static void
not_taken(void **state)
{
	struct buf	 body, big;
	const char	*why;

	(void)state;
	buf_init(&body, 32);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (http_text(span_str(bad[i].in), true, &body, &why) !=
		    PARSE_BAD)
			fail_msg("answer %zu", i);
		if (strcmp(why, bad[i].why) != 0)
			fail_msg("answer %zu: %s", i, why);
	}
	/* A head without an end. */
	buf_init(&big, HTTP_HEAD_MAX * 2);
	buf_str(&big, OK);
	while (buf_len(&big) < HTTP_HEAD_MAX)
		buf_str(&big, "X: y\r\n");
	assert_int_equal(http_text(buf_content(&big), false, &body, &why),
	    PARSE_BAD);
	assert_string_equal(why, "its header is too long");
	buf_clear(&big);
	buf_clear(&body);
}

/* The answer to a POST is its status line. */
static void
accepted(void **state)
{
	static const struct {
		const char	*in;
		bool		 eof;
		enum parse	 res;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\n", false, PARSE_OK },
		{ "HTTP/1.1 201 Created\r\nX: y\r\n\r\nbody", false, PARSE_OK },
		{ "HTTP/1.0 204\r\n", false, PARSE_OK },
		{ "HTTP/1.1 200 OK", false, PARSE_MORE },
		{ "", false, PARSE_MORE },
		{ "HTTP/1.1 200 OK", true, PARSE_BAD },
		{ "HTTP/1.1 301 Moved\r\n", false, PARSE_BAD },
		{ "HTTP/1.1 404 Not Found\r\n", false, PARSE_BAD },
		{ "HTTP/1.1 2000 OK\r\n", false, PARSE_BAD },
		{ "HTTP/2 200 OK\r\n", false, PARSE_BAD },
		{ "220 mx ESMTP\r\n", false, PARSE_BAD },
	};
	struct buf	 body;
	const char	*why;

	(void)state;
	buf_init(&body, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (http_accepted(span_str(cases[i].in), cases[i].eof, &body,
		    &why) != cases[i].res)
			fail_msg("answer %zu", i);
	buf_clear(&body);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(taken),
		cmocka_unit_test(not_taken),
		cmocka_unit_test(accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
