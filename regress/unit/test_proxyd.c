/*
 * proxyd's links: a smtpd at the other end of a channel opens sessions, some
 * scripted servers on 127.0.0.1 answer, and what comes back is held against the
 * order and the words of the protocol. Real sources but for the process around
 * them.
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
#include "proxyd/link.h"
#include "proxyd/servers.h"
#include "regress/lib/confhelp.h"
#include "regress/lib/script.h"

#define LINES_MAX	64

static struct server	*a, *b, *c;
static const struct conf *conf;
static struct chan	*smtpd;
static uint32_t		 tid;
static char		 lines[LINES_MAX][1100];
static size_t		 nlines, nread;
static uint64_t		 credit;
static char		 pieces[40000];	/* of one reply */
static unsigned		 npieces;
static const char	*reported;

/* ---- the process around it -------------------------------------------- */

struct event_base *
proc_base(const struct proc *p)
{
	(void)p;
	return script_base;
}

uint16_t
proc_sessions(const struct proc *p)
{
	(void)p;
	return 0;
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	(void)role;
	(void)worker;
	reported = why;
}

/* ---- smtpd -------------------------------------------------------------- */

/* What proxyd says becomes a line each: "reply 250 text", "closed why" … */
static void
heard(uint32_t t, const char *what, struct span text)
{
	/* No assertion in here: it would leave the event loop behind. */
	if (t == tid && nlines < LINES_MAX)
		snprintf(lines[nlines++], sizeof(lines[0]), "%s%.*s", what,
	    (int)(text.len > 1000 ? 1000 : text.len), (const char *)text.p);
}

static void
on_reply(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_reply	*m = msg;
	char				 what[32];
	size_t				 had = strlen(pieces);

	(void)ch;
	(void)fd;
	if (had + m->text.len >= sizeof(pieces))
		abort();
	if (m->text.len > 0)
		memcpy(pieces + had, m->text.p, m->text.len);
	pieces[had + m->text.len] = '\0';
	npieces++;
	if (m->more)
		return;
	snprintf(what, sizeof(what), "%s %u ", m->own ? "own" : "reply",
	    m->code);
	heard(m->tid, what, span_str(pieces));
	pieces[0] = '\0';
}

static void
on_caps(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_caps	*m = msg;
	char			 what[64];

	(void)ch;
	(void)fd;
	snprintf(what, sizeof(what), "caps %s%s%s%llu ",
	    m->caps & CAP_ESMTP ? "E" : "", m->caps & CAP_PIPELINING ? "P" : "",
	    m->caps & CAP_CHUNKING ? "C" : "", (unsigned long long)m->size);
	heard(m->tid, what, m->auth);
}

static void
on_server(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_server	*m = msg;

	(void)ch;
	(void)fd;
	heard(m->tid, "server ", m->server);
}

static void
on_closed(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_closed	*m = msg;

	(void)ch;
	(void)fd;
	heard(m->tid, "closed ", m->why);
}

static void
on_credit(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_credit	*m = msg;

	(void)ch;
	(void)fd;
	if (m->tid == tid)
		credit += m->bytes;
}

static const struct chan_row rows[] = {
	{ IPC_T_p_reply, on_reply },
	{ IPC_T_p_caps, on_caps },
	{ IPC_T_p_server, on_server },
	{ IPC_T_p_closed, on_closed },
	{ IPC_T_p_credit, on_credit },
	{ 0, NULL }
};

static bool	 chan_gone;

static void
gone(struct chan *ch, const char *why)
{
	(void)ch;
	(void)why;
	chan_gone = true;
}

static void
smtpd_start(void)
{
	int	fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	chan_free(smtpd);
	link_peer(0, fds[0]);
	smtpd = chan_new(script_base, fds[1], IPC_SMTPD, IPC_PROXYD, rows,
	    gone, NULL);
	chan_gone = false;
	reported = NULL;
}

#define SEND(name, ...)	CHAN_SEND(smtpd, name, .tid = tid, __VA_ARGS__)
#define STR(s)		span_str(s)

