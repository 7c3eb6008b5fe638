/*
 * proxyd's links: content on credit, DATA and BDAT, and how links end.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/smtp/command.h"
#include "proxyd/servers.h"
#include "regress/lib/proxydhelp.h"

/* ---- content ------------------------------------------------------------ */

static void
begins(const char *caps)
{
	session("a", caps);
	recipients(1);
	hears("reply 250*");
	hears("reply 250*");
	SEND(p_data);
}

/* A stopped server stops the credit; what is in memory stays bounded. */
static void
credits(void **state)
{
	const uint64_t	 len = 24 << 20;
	uint64_t	 sent = 0, stood;
	struct span	 have;

	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "W", "D",
	    OK);
	begins("caps EP0 ");
	hears("reply 354 go");
	do {
		stood = sent;
		streams(&sent, len);
		script_settle(50);
		link_each(all_credit, NULL);
	} while (sent > stood);
	assert_true(sent < len);
	server_go(sa);
	UNTIL(streams(&sent, len));
	SEND(p_end);
	hears("reply 250*");
	SERVED(sa);
	have = server_content(sa);
	/* Each line of 80 begins with a dot. */
	assert_int_equal(have.len, len + (len + 79) / 80 +
	    (len % 80 == 0 ? 0 : 2));
	assert_memory_equal(have.p, "..xxxxx", 7);
}

static void
stopped(void **state)
{
	uint64_t	 sent = 0, stood;

	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "W", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	do {
		stood = sent;
		streams(&sent, 64 << 20);
		script_settle(50);
	} while (sent > stood);
	hears_no_more();
	/* RFC 5321, 4.5.3.2.5 */
	script_time(LINK_DATA_MS + 1000);
	hears("closed 4.4.2 *");
	assert_int_equal(link_count(), 0);
	/* The same with BDAT. */
	server_go(sa);
	SERVE(sa, CHUNK, MAIL, RCPT, OK, OK, "C BDAT*", "W", "X");
	credit = sent = 0;
	begins("caps EPC0 ");
	hears("own 354 *");
	do {
		stood = sent;
		streams(&sent, 64 << 20);
		script_settle(50);
		link_each(all_credit, NULL);
	} while (sent > stood);
	script_time(601000);
	hears("closed 4.4.2 *");
}

static void
bdat(void **state)
{
	uint64_t	sent = 0;

	(void)state;
	SERVE(sa, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", OK,
	    /* Nothing before the first chunk is answered but that. */
	    MAIL, RCPT, OK, OK, "C BDAT 4", "B 4", "Q", OK,
	    "C BDAT 8 LAST", "B 8", "S 250 2.0.0 taken",
	    MAIL, RCPT, OK, OK, "C BDAT 0 LAST", "S 250 2.0.0 empty",
	    /* Nobody to take it: not even begun. */
	    MAIL, RCPT, OK, "S 550 5.1.1 no", "C RSET", OK);
	begins("caps EPC0 ");
	hears("own 354 *");
	SEND(p_end, .bytes = STR(".one\r\n"));
	hears("reply 250*");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 354 *");
	SEND(p_chunk, .bytes = STR("two\n"));
	SEND(p_chunk, .bytes = STR("and\n"));
	SEND(p_end, .bytes = STR("end\n"));
	hears("reply 250 2.0.0 taken");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 354 *");
	SEND(p_end);
	hears("reply 250 2.0.0 empty");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 550 5.1.1 no");
	hears("own 554 5.5.1 *");
	SEND(p_rset);
	hears("reply 250*");
	SERVED(sa);
	content_is(sa, ".one\r\ntwo\nand\nend\n");
	SEND(p_close);

	/* A long one, chunk by chunk. */
	SERVE(sb, CHUNK, MAIL, RCPT, OK, OK, "C BDAT*", "W", "E");
	session("b", "caps EPC0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 354 *");
	credit = 0;
	UNTIL(streams(&sent, FLOW_CREDIT));
	hears_no_more();
}

