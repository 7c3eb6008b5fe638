/*
 * Sessions whose mail goes on live: listeners that are proxied from the first
 * byte on, and rules that ask an actual server at RCPT. The server answers
 * late, refuses, breaks off, in every phase.
 */
#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "smtpd/link.h"
#include "smtpd/txn.h"

static char	big[300000];

static void
on(enum asked what, uint16_t code, const char *text)
{
	proxyd.on[what].code = code;
	proxyd.on[what].text = text;
}

static void
answer(uint16_t code, const char *text)
{
	assert_true(proxyd_answer(proxyd.tid, code, text));
	world_run();
}

static void
server_gone(void)
{
	proxyd_close(proxyd.tid, "gone");
	world_run();
}

/* ---- a proxied listener: greeting, EHLO ------------------------------------ */

static void
test_greeting(void **state)
{
	struct client	*c;

	(void)state;
	/* Late; what the client says meanwhile waits. */
	proxyd.hold = true;
	c = client_at(PROXIED);
	expect_nothing(c);
	client_send(c, "EHLO client.example\r\n");
	expect_nothing(c);
	assert_string_equal(proxyd.log, "open live;");
	answer(0, NULL);
	/* Its name is ours, the rest its own. */
	expect(c, "220 gw.example.org ESMTP there");
	assert_string_equal(proxyd.log, "open live;ehlo client.example;");
	answer(0, NULL);
	expect(c, "250-gw.example.org");
	leave(c);

	on(ASKED_OPEN, 554, "5.7.1 server.example no thanks\nreally");
	c = client_at(PROXIED);
	expect(c, "554-5.7.1 server.example no thanks|554 really");
	expect_closed(c);
	leave(c);
	on(ASKED_OPEN, 421, "4.3.2 busy");
	c = client_at(PROXIED);
	expect(c, "421 4.3.2 busy");
	expect_closed(c);
	leave(c);
	/* No refusal and no greeting. */
	on(ASKED_OPEN, 250, "2.0.0 hello");
	c = client_at(PROXIED);
	expect(c, "421 ");
	expect_closed(c);
	leave(c);
	on(ASKED_OPEN, 220, "");
	c = client_at(PROXIED);
	expect(c, "220 gw.example.org");
	leave(c);

	proxyd_die();
	c = client_at(PROXIED);
	expect(c, "421 4.3.2");
	expect_closed(c);
	leave(c);
	proxyd_start();

	/* The client or the server goes before the greeting. */
	proxyd.hold = true;
	c = client_at(PROXIED);
	leave(c);
	proxyd.hold = true;
	c = client_at(PROXIED);
	world_run();
	server_gone();
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
	proxyd.hold = true;
	c = client_at(PROXIED);
	world_run();
	proxyd_die();
	proxyd_start();
	expect(c, "421 4.4.2");
	leave(c);
	/* It never greets. */
	proxyd.hold = true;
	c = client_at(PROXIED);
	world_skip_ms(SESSION_WAIT_MS);
	expect(c, "421 4.3.2");
	expect_closed(c);
	leave(c);
}

