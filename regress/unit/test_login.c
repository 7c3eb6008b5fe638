/*
 * deliverd logs in: each mechanism with a scripted server, and keyd's answers at
 * the other end of a channel; what becomes of the mail, and of the server, where
 * the login fails.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "deliverd/keyd.h"
#include "deliverd/login.h"
#include "deliverd/logins.h"
#include "deliverd/srs.h"
#include "keyd/login.h"
#include "regress/lib/deliverdhelp.h"

#define OFFERS(mechs)	HELLO, "R 250-x\r\n250-PIPELINING\r\n250 AUTH " mechs \
			    "\r\n"
#define IN		"C AUTH PLAIN AHVzZXIAcGVuY2ls"
#define USER64		"dXNlcg=="
#define PASS64		"cGVuY2ls"
/* A challenge, and what keyd says with a nonce of zeros. */
#define CRAM64		"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5u" \
			    "ZXQ+"
#define CRAMMED64	"dXNlciAyNjZmODJiYjJkMWFjZTY3MjlkMmM1NzNlNGUwMDRjNg=="
#define FIRST64		"biwsbj11c2VyLHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB" \
			    "QUFBQUE="
#define SERVER64	"cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQXNydixz" \
			    "PVFTWENSK1E2c2VrOGJmOTIsaT00MDk2"
#define FINAL64		"Yz1iaXdzLHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB" \
			    "QUFzcnYscD1PQXR3WWVFWE55cHpxZXgvUmRoeXpTN2JIREpEcGhZ" \
			    "TUg0NkNMbGNWbHlBPQ=="
#define PROOF64		"dj04UXAzUVA5VmZIMHZjVDhOenljNzVpQ1o0ZFlvbFdCVEY4QUh5" \
			    "V0ZKSjNnPQ=="

/* ---- keyd ------------------------------------------------------------------ */

static struct chan	*keyd;
static unsigned		 nasked;
static bool		 mute;		/* it does not answer */
static char		 longest[401];

static void
on_auth(struct chan *ch, const void *msg, int fd)
{
	static const uint8_t	 nonce[LOGIN_NONCE];
	const struct ipc_k_auth	*m = msg;
	struct ipc_k_auth_answer a = { .tid = m->tid, .status = K_AUTH_OK };
	struct login		 l = { .user = span_str("user"),
				    .secret = span_str("pencil") };
	struct buf		 response, expect;
	const char		*why = "";
	bool			 says = false;

	(void)fd;
	nasked++;
	if (mute)
		return;
	if (span_is(m->label, "long"))
		l.secret = span_str(longest);
	buf_init(&response, LOGIN_RESPONSE_MAX);
	buf_init(&expect, SASL_EXPECT_MAX);
	l.mech = sasl_mech_choose(m->mechs, span_is(m->label, "token"));
	l.step = m->step;
	l.first = m->first;
	l.challenge = m->challenge;
	if (span_is(m->label, "nobody"))
		a.status = K_AUTH_NO_LABEL;
	else if (l.mech == MECH_NONE)
		a.status = K_AUTH_NO_MECH;
	else if (!login_next(&l, nonce, &response, &says, &expect, &why))
		a.status = K_AUTH_BAD;
	a.mech = span_str(sasl_mech_name(l.mech));
	a.says = says;
	a.response = buf_content(&response);
	a.expect = buf_content(&expect);
	a.why = span_str(why);
	chan_send_secret(ch, IPC_T_k_auth_answer, &a);
	buf_clear(&response);
	buf_clear(&expect);
}

static const struct chan_row keyd_rows[] = {
	{ IPC_T_k_auth, on_auth },
	{ 0, NULL }
};

static void
closed(struct chan *ch, const char *why)
{
	(void)ch;
	fprintf(stderr, "deliverd closed keyd's channel: %s\n", why);
	abort();
}