static void
bdat_refused(void **state)
{
	uint64_t	sent = 0;

	(void)state;
	SERVE(sa, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 4", "B 4",
	    "S 552 5.3.4 too much", "C RSET", OK,
	    MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", "S 554 5.6.0 bad",
	    "C RSET", OK, MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", OK);
	begins("caps EPC0 ");
	hears("own 354 *");
	SEND(p_chunk, .bytes = STR("one\n"));
	script_settle(30);
	/* The rest is swallowed, on credit, and answered at its end. */
	UNTIL(streams(&sent, 1 << 20));
	hears_no_more();
	SEND(p_end, .bytes = STR("end\r\n"));
	hears("reply 552 5.3.4 too much");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 354 *");
	SEND(p_end, .bytes = STR("two \r\n"));
	hears("reply 554 5.6.0 bad");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 354 *");
	SEND(p_end, .bytes = STR("tri \r\n"));
	hears("reply 250*");
	SERVED(sa);
}

/* The message is not to stay: its transaction is reset, whatever of it is at
 * the server, and the next one goes on. */
static void
bdat_aborted(void **state)
{
	(void)state;
	SERVE(sa, CHUNK, MAIL, RCPT, OK, OK, "C RSET", OK,
	    MAIL, RCPT, OK, OK, "C BDAT 4", "B 4", OK, "C RSET", OK,
	    /* A chunk's reply still to come: RSET waits for it; what was held
	     * behind it does not go. */
	    MAIL, RCPT, OK, OK, "C BDAT 4", "B 4", "W", "Q", OK, "C RSET", OK,
	    MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", OK,
	    /* That reply is a refusal. */
	    MAIL, RCPT, OK, OK, "C BDAT 4", "B 4", "W", "Q",
	    "S 552 5.3.4 no", "C RSET", OK, MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6",
	    OK,
	    /* It was known: RSET has been said. */
	    MAIL, RCPT, OK, OK, "C BDAT 4", "B 4", "S 552 5.3.4 no",
	    "C RSET", OK, "W", MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", OK);
	begins("caps EPC0 ");
	hears("own 354 *");
	SEND(p_abort);
	for (int i = 0; i < 4; i++) {
		recipients(1);
		SEND(p_data);
		hears("reply 250*");
		hears("reply 250*");
		hears("own 354 *");
		SEND(p_chunk, .bytes = STR("one\n"));
		script_settle(30);
		if (i == 1 || i == 2)
			SEND(p_chunk, .bytes = STR("xxx\n"));
		SEND(p_abort);
		script_settle(30);
		if (i > 0) {
			UNTIL(server_waits(sa));
			server_go(sa);
		}
		if (i == 0)
			continue;
		recipients(1);
		SEND(p_data);
		hears("reply 250*");
		hears("reply 250*");
		hears("own 354 *");
		SEND(p_end, .bytes = STR("two \r\n"));
		hears("reply 250 2.0.0 ok");
	}
	SERVED(sa);
	assert_false(chan_gone);
	/* Nothing is open: smtpd is out of order. */
	SEND(p_abort);
	UNTIL(chan_gone);
}

/* The next transaction came with the end of a refused one: the RSET between
 * them must not end it. */
static void
bdat_pipelined(void **state)
{
	(void)state;
	SERVE(sa, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", "Q",
	    "S 554 5.6.0 bad", "C RSET", OK, MAIL, RCPT, OK, OK,
	    "C BDAT 6 LAST", "B 6", OK, MAIL, RCPT, OK, OK,
	    "C BDAT 4", "B 4", "W", OK, "C BDAT 5 LAST", "B 5", OK,
	    MAIL, RCPT, OK, OK);
	begins("caps EPC0 ");
	hears("own 354 *");
	SEND(p_end, .bytes = STR("one \r\n"));
	recipients(1);
	hears("reply 554 5.6.0 bad");
	hears("reply 250*");
	hears("reply 250*");
	SEND(p_data);
	hears("own 354 *");
	SEND(p_end, .bytes = STR("two \r\n"));
	recipients(1);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 250*");
	/* Now while the last chunk waits for the one before it. */
	SEND(p_data);
	hears("own 354 *");
	SEND(p_chunk, .bytes = STR("one\n"));
	UNTIL(server_waits(sa));
	SEND(p_end, .bytes = STR("end\r\n"));
	recipients(1);
	script_settle(20);
	server_go(sa);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 250*");
	SERVED(sa);
}

static void
nobody(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, "C DATA", OK, "S 550 5.1.1 no", "S 354 go",
	    "C .", "S 250 2.0.0 taken", MAIL, RCPT, OK, OK);
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 550 5.1.1 no");
	hears("own 554 5.5.1 *");
	recipients(1);
	hears("reply 250*");
	hears("reply 250*");
	SERVED(sa);
}

static void
data_refused(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 452 4.3.1 full",
	    "C DATA", "S 354 go", "D", "S 554 5.6.0 bad");
	begins("caps EP0 ");
	hears("reply 452 4.3.1 full");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("x\r\n"));
	hears("reply 554 5.6.0 bad");
	SERVED(sa);
}