static void
opens(const char *action, const char *helo)
{
	tid++;
	SEND(p_open, .action = STR(action), .session = STR("7f3a09c1"),
	    .helo = STR(helo));
}

static void
recipients(unsigned n)
{
	char	to[32];

	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	for (unsigned i = 0; i < n; i++) {
		snprintf(to, sizeof(to), "r%u@x.example", i);
		SEND(p_rcpt, .to = STR(to));
	}
}

/* The next line is this; a * at its end stands for anything. */
static void
hears(const char *want)
{
	size_t		 n = strlen(want);
	const char	*have;

	UNTIL(nread < nlines || chan_gone);
	if (chan_gone)
		fail_msg("the channel is gone: %s", reported);
	have = lines[nread++];
	if (n > 0 && want[n - 1] == '*' ? strncmp(have, want, n - 1) != 0 :
	    strcmp(have, want) != 0)
		fail_msg("\"%s\" came, not \"%s\"", have, want);
}

static void
hears_no_more(void)
{
	script_settle(30);
	if (nread < nlines)
		fail_msg("\"%s\" came too", lines[nread]);
}

/* A whole session up to the reply to EHLO. */
static void
session(const char *action, const char *caps)
{
	opens(action, "");
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears(caps);
	hears("reply 250 x");
}

/* Sends content on credit, in chunks of 32,000 bytes; false: out of credit. */
static bool
streams(uint64_t *sent, uint64_t end)
{
	static char	 bytes[32000];
	uint64_t	 n;

	/* Lines of 80 bytes, each with a dot in front. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 80 == 0 ? '.' : i % 80 == 78 ? '\r' :
		    i % 80 == 79 ? '\n' : 'x';
	while (*sent < end) {
		n = end - *sent < sizeof(bytes) ? end - *sent :
		    sizeof(bytes);
		if (*sent + n > FLOW_CREDIT + credit)
			return false;
		SEND(p_chunk, .bytes = span(bytes, (size_t)n));
		*sent += n;
	}
	return true;
}

static void
all_credit(const struct link *l, void *arg)
{
	(void)arg;
	if (l->s != NULL)
		assert_true(stream_waiting(l->s) <= 2 * FLOW_CREDIT);
	assert_true(buf_len(&l->flow.held) <= FLOW_HELD_MAX);
}

static void
content_is(struct server *s, const char *want)
{
	struct span	have = server_content(s);

	if (!span_is(have, want))
		fail_msg("content is \"%.*s\"", (int)have.len,
		    (const char *)have.p);
}

static int
setup(void **state)
{
	(void)state;
	nlines = nread = npieces = 0;
	credit = 0;
	pieces[0] = '\0';
	return 0;
}

/* Nothing stays from one case to the next. */
static int
teardown(void **state)
{
	(void)state;
	nlines = nread = 0;
	smtpd_start();		/* the links go with the old one */
	server_reset(a);
	server_reset(b);
	server_reset(c);
	script_time(SERVERS_PROBE_MIN_MS * 6 / 5 + 1000);
	script_turn();
	assert_int_equal(link_count(), 0);
	return 0;
}

#define HELLO	"S 220 hi", "C EHLO client.example"
#define PLAIN	HELLO, "S 250 x"
#define PIPE	HELLO, "R 250-x\r\n250 PIPELINING\r\n"
#define CHUNK	HELLO, "R 250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define MAIL	"C MAIL FROM:<a@c.example>"
#define RCPT	"C RCPT TO:<r0@x.example>"
#define OK	"S 250 2.0.0 ok"

/* ---- commands and replies ---------------------------------------------- */

static void
transaction(void **state)
{
	(void)state;
	SERVE(a, HELLO,
	    "R 250-x\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
	    "C MAIL FROM:<a@c.example> SIZE=30 BODY=8BITMIME", "Q",
	    "S 250 2.1.0 ok", "C RCPT TO:<r0@x.example>", "Q",
	    "R 550-5.1.1 no\r\n550 5.1.1 such\r\n", "C RCPT TO:<r1@x.example>",
	    "Q", "S 250 2.1.5 ok", "C DATA", "Q", "S 354 go", "D",
	    "S 250 2.0.0 queued as 1", "C RSET", OK, "C NOOP", OK,
	    "C VRFY x", "S 252 who knows", "C QUIT", "S 221 bye", "E");
	session("a", "caps E1000 PLAIN LOGIN");
	SEND(p_mail, .id = 1, .from = STR("a@c.example"), .size = 30,
	    .body = BODY_8BITMIME);
	SEND(p_rcpt, .to = STR("r0@x.example"));
	SEND(p_rcpt, .to = STR("r1@x.example"));
	hears("reply 250 2.1.0 ok");
	hears("reply 550 5.1.1 no\n5.1.1 such");
	hears("reply 250 2.1.5 ok");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("Subject: x\r\n\r\n.a\r\n"));
	SEND(p_end, .bytes = STR("."));
	hears("reply 250 2.0.0 queued as 1");
	SEND(p_rset);
	hears("reply 250 2.0.0 ok");
	SEND(p_noop);
	hears("reply 250 2.0.0 ok");
	SEND(p_ask, .verb = VERB_VRFY, .arg = STR("x"));
	hears("reply 252 who knows");
	SEND(p_quit);
	hears("reply 221 bye");
	hears("closed QUIT");
	SERVED(a);
	content_is(a, "Subject: x\r\n\r\n..a\r\n..\r\n");
	assert_int_equal(link_count(), 0);
}