static void
keyd_start(void)
{
	int	fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	keyd_peer(0, fds[0]);
	keyd = chan_new(script_base, fds[1], IPC_KEYD, IPC_DELIVERD,
	    keyd_rows, closed, NULL);
}

static void
keyd_dies(void)
{
	chan_free(keyd);
	keyd = NULL;
	script_settle(20);
}

/* ---- who is let in --------------------------------------------------------- */

/* One message by "auth" goes over, and a second one over the same connection. */
#define DELIVERS(id_) do {						\
	HAND(.id = (id_), .action = "auth");				\
	UNTIL(is_done(id_));						\
	is((id_), 0, D_OK, "250");					\
} while (0)

static void
plain(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("LOGIN PLAIN"), IN, "Q", "S 235 in", TAKES, TAKES);
	DELIVERS(1);
	DELIVERS(2);
	SERVED(sa);
	assert_int_equal(server_conns(sa), 1);
	assert_int_equal(nasked, 1);
	assert_string_equal(login_label, "anna");
	assert_string_equal(login_why, "");
}

/* RFC 4954, 5: who is behind the message is said where we have logged in. */
static void
behind(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN"), IN, "S 235 in",
	    "C MAIL FROM:<a@c.example> AUTH=<>", RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK, "C MAIL FROM:<a@c.example> AUTH=e+3Dmc2@x",
	    RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	DELIVERS(1);
	HAND(.id = 2, .action = "auth", .auth = "e+3Dmc2@x");
	UNTIL(is_done(2));
	is(2, 0, D_OK, "250");
	SERVED(sa);
	/* Nowhere else, even if it would be understood. */
	SERVE(sb, OFFERS("PLAIN"), "C MAIL FROM:<a@c.example>", RCPT,
	    "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 3, .action = "b", .auth = "e+3Dmc2@x");
	UNTIL(is_done(3));
	is(3, 0, D_OK, "250");
	SERVED(sb);
}

/* What it asks in need not be base64. */
static void
login(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("LOGIN"), "C AUTH LOGIN", "S 334 VXNlcm5hbWU6",
	    "C " USER64, "S 334 Password:", "C " PASS64, "S 235 in", TAKES);
	DELIVERS(1);
	SERVED(sa);
}

static void
cram(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN CRAM-MD5"), "C AUTH CRAM-MD5", "S 334 " CRAM64,
	    "C " CRAMMED64, "S 235 in", TAKES);
	DELIVERS(1);
	SERVED(sa);
}

static void
scram(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN CRAM-MD5 SCRAM-SHA-256"),
	    "C AUTH SCRAM-SHA-256 " FIRST64, "S 334 " SERVER64, "C " FINAL64,
	    "S 334 " PROOF64, "C ", "S 235 in", TAKES);
	DELIVERS(1);
	SERVED(sa);
}

/* Byte by byte. */
static void
slowly(void **state)
{
	(void)state;
	SERVE(sa, "1", OFFERS("SCRAM-SHA-256"),
	    "C AUTH SCRAM-SHA-256 " FIRST64, "S 334 " SERVER64, "C " FINAL64,
	    "S 334 " PROOF64, "C ", "S 235 in", TAKES);
	DELIVERS(1);
	SERVED(sa);
}

static void
token(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN OAUTHBEARER"), "C AUTH OAUTHBEARER "
	    "bixhPXVzZXIsAWF1dGg9QmVhcmVyIHBlbmNpbAEB", "S 235 in", TAKES);
	HAND(.id = 1, .action = "token");
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	SERVED(sa);
	server_reset(sa);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	/* The token has run out (RFC 7628, 3.2.3). */
	SERVE(sa, OFFERS("PLAIN OAUTHBEARER"), "C AUTH OAUTHBEARER *",
	    "S 334 eyJzdGF0dXMiOiI0MDEifQ==", "C AQ==", "S 535 5.7.8 expired");
	HAND(.id = 2, .action = "token");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.7.8 No login at ");
}

