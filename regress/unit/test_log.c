/*
 * The log as its reader sees it: descriptor 2 is one end of a socket pair here.
 * Forms, quoting, one line whatever is said, equal lines, a lost logger.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

#define S(lit)	((struct span)SPAN(lit))

static char	line[LOG_LINE_MAX + 100];
static int	reader, saved = -1, lost;

/* The next line, "" if there is none. */
static const char *
next(void)
{
	ssize_t	 n = recv(reader, line, sizeof(line) - 1, MSG_DONTWAIT);

	line[n < 0 ? 0 : n] = '\0';
	return line;
}

/* What stands behind "title[pid]: ". */
static const char *
body(void)
{
	const char	*p = strstr(next(), "]: ");

	return p == NULL ? "" : p + 3;
}

static void
at(int64_t mono_ms)
{
	struct mono	 m = { mono_ms };
	struct wall	 w = { 1795516200123 };	/* 2026-11-24 10:30 UTC */

	clock_fake(&m, &w);
}

static int
open_log(void **state)
{
	static int64_t	 t = 1000000;
	int		 sv[2];

	(void)state;
	setenv("TZ", "XST-1", 1);
	tzset();
	at(t += 10000);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sv) == -1 ||
	    (saved = dup(2)) == -1 || dup2(sv[0], 2) == -1)
		return -1;
	close(sv[0]);
	reader = sv[1];
	log_init("smtpd.1", LOG_FORM_TEXT, LOG_LV_INFO);
	return 0;
}

static int
close_log(void **state)
{
	(void)state;
	dup2(saved, 2);
	close(saved);
	close(reader);
	clock_fake(NULL, NULL);
	return 0;
}

static void
test_forms(void **state)
{
	char	 want[200];

	(void)state;
	log_info("event=%s n=%d", "connect", 7);
	snprintf(want, sizeof(want), "2026-11-24T11:30:00.123 smtpd.1[%d]: "
	    "event=connect n=7\n", (int)getpid());
	assert_string_equal(next(), want);
	log_init("smtpd.2", LOG_FORM_SYSLOG, LOG_LV_INFO);
	log_info("event=connect");
	snprintf(want, sizeof(want), "<22>Nov 24 11:30:00 postern-smtpd.2[%d]: "
	    "event=connect", (int)getpid());
	assert_string_equal(next(), want);
	log_warnx("x");
	assert_memory_equal(next(), "<20>", 4);
}