static void
test_caps(void **state)
{
	static const struct {
		uint32_t	 bit;
		const char	*mail, *rcpt;
	} lacks[] = {
		{ CAP_8BITMIME, "MAIL FROM:<a@b.example> BODY=8BITMIME", NULL },
		{ CAP_SMTPUTF8, "MAIL FROM:<a@b.example> SMTPUTF8", NULL },
		{ CAP_DSN, "MAIL FROM:<a@b.example> RET=FULL", NULL },
		{ CAP_DSN, "MAIL FROM:<a@b.example> ENVID=x", NULL },
		{ CAP_DSN, NULL, "RCPT TO:<u@dest.example> NOTIFY=NEVER" },
		{ CAP_DSN, NULL, "RCPT TO:<u@dest.example> ORCPT=rfc822;x" },
		{ CAP_AUTH, "MAIL FROM:<a@b.example> AUTH=<>", NULL }
	};
	struct client			*c;

	(void)state;
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++)
		for (int with = 0; with < 2; with++) {
			if (!with)
				proxyd.caps.bits &= ~lacks[i].bit;
			c = hello(PASSWORDS);
			if (lacks[i].mail != NULL)
				say(c, lacks[i].mail, with ? "250" :
				    "555 5.5.4");
			else {
				say(c, "MAIL FROM:<a@b.example>", "250");
				say(c, lacks[i].rcpt, with ? "250" :
				    "555 5.5.4");
			}
			quit(c);
		}
	/* What we do by ourselves is there all the same; the smaller size. */
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP };
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "EHLO c.example", "250-gw.example.org|250-PIPELINING|250-SIZE "
	    "52428800|250 CHUNKING");
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP | CAP_SIZE |
	    CAP_STARTTLS | CAP_XCLIENT | CAP_AUTH, .size = 1000,
	    .auth = "PLAIN" };
	say(c, "EHLO c.example", "250-gw.example.org|250-PIPELINING|250-SIZE "
	    "1000|250 CHUNKING");
	say(c, "MAIL FROM:<a@b.example> SIZE=1001", "552 5.3.4");
	quit(c);
	/* EHLO refused; HELO then. */
	on(ASKED_EHLO, 502, "5.5.1 what?");
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "EHLO c.example", "502 5.5.1 what?");
	say(c, "MAIL FROM:<a@b.example>", "503");
	on(ASKED_EHLO, 0, NULL);
	say(c, "HELO c.example", "250 gw.example.org");
	say(c, "MAIL FROM:<a@b.example> BODY=8BITMIME", "555");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);
}

/* HELO has no SIZE, but the listener's limit holds. */
static void
test_helo_size(void **state)
{
	struct conf_listen	*l = world_conf->listens[listen_of(PROXIED)];
	uint64_t		 had = l->max_message_size;
	struct client		*c;

	(void)state;
	l->max_message_size = 100;
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "HELO c.example", "250");
	assert_int_equal(c->s->size_max, 100);
	leave(c);
	l->max_message_size = had;
}

/* ---- AUTH ----------------------------------------------------------------- */

static void
test_auth(void **state)
{
	struct client	*c = client_at(PASSWORDS);
	char		 line[13000];

	(void)state;
	expect(c, "220");
	say(c, "EHLO c.example", "250-gw.example.org");
	assert_non_null(strstr(c->reply, "250-AUTH PLAIN LOGIN"));
	say(c, "AUTH", "501 5.5.4");
	say(c, "AUTH PLAIN not!base64", "501 5.5.4");
	say(c, "AUTH PLA!N AAAA", "501 5.5.4");
	say(c, "AUTH ABCDEFGHIJKLMNOPQRSTU", "501 5.5.4");
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	say(c, "dXNlcg==", "235 2.7.0");
	assert_non_null(strstr(proxyd.log, "auth LOGIN ;line dXNlcg==;"));
	say(c, "AUTH PLAIN AAAA", "503 5.5.1 Already");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "with ESMTPA id"));
	say(c, "MAIL FROM:<a@b.example> SMTPUTF8 AUTH=<>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "with UTF8SMTPA id"));
	quit(c);

	c = hello(PASSWORDS);
	say(c, "AUTH PLAIN AGEAYg==", "235");
	assert_non_null(strstr(proxyd.log, "auth PLAIN AGEAYg==;"));
	quit(c);
	c = hello(PASSWORDS);
	say(c, "AUTH PLAIN =", "235");
	quit(c);

	/* Cancelled, in each way that is none of a base64 line. */
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	say(c, "*", "501 5.7.0 cancelled");
	say(c, "AUTH LOGIN", "334");
	say(c, "not base64!", "501 5.7.0 cancelled");
	say(c, "AUTH LOGIN", "334");
	memset(line, 'A', 12300);
	line[12300] = '\0';
	say(c, line, "501 5.7.0 cancelled");
	say(c, "AUTH LOGIN", "334");
	client_send(c, "AAAA\nBBBB\r\n");
	expect(c, "501 5.7.0 cancelled");
	say(c, "AUTH LOGIN", "334");
	line[12286] = '\0';
	say(c, line, "235");
	say(c, "MAIL FROM:<a@b.example>", "250");
	quit(c);

	/* Refused, then once more. */
	on(ASKED_AUTH_LINE, 535, "5.7.8 no");
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	say(c, "AAAA", "535 5.7.8 no");
	on(ASKED_AUTH_LINE, 334, "more");
	say(c, "AUTH LOGIN", "334");
	say(c, "AAAA", "334 more");
	on(ASKED_AUTH_LINE, 0, NULL);
	say(c, "AAAA", "235");
	quit(c);

	/* A server that goes in the middle. */
	c = hello(PASSWORDS);
	say(c, "AUTH LOGIN", "334");
	server_gone();
	expect(c, "421 4.4.2");
	expect_closed(c);
	leave(c);
	/* Hidden, and refused, where it would be in clear. */
	c = hello(PROXIED);
	assert_null(strstr(c->reply, "AUTH"));
	say(c, "AUTH PLAIN AGEAYg==", "538 5.7.11");
	assert_null(strstr(proxyd.log, "auth"));
	quit(c);
}