/* RFC 4954, 4: no initial response where the command would be too long. */
static void
long_secret(void **state)
{
	static char	 line[700];
	struct buf	 b;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	buf_init(&b, 600);
	buf_str(&b, "C ");
	for (int i = 0; i < 2; i++)
		buf_str(&b, i == 0 ? "AHVzZXIA" : "");
	for (size_t i = 0; i < (sizeof(longest) - 1) / 3; i++)
		buf_str(&b, "eHh4");
	buf_str(&b, "eA==");
	strlcpy(line, buf_cstr(&b), sizeof(line));
	buf_clear(&b);
	SERVE(sa, OFFERS("PLAIN"), "C AUTH PLAIN", "S 334 ", line, "S 235 in",
	    TAKES);
	HAND(.id = 1, .action = "long");
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	SERVED(sa);
}

/* ---- and who is not -------------------------------------------------------- */

/* One message by this action waits, with such a reply. */
static void
waits(uint64_t id, const char *action, const char *reply)
{
	HAND(.id = id, .action = action);
	UNTIL(is_done(id));
	is(id, 0, D_TEMP, reply);
	assert_false(result(id, 0)->remote);
	assert_int_equal(dest_was(id), D_DEST_DOWN);
}

static bool
tells(uint64_t id, const char *words)
{
	return strstr(result(id, 0)->reply, words) != NULL;
}

/* It is left alone for a minute, then tried without mail, then twice as long;
 * with the first success queued is told. */
static void
refused(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN"), IN, "S 535 5.7.8 no such\\user", "C QUIT",
	    "E");
	waits(1, "auth", "451 4.7.8 No login at 127.0.0.1[127.0.0.1]:");
	assert_true(tells(1, " as anna by PLAIN: 535 5.7.8 no such"));
	assert_string_equal(login_label, "anna");
	assert_string_equal(login_why, result(1, 0)->reply);
	waits(2, "auth", "451 4.7.8 No login at ");
	assert_int_equal(server_conns(sa), 1);
	/* It is no fault of the server's, nor of others'. */
	assert_int_equal(told[server_port(sa)].failures, 0);
	SERVE(sa, PIPE, TAKES);
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	is(3, 0, D_OK, "250");
	SERVE(sa, OFFERS("PLAIN"), "C AUTH PLAIN *", "S 235 in", TAKES);
	HAND(.id = 4, .action = "other");
	UNTIL(is_done(4));
	is(4, 0, D_OK, "250");
	SERVED(sa);
	/* The probe. */
	SERVE(sa, OFFERS("PLAIN"), IN, "S 535 5.7.8 still not");
	script_time(73000);
	UNTIL(server_conns(sa) == 4);
	SERVED(sa);
	UNTIL(strstr(login_why, "still not") != NULL);
	script_time(73000);
	script_settle(30);
	assert_int_equal(server_conns(sa), 4);
	assert_int_equal(nback_up, 0);
	SERVE(sa, OFFERS("PLAIN"), IN, "S 235 in", TAKES);
	script_time(73000);
	UNTIL(nback_up == 1);
	assert_string_equal(back_up, "auth");
	assert_string_equal(login_why, "");
	DELIVERS(5);
	SERVED(sa);
}

/* A server that was down is back, without TLS: who says that the login, which
 * was never tried, is refused? */
static void
not_tried(void **state)
{
	(void)state;
	SERVE(sa, "S 421 4.3.2 down");
	HAND(.id = 1, .action = "secure");
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "421 4.3.2 down");
	assert_int_equal(told[server_port(sa)].failures, 1);
	SERVE(sa, PIPE, "E");
	script_time(15000);
	UNTIL(server_conns(sa) == 2);
	SERVED(sa);
	script_settle(30);
	assert_int_equal(told[server_port(sa)].failures, 0);
	assert_string_equal(login_why, "");
	SERVE(sa, OFFERS("PLAIN"), IN, "S 235 in", TAKES);
	DELIVERS(2);
	SERVED(sa);
}

