/*
 * deliverd's delivery: transactions, and what a server offers; the results are
 * held against what the servers said.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "regress/lib/deliverdhelp.h"

/* ---- the transaction ----------------------------------------------------- */

static void
mixed(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C RCPT TO:<r2@x.example>",
	    "C RCPT TO:<r3@x.example>", "C DATA", "Q", "S 250 ok", "S 250 ok",
	    "R 550-5.1.1 no such\r\n550 5.1.1 user\r\n", "S 450 4.2.1 later",
	    "S 552 5.5.3 too many", "S 354 go", "D", "S 250 2.0.0 taken",
	    /* The one too many, at once in a transaction of its own. */
	    MAIL, "C RCPT TO:<r3@x.example>", "C DATA", "S 250 ok",
	    "S 552 5.5.3 too many", "S 503 nobody");
	HAND(.id = 1, .action = "a", .prefix = "Received: x\r\n", .rcpts =
	    "r0@x.example r1@x.example r2@x.example r3@x.example");
	UNTIL(is_done(1));
	SERVED(sa);
	is(1, 0, D_OK, "250 2.0.0 taken");
	is(1, 1, D_PERM, "550 5.1.1 no such / 5.1.1 user");
	is(1, 2, D_TEMP, "450 4.2.1 later");
	is(1, 3, D_TEMP, "552 ");	/* RFC 5321, 4.5.3.1.10 */
	assert_true(result(1, 1)->remote);
	assert_int_equal(dest_was(1), D_DEST_OK);
	content_is(sa, "Received: x\r\nSubject: x\r\n\r\nhello\r\n");
}

/* RFC 5321, 4.5.3.1.10: what is too much for one transaction goes in the next;
 * with another enhanced code 452 means something else. */
static void
too_many(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C RCPT TO:<r2@x.example>",
	    "C RCPT TO:<r3@x.example>", "C DATA", "S 250 ok", "S 250 ok",
	    "S 250 ok", "S 452 too many", "S 452 4.5.3 too many",
	    "S 354 go", "D",
	    "S 250 2.0.0 first",
	    MAIL, "C RCPT TO:<r2@x.example>", "C RCPT TO:<r3@x.example>",
	    "C DATA", OK, OK, "S 452 4.2.2 mailbox full", "S 354 go", "D",
	    "S 250 2.0.0 second",
	    /* It has learnt how many that server takes. */
	    MAIL, "C RCPT TO:<r0@x.example>", "C RCPT TO:<r1@x.example>",
	    "C DATA", OK, OK, OK, "S 354 go", "D", OK,
	    MAIL, "C RCPT TO:<r2@x.example>", "C DATA", OK, OK, "S 354 go",
	    "D", OK);
	HAND(.id = 1, .action = "a", .rcpts =
	    "r0@x.example r1@x.example r2@x.example r3@x.example");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .rcpts =
	    "r0@x.example r1@x.example r2@x.example");
	UNTIL(is_done(2));
	SERVED(sa);
	is(1, 0, D_OK, "250 2.0.0 first");
	is(1, 1, D_OK, "250 2.0.0 first");
	is(1, 2, D_OK, "250 2.0.0 second");
	is(1, 3, D_TEMP, "452 4.2.2 mailbox full");
	for (uint32_t i = 0; i < 3; i++)
		is(2, i, D_OK, "250");
}

/* RFC 9422. */
static void
limits(void **state)
{
	(void)state;
	SERVE(sa, HELLO, "R 250-x\r\n250 LIMITS RCPTMAX=2 RCPTDOMAINMAX=1 "
	    "MAILMAX=3\r\n",
	    MAIL, OK, "C RCPT TO:<r0@x.example>", OK,
	    "C RCPT TO:<r2@X.example>", OK, "C DATA", "S 354 go", "D", OK,
	    MAIL, OK, "C RCPT TO:<r1@y.example>", OK, "C DATA", "S 354 go",
	    "D", OK,
	    MAIL, OK, "C RCPT TO:<r3@x.example>", OK, "C DATA", "S 354 go",
	    "D", OK, "C QUIT", "S 221 bye", "E");
	SERVE(sa, HELLO, "S 250 x", "C MAIL FROM:<a@c.example>", OK,
	    "C RCPT TO:<r4@z.example>", OK, "C DATA", "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@y.example "
	    "r2@X.example r3@x.example r4@z.example");
	UNTIL(is_done(1));
	SERVED(sa);
	for (uint32_t i = 0; i < 5; i++)
		is(1, i, D_OK, "250");
	assert_int_equal(server_conns(sa), 2);
}