/* ---- transactions --------------------------------------------------------- */

static const char	pipelined[] =
    "EHLO client.example\r\n"
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\n"
    "RCPT TO:<no@dest.example>\r\nDATA\r\n"
    "Subject: one\r\n\r\n..dot\r\n.\r\n"
    "NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<v@dest.example>\r\nRSET\r\n"
    "BDAT 5\r\nEHLO MAIL FROM:<c@b.example>\r\n"
    "RCPT TO:<w@dest.example>\r\nBDAT 4\r\na\r\nbBDAT 3 LAST\r\n.\r\n"
    "VRFY a\r\nQUIT\r\n";
static const char *const	pipelined_codes[] = { "250-", "250 2.1.0",
    "250 2.1.5", "551 5.7.1", "354 ", "250 2.0.0 got", "250 2.0.0",
    "250 2.1.0", "250 2.1.5", "250 2.0.0", "503 5.5.1", "250 2.1.0",
    "250 2.1.5", "250 2.0.0 4", "250 2.0.0 got", "252 2.5.0", "221 ", NULL };
static const char	pipelined_log[] = "open live;ehlo client.example;"
    "mail a@b.example;rcpt u@dest.example;data;end;noop;mail ;"
    "rcpt v@dest.example;rset;mail c@b.example;rcpt w@dest.example;data;end;"
    "VRFY a;quit;";

static void
expect_all(struct client *c, const char *const *codes)
{
	for (; *codes != NULL; codes++)
		expect_at(c, *codes, *codes, __LINE__);
	expect_nothing(c);
}

static void
test_cuts(void **state)
{
	size_t		 len = strlen(pipelined);
	struct client	*c;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		c = client_at(PROXIED);
		expect(c, "220 ");
		client_write(c, pipelined, cut);
		world_run();
		client_write(c, pipelined + cut, len - cut);
		world_run();
		expect_all(c, pipelined_codes);
		expect_closed(c);
		assert_string_equal(proxyd.log, pipelined_log);
		assert_non_null(strstr(proxyd.content, "\r\na\r\nb.\r\n"));
		leave(c);
	}
}

/* The server answers each command only after all that may be asked was. */
static void
test_late(void **state)
{
	struct client	*c;

	(void)state;
	proxyd.hold = true;
	c = client_at(PROXIED);
	client_send(c, pipelined);
	for (int i = 0; i < 40; i++)
		if (proxyd_answer(proxyd.tid, 0, NULL))
			world_run();
	expect(c, "220 ");
	expect_all(c, pipelined_codes);
	expect_closed(c);
	assert_string_equal(proxyd.log, pipelined_log);
	leave(c);
}

/* MAIL refused with a group behind it. */
static void
test_mail_refused(void **state)
{
	static const char	group[] = "MAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@dest.example>\r\nDATA\r\n";
	struct client		*c = hello(PROXIED);

	(void)state;
	on(ASKED_MAIL, 550, "5.7.1 not you");
	on(ASKED_RCPT, 503, "5.5.1 mail first");
	client_send(c, group);
	expect(c, "550 5.7.1 not you");
	expect(c, "503 5.5.1 mail first");
	expect(c, "554 5.5.1");
	say(c, "DATA", "503 5.5.1 MAIL first");
	/* Each reply late. */
	proxyd.hold = true;
	client_send(c, group);
	for (int i = 0; i < 3; i++)
		answer(0, NULL);
	expect(c, "550 5.7.1 not you");
	expect(c, "503 5.5.1 mail first");
	expect(c, "554 5.5.1");
	answer(0, NULL);		/* our RSET */
	/* RCPT when MAIL's refusal is known: it does not go over. */
	proxyd.hold = false;
	say(c, "MAIL FROM:<a@b.example>", "550");
	say(c, "RCPT TO:<u@dest.example>", "503 5.5.1 MAIL first");
	on(ASKED_MAIL, 0, NULL);
	on(ASKED_RCPT, 0, NULL);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	quit(c);
}