static void
reasons(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN"), IN, "S 454 4.7.0 not now");
	waits(1, "auth", "451 4.7.0 No login at ");
	assert_true(tells(1, ": 454 4.7.0 not now"));
	SERVE(sb, OFFERS("GSSAPI NTLM"));
	waits(2, "authb", "451 4.7.4 No login at ");
	assert_true(tells(2, "(GSSAPI NTLM)"));
	SERVE(sc, PIPE);
	waits(3, "authc", "451 4.7.4 No login at ");
	assert_true(tells(3, "does not offer AUTH"));
	logins_clear();
	SERVE(sc, HELLO, "S 500 what?", "C HELO mail.example.org", "S 250 x");
	waits(4, "authc", "451 4.7.4 No login at ");
	SERVE(sb, OFFERS("PLAIN"));
	waits(5, "unknown", "451 4.3.5 No login at ");
	/* Not over TLS, and no word for it. */
	SERVE(sb, OFFERS("PLAIN"));
	waits(6, "careful", "451 4.7.11 No login at ");
	SERVED(sb);
	SERVED(sc);
}

/* The mail is another server's, at once. */
static void
elsewhere(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN"), IN, "S 535 no");
	SERVE(sb, OFFERS("LOGIN"), "C AUTH LOGIN", "S 334 ", "C " USER64,
	    "S 334 ", "C " PASS64, "S 235 in", TAKES, TAKES);
	for (uint64_t id = 1; id <= 2; id++) {
		HAND(.id = id, .action = "two");
		UNTIL(is_done(id));
		is(id, 0, D_OK, "250");
	}
	SERVED(sa);
	SERVED(sb);
	assert_int_equal(server_conns(sa), 1);
}

/* A server that does not know the password, or makes no sense. */
static void
lies(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("SCRAM-SHA-256"), "C AUTH SCRAM-SHA-256 " FIRST64,
	    "S 334 " SERVER64, "C " FINAL64, "S 334 dj1iYWQ=", "C *",
	    "S 501 cancelled");
	waits(1, "auth", "451 4.7.0 No login at ");
	assert_true(tells(1, "does not prove that it knows"));
	logins_clear();
	SERVE(sa, OFFERS("SCRAM-SHA-256"), "C AUTH SCRAM-SHA-256 " FIRST64,
	    "S 235 welcome");
	waits(2, "auth", "451 4.7.0 No login at ");
	assert_true(tells(2, "does not prove that it knows"));
	logins_clear();
	/* i=1 */
	SERVE(sa, OFFERS("SCRAM-SHA-256"), "C AUTH SCRAM-SHA-256 " FIRST64,
	    "S 334 cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQXNydixzPVFTWE"
	    "NSK1E2c2VrOGJmOTIsaT0x", "C *", "S 501 cancelled");
	waits(3, "auth", "451 4.7.0 No login at ");
	assert_true(tells(3, "challenge makes no sense"));
	logins_clear();
	SERVE(sa, OFFERS("CRAM-MD5"), "C AUTH CRAM-MD5", "S 334 no base64!",
	    "C *", "S 334 more");
	waits(4, "auth", "451 4.7.0 No login at ");
	logins_clear();
	SERVE(sa, OFFERS("PLAIN"), IN, "S 334 ", "C *", "S 501 cancelled");
	waits(5, "auth", "451 4.7.0 No login at ");
	assert_true(tells(5, "a challenge too many"));
	SERVED(sa);
}

