/*
 * AUTH by users whom Dovecot knows: a stand-in for its auth socket answers as a
 * test says.
 */
#include "regress/lib/smtpdtest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "smtpd/auth.h"
#include "smtpd/dovecot.h"

enum { PEOPLE = 26, MAY = 27 };

static const char	conf[] =
    "hostname gw.example.org\n"
    "table people dovecot \"unix:/nowhere\"\n"
    "action \"out\" relay to { \"192.0.2.9\" }\n"
    "action \"live\" proxy to { \"192.0.2.9\" }\n"
    "listen on 192.0.2.1 port 26 auth <people> auth-plaintext\n"
    "listen on 192.0.2.1 port 27 auth-optional <people> auth-plaintext\n"
    "match from auth auth-user { \"boss\" } for any reject "
    "\"550 5.7.1 not you\"\n"
    "match from auth for any action \"out\"\n";

#define HI	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n" \
	    "MECH\tSCRAM-SHA-256\nMECH\tXOAUTH2\nMECH\tGSSAPI\n"		\
	    "MECH\tANONYMOUS\tanonymous\nSPID\t1\n"

static int		 sock = -1;
static struct event	*event;
static char		 got[20000];	/* what was said since */
static const char	*answers[8];	/* to each line; %u is the number */
static size_t		 nanswers;

static void
tell(const char *text)
{
	assert_int_equal(write(sock, text, strlen(text)), strlen(text));
}

/* One answer for each AUTH and CONT, in their order. */
static void
on_line(const char *line)
{
	const char *at;
	char	 text[2000];
	unsigned id;

	if (sscanf(line, "%*[A-Z]\t%u", &id) != 1 ||
	    (strncmp(line, "AUTH", 4) != 0 && strncmp(line, "CONT", 4) != 0) ||
	    nanswers == 0)
		return;
	at = strstr(answers[0], "%u");
	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%u%s", (int)(at - answers[0]),
	    answers[0], id, at + 2);
	memmove(answers, answers + 1, sizeof(answers) - sizeof(answers[0]));
	nanswers--;
	tell(text);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	size_t	 len = strlen(got);
	ssize_t	 n = read(fd, got + len, sizeof(got) - 1 - len);
	char	*p = got + len, *end;

	(void)what;
	(void)arg;
	if (n <= 0) {
		event_del(event);
		return;
	}
	got[len + (size_t)n] = '\0';
	for (; (end = strchr(p, '\n')) != NULL; p = end + 1)
		on_line(p);
}

static void
gone(void)
{
	if (sock == -1)
		return;
	event_free(event);
	close(sock);
	sock = -1;
	world_run();
}

static void
here(const char *hello)
{
	int	fds[2];

	gone();
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	sock = fds[1];
	got[0] = '\0';
	nanswers = 0;
	event = event_new(world_base, sock, EV_READ | EV_PERSIST, on_read,
	    NULL);
	event_add(event, NULL);
	dovecot_socket(span_str("people"), fds[0], span(NULL, 0));
	tell(hello);
	world_run();
}

static void
answers_with(const char *text)
{
	answers[nanswers++] = text;
}

#define has(s)		assert_non_null(strstr(got, (s)))
#define lacks(s)	assert_null(strstr(got, (s)))

static struct client *
client(unsigned port)
{
	struct client	*c = client_new(listen_of(port), NULL);

	expect(c, "220");
	say(c, "EHLO c.example", "250");
	return c;
}

static void
test_mechs(void **state)
{
	struct client	*c;

	(void)state;
	here(HI "DONE\n");
	has("VERSION\t1\t1\nCPID\t");
	c = client(PEOPLE);
	assert_non_null(strstr(c->reply,
	    "|250-AUTH PLAIN LOGIN SCRAM-SHA-256 XOAUTH2|"));
	say(c, "MAIL FROM:<a@b.example>", "530 5.7.0");
	say(c, "AUTH GSSAPI", "504 5.5.4");
	quit(c);
}

static void
test_ok(void **state)
{
	struct client	*c;

	(void)state;
	here(HI "DONE\n");
	c = client(PEOPLE);
	answers_with("OK\t%u\tuser=anna@example.org\n");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235 2.7.0");
	has("\tPLAIN\tservice=smtp\tnologin\tlip=");
	has("\trip=");
	has("\tresp=AGFubmEAeA==\n");
	lacks("secured");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
	quit(c);
	/* Who it is, is Dovecot's word. */
	c = client(MAY);
	answers_with("CONT\t%u\tVXNlcm5hbWU6\n");
	answers_with("CONT\t%u\tUGFzc3dvcmQ6\n");
	answers_with("OK\t%u\tuser=boss\n");
	say(c, "AUTH LOGIN", "334 VXNlcm5hbWU6");
	say(c, "YW5uYQ==", "334 UGFzc3dvcmQ6");
	say(c, "eA==", "235 2.7.0");
	has("\tYW5uYQ==\n");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@dest.example>", "550 5.7.1 not you");
	quit(c);
	/* Not a name: the client's own is good, and without one it is nobody. */
	c = client(PEOPLE);
	answers_with("OK\t%u\tuser=a\1nb\n");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235 2.7.0");
	quit(c);
	c = client(PEOPLE);
	answers_with("OK\t%u\n");
	say(c, "AUTH PLAIN AAA=", "454 4.7.0");
	quit(c);
}