static void
test_421(void **state)
{
	static const char *const	way[] = { "EHLO c.example",
	    "MAIL FROM:<a@b.example>", "RCPT TO:<u@dest.example>", "DATA",
	    "." };
	static const enum asked		what[] = { ASKED_EHLO, ASKED_MAIL,
	    ASKED_RCPT, ASKED_DATA, ASKED_END };
	struct client			*c;

	(void)state;
	for (size_t n = 0; n < 5; n++) {
		c = client_at(PROXIED);
		expect(c, "220");
		for (size_t i = 0; i < n; i++)
			say(c, way[i], i == 3 ? "354" : "250");
		on(what[n], 421, "4.3.2 going down");
		say(c, way[n], "421 4.3.2 going down");
		expect_closed(c);
		leave(c);
	}
}

/* Its session ends (how 0), proxyd dies (1), or the client goes (2), with each
 * command asked or answered. */
static void
end_in(unsigned port, const char *const *way, size_t n, int how, bool asked)
{
	struct client	*c = client_at(port);
	const char	*r;

	for (size_t i = 0; i < n; i++)
		client_send(c, way[i]);
	proxyd.hold = asked;
	client_send(c, way[n]);
	if (how == 0)
		server_gone();
	else if (how == 1)
		proxyd_die();
	else
		shutdown(c->fd, SHUT_RDWR);
	world_run();
	if (how == 1)
		proxyd_start();
	if (how != 2) {
		/* Each command has its reply, or 421 and the end. */
		client_send(c, "\r\n.\r\nQUIT\r\n");
		client_send(c, "xNOOP\r\nQUIT\r\n");
		while ((r = client_next(c)) != NULL)
			assert_true(strncmp(r, "250 2.0.0 got", 13) != 0 ||
			    (n == 6 && !asked));
		expect_closed(c);
	}
	/* One that has only ended its own side may still want its replies. */
	while (how == 2 && proxyd_answer(proxyd.tid, 0, NULL))
		world_run();
	leave(c);
}

static void
test_ends(void **state)
{
	static const char *const	way[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@dest.example>\r\n",
	    "DATA\r\n", "half a message\r\n", ".\r\n" };
	static const char *const	rule[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@live.example>\r\n",
	    "DATA\r\n", "half a message\r\n", ".\r\n" };
	static const char *const	bdat[] = { "", "EHLO c.example\r\n",
	    "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<u@live.example>\r\n",
	    "BDAT 9\r\nMAIL FROM", "BDAT 20\r\nMAIL",
	    "..........\r\nxx\r\nBDAT 0 LAST\r\n" };

	(void)state;
	for (size_t n = 0; n < 7; n++)
		for (int how = 0; how < 3; how++)
			for (int asked = 0; asked < 2; asked++) {
				end_in(PROXIED, way, n, how, asked);
				end_in(REGULAR, rule, n, how, asked);
				end_in(PROXIED, bdat, n, how, asked);
				end_in(REGULAR, bdat, n, how, asked);
			}
}

/* A client that is gone with the final dot at the server. */
static void
test_gone_at_end(void **state)
{
	struct client	*c;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		c = hello(i < 3 ? PROXIED : REGULAR);
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "RCPT TO:<u@live.example>", "250");
		say(c, "DATA", "354");
		proxyd.hold = true;
		client_send(c, ".\r\n");
		shutdown(c->fd, SHUT_RDWR);
		world_run();
		assert_int_equal(proxyd.links, 1);
		if (i % 3 == 0)
			answer(0, NULL);
		else if (i % 3 == 1)
			answer(421, "4.0.0 x");
		else
			server_gone();
		leave(c);
	}
}

