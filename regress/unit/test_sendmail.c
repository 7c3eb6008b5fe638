/*
 * sendmail's options as programs give them, the message on its way in, cut at
 * every byte, and the envelope that follows.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/intake.h"
#include "posternctl/letter.h"
#include "posternctl/sendmail.h"

#define WORDS_MAX	32

/* ---- options ------------------------------------------------------------- */

static char	 words[512];
static char	*args[WORDS_MAX];

/* A command line, words parted by blanks; "''" is the empty word. */
static int
options(struct sendmail *s, const char *line, const char **why, char *opt)
{
	static char	 empty[] = "";
	int		 n = 0;

	assert_true(strlen(line) < sizeof(words));
	strlcpy(words, line, sizeof(words));
	for (char *p = strtok(words, " "); p != NULL; p = strtok(NULL, " ")) {
		assert_true(n + 1 < WORDS_MAX);
		args[n++] = strcmp(p, "''") == 0 ? empty : p;
	}
	args[n] = NULL;
	return sendmail_options(s, args[0], n, args, why, opt);
}

static struct sendmail
parsed(const char *line)
{
	struct sendmail	 s;
	const char	*why = "";
	char		 opt;

	assert_int_equal(options(&s, line, &why, &opt), 0);
	return s;
}

static void
by_programs(void **state)
{
	struct sendmail	 s;

	(void)state;
	s = parsed("sendmail -FCronDaemon -i -B8BITMIME -oem root");
	assert_string_equal(s.name, "CronDaemon");
	assert_false(s.dots);
	assert_int_equal(s.tell, TELL_MAIL);
	assert_int_equal(s.argc, 1);
	assert_string_equal(s.argv[0], "root");

	s = parsed("sendmail -t -i");
	assert_true(s.extract && !s.dots);
	assert_int_equal(s.argc, 0);
	s = parsed("sendmail -ti -fweb@site.example");
	assert_true(s.extract && !s.dots);
	assert_string_equal(s.from, "web@site.example");

	s = parsed("sendmail -oem -oi -f x@y -- -a@b c@d");
	assert_string_equal(s.from, "x@y");
	assert_int_equal(s.argc, 2);
	assert_string_equal(s.argv[0], "-a@b");

	s = parsed("sendmail -i -N failure,delay -R hdrs -V id a");
	assert_int_equal(s.notify, NOTIFY_FAILURE | NOTIFY_DELAY);
	assert_int_equal(s.ret, RET_HDRS);
	assert_string_equal(s.envid, "id");
	s = parsed("sendmail -Nnever -R FULL a");
	assert_int_equal(s.notify, NOTIFY_NEVER);
	assert_int_equal(s.ret, RET_FULL);

	s = parsed("sendmail -f '' -F '' -odb -odi -o7 -om -n -U -G -v "
	    "-h 3 -L tag -Ac -C /c -Am -X /log -p x -O DeliveryMode=b a");
	assert_string_equal(s.from, "");
	assert_string_equal(s.name, "");
	assert_true(s.verbose && s.dots && s.job == JOB_SEND);
	assert_int_equal(s.argc, 1);
}