static void
pipelined(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C RCPT TO:<r1@x.example>",
	    "C RCPT TO:<r2@x.example>", "C DATA", "Q", OK, OK,
	    "S 450 4.2.1 later", "S 550 5.1.1 no", "S 354 go", "D",
	    /* The next transaction came with the final dot, and waits for the
	     * reply to it. */
	    "Q", OK, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "D", OK);
	session("a", "caps EP0 ");
	recipients(3);
	SEND(p_data);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	hears("reply 450 4.2.1 later");
	hears("reply 550 5.1.1 no");
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("one\r\n"));
	recipients(1);
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	hears("reply 250 2.0.0 ok");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("two\r\n"));
	hears("reply 250 2.0.0 ok");
	SERVED(a);
	content_is(a, "one\r\ntwo\r\n");
	/* smtpd is through without QUIT: said for it. */
	SEND(p_close);
	UNTIL(link_count() == 0);
	script_settle(20);
	assert_null(server_wrong(a));
}

static void
auth(void **state)
{
	static char	 secret[12289];

	(void)state;
	memset(secret, 'A', 12288);
	SERVE(a, HELLO, "R 250-x\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n",
	    "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C dXNlcg==",
	    "S 334 UGFzc3dvcmQ6", "C cGFzcw==", "S 535 5.7.8 no",
	    "C AUTH PLAIN =", "S 334 ", "C *", "S 501 5.7.0 cancelled",
	    "C AUTH PLAIN AHVzZXIAcGFzcw==", "S 235 2.7.0 welcome",
	    "C AUTH XOAUTH2 AAAA*", "S 334 eyJ9", "C ", "S 535 5.7.8 no");
	session("a", "caps E0 PLAIN LOGIN XOAUTH2");
	SEND(p_auth, .mech = STR("LOGIN"));
	hears("reply 334 VXNlcm5hbWU6");
	SEND(p_auth_line, .line = STR("dXNlcg=="));
	hears("reply 334 UGFzc3dvcmQ6");
	SEND(p_auth_line, .line = STR("cGFzcw=="));
	hears("reply 535 5.7.8 no");
	SEND(p_auth, .mech = STR("PLAIN"), .has_initial = true,
	    .initial = STR("="));
	hears("reply 334 ");
	SEND(p_auth_line, .line = STR("*"));
	hears("reply 501 5.7.0 cancelled");
	SEND(p_auth, .mech = STR("PLAIN"), .has_initial = true,
	    .initial = STR("AHVzZXIAcGFzcw=="));
	hears("reply 235 2.7.0 welcome");
	SEND(p_auth, .mech = STR("XOAUTH2"), .has_initial = true,
	    .initial = STR(secret));
	hears("reply 334 eyJ9");
	SEND(p_auth_line, .line = STR(""));
	hears("reply 535 5.7.8 no");
	SERVED(a);
}