/* Half a message, refused by us: the server's session is cut, ours told. */
static void
test_fault(void **state)
{
	struct client	*c = hello(PROXIED);

	(void)state;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, "a\nb\r\n.", "550 5.6.0");
	assert_non_null(strstr(proxyd.log, "data;close;"));
	say(c, "NOOP", "421 4.3.2");
	expect_closed(c);
	leave(c);
	c = hello(PROXIED);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	client_send(c, "BDAT 3\r\na\nbBDAT 2 LAST\r\n\r\n");
	expect(c, "550 5.6.0");
	expect(c, "421 4.3.2");
	expect_closed(c);
	leave(c);
	c = hello(PROXIED);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	client_send(c, "BDAT 1\r\na");
	expect(c, "250");
	say(c, "RSET", "250");
	say(c, "QUIT", "221");
	leave(c);
}

static void
write_all(struct client *c, const char *p, size_t n)
{
	size_t	put;

	for (unsigned tries = 0; n > 0 && tries < 10000; tries++) {
		put = client_write(c, p, n);
		p += put;
		n -= put;
		world_pass(2);
	}
	assert_int_equal(n, 0);
}

static void
test_sizes(void **state)
{
	static const size_t	sizes[] = { 0, 1, 3800, 4096, 24570, 24573,
	    24574, 24575, 24576, 24577, 24580, 65536, 262144 };
	char			 line[40];
	struct client		*c;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (unsigned port = REGULAR; port <= PROXIED; port++) {
		c = hello(port);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			say(c, "MAIL FROM:<a@b.example>", "250");
			say(c, "RCPT TO:<u@live.example>", "250");
			snprintf(line, sizeof(line), "BDAT %zu LAST\r\n",
			    sizes[i]);
			write_all(c, line, strlen(line));
			write_all(c, big, sizes[i]);
			expect(c, "250 2.0.0 got it");
			assert_memory_equal(proxyd.content, "Received: ", 10);
			if (sizes[i] == 0)
				continue;
			assert_memory_equal(proxyd.content +
			    proxyd.content_len - sizes[i] - 2, big, sizes[i]);
			say(c, "MAIL FROM:<a@b.example>", "250");
			say(c, "RCPT TO:<u@live.example>", "250");
			say(c, "DATA", "354");
			write_all(c, big, sizes[i]);
			say(c, "\r\n.", "250 2.0.0 got it");
			assert_memory_equal(proxyd.content +
			    proxyd.content_len - sizes[i] - 2, big, sizes[i]);
		}
		quit(c);
	}
}

static void
test_credit(void **state)
{
	struct client	*c = hello(PROXIED);
	size_t		 sent = 0, put;

	(void)state;
	proxyd.stingy = true;
	memset(big, 'x', sizeof(big));
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "DATA", "354");
	do {
		sent += put = client_write(c, big, 1000);
		world_pass(2);
	} while (put > 0 && sent < 2000000);
	assert_int_equal(proxyd.got, 131072);
	assert_true(sent < 1000000);
	assert_true(buf_len(&c->s->txn->content.out) <= CONTENT_HOLD);
	assert_true(stream_in(c->s->stream).len <= SESSION_IN_MAX);
	for (int i = 0; i < 40; i++) {
		proxyd_credit(proxyd.tid, 30000);
		world_run();
	}
	say(c, "\r\n.", "250 2.0.0 got it");
	quit(c);
}

/* ---- by a rule ------------------------------------------------------------ */

static void
test_rule(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	/* Pipelined; the replies come late. */
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example> RET=HDRS\r\n"
	    "RCPT TO:<u@live.example>\r\nRCPT TO:<v@live.example>\r\n"
	    "RCPT TO:<w@other.example>\r\nRCPT TO:<x@dest.example>\r\n"
	    "RCPT TO:<y@nowhere.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	expect_nothing(c);
	assert_string_equal(proxyd.log, "open live;");
	answer(0, NULL);
	assert_string_equal(proxyd.log, "open live;mail a@b.example;"
	    "rcpt u@live.example;rcpt v@live.example;data;");
	answer(0, NULL);
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250 2.1.5");
	answer(550, "5.1.1 no such user\nat all");
	expect(c, "550-5.1.1 no such user|550 at all");
	expect(c, "452 4.5.3");
	expect(c, "452 4.5.3");
	expect(c, "550 5.7.1");
	answer(0, NULL);
	expect(c, "354");
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250 2.0.0 got it");
	assert_non_null(strstr(proxyd.content, "for <u@live.example>"));
	/* The same session there for the next one; a third one by the queue. */
	proxyd.hold = false;
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<b@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	assert_string_equal(proxyd.log, "mail b@b.example;rcpt u@live.example;"
	    "data;end;");
	say(c, "MAIL FROM:<b@b.example>", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "452 4.5.3");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_int_equal(queued.commits, 1);
	/* Another server: the first one's session ends. */
	proxyd.log[0] = '\0';
	say(c, "MAIL FROM:<b@b.example>", "250");
	say(c, "RCPT TO:<u@other.example>", "250");
	assert_string_equal(proxyd.log, "close;open other;mail b@b.example;"
	    "rcpt u@other.example;");
	say(c, "RSET", "250");
	assert_non_null(strstr(proxyd.log, "rset;"));
	quit(c);
}