static void
modes(void **state)
{
	static const struct { const char *line; enum sendmail_job job; } t[] = {
		{ "sendmail", JOB_SEND }, { "sendmail -bm a", JOB_SEND },
		{ "sendmail -bs", JOB_SMTP }, { "sendmail -bp", JOB_LIST },
		{ "mailq", JOB_LIST }, { "mailq -v", JOB_LIST },
		{ "newaliases", JOB_ALIASES }, { "sendmail -bi", JOB_ALIASES },
		{ "sendmail -I", JOB_ALIASES }, { "sendmail -q", JOB_RUN },
		{ "sendmail -q30m", JOB_RUN },
		{ "sendmail -qRexample", JOB_RUN }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(parsed(t[i].line).job, t[i].job);
	assert_true(parsed("sendmail -q30m").every);
	assert_false(parsed("sendmail -q").every);
	assert_int_equal(parsed("sendmail -oep x").tell, TELL_PRINT);
	assert_int_equal(parsed("sendmail -oee x").tell, TELL_BERKNET);
	assert_int_equal(parsed("sendmail -eq x").tell, TELL_QUIET);
	assert_int_equal(parsed("sendmail -O ErrorMode=m x").tell, TELL_MAIL);
	assert_false(parsed("sendmail -O IgnoreDots=True x").dots);
	assert_true(parsed("sendmail -O IgnoreDots=False x").dots);
	assert_int_equal(parsed("sendmail x").retry_ms, 60000);
	assert_int_equal(parsed("sendmail -O Timeout.connect=2s x").retry_ms,
	    2000);
	assert_null(parsed("sendmail x").place.dir);
	assert_string_equal(parsed("sendmail x").conf, CONFFILE);
	assert_string_equal(parsed("sendmail -C /x x").conf, "/x");
	assert_string_equal(parsed("mailq -s /x").place.dir, "/x");
}

static void
wrong(void **state)
{
	static const struct { const char *line; int status; char opt; } t[] = {
		{ "sendmail -Z", EX_USAGE, 'Z' }, { "sendmail -f", EX_USAGE,
		'f' }, { "sendmail -bd", EX_UNAVAILABLE, 'b' },
		{ "sendmail -bv a", EX_UNAVAILABLE, 'b' },
		{ "sendmail -bt", EX_UNAVAILABLE, 'b' },
		{ "sendmail -bx", EX_USAGE, 'b' },
		{ "sendmail -bmm", EX_USAGE, 'b' },
		{ "sendmail -oex a", EX_USAGE, 'o' },
		{ "sendmail -B BINARYMIME a", EX_USAGE, 'B' },
		{ "sendmail -N never,delay a", EX_USAGE, 'N' },
		{ "sendmail -N x a", EX_USAGE, 'N' },
		{ "sendmail -R some a", EX_USAGE, 'R' },
		{ "sendmail -O Timeout.connect=x a", EX_USAGE, 'O' }
	};
	struct sendmail	 s;
	const char	*why;
	char		 opt;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		why = "";
		opt = '\0';
		assert_int_equal(options(&s, t[i].line, &why, &opt),
		    t[i].status);
		assert_int_equal(opt, t[i].opt);
		assert_string_not_equal(why, "");
	}
}

/* ---- the message --------------------------------------------------------- */

static bool
gather(struct span s, void *arg)
{
	return buf_span(arg, s);
}

/* All of it; lives until the next call. */
static struct span
body_of(const struct intake *m)
{
	static struct buf	b;

	buf_clear(&b);
	buf_init(&b, 1UL << 30);
	assert_true(spill_each(&m->body, gather, &b));
	assert_int_equal(buf_len(&b), spill_len(&m->body));
	return buf_content(&b);
}

static void
comes_as(const char *in, size_t len, bool dots, const char *head,
    const char *body)
{
	struct intake	 m;

	for (size_t cut = 0; cut <= len; cut++) {
		intake_begin(&m, dots);
		assert_true(intake_feed(&m, span(in, cut)));
		assert_true(intake_feed(&m, span(in + cut, len - cut)));
		assert_true(intake_end(&m));
		assert_string_equal(buf_cstr(&m.head), head);
		assert_true(span_is(body_of(&m), body));
		intake_clear(&m);
	}
}
#define COMES(in, dots, head, body) \
	comes_as(in, sizeof(in) - 1, dots, head, body)

static void
incoming(void **state)
{
	(void)state;
	COMES("", false, "", "");
	COMES("\n", false, "", "");
	COMES("A: b\n\nc\nd", false, "A: b\r\n", "c\r\nd\r\n");
	COMES("A: b\r\n\r\nc\r\r\n", false, "A: b\r\n", "c\r\n");
	COMES("A: b\n c\n\td\n\ne\n", false, "A: b\r\n c\r\n\td\r\n",
	    "e\r\n");
	/* No header; one that ends without an empty line; "From ". */
	COMES("text\nA: b\n", false, "", "text\r\nA: b\r\n");
	COMES(" text\n", false, "", " text\r\n");
	COMES("A: b\ntext\n", false, "A: b\r\n", "text\r\n");
	COMES("From x y\nA: b\n\nFrom z\n", false, "A: b\r\n", "From z\r\n");
	/* A fold of nothing would end the header for some. */
	COMES("A: b\n \t\nC: d\n", false, "A: b\r\nC: d\r\n", "");
	/* Points. */
	COMES("A: b\n\nc\n.\nd\n", true, "A: b\r\n", "c\r\n");
	COMES("A: b\n\nc\n.\r\nd\n", true, "A: b\r\n", "c\r\n");
	COMES("A: b\n\nc\n.\nd\n", false, "A: b\r\n", "c\r\n.\r\nd\r\n");
	COMES("A: b\n\n..\n", true, "A: b\r\n", "..\r\n");
	/* A CR makes no field of its own, and no bare CR in the body. */
	COMES("A: b\rBcc: x\n\nc\rd\n", false, "A: b Bcc: x\r\n",
	    "c\r\nd\r\n");
}