/* A line that would be two commands ends the link, and nothing of it is sent. */
static void
injection(void **state)
{
	(void)state;
	SERVE(a, PIPE, "E");
	session("a", "caps EP0 ");
	SEND(p_rcpt, .to = STR("x@y>\r\nRSET"));
	hears("own 421 4.3.0 *");
	hears("closed *");
	SERVED(a);
	SERVE(a, HELLO, "R 250-x\r\n250 AUTH PLAIN\r\n", "C AUTH PLAIN",
	    "S 334 ", "E");
	session("a", "caps E0 PLAIN");
	SEND(p_auth, .mech = STR("PLAIN"));
	hears("reply 334 ");
	SEND(p_auth_line, .line = STR("x\r\nQUIT"));
	hears("own 421 4.3.0 *");
	hears("closed *");
	SERVED(a);
}

static void
long_reply(void **state)
{
	static char	 text[63 * 400 + 64];
	size_t		 n = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s250-",
		    i == 0 ? "R " : "");
		memset(text + n, 'a' + i % 26, 390);
		n += 390;
		text[n++] = '\r';
		text[n++] = '\n';
	}
	snprintf(text + n, sizeof(text) - n, "250 end\r\n");
	SERVE(a, PLAIN, "C HELP", text, "C NOOP", "S 250 x");
	session("a", "caps E0 ");
	npieces = 0;
	SEND(p_ask, .verb = VERB_HELP);
	hears("reply 250 aaaaaaaa*");
	assert_int_equal(npieces, 3);
	SEND(p_noop);
	hears("reply 250 x");
	SERVED(a);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	SERVE(a, "1", PIPE, MAIL, RCPT, "C DATA",
	    "R 250-a\r\n250 b\r\n550-5.1.1 c\r\n550 5.1.1 d\r\n", "S 354 go",
	    "C .", "S 250 e", "C QUIT", "R 221-f\r\n221 g\r\n");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250 a\nb");
	hears("reply 550 5.1.1 c\n5.1.1 d");
	hears("own 554 5.5.1 *");
	SEND(p_quit);
	hears("reply 221 f\ng");
	SERVED(a);
}