static void
test_rule_mail_refused(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	on(ASKED_MAIL, 550, "5.7.1 not you");
	on(ASKED_RCPT, 503, "5.5.1 mail first");
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<v@live.example>\r\nDATA\r\n");
	expect(c, "250 2.1.0");
	expect(c, "550 5.7.1 not you");
	expect(c, "550 5.7.1 not you");
	expect(c, "554 5.5.1");
	say(c, "RSET", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "550 5.7.1 not you");
	say(c, "RCPT TO:<u@live.example>", "550 5.7.1 not you");
	/* Others may think otherwise of the sender. */
	on(ASKED_MAIL, 0, NULL);
	on(ASKED_RCPT, 0, NULL);
	say(c, "RCPT TO:<u@other.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "452 4.5.3");
	say(c, "RSET", "250");
	on(ASKED_MAIL, 421, "4.3.2 down");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "451 4.3.2 down");
	on(ASKED_MAIL, 0, NULL);
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250");
	assert_int_equal(queued.commits, 1);
	quit(c);
}

/* What the server can't is told for each recipient, and nothing goes over. */
static void
test_rule_lacks(void **state)
{
	static const struct {
		uint32_t	 bit;
		const char	*mail, *reply;
	} lacks[] = {
		{ CAP_SMTPUTF8, "MAIL FROM:<a@b.example> SMTPUTF8",
		    "553 5.6.7" },
		{ CAP_8BITMIME, "MAIL FROM:<a@b.example> BODY=8BITMIME",
		    "554 5.6.3" },
		{ 0, "MAIL FROM:<a@b.example> SIZE=1000001", "552 5.3.4" }
	};
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		proxyd.caps.bits &= ~lacks[i].bit;
		c = hello(REGULAR);
		say(c, lacks[i].mail, "250");
		say(c, "RCPT TO:<u@live.example>", lacks[i].reply);
		say(c, "RCPT TO:<v@live.example>", lacks[i].reply);
		assert_string_equal(proxyd.log, "open live;");
		say(c, "RCPT TO:<x@dest.example>", "250");
		quit(c);
	}
}

static void
test_rule_no_server(void **state)
{
	struct client	*c = hello(REGULAR);

	(void)state;
	on(ASKED_OPEN, 554, "5.7.1 go away");
	client_send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@live.example>\r\n"
	    "RCPT TO:<v@live.example>\r\n");
	expect(c, "250");
	expect(c, "451 4.4.1 The server cannot be used now: 554 5.7.1 go away");
	expect(c, "451 4.4.1");
	on(ASKED_OPEN, 0, NULL);
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RSET", "250");
	quit(c);
	c = hello(REGULAR);
	proxyd_die();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "451 4.3.2");
	proxyd_start();
	say(c, "RCPT TO:<u@live.example>", "250");
	/* Gone with what it had taken: the others can't be had any more. */
	server_gone();
	say(c, "RCPT TO:<v@live.example>", "451 4.4.1");
	say(c, "DATA", "451 4.4.1");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RSET", "250");
	/* Gone with all refused: a new session may take the next one. */
	on(ASKED_RCPT, 550, "5.1.1 no");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "550 5.1.1 no");
	server_gone();
	on(ASKED_RCPT, 0, NULL);
	proxyd.log[0] = '\0';
	say(c, "RCPT TO:<u@live.example>", "250");
	assert_string_equal(proxyd.log,
	    "open live;mail a@b.example;rcpt u@live.example;");
	/* Gone with it asked for. */
	say(c, "RSET", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<u@live.example>\r\n");
	server_gone();
	expect(c, "451 4.4.1");
	proxyd.hold = false;
	say(c, "RCPT TO:<u@live.example>", "250");
	/* Between two transactions. */
	say(c, "DATA", "354");
	say(c, ".", "250");
	server_gone();
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	quit(c);
}