/* `mail-from` of the action. */
static void
mail_from(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "C MAIL FROM:<a@out.example>", RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK, "C MAIL FROM:<>", RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK);
	HAND(.id = 1, .action = "from");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "from", .from = "");
	UNTIL(is_done(2));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
	/* What the table makes is no address: it leaves as it came. */
	SERVE(sb, PIPE, "C MAIL FROM:<a@c.example>", RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK);
	log_begin();
	HAND(.id = 3, .action = "map");
	UNTIL(is_done(3));
	assert_true(log_end("event=sender result=invalid"));
	SERVED(sb);
}

/* All of a header is looked at, however long, and nothing behind it. */
static void
long_header(void **state)
{
	const size_t	 len = 200000;
	char		*big = malloc(len), path[] = "/tmp/postern-test.XXXXXX";
	int		 fd = mkstemp(path);

	(void)state;
	assert_non_null(big);
	unlink(path);
	for (size_t i = 0; i < len; i++)
		big[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	big[150000] = '\xc3';
	big[150001] = '\xa4';
	assert_int_equal(pwrite(fd, big, len, 0), (ssize_t)len);
	SERVE(sa, PIPE, "W", MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    OK);
	HAND(.id = 1, .action = "a", .utf8 = true, .fd = dup(fd), .len = len);
	UNTIL(is_done(1));
	is(1, 0, D_PERM, "550 5.6.7 ");
	/* The same behind the header's end, which lies across two reads. */
	memcpy(big + 65534, "\r\n\r\n", 4);
	assert_int_equal(pwrite(fd, big, len, 0), (ssize_t)len);
	server_go(sa);
	HAND(.id = 2, .action = "a", .utf8 = true, .fd = dup(fd), .len = len);
	UNTIL(is_done(2));
	is(2, 0, D_OK, "250");
	close(fd);
	free(big);
}

static void
lockstep(void **state)
{
	(void)state;
	SERVE(sa, PLAIN, MAIL, "Q", OK, "C RCPT TO:<r0@x.example>", "Q", OK,
	    "C RCPT TO:<r1@x.example>", "Q", "S 550 no", "C DATA", "Q",
	    "S 354 go", "D", OK,
	    /* Nobody taken: no DATA, and RSET before the next one. */
	    MAIL, OK, RCPT, "S 550 5.1.1 no", "C RSET", "Q", OK, MAIL, OK,
	    RCPT, OK, "C DATA", "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	is(1, 1, D_PERM, "550 no");
	is(2, 0, D_PERM, "550 5.1.1 no");
	is(3, 0, D_OK, "250");
}

static void
mail_refused(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", "S 550 5.7.1 not you",
	    "S 503 no MAIL", "S 503 no MAIL",
	    MAIL, RCPT, "C DATA", "S 451 4.3.0 not now", "S 503 x",
	    "S 503 x");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	SERVED(sa);
	is(1, 0, D_PERM, "550 5.7.1 not you");
	is(2, 0, D_TEMP, "451 4.3.0 not now");
	assert_int_equal(dest_was(1), D_DEST_OK);
	assert_int_equal(dest_was(2), D_DEST_SLOW);
}

static void
data_refused(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C DATA", OK, OK, "S 550 5.1.1 no",
	    "S 452 4.3.1 full", "C RSET", MAIL, RCPT, "C DATA", OK, OK, OK,
	    "S 554 5.7.1 no content", "C RSET", MAIL, RCPT, "C DATA", OK, OK,
	    OK, "S 354 go", "D", "S 554 5.6.0 bad");
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(sa);
	is(1, 0, D_TEMP, "452 4.3.1 full");
	is(1, 1, D_PERM, "550 5.1.1 no");
	is(2, 0, D_PERM, "554 5.7.1 no content");
	is(3, 0, D_PERM, "554 5.6.0 bad");
}