static void
test_no(void **state)
{
	struct client	*c;

	(void)state;
	here(HI "DONE\n");
	c = client(PEOPLE);
	answers_with("FAIL\t%u\tuser=anna\n");
	client_say(c, "AUTH PLAIN AGFubmEAeA==");
	expect_nothing(c);		/* held */
	world_skip_ms(AUTH_HOLD_MS + 100);
	expect(c, "535 5.7.8");
	answers_with("FAIL\t%u\tuser=anna\ttemp\n");
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	answers_with("FAIL\t%u\tcode=temp_fail\treason=no server\n");
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	/* Given up by the client. */
	answers_with("CONT\t%u\t\n");
	say(c, "AUTH LOGIN", "334");
	say(c, "*", "501 5.7.0");
	has("CANCEL\t");
	got[0] = '\0';
	answers_with("CONT\t%u\t\n");
	say(c, "AUTH LOGIN", "334");
	say(c, "no base64!", "501 5.5.2");
	has("CANCEL\t");
	/* A token's failure, told by a challenge. */
	answers_with("CONT\t%u\teyJzdGF0dXMiOiI0MDEifQ==\n");
	say(c, "AUTH XOAUTH2 dXNlcj1hbm5hAWF1dGg9QmVhcmVyIHgBAQ==", "334 ey");
	client_say(c, "*");
	world_skip_ms(AUTH_HOLD_MAX_MS + 100);
	expect(c, "535 5.7.8");
	say(c, "MAIL FROM:<a@b.example>", "530");
	quit(c);
}

/* An answer to nobody, in the wrong order, or to what is over. */
static void
test_odd(void **state)
{
	struct client	*c;
	unsigned	 id;
	char		 text[100];

	(void)state;
	here(HI "DONE\n");
	c = client(PEOPLE);
	answers_with("OK\t4000000000\tuser=other\nCONT\t%u\t\n");
	say(c, "AUTH LOGIN", "334");
	tell("OK\t1\tuser=boss\nOK\t2\tuser=boss\nOK\t3\tuser=boss\n");
	say(c, "*", "501 5.7.0");
	say(c, "MAIL FROM:<a@b.example>", "530");
	/* The client goes in the middle of it. */
	got[0] = '\0';
	client_say(c, "AUTH PLAIN AGFubmEAeA==");
	expect_nothing(c);
	client_free(c);
	world_run();
	assert_int_equal(sscanf(got, "AUTH\t%u", &id), 1);
	snprintf(text, sizeof(text), "OK\t%u\tuser=anna\n", id);
	tell(text);
	world_run();
	assert_null(world_leak());
	/* Nonsense ends the connection, and who waits gets 454. */
	c = client(PEOPLE);
	answers_with("CONT\t%u\t\n");
	say(c, "AUTH LOGIN", "334");
	answers_with("OK\tx%u\n");
	say(c, "YW5uYQ==", "454 4.7.0");
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	quit(c);
}

static void
test_away(void **state)
{
	struct client	*c;

	(void)state;
	here(HI "DONE\n");
	c = client(PEOPLE);
	client_say(c, "AUTH PLAIN AGFubmEAeA==");
	expect_nothing(c);
	gone();
	expect(c, "454 4.7.0");
	/* It is asked for again after a second. */
	world_auth_sockets = 0;
	world_skip_ms(DOVECOT_RETRY_MS + 100);
	world_run();
	assert_true(world_auth_sockets >= 1);
	dovecot_socket(span_str("people"), -1, span_str("no such file"));
	dovecot_socket(span_str("other"), -1, span_str("no such file"));
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	here(HI);			/* not all of its hello */
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	tell("DONE\n");
	world_run();
	answers_with("OK\t%u\tuser=anna\n");
	say(c, "AUTH PLAIN AGFubmEAeA==", "235");
	quit(c);
	/* Between two of a client's lines; and no answer at all. */
	c = client(PEOPLE);
	answers_with("CONT\t%u\t\n");
	say(c, "AUTH LOGIN", "334");
	here(HI "DONE\n");
	say(c, "YW5uYQ==", "454 4.7.0");
	client_say(c, "AUTH PLAIN AGFubmEAeA==");
	expect_nothing(c);
	world_skip_ms(DOVECOT_REPLY_MS + 100);
	expect(c, "454 4.7.0");
	quit(c);
	here("VERSION\t2\t0\n");
	c = client(PEOPLE);
	say(c, "AUTH PLAIN AGFubmEAeA==", "454 4.7.0");
	quit(c);
	/* One that does not come to the end of its hello is left. */
	here(HI);
	world_auth_sockets = 0;
	world_skip_ms(DOVECOT_REPLY_MS + 100);
	world_run();
	world_skip_ms(DOVECOT_RETRY_MS + 100);
	world_run();
	assert_true(world_auth_sockets >= 1);
}

static int
start(void **state)
{
	(void)state;
	world_init(conf);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	gone();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_mechs),
		T(test_ok),
		T(test_no),
		T(test_odd),
		T(test_away)
	};

	return cmocka_run_group_tests(tests, start, stop);
}