/* Commands of ours that follow while the server still thinks. */
static void
test_rule_between(void **state)
{
	static const struct { const char *line, *reply; } next[] = {
		{ "RSET", "250" }, { "EHLO c.example", "250-" },
		{ "HELO c.example", "250" }, { "NOOP", "250" },
		{ "VRFY x", "252" }, { "MAIL FROM:<x@y.example>", "503" }
	};
	struct client	*c;

	(void)state;
	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++)
		for (int gone = 0; gone < 2; gone++) {
			c = hello(REGULAR);
			say(c, "MAIL FROM:<a@b.example>", "250");
			say(c, "RCPT TO:<u@live.example>", "250");
			proxyd.hold = true;
			client_send(c, "RCPT TO:<v@live.example>\r\n");
			client_say(c, next[i].line);
			expect_nothing(c);
			if (gone)
				server_gone();
			else
				answer(421, "4.3.2 down");
			expect(c, gone ? "451 4.4.1" : "451 4.3.2 down");
			expect(c, next[i].reply);
			proxyd.hold = false;
			say(c, "RSET", "250");
			quit(c);
		}
	/* QUIT waits for them too. */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<v@live.example>\r\nQUIT\r\nNOOP\r\n");
	expect_nothing(c);
	answer(0, NULL);
	expect(c, "250 2.1.5");
	expect(c, "221");
	expect_nothing(c);
	expect_closed(c);
	leave(c);
	/* Another server while the first one owes a reply. */
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	proxyd.hold = true;
	client_send(c, "RCPT TO:<v@live.example>\r\nRSET\r\n"
	    "MAIL FROM:<a@b.example>\r\nRCPT TO:<w@other.example>\r\n");
	expect(c, "451 4.4.1");
	expect(c, "250 2.0.0");
	expect(c, "250 2.1.0");
	while (proxyd_answer(proxyd.tid, 0, NULL))
		world_run();
	expect(c, "250 2.1.5");
	proxyd.hold = false;
	quit(c);
}

/* The limits of a client hold while replies are owed. */
static void
test_limits(void **state)
{
	struct client	*c = hello(PROXIED);

	(void)state;
	proxyd.hold = true;
	for (int i = 0; i < SESSION_VAIN_MAX + 1; i++)
		client_send(c, "NOOP\r\n");
	expect(c, "421 4.7.0");
	expect_closed(c);
	leave(c);
	c = hello(PROXIED);
	proxyd.hold = true;
	client_send(c, "NOOP\r\n");
	for (int i = 0; i < 20; i++)
		client_send(c, "FROB\r\n");
	expect(c, "421 4.7.0");
	expect_closed(c);
	leave(c);
}

/* A name is waited for, and MAIL is refused meanwhile. */
static void
test_peer_and_mail(void **state)
{
	struct client	*c = hello(HOST_PROXIED);

	(void)state;
	proxyd.hold = true;
	client_send(c, "MAIL FROM:<a@b.example>\r\n"
	    "RCPT TO:<u@dest.example>\r\n");
	expect_nothing(c);
	assert_null(strstr(proxyd.log, "rcpt"));
	answer(550, "5.7.1 not you");
	expect(c, "550 5.7.1 not you");
	world_skip_ms(31000);		/* no lookupd: no name */
	expect(c, "503 5.5.1 MAIL first");
	proxyd.hold = false;
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	quit(c);
}

#define T(f)	cmocka_unit_test_setup(f, test_setup)

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_greeting), T(test_caps), T(test_helo_size), T(test_auth),
		T(test_cuts), T(test_late), T(test_mail_refused), T(test_421),
		T(test_ends), T(test_gone_at_end), T(test_fault),
		T(test_sizes), T(test_credit), T(test_rule),
		T(test_rule_mail_refused), T(test_rule_lacks),
		T(test_rule_no_server), T(test_rule_between), T(test_limits),
		T(test_peer_and_mail)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