/* RFC 2920, 3.1: 354 and nobody left: a dot alone, whatever is said to it. */
static void
nobody(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, "S 550 5.1.1 no",
	    "S 354 go", "C .", "S 250 2.0.0 taken",
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	SERVED(sa);
	is(1, 0, D_PERM, "550 5.1.1 no");
	is(2, 0, D_OK, "250");
	content_is(sa, "Subject: x\r\n\r\nhello\r\n");
}

static void
lost_connection(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "X");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_false(result(1, 0)->remote);
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "X");
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(2, 0)->reply, "after end of data"));
	/* Before any reply on a new connection: an attempt like any other. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", "X");
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(3, 0)->reply, "reply to MAIL"));
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, "S 550 5.1.1 no", "Z");
	HAND(.id = 4, .action = "a");
	UNTIL(is_done(4));
	is(4, 0, D_PERM, "550 5.1.1 no");
	SERVED(sa);
}

static void
says_421(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C RCPT TO:<r2@x.example>", "C DATA",
	    OK, "S 550 5.1.1 no", "S 421 4.3.2 going down", "E");
	HAND(.id = 1, .action = "a", .rcpts =
	    "r0@x.example r1@x.example r2@x.example");
	UNTIL(is_done(1));
	is(1, 0, D_PERM, "550 5.1.1 no");
	is(1, 1, D_TEMP, "421 4.3.2 going down");
	is(1, 2, D_TEMP, "421 4.3.2 going down");
	assert_true(result(1, 2)->remote);
	assert_int_equal(dest_was(1), D_DEST_SLOW);
	/* In the middle of the content, and after it. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    "S 421 4.3.2 going down", "E");
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "421 4.3.2 going down");
	SERVED(sa);
}

/* Words in the middle of the content are a reason, and no verdict. */
static void
gives_up(void **state)
{
	const size_t	 len = 32 << 20;
	char		 path[] = "/tmp/postern-test.XXXXXX";
	int		 fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_return_code(ftruncate(fd, (off_t)len), 0);
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "W",
	    "R 552-5.3.4 too\r\n552 5.3.4 much\r\n", "W");
	HAND(.id = 1, .action = "a", .fd = fd, .len = len);
	UNTIL(server_waits(sa));
	script_settle(50);
	server_go(sa);
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "552 5.3.4 too / 5.3.4 much");
	assert_true(result(1, 0)->remote);
	assert_int_equal(dest_was(1), D_DEST_SLOW);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	SERVE(sa, "1", "R 220-hi\r\n220 there\r\n", "C EHLO *",
	    "R 250-x\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
	    "C MAIL FROM:<a@c.example> BODY=8BITMIME",
	    "C RCPT TO:<r0@x.example>", "C RCPT TO:<r1@x.example>", "C DATA",
	    "R 250-a\r\n250 b\r\n250 c\r\n550-5.1.1 d\r\n550 5.1.1 e\r\n354 f\r\n",
	    "D", "R 250-2.0.0 g\r\n250 2.0.0 h\r\n");
	HAND(.id = 1, .action = "a", .body = BODY_8BITMIME,
	    .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	SERVED(sa);
	is(1, 0, D_OK, "250 2.0.0 g / 2.0.0 h");
	is(1, 1, D_PERM, "550 5.1.1 d / 5.1.1 e");
	content_is(sa, "Subject: x\r\n\r\nhello\r\n");
}