/* Long lines in pieces become what they become whole. */
static void
in_pieces(void **state)
{
	static uint8_t	 text[400000];
	struct intake	 whole, m;
	struct buf	 want;
	uint32_t	 rnd = 1;
	size_t		 n, len = sizeof(text);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		rnd = rnd * 1664525 + 1013904223;
		n = rnd >> 16 & 1023;
		text[i] = n == 0 ? '\r' : n < 3 ? ' ' : n < 60 ? 0xc3 :
		    n < 120 ? 0xa4 : (uint8_t)('a' + n % 26);
	}
	memcpy(text, "A: b\n\n", 6);
	memset(text + 100000, '\r', 70000);	/* more of them than a part */
	memset(text + 300000, ' ', 5000);
	memcpy(text + len - 8, "xx\r\r\n.\n", 7);
	text[len - 1] = 'y';
	intake_begin(&whole, true);
	assert_true(intake_feed(&whole, span(text, len)));
	buf_init(&want, 1 << 20);
	buf_span(&want, body_of(&whole));
	assert_true(whole.done);
	for (size_t step = 1; step < 200000; step = step * 7 + 1) {
		intake_begin(&m, true);
		for (size_t i = 0; i < len; i += n) {
			n = len - i < step ? len - i : step;
			assert_true(intake_feed(&m, span(text + i, n)));
			assert_true(m.line.cap < 1 << 20);
		}
		assert_true(intake_end(&m) && m.done && m.eight);
		assert_true(span_eq(body_of(&m), buf_content(&want)));
		intake_clear(&m);
	}
	buf_clear(&want);
	intake_clear(&whole);
}

/* What no header can be is a body, a field is too large. */
static void
no_header(void **state)
{
	static uint8_t	 text[INTAKE_HEADER_MAX + 100000];
	struct intake	 m;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[5] = ' ';
	intake_begin(&m, true);
	assert_true(intake_feed(&m, span(text, sizeof(text))));
	assert_true(intake_feed(&m, span_str("\nA: b\n")) && intake_end(&m));
	assert_int_equal(buf_len(&m.head), 0);
	assert_true(span_starts(body_of(&m), span_str("xxxxx\r\n xxx")));
	intake_clear(&m);
	text[5] = ':';
	intake_begin(&m, true);
	assert_false(intake_feed(&m, span(text, sizeof(text))));
	assert_string_equal(m.why, "the header is too large");
	intake_clear(&m);
}

static bool
whole_lines(struct span s, void *arg)
{
	size_t	*n = arg;

	assert_true(s.len > 0 && s.p[s.len - 1] == '\n');
	for (size_t i = 0; i < s.len; i++)
		assert_int_equal(s.p[i], (*n + i) % 97 == 96 ? '\n' :
		    'a' + (int)((*n + i) / 97 % 26));
	*n += s.len;
	return true;
}

static bool
no(struct span s, void *arg)
{
	(void)s;
	++*(unsigned *)arg;
	return false;
}