/* What a server says out of turn or out of order. */
static void
malformed(void **state)
{
	(void)state;
	SERVE(a, PIPE, "C NOOP", "S hello", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(a, PIPE, "C NOOP", "S 250 x", "S 250 y", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	hears("reply 250 x");
	hears("closed 4.5.0 *");
	/* 3xx where nothing of that kind was asked for. */
	SERVE(a, PIPE, MAIL, "S 354 go", "E");
	session("a", "caps EP0 ");
	SEND(p_mail, .from = STR("a@c.example"));
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(a, PIPE, "C NOOP", "S 334 x", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 250 ok", "E");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    "S 354 go on", "E");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 354*");
	SEND(p_end, .bytes = STR("x\r\n"));
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVED(a);
	/* Its own word that it ends, unasked for: as it was said. */
	SERVE(a, PIPE, "W", "S 421 4.4.2 idle for too long", "E");
	session("a", "caps EP0 ");
	server_go(a);
	hears("closed 421 4.4.2 idle for too long");
	SERVED(a);
	/* QUIT need not be answered. */
	SERVE(a, PIPE, "C QUIT", "X");
	session("a", "caps EP0 ");
	SEND(p_quit);
	hears("own 221 2.0.0 *");
	hears("closed QUIT");
}

/* A reply that never gets whole has no more time than one that never comes. */
static void
dripping(void **state)
{
	(void)state;
	SERVE(a, PIPE, "C NOOP", "R 25", "W", "R 0", "W", "E");
	session("a", "caps EP0 ");
	SEND(p_noop);
	UNTIL(server_waits(a));
	script_time(200000);
	script_settle(20);
	server_go(a);
	UNTIL(server_waits(a));
	hears_no_more();
	script_time(101000);
	hears("own 421 4.4.2 *");
	hears("closed *");
}

static void
says_421(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, OK, "S 421 4.3.2 going down", "E");
	session("a", "caps EP0 ");
	recipients(1);
	hears("reply 250*");
	hears("reply 421 4.3.2 going down");
	hears("closed *");
	SERVED(a);
	assert_int_equal(link_count(), 0);
	/* Commands for a link that has gone are dropped. */
	SEND(p_rcpt, .to = STR("x@y"));
	SEND(p_data);
	SEND(p_chunk, .bytes = STR("x"));
	SEND(p_end);
	SEND(p_close);
	hears_no_more();
	assert_false(chan_gone);
}

/* ---- which server ------------------------------------------------------- */

static void
next_server(void **state)
{
	(void)state;
	/* One that can't be reached, one that does not greet, one that does. */
	SERVE(b, "W", "E");
	SERVE(c, HELLO, "S 250 x");
	opens("three", "");
	UNTIL(server_waits(b));
	/* Well below the five minutes of a lone server. */
	script_time(11000);
	UNTIL(server_conns(c) == 1);
	hears("server 127.0.0.1*");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears("caps E0 ");
	hears("reply 250 x");
	SERVED(c);
	SEND(p_close);
	/* The two are passed over for a while, and only then tried again. */
	server_reset(b);
	server_reset(c);
	SERVE(c, "S 220 hi");
	opens("three", "");
	hears("server *");
	hears("reply 220 hi");
	assert_int_equal(server_conns(b), 0);
	SEND(p_close);
	UNTIL(link_count() == 0);
	/* A greeting with 4xx or 5xx: the next one, too. */
	server_reset(b);
	server_reset(c);
	script_time(SERVERS_PROBE_MIN_MS * 6 / 5 + 1000);
	SERVE(b, "S 554 5.7.1 not you", "E");
	SERVE(c, "S 220 hi");
	opens("three", "");
	hears("server *");
	hears("reply 220 hi");
	SERVED(b);
}

static void
all_down(void **state)
{
	int64_t	begin = script_real_ms();

	(void)state;
	opens("down", "");
	hears("own 421 4.4.1 *");
	hears("closed *");
	assert_true(script_real_ms() - begin < 1000);
	/* The last one's own words, if it said any. */
	SERVE(a, "S 554 5.7.1 not you", "E");
	opens("a", "");
	hears("reply 554 5.7.1 not you");
	hears("closed *");
	SERVE(a, "S 421 4.3.2 busy", "E");
	opens("a", "");
	hears("reply 421 4.3.2 busy");
	hears("closed *");
	SERVE(a, "X");
	opens("a", "");
	hears("own 421 4.4.1 *");
	hears("closed *");
	SERVE(a, "S hello", "E");
	opens("a", "");
	hears("own 421 4.5.0 *");
	hears("closed *");
	SERVED(a);
	/* QUIT before there is a server. */
	SERVE(a, "W");
	opens("a", "");
	UNTIL(server_waits(a));
	SEND(p_quit);
	hears("own 221 *");
	hears("closed QUIT");
	assert_int_equal(link_count(), 0);
}

static void
one_at_most(void **state)
{
	uint32_t	first;

	(void)state;
	SERVE(a, "S 220 hi");
	SERVE(a, "S 220 hi");
	opens("max", "");
	hears("server *");
	hears("reply 220 hi");
	first = tid;
	opens("max", "");
	hears("own 421 4.3.2 *");
	hears("closed *");
	opens("none", "");
	hears("own 421 4.3.5 *");
	hears("closed *");
	CHAN_SEND(smtpd, p_close, .tid = first);
	UNTIL(link_count() == 0);
	opens("max", "");
	hears("server *");
	hears("reply 220 hi");
}

/* A way that begins at RCPT: EHLO is ours to say. */
static void
at_rcpt(void **state)
{
	(void)state;
	SERVE(a, "S 220 hi", "C EHLO client.example",
	    "R 250-x\r\n250 SIZE 5\r\n", MAIL, OK);
	opens("a", "client.example");
	hears("server *");
	hears("caps E5 ");
	hears("own 220 *");
	SEND(p_mail, .from = STR("a@c.example"));
	hears("reply 250*");
	SERVED(a);
	SEND(p_close);
	SERVE(a, "S 220 hi", "C EHLO out.example", "S 500 what",
	    "C HELO out.example", "S 250 x");
	opens("named", "client.example");
	hears("server *");
	hears("caps 0 ");
	hears("own 220 *");
	SERVED(a);
}

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
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "W", "D",
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
	server_go(a);
	UNTIL(streams(&sent, len));
	SEND(p_end);
	hears("reply 250*");
	SERVED(a);
	have = server_content(a);
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
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "W", "X");
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
	server_go(a);
	SERVE(a, CHUNK, MAIL, RCPT, OK, OK, "C BDAT*", "W", "X");
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
	SERVE(a, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", OK,
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
	SERVED(a);
	content_is(a, ".one\r\ntwo\nand\nend\n");
	SEND(p_close);

	/* A long one, chunk by chunk. */
	SERVE(b, CHUNK, MAIL, RCPT, OK, OK, "C BDAT*", "W", "E");
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
	SERVE(a, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 4", "B 4",
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
	SERVED(a);
}

/* The next transaction came with the end of a refused one: the RSET between
 * them must not end it. */
static void
bdat_pipelined(void **state)
{
	(void)state;
	SERVE(a, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 6 LAST", "B 6", "Q",
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
	UNTIL(server_waits(a));
	SEND(p_end, .bytes = STR("end\r\n"));
	recipients(1);
	script_settle(20);
	server_go(a);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 250*");
	SERVED(a);
}

static void
nobody(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, "S 550 5.1.1 no", "S 354 go",
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
	SERVED(a);
}

static void
data_refused(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 452 4.3.1 full",
	    "C DATA", "S 354 go", "D", "S 554 5.6.0 bad");
	begins("caps EP0 ");
	hears("reply 452 4.3.1 full");
	SEND(p_data);
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("x\r\n"));
	hears("reply 554 5.6.0 bad");
	SERVED(a);
}