/* An archive's copy: its envelope before our fields, and an end behind. */
static void
wrapped(void **state)
{
	(void)state;
	SERVE(sa, PIPE, TAKES);
	HAND(.id = 1, .action = "a", .prefix = "Received: y\r\n",
	    .front = "X-Envelope-From: <a@c.example>\r\n",
	    .suffix = "\r\n--end--\r\n");
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250 2.0.0 ok");
	SERVED(sa);
	content_is(sa, "X-Envelope-From: <a@c.example>\r\nReceived: y\r\n"
	    "Subject: x\r\n\r\nhello\r\n\r\n--end--\r\n");
	/* Longer than all of it. */
	HAND(.id = 3, .action = "a", .front = "X: y\r\n", .size = 5);
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.3.0 ");
}

static void
not_smtp(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", "S 250 ok", "S HTTP/1.1 400", "E");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.5.0 ");
	/* A reply too many, where the content is being sent. */
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    "S 250 2.0.0 ok", "S 250 2.0.0 again", "E");
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_OK, "250 2.0.0 ok");
	SERVED(sa);
}

static void
many_rcpts(void **state)
{
	static char	 rcpts[250 * 16];
	static const char *lines[300];
	static char	 text[130][48];
	size_t		 n = 0, len = 0;

	(void)state;
	/* 130 recipients: a transaction of 100 and one of 30, for each job. */
	for (int i = 0; i < 130; i++) {
		len += (size_t)snprintf(rcpts + len, sizeof(rcpts) - len,
		    "%sr%d@x.example", i > 0 ? " " : "", i);
		snprintf(text[i], sizeof(text[i]), "C RCPT TO:<r%d@x.example>",
		    i);
	}
	lines[n++] = "S 220 hi";
	lines[n++] = "C EHLO *";
	lines[n++] = "R 250-x\r\n250 PIPELINING\r\n";
	for (int job = 0; job < 2; job++) {
		lines[n++] = MAIL;
		if (job == 0) {		/* a first job: the connection is kept */
			lines[n++] = RCPT;
			lines[n++] = "C DATA";
			lines[n++] = OK;
			lines[n++] = OK;
		} else {
			for (int i = 0; i < 100; i++)
				lines[n++] = text[i];
			lines[n++] = "C DATA";
			for (int i = 0; i < 101; i++)
				lines[n++] = OK;
		}
		lines[n++] = "S 354 go";
		lines[n++] = "D";
		lines[n++] = OK;
	}
	/* The second transaction of the second job: gone before a word. */
	lines[n++] = MAIL;
	lines[n++] = "X";
	lines[n] = NULL;
	assert_true(n < 300);
	server_add(sa, lines);
	n = 0;
	lines[n++] = "S 220 hi";
	lines[n++] = "C EHLO *";
	lines[n++] = "R 250-x\r\n250 PIPELINING\r\n";
	lines[n++] = MAIL;
	for (int i = 100; i < 130; i++)
		lines[n++] = text[i];
	lines[n++] = "C DATA";
	for (int i = 0; i < 31; i++)
		lines[n++] = OK;
	lines[n++] = "S 354 go";
	lines[n++] = "D";
	lines[n++] = OK;
	lines[n] = NULL;
	server_add(sa, lines);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .rcpts = rcpts);
	UNTIL(is_done(2));
	SERVED(sa);
	for (uint32_t i = 0; i < 130; i++)
		is(2, i, D_OK, "250");
}

/* ---- what the server offers ---------------------------------------------- */

static void
chunking(void **state)
{
	(void)state;
	/* With PIPELINING a short message goes with its envelope. */
	SERVE(sa, HELLO, "R 250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	    MAIL, "C RCPT TO:<r0@x.example>", "C RCPT TO:<r1@x.example>",
	    "C BDAT 20 LAST", "B 20", OK, OK, "S 550 5.1.1 no",
	    "S 250 2.0.0 taken",
	    /* Nobody is left: BDAT is refused, and RSET before the next. */
	    MAIL, RCPT, "C BDAT 20 LAST", "B 20", OK, "S 550 5.1.1 no",
	    "S 554 5.5.1 nobody", "C RSET", MAIL, RCPT, "C BDAT 20 LAST", "B 20",
	    OK, OK, OK, "S 452 4.3.1 full");
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@x.example",
	    .content = "Subject: x\r\n\r\n.dot\r\n");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .content = "Subject: x\r\n\r\nnext\r\n");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a", .content = "Subject: x\r\n\r\nlast\r\n");
	UNTIL(is_done(3));
	SERVED(sa);
	is(1, 0, D_OK, "250 2.0.0 taken");
	is(1, 1, D_PERM, "550");
	is(2, 0, D_PERM, "550");
	is(3, 0, D_TEMP, "452");
	content_is(sa, "Subject: x\r\n\r\n.dot\r\nSubject: x\r\n\r\nnext\r\n"
	    "Subject: x\r\n\r\nlast\r\n");
}