/* The connection is lost, or the server gives up: it is down, as ever. */
static void
lost(void **state)
{
	(void)state;
	SERVE(sa, OFFERS("PLAIN"), IN, "X");
	waits(1, "auth", "451 4.4.2 ");
	assert_int_equal(told[server_port(sa)].failures, 1);
	srvs_clear();
	SERVE(sa, OFFERS("PLAIN"), IN, "S 421 4.3.2 closing");
	waits(2, "auth", "421 4.3.2 closing");
	srvs_clear();
	SERVE(sa, OFFERS("PLAIN"), IN, "W");
	HAND(.id = 3, .action = "auth");
	UNTIL(server_waits(sa));
	script_time(301000);
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.4.2 ");
	srvs_clear();
	/* Something where nothing is awaited. */
	mute = true;
	SERVE(sb, OFFERS("PLAIN"), "S 235 hello");
	waits(4, "authb", "451 4.5.0 ");
	mute = false;
}

static void
no_keyd(void **state)
{
	(void)state;
	/* Away for a moment. */
	keyd_dies();
	SERVE(sa, OFFERS("PLAIN"), IN, "S 235 in", TAKES);
	HAND(.id = 1, .action = "auth");
	UNTIL(server_conns(sa) == 1);
	script_settle(50);
	keyd_start();
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	SERVED(sa);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	/* It does not answer at all. */
	mute = true;
	SERVE(sb, OFFERS("PLAIN"), "C QUIT");
	HAND(.id = 2, .action = "authb");
	UNTIL(nasked == 2);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.3.0 No login at ");
	mute = false;
	/* An answer to nobody. */
	CHAN_SEND(keyd, k_auth_answer, .tid = 77);
	script_settle(20);
}

static void
conf(char *dst, size_t size)
{
	snprintf(dst, size,
	    "credentials \"/nowhere\"\n"
	    "action \"auth\" relay to \"127.0.0.1:%u\" auth anna auth-plaintext\n"
	    "action \"authb\" relay to \"127.0.0.1:%u\" auth anna auth-plaintext\n"
	    "action \"authc\" relay to \"127.0.0.1:%u\" auth anna auth-plaintext\n"
	    "action \"other\" relay to \"127.0.0.1:%u\" auth bert auth-plaintext\n"
	    "action \"token\" relay to \"127.0.0.1:%u\" auth token auth-plaintext\n"
	    "action \"long\" relay to \"127.0.0.1:%u\" auth long auth-plaintext\n"
	    "action \"unknown\" relay to \"127.0.0.1:%u\" auth nobody "
	    "auth-plaintext\n"
	    "action \"careful\" relay to \"127.0.0.1:%u\" auth carl\n"
	    "action \"secure\" relay to \"127.0.0.1:%u\" auth anna tls require\n"
	    "action \"two\" relay to { \"127.0.0.1:%u\" auth anna auth-plaintext, "
	    "\"127.0.0.1:%u\" auth bert auth-plaintext }\n",
	    server_port(sa), server_port(sb), server_port(sc), server_port(sa),
	    server_port(sa), server_port(sa), server_port(sb), server_port(sb),
	    server_port(sa), server_port(sa), server_port(sb));
}

static int
start(void **state)
{
	deliverdhelp_conf = conf;
	if (deliverdhelp_start(state) != 0)
		return -1;
	srs_init(NULL, pool_add);
	login_init();
	keyd_init(NULL);
	keyd_start();
	return 0;
}

static int
setup(void **state)
{
	nasked = 0;
	login_label[0] = login_why[0] = '\0';
	return deliverdhelp_setup(state);
}
#define LOGIN(f)	cmocka_unit_test_setup_teardown(f, setup, \
	    deliverdhelp_teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		LOGIN(plain),
		LOGIN(behind),
		LOGIN(login),
		LOGIN(cram),
		LOGIN(scram),
		LOGIN(slowly),
		LOGIN(token),
		LOGIN(long_secret),
		LOGIN(refused),
		LOGIN(not_tried),
		LOGIN(reasons),
		LOGIN(elsewhere),
		LOGIN(lies),
		LOGIN(lost),
		LOGIN(no_keyd),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