/* Half a message is never made a whole one. */
static void
client_gone(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C half",
	    "E");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("half\r\n"));
	script_settle(20);
	SEND(p_close);
	SERVED(a);
	assert_int_equal(link_count(), 0);
	/* With BDAT, no LAST. */
	SERVE(a, CHUNK, MAIL, RCPT, OK, OK, "C BDAT 6", "B 6", OK, "E");
	begins("caps EPC0 ");
	hears("own 354 *");
	SEND(p_chunk, .bytes = STR("half\r\n"));
	script_settle(20);
	SEND(p_close);
	SERVED(a);
	/* The whole smtpd has gone. */
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C half",
	    "E");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("half\r\n"));
	script_settle(20);
	smtpd_start();
	SERVED(a);
	assert_int_equal(link_count(), 0);
	/* The final dot, but only the commands were asked for. */
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "E");
	session("a", "caps EP0 ");
	recipients(1);
	SEND(p_close);
	UNTIL(link_count() == 0);
}

static void
server_gone(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C one", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("one\r\n"));
	hears("closed 4.4.2 *");
	SEND(p_chunk, .bytes = STR("two\r\n"));
	SEND(p_end);
	hears_no_more();
	/* With words. */
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C one",
	    "S 421 4.3.0 disk", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("one\r\n"));
	hears("closed 421 4.3.0 disk");
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "C one",
	    "S 552 5.3.4 too much", "E");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_chunk, .bytes = STR("one\r\n"));
	hears("closed 552 5.3.4 too much");
	/* After the dot the client waits for a word. */
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "D", "X");
	begins("caps EP0 ");
	hears("reply 354 go");
	SEND(p_end, .bytes = STR("one\r\n"));
	hears("own 421 4.4.2 *");
	hears("closed *");
	SERVED(a);
	assert_false(chan_gone);
}