/* A long one, from a file, only when somebody takes it. */
static void
long_bdat(void **state)
{
	char	 path[] = "/tmp/postern-test.XXXXXX";
	char	*big = malloc(100000);
	int	 fd = mkstemp(path);

	(void)state;
	assert_non_null(big);
	unlink(path);
	memset(big, 'x', 100000);
	memcpy(big, "Subject: x\r\n\r\n", 14);
	memcpy(big + 99998, "\r\n", 2);
	assert_int_equal(pwrite(fd, big, 100000, 4096), 100000);
	SERVE(sa, HELLO, "R 250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	    MAIL, RCPT, "Q", OK, "S 550 5.1.1 no", "C RSET", MAIL, RCPT, "Q",
	    OK, OK, OK, "C BDAT 100013 LAST", "B 100013", OK);
	HAND(.id = 1, .action = "a", .fd = dup(fd), .offset = 4096,
	    .len = 100000);
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .fd = dup(fd), .offset = 4096,
	    .len = 100000, .prefix = "Received: x\r\n");
	UNTIL(is_done(2));
	SERVED(sa);
	is(1, 0, D_PERM, "550");
	is(2, 0, D_OK, "250");
	assert_int_equal(server_content(sa).len, 100013);
	assert_memory_equal(server_content(sa).p, "Received: x\r\n", 13);
	assert_memory_equal(server_content(sa).p + 13, big, 100000);
	close(fd);
	free(big);
}

static void
no_8bitmime(void **state)
{
	(void)state;
	SERVE(sa, PIPE, "C MAIL FROM:<a@c.example>", RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK);
	log_begin();
	HAND(.id = 1, .action = "a", .body = BODY_8BITMIME,
	    .content = "Subject: x\r\n\r\nB\303\244r\r\n");
	UNTIL(is_done(1));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	content_is(sa, "Subject: x\r\n\r\nB\303\244r\r\n");
	assert_true(log_end(" event=8bit "));
}

static void
no_smtputf8(void **state)
{
	(void)state;
	SERVE(sa, PIPE,
	    /* Nothing in it needs it. */
	    "C MAIL FROM:<a@c.example>", RCPT, "C DATA", OK, OK, "S 354 go",
	    "D", OK);
	HAND(.id = 1, .action = "a", .utf8 = true);
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .utf8 = true,
	    .rcpts = "b\303\244r@x.example");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a", .utf8 = true,
	    .content = "Subject: B\303\244r\r\n\r\nx\r\n");
	UNTIL(is_done(3));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	is(2, 0, D_PERM, "550 5.6.7 ");
	is(3, 0, D_PERM, "550 5.6.7 ");
	assert_false(result(2, 0)->remote);
	SERVE(sb, HELLO, "R 250-x\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n",
	    "C MAIL FROM:<a@c.example> BODY=8BITMIME SMTPUTF8", OK,
	    "C RCPT TO:<b\303\244r@x.example>", "S 550 5.1.1 <b\303\244r> no",
	    "W");
	HAND(.id = 4, .action = "b", .utf8 = true, .body = BODY_8BITMIME,
	    .rcpts = "b\303\244r@x.example");
	UNTIL(is_done(4));
	is(4, 0, D_PERM, "550 5.1.1 <b\303\244r> no");
}

