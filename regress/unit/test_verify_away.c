/*
 * Recipients that are verified while a server, queued or proxyd is away; and
 * backup-mx, for which it matters whether the server is there.
 */
#include "regress/lib/verifyhelp.h"

/* ---- backup-mx ---- */

#define BACKUP(x)	"action backup||" x "@backup.example"
#define PRIMARY(x)	"backup||" x

static void
backup_up(void **state)
{
	struct client	*c = begun();

	(void)state;
	/* Asked for on the side, and remembered. */
	client_say(c, "RCPT TO:<u@backup.example>");
	knows(BACKUP("u"), V_NONE, true, false, "");
	expect_nothing(c);
	server_says(PRIMARY("u@backup.example"), V_GOOD, V_ANY_NO, "250 ok");
	expect(c, "450 4.3.2 The primary mail server is up");
	assert_string_equal(told, "1 1 250 ok;");
	client_say(c, "RCPT TO:<v@backup.example>");
	knows(BACKUP("v"), V_NONE, true, false, "");
	server_says(PRIMARY("v@backup.example"), V_BAD, V_ANY_NO, "550 no");
	expect(c, "450 4.3.2 ");
	/* Known: it is only asked whether the server is there. */
	client_say(c, "RCPT TO:<u@backup.example>");
	knows(BACKUP("u"), V_GOOD, false, true, "");
	server_says(PRIMARY(""), V_GOOD, V_ANY_NOT_ASKED, "");
	expect(c, "450 4.3.2 ");
	/* So it is of those whom a table knows; whom a directory does not is
	 * refused. */
	client_say(c, "RCPT TO:<dora@staff.example>");
	server_says(PRIMARY(""), V_LATER, V_ANY_NOT_ASKED, "");
	expect(c, "450 4.3.2 ");
	say(c, "RCPT TO:<x@staff.example>", "550 5.1.1");
	nothing_open();
	quit(c);
}

static void
backup_down(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@backup.example>");
	knows(BACKUP("u"), V_GOOD, false, true, "");
	server_says(PRIMARY(""), V_DOWN, V_ANY_NOT_ASKED, "refused");
	expect(c, "250");
	/* Within known-good. */
	client_say(c, "RCPT TO:<v@backup.example>");
	knows(BACKUP("v"), V_NONE, true, true, "");
	server_says(PRIMARY("v@backup.example"), V_DOWN, V_ANY_NOT_ASKED, "");
	expect(c, "250");
	client_say(c, "RCPT TO:<w@backup.example>");
	knows(BACKUP("w"), V_NONE, true, false, "");
	server_says(PRIMARY("w@backup.example"), V_DOWN, V_ANY_NOT_ASKED, "");
	expect(c, "450 4.4.1 ");
	client_say(c, "RCPT TO:<x@backup.example>");
	knows(BACKUP("x"), V_BAD, false, false, "550 no");
	server_says(PRIMARY(""), V_DOWN, V_ANY_NOT_ASKED, "");
	expect(c, "450 4.4.1 ");
	client_say(c, "RCPT TO:<dora@staff.example>");
	server_says(PRIMARY(""), V_DOWN, V_ANY_NOT_ASKED, "");
	expect(c, "250");
	/* Nobody could be asked: then it may well be up. */
	client_say(c, "RCPT TO:<u@backup.example>");
	knows(BACKUP("u"), V_GOOD, false, true, "");
	server_says(PRIMARY(""), V_BUSY, V_ANY_NOT_ASKED, "");
	expect(c, "450 4.4.1 ");
	nothing_open();
	quit(c);
}

/* ---- who is away ---- */

static void
queued_away(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@sel.example>");
	world_run();
	assert_int_equal(nqueued, 1);
	queued_die();
	/* The server is asked without it; there is no queue, though. */
	server_says(ASKED("u"), V_BAD, V_ANY_NOT_ASKED, "550 no");
	expect(c, "550 5.1.1");
	client_say(c, "RCPT TO:<v@sel.example>");
	expect_nothing(c);
	assert_int_equal(nproxyd, 1);
	assert_false(at_proxyd[0].probe);
	queued_start();
	server_says(ASKED("v"), V_GOOD, V_ANY_NOT_ASKED, "250 ok");
	expect(c, "250");
	assert_string_equal(told, "");
	/* Dead while the server is asked: nobody is told. */
	nqueued = 0;
	client_say(c, "RCPT TO:<w@sel.example>");
	knows(SEL("w"), V_NONE, true, false, "");
	queued_die();
	queued_start();
	server_says(ASKED("w"), V_GOOD, V_ANY_NO, "250 ok");
	expect(c, "250");
	assert_string_equal(told, "");
	nothing_open();
	quit(c);
}

static void
proxyd_away(void **state)
{
	struct client	*c = begun();

	(void)state;
	client_say(c, "RCPT TO:<u@sel.example>");
	knows(SEL("u"), V_NONE, true, false, "");
	proxyd_die();
	expect(c, "450 4.4.1 ");
	/* Others, who wait at queued, hear it. */
	assert_string_equal(told, "5 0 ;");
	client_say(c, "RCPT TO:<v@sel.example>");
	knows(SEL("v"), V_NONE, true, true, "");
	expect(c, "250");
	client_say(c, "RCPT TO:<w@sel.example>");
	knows(SEL("w"), V_GOOD, true, true, "");
	expect(c, "250");
	say(c, "RCPT TO:<anna@sel.example>", "250");
	say(c, "RCPT TO:<dora@staff.example>", "450 4.3.2 Recipients can't");
	queued_die();
	say(c, "RCPT TO:<x@sel.example>", "450 4.3.2 ");
	nproxyd = 0;
	queued_start();
	proxyd_start();
	nothing_open();
	quit(c);
}

/* On a proxied listener the actual server decides. */
static void
proxied(void **state)
{
	struct client	*c;

	(void)state;
	c = client_at(PROXIED);
	expect(c, "220");
	say(c, "EHLO client.example", "250");
	say(c, "MAIL FROM:<a@b.example>", "250");
	say(c, "RCPT TO:<u@sel.example>", "250");
	nothing_open();
	quit(c);
}

static void
too_many(void **state)
{
	struct client	*c[20];
	char		 line[100];

	(void)state;
	world_conf->limits.sessions_per_source = 100;
	for (unsigned i = 0; i < 16; i++) {
		c[i] = begun();
		for (unsigned k = 0; k < 60; k++) {
			snprintf(line, sizeof(line),
			    "RCPT TO:<u%u.%u@sel.example>", i, k);
			client_say(c[i], line);
		}
	}
	/* Each is asked, and all sessions take their leave. */
	assert_int_equal(nqueued, 16 * 60);
	assert_int_equal(verify_count(), 16 * 60);
	world_skip_ms(VERIFY_WAIT_MS);
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 0; k < 60; k++)
			expect(c[i], "450 4.4.1");
	for (unsigned i = 0; i < 16; i++)
		client_free(c[i]);
	queued_die();
	while (nproxyd > 0)
		server_says(at_proxyd[0].text, V_DOWN, V_ANY_NOT_ASKED, "");
	nqueued = 0;
	queued_start();
	nothing_open();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(backup_up),
		CASE(backup_down),
		CASE(queued_away),
		CASE(proxyd_away),
		CASE(proxied),
		CASE(too_many),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