/* The head of a line is made once a second: not with another process's pid. */
static void
test_forked(void **state)
{
	char	 want[200];
	pid_t	 pid;
	int	 st;

	(void)state;
	log_info("event=connect");
	next();
	if ((pid = fork()) == 0) {
		log_info("event=connect n=2");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	snprintf(want, sizeof(want), "2026-11-24T11:30:00.123 smtpd.1[%d]: "
	    "event=connect n=2\n", (int)pid);
	assert_string_equal(next(), want);
	log_info("event=connect n=3");
	snprintf(want, sizeof(want), "smtpd.1[%d]: event=connect n=3\n",
	    (int)getpid());
	assert_non_null(strstr(next(), want));
}

static void
test_levels(void **state)
{
	(void)state;
	log_debug("no");
	assert_string_equal(next(), "");
	log_set_level(LOG_LV_DEBUG);
	assert_int_equal(log_get_level(), LOG_LV_DEBUG);
	log_debug("yes");
	assert_string_equal(body(), "yes\n");
	log_set_level(LOG_LV_WARN);
	log_info("no");
	assert_string_equal(next(), "");
	errno = ENOENT;
	log_warn("open %s", "x");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(body(), "open x: No such file or directory\n");
}

static void
test_one_line(void **state)
{
	char	 big[5000];

	(void)state;
	log_info("a\nb\rc\033d\x7f%s", "%n");
	assert_string_equal(body(), "a?b?c?d?%n\n");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	next();
	assert_int_equal(strlen(line), LOG_LINE_MAX);
	assert_int_equal(line[LOG_LINE_MAX - 1], '\n');
}

static void
test_quote(void **state)
{
	static const struct {
		struct span	 in;
		const char	*want;
	} rows[] = {
		{ SPAN("<a@b.example>"), "<a@b.example>" },
		{ SPAN(""), "\"\"" },
		{ SPAN("a b"), "\"a b\"" },
		{ SPAN("a=b"), "\"a=b\"" },
		{ SPAN("a\"b"), "a\\x22b" },
		{ SPAN("a\\b"), "a\\x5cb" },
		{ SPAN("a\r\nb"), "a\\x0d\\x0ab" },
		{ SPAN("\x1b[0m\x7f"), "\\x1b[0m\\x7f" },
		{ SPAN("\xc3\xa4\0"), "\\xc3\\xa4\\x00" },
		{ SPAN("%n%s"), "%n%s" }
	};
	const char	*q[8];
	char		 big[2000], nr[8][16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(log_quote(rows[i].in), rows[i].want);
	memset(big, 1, sizeof(big));
	assert_int_equal(strlen(log_quote(span(big, 256))), 4 * 256);
	assert_int_equal(strlen(log_quote(span(big, 257))), 4 * 256 + 3);
	memset(big, ' ', sizeof(big));
	assert_int_equal(strlen(log_quote_reply(span(big, 2000))),
	    1024 + 3 + 2);
	/* Eight stand at a time. */
	for (int i = 0; i < 8; i++) {
		snprintf(nr[i], sizeof(nr[i]), "n%d", i);
		q[i] = log_quote(span_str(nr[i]));
	}
	for (int i = 0; i < 8; i++)
		assert_string_equal(q[i], nr[i]);
}

/* Two lines in turn, as from one who has found the limit for one. */
static void
test_repeated(void **state)
{
	int	 a = 0, b = 0;

	(void)state;
	for (int i = 0; i < 150; i++) {
		log_info("session=1 event=noise");
		log_info("session=2 event=clatter");
		while (*next() != '\0') {
			a += strstr(line, "noise") != NULL;
			b += strstr(line, "clatter") != NULL;
		}
	}
	assert_int_equal(a, 100);
	assert_int_equal(b, 100);
	at(clock_mono().ms + 1000);
	log_info("next");
	a = b = 0;
	while (strcmp(body(), "next\n") != 0) {
		a += strstr(line, "event=repeated count=50 "
		    "line=\"session=1 event=noise\"") != NULL;
		b += strstr(line, "event=repeated count=50 "
		    "line=\"session=2 event=clatter\"") != NULL;
	}
	assert_int_equal(a, 1);
	assert_int_equal(b, 1);
	log_info("next");
	assert_string_equal(body(), "next\n");
}

static void
told(void)
{
	lost++;
	log_info("told");	/* as a callback may */
}

static void
test_lost(void **state)
{
	int	 sv[2];

	(void)state;
	log_on_lost(told);
	close(reader);
	log_info("one");		/* and "told" */
	assert_int_equal(lost, 1);
	log_info("two");		/* and the count, twice "told" */
	assert_in_range(lost, 2, 3);
	/* A new socket, as from the parent. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
	dup2(sv[0], 2);
	close(sv[0]);
	reader = sv[1];
	log_info("three");
	assert_non_null(strstr(body(), "event=lost lines="));
	assert_string_equal(body(), "three\n");
	log_info("four");
	assert_string_equal(body(), "four\n");
	log_on_lost(NULL);
}

/* A logger that is slow loses lines, and is not taken for gone. */
static void
test_slow(void **state)
{
	int	 sv[2], n = 0;

	(void)state;
	lost = 0;
	log_on_lost(told);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
	    sv), 0);
	dup2(sv[0], 2);
	close(sv[0]);
	close(reader);
	reader = sv[1];
	for (int i = 0; i < 5000; i++)
		log_info("line %d", i);
	assert_int_equal(lost, 0);
	while (*next() != '\0')
		n++;
	assert_in_range(n, 1, 4999);
	log_info("again");
	assert_non_null(strstr(body(), "event=lost lines="));
	assert_int_equal(strtol(strstr(line, "lines=") + 6, NULL, 10),
	    5000 - n);
	assert_string_equal(body(), "again\n");
	log_on_lost(NULL);
}

static void
test_fatal(void **state)
{
	int	 status;
	pid_t	 pid;

	(void)state;
	if ((pid = fork()) == 0) {
		errno = EPERM;
		fatal("no %s", "luck");
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_string_equal(body(), "no luck: Operation not permitted\n");
	if ((pid = fork()) == 0)
		fatalx("no luck");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_string_equal(body(), "no luck\n");
}

#define ROW(t)	cmocka_unit_test_setup_teardown(t, open_log, close_log)

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		ROW(test_forms),
		ROW(test_forked),
		ROW(test_levels),
		ROW(test_one_line),
		ROW(test_quote),
		ROW(test_repeated),
		ROW(test_lost),
		ROW(test_slow),
		ROW(test_fatal)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