static void
size(void **state)
{
	(void)state;
	SERVE(sa, HELLO, "R 250-x\r\n250 SIZE 25\r\n",
	    "C MAIL FROM:<a@c.example> SIZE=21", OK, RCPT, OK, "C DATA",
	    "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .prefix = "Received: x\r\n");
	UNTIL(is_done(2));
	SERVED(sa);
	is(1, 0, D_OK, "250");
	is(2, 0, D_PERM, "552 5.3.4 ");
}

static void
helo(void **state)
{
	(void)state;
	SERVE(sa, HELLO, "S 502 no EHLO", "C HELO mail.example.org", OK,
	    "C MAIL FROM:<a@c.example>", OK, RCPT, OK, "C DATA", "S 354 go",
	    "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	SERVED(sa);
	SERVE(sb, "S 220 x", "C EHLO out.example.org", "S 250 x", MAIL, OK,
	    RCPT, OK, "C DATA", "S 354 go", "D", OK);
	HAND(.id = 2, .action = "named");
	UNTIL(is_done(2));
	SERVED(sb);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
}

/* A server with DSN is given all four parameters, and that is told; one without
 * gets none of them. */
static void
dsn_passed_on(void **state)
{
	(void)state;
	SERVE(sa, "1", HELLO, "R 250-x\r\n250 DSN\r\n",
	    "C MAIL FROM:<a@c.example> RET=HDRS ENVID=e+2B1", "S 250 ok",
	    "C RCPT TO:<b@x.example> NOTIFY=SUCCESS,FAILURE "
	    "ORCPT=rfc822;old+2B@x.example", "S 250 ok",
	    "C DATA", "S 354 go", "D", "S 250 2.0.0 ok", "X");
	SERVE(sa, HELLO, "S 250 x", "C MAIL FROM:<a@c.example>", "S 250 ok",
	    "C RCPT TO:<b@x.example>", "S 250 ok", "C DATA", "S 354 go", "D",
	    "S 250 2.0.0 ok", "X");
	for (uint64_t id = 1; id <= 2; id++) {
		HAND(.id = id, .action = "a", .ret = RET_HDRS,
		    .envid = "e+2B1", .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
		    .orcpt = "rfc822;old+2B@x.example");
		UNTIL(is_done(id));
		is(id, 0, D_OK, "250 2.0.0 ok");
		assert_true(result(id, 0)->dsn == (id == 1));
	}
	SERVED(sa);
}

/* What was meant for a live server is relayed to the same ones by the queue. */
static void
proxied(void **state)
{
	(void)state;
	SERVE(sc, PIPE, TAKES);
	HAND(.id = 1, .action = "live", .content = "x\r\n");
	UNTIL(is_done(1));
	SERVED(sc);
	is(1, 0, D_OK, "250");
	content_is(sc, "x\r\n");
	assert_int_equal(dest_was(1), D_DEST_OK);
}

static void
more(char *dst, size_t size)
{
	snprintf(dst, size, "table senders { c.example = \"no address\" }\n"
	    "action from relay to 127.0.0.1:%u mail-from \"@out.example\"\n"
	    "action map relay to 127.0.0.1:%u mail-from <senders>\n"
	    "action live proxy to { 127.0.0.1:%u, 127.0.0.1:%u standby }\n",
	    server_port(sa), server_port(sb), server_closed_port(),
	    server_port(sc));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mixed),
		CASE(too_many),
		CASE(limits),
		CASE(mail_from),
		CASE(proxied),
		CASE(long_header),
		CASE(lockstep),
		CASE(mail_refused),
		CASE(data_refused),
		CASE(nobody),
		CASE(lost_connection),
		CASE(says_421),
		CASE(gives_up),
		CASE(byte_by_byte),
		CASE(wrapped),
		CASE(dsn_passed_on),
		CASE(not_smtp),
		CASE(many_rcpts),
		CASE(chunking),
		CASE(long_bdat),
		CASE(no_8bitmime),
		CASE(no_smtputf8),
		CASE(size),
		CASE(helo),
	};

	deliverdhelp_conf = more;
	return cmocka_run_group_tests(tests, deliverdhelp_start, NULL);
}