/* A smtpd that breaks the rules loses its channel, not proxyd its life. */
static void
rogue(void **state)
{
	static char	 bytes[32000];

	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "W");
	begins("caps EP0 ");
	hears("reply 354 go");
	UNTIL(server_waits(a));
	for (int i = 0; i < 6; i++)
		SEND(p_chunk, .bytes = span(bytes, sizeof(bytes)));
	UNTIL(chan_gone);
	assert_non_null(reported);
	assert_int_equal(link_count(), 0);
	smtpd_start();
	SERVE(a, PIPE);
	session("a", "caps EP0 ");
	SEND(p_chunk, .bytes = STR("x"));
	UNTIL(chan_gone);
	assert_int_equal(link_count(), 0);
	smtpd_start();
	/* A command in the middle of content. */
	SERVE(b, PIPE, MAIL, RCPT, OK, OK, "C DATA", "S 354 go", "E");
	session("b", "caps EP0 ");
	recipients(1);
	SEND(p_data);
	hears("reply 250*");
	hears("reply 250*");
	hears("reply 354*");
	SEND(p_noop);
	hears("own 421 4.3.0 *");
	hears("closed *");
	SERVED(b);
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
	SERVE(a, PIPE, MAIL, "E");
	session("a", "caps EP0 ");
	SEND(p_mail, .from = STR("a@c.example"));
	UNTIL(link_count() == 2);
	script_settle(20);
	link_end_all("4.3.2 The gateway is shutting down");
	assert_int_equal(link_count(), 0);
	hears("own 421 4.3.2 *");
	hears("closed 4.3.2 *");
	SERVED(a);
}

static int
group_setup(void **state)
{
	static char	 text[2048];
	struct buf	 msgs;

	(void)state;
	script_init();
	a = server_new();
	b = server_new();
	c = server_new();
	snprintf(text, sizeof(text),
	    "action \"a\" proxy to \"127.0.0.1:%u\"\n"
	    "action \"b\" proxy to \"127.0.0.1:%u\"\n"
	    "action \"max\" proxy to \"127.0.0.1:%u\" max-connections 1\n"
	    "action \"named\" proxy to \"127.0.0.1:%u\" helo out.example\n"
	    "action \"three\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\", "
	    "\"127.0.0.1:%u\" }\n"
	    "action \"down\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" }\n"
	    "action \"name\" proxy to server.example\n"
	    "listen on 127.0.0.1 port 1\n"
	    "match for any action \"a\"\n",
	    server_port(a), server_port(b), server_port(a), server_port(a),
	    server_closed_port(), server_port(b), server_port(c),
	    server_closed_port(), server_closed_port());
	buf_init(&msgs, 1 << 16);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s\n", buf_cstr(&msgs));
		return -1;
	}
	buf_clear(&msgs);
	log_init("proxyd", LOG_FORM_TEXT, getenv("TEST_DEBUG") != NULL ?
	    LOG_LV_DEBUG : LOG_LV_WARN);
	link_init(NULL, conf, ask_new(NULL, IPC_PROXYD));
	smtpd_start();
	return 0;
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(transaction),
		CASE(pipelined),
		CASE(auth),
		CASE(injection),
		CASE(long_reply),
		CASE(byte_by_byte),
		CASE(malformed),
		CASE(dripping),
		CASE(says_421),
		CASE(next_server),
		CASE(all_down),
		CASE(one_at_most),
		CASE(at_rcpt),
		CASE(credits),
		CASE(stopped),
		CASE(bdat),
		CASE(bdat_refused),
		CASE(bdat_pipelined),
		CASE(nobody),
		CASE(data_refused),
		CASE(client_gone),
		CASE(server_gone),
		CASE(rogue),
		CASE(early_end),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