/* From memory into a file and back. */
static void
spilt(void **state)
{
	const size_t	 lines = 5 * SPILL_MEM / 97;
	struct spill	 s;
	struct buf	 all;
	char		 line[98];
	size_t		 got = 0;
	unsigned	 calls = 0;

	(void)state;
	spill_init(&s, lines * 97);
	for (size_t i = 0; i < lines; i++) {
		memset(line, 'a' + (int)(i % 26), 96);
		line[96] = '\n';
		assert_true(spill_span(&s, span(line, 97)));
		assert_int_equal(s.fd != -1, spill_len(&s) > SPILL_MEM);
		assert_true(s.mem.cap <= SPILL_MEM + 4096);
	}
	assert_int_equal(spill_len(&s), lines * 97);
	for (int i = 0; i < 2; i++) {
		got = 0;
		assert_true(spill_each(&s, whole_lines, &got));
		assert_int_equal(got, lines * 97);
	}
	assert_false(spill_each(&s, no, &calls));
	assert_int_equal(calls, 1);
	/* No more than it may have; and that is the end of it. */
	assert_false(spill_span(&s, span_str("x")));
	assert_string_equal(s.why, "the message is too large");
	assert_false(s.io);
	/* The file is cut short: what is not there is not made up. */
	assert_int_equal(ftruncate(s.fd, 1000), 0);
	buf_init(&all, SIZE_MAX / 2);
	assert_false(spill_each(&s, gather, &all));
	buf_clear(&all);
	spill_clear(&s);
	/* No place of the user's: the system's. */
	setenv("TMPDIR", "/nonexistent", 1);
	for (size_t i = 0; i <= SPILL_MEM / 97; i++)
		assert_true(spill_span(&s, span(line, 97)));
	assert_int_not_equal(s.fd, -1);
	spill_clear(&s);
	unsetenv("TMPDIR");
}

static void
nul(void **state)
{
	struct intake	 m;

	(void)state;
	intake_begin(&m, true);
	assert_false(intake_feed(&m, span("A: b\n\nx\0y\n", 10)));
	assert_string_equal(m.why, "the message has a NUL in it");
	assert_false(intake_feed(&m, span_str("more\n")));
	assert_false(intake_end(&m));
	intake_clear(&m);
	intake_begin(&m, true);
	assert_true(intake_feed(&m, span("x\0y", 3)));
	assert_false(intake_end(&m));
	intake_clear(&m);
}

static void
eight(void **state)
{
	struct intake	 m;

	(void)state;
	intake_begin(&m, true);
	assert_true(intake_feed(&m, span_str("A: b\n\nc\n")) && !m.eight);
	assert_true(intake_feed(&m, span_str("\xe4\n")) && m.eight);
	intake_clear(&m);
}

/* No line is longer than 998, and without the folds it is what it was. */
static void
folded(const char *first, size_t words_of, size_t total)
{
	struct intake	 m;
	struct span	 out, line;
	size_t		 n = 0;
	char		*in = malloc(total + 64);

	assert_non_null(in);
	n = (size_t)snprintf(in, 64, "%s", first);
	for (size_t i = 0; i < total; i++)
		in[n++] = words_of > 0 && i % words_of == words_of - 1 ? ' ' :
		    'x';
	intake_begin(&m, true);
	assert_true(intake_feed(&m, span(in, n)) && intake_end(&m));
	out = buf_len(&m.head) > 0 ? buf_content(&m.head) : body_of(&m);
	while (span_word(&out, "\n", &line)) {
		line.len--;	/* CR */
		assert_true(line.len <= INTAKE_LINE_MAX);
		/* Where there was no blank one was made. */
		if (line.p[0] == ' ' &&
		    in[total + strlen(first) - n] != ' ')
			span_skip(&line, 1);
		assert_true(line.len <= n);
		assert_memory_equal(line.p, in + (total + strlen(first) - n),
		    line.len);
		n -= line.len;
	}
	assert_int_equal(n, 0);
	free(in);
	intake_clear(&m);
}

static void
long_lines(void **state)
{
	(void)state;
	folded("Subject: ", 10, 5000);
	folded("text ", 10, 5000);
	folded("", 0, 998);
	folded("", 0, 999);
	folded("", 0, 5000);
	folded("", 999, 998 * 3);
	folded("", 997, 998 * 3);
	folded("", 998, 998 * 3);
}

/* ---- the envelope -------------------------------------------------------- */