/* Half a message is never made a whole one. */
static void
client_gone(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C half",
	    "E");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("half\r\n"));
	script_settle(20);
	SEND(p_close);
	SERVED(sa);
	assert_int_equal(link_count(), 0);
	/* With BDAT, no LAST. */
	SERVE(sa, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 6", "B 6", OK, "E");
	begins("caps EPC0 ");
	hears("own 354 *");
	SEND(p_chunk, .bytes = STR("half\r\n"));
	script_settle(20);
	SEND(p_close);
	SERVED(sa);
	/* The whole smtpd has gone. */
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C half",
	    "E");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("half\r\n"));
	script_settle(20);
	smtpd_start();
	SERVED(sa);
	assert_int_equal(link_count(), 0);
	/* The final dot, but only the commands were asked for. */
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "E");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_close);
	UNTIL(link_count() == 0);
}

static void
server_gone(void **state)
{
	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C one", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("one\r\n"));
	hears("closed 4.4.2 *");
	SEND(p_chunk, .bytes = STR("two\r\n"));
	SEND(p_end);
	hears_no_more();
	/* With words. */
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C one",
	    "S 421 4.3.0 disk", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("one\r\n"));
	hears("closed 421 4.3.0 disk");
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C one",
	    "S 552 5.3.4 too much", "E");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("one\r\n"));
	hears("closed 552 5.3.4 too much");
	/* After the dot the client waits for a word. */
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "D", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("one\r\n"));
	hears("own 421 4.4.2 *");
	hears("closed *");
	SERVED(sa);
	assert_false(chan_gone);
}

/* A smtpd that breaks the rules loses its channel, not proxyd its life. */
static void
rogue(void **state)
{
	static char	 bytes[32000];

	(void)state;
	SERVE(sa, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "W");
	begins("caps EP0 ");
	hears("reply 354 go");
	UNTIL(server_waits(sa));
	for (int i = 0; i < 6; i++)
		SEND(p_chunk, .bytes = span(bytes, sizeof(bytes)));
	UNTIL(chan_gone);
	assert_non_null(reported);
	assert_int_equal(link_count(), 0);
	smtpd_start();
	SERVE(sa, PIPE);
	session("a", "caps EP0 ");
	SEND(p_chunk, .bytes = STR("x"));
	UNTIL(chan_gone);
	assert_int_equal(link_count(), 0);
	smtpd_start();
	/* A command in the middle of content. */
	SERVE(sb, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "E");
	session("b", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 354*");
	SEND(p_noop);
	hears("own 421 4.3.0 *");
	hears("closed *");
	SERVED(sb);
}

/* The client leaves while its server is still asked for, or all must go. */
static void
early_end(void **state)
{
	(void)state;
	opens("name", "");
	UNTIL(link_count() == 1);
	SEND(p_close);
	UNTIL(link_count() == 0);
	opens("name", "");
	SEND(p_quit);
	hears("own 221 *");
	hears("closed QUIT");
	opens("name", "");
	SERVE(sa, PIPE, MAIL, "E");
	session("a", "caps EP0 ");
	SEND(p_mail, .from = STR("a@c.example"));
	UNTIL(link_count() == 2);
	script_settle(20);
	link_end_all("4.3.2 The gateway is shutting down");
	assert_int_equal(link_count(), 0);
	hears("own 421 4.3.2 *");
	hears("closed 4.3.2 *");
	SERVED(sa);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(credits),
		CASE(stopped),
		CASE(bdat),
		CASE(bdat_refused),
		CASE(bdat_aborted),
		CASE(bdat_pipelined),
		CASE(nobody),
		CASE(data_refused),
		CASE(client_gone),
		CASE(server_gone),
		CASE(rogue),
		CASE(early_end),
	};

	return cmocka_run_group_tests(tests, proxydhelp_start, NULL);
}