static void
envelope(void **state)
{
	struct sendmail	 o = parsed("sendmail -t -N success -V a=b x");
	struct letter	 l;

	(void)state;
	letter_begin(&l, &o, "h.example");
	assert_int_equal(letter_from(&l, NULL, "user"), 0);
	assert_string_equal(buf_cstr(&l.from), "user@h.example");
	assert_int_equal(letter_to(&l, "x, A B <y@Z.Example>, x@h.example"),
	    0);
	assert_int_equal(l.s.nrcpts, 2);
	assert_string_equal(l.s.rcpts[0].addr, "x@h.example");
	assert_string_equal(l.s.rcpts[1].addr, "y@z.example");
	assert_int_equal(letter_to(&l, "no good"), 0);
	assert_int_equal(letter_to(&l, "a@b..c"), 0);
	assert_int_equal(l.s.nrcpts, 4);
	assert_int_equal(l.s.rcpts[2].state, RCPT_REFUSED);
	assert_int_equal(l.s.rcpts[3].state, RCPT_REFUSED);
	assert_true(intake_feed(&l.in, span_str("To: t@u, \"@\"\nBcc: x\n"
	    "Subject: \xc3\xa4\n\n")) && intake_end(&l.in));
	assert_int_equal(letter_extract(&l), 0);
	assert_int_equal(l.s.nrcpts, 6);
	assert_string_equal(l.s.rcpts[5].addr, "\"@\"@h.example");
	assert_int_equal(letter_seal(&l, &o, "U. Ser"), 0);
	assert_true(span_starts(l.s.head, span_str("From: \"U. Ser\" "
	    "<user@h.example>\r\nDate: ")));
	assert_true(l.s.mail.utf8 && l.s.mail.body == BODY_8BITMIME);
	assert_int_equal(l.s.mail.size, l.s.head.len + 2);
	assert_true(span_is(l.s.mail.envid, "a+3Db"));
	assert_int_equal(l.s.rcpt.notify, NOTIFY_SUCCESS);
	letter_clear(&l);
}

static void
senders(void **state)
{
	static const struct { const char *from; int st; const char *want; }
	t[] = {
		{ "", 0, "" }, { "<>", 0, "" }, { "a", 0, "a@h" },
		{ "A <a@b>", 0, "a@b" }, { "a@b,c@d", EX_USAGE, NULL },
		{ "a b", EX_USAGE, NULL }, { ",", EX_USAGE, NULL },
		{ "a@b, (", EX_USAGE, NULL }, { "a@-b", EX_USAGE, NULL }
	};
	struct sendmail	 o = parsed("sendmail");
	struct letter	 l;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		letter_begin(&l, &o, "h");
		assert_int_equal(letter_from(&l, t[i].from, "user"), t[i].st);
		if (t[i].want != NULL)
			assert_true(span_is(buf_content(&l.from), t[i].want));
		letter_clear(&l);
	}
}

/* Whatever a login's name is, it is one local part. */
static void
logins(void **state)
{
	static const struct { const char *user, *want; } t[] = {
		{ "user", "user@h" }, { "a.b-c_d", "a.b-c_d@h" },
		{ "1000", "1000@h" }, { "DOM\\user", "\"DOM\\\\user\"@h" },
		{ "a b", "\"a b\"@h" }, { "x@y", "\"x@y\"@h" }
	};
	struct sendmail	 o = parsed("sendmail");
	struct letter	 l;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		letter_begin(&l, &o, "h");
		assert_int_equal(letter_from(&l, NULL, t[i].user), 0);
		assert_true(span_is(buf_content(&l.from), t[i].want));
		letter_clear(&l);
	}
}

static void
statuses(void **state)
{
	static const struct { char reply[40]; bool content; int st; } t[] = {
		{ "550 5.1.1 unknown", false, EX_NOUSER },
		{ "550 no such user", false, EX_NOUSER },
		{ "550 5.1.2 no such domain", false, EX_NOHOST },
		{ "550 5.1.8 bad sender", true, EX_UNAVAILABLE },
		{ "550 5.7.1 relaying denied", false, EX_UNAVAILABLE },
		{ "552 5.3.4 too large", true, EX_DATAERR },
		{ "552 too large", true, EX_DATAERR },
		{ "550 5.6.0 bare LF", true, EX_DATAERR },
		{ "554 5.7.1 spam", true, EX_UNAVAILABLE }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char			 reply[40];
		struct submit_rcpt	 r = { .state = RCPT_REFUSED,
		    .content = t[i].content, .reply = reply };

		strlcpy(reply, t[i].reply, sizeof(reply));
		r.code = (uint16_t)atoi(reply);
		assert_int_equal(submit_status(&r), t[i].st);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_programs),
		cmocka_unit_test(modes),
		cmocka_unit_test(wrong),
		cmocka_unit_test(incoming),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(no_header),
		cmocka_unit_test(spilt),
		cmocka_unit_test(nul),
		cmocka_unit_test(eight),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(envelope),
		cmocka_unit_test(senders),
		cmocka_unit_test(logins),
		cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
