/*
 * A reply for each recipient (draft-hall-prdr), where several servers have a
 * message (`on-conflict fan-out`).
 */
#include "regress/lib/smtpdtest.h"
#include "smtpd/fan.h"

static struct client *
greeted(void)
{
	struct client	*c = client_at(REGULAR);

	fan_forget();
	world_conf->listens[listen_of(REGULAR)]->on_conflict =
	    CONFLICT_FAN_OUT;
	expect(c, "220");
	client_say(c, "EHLO client.example");
	assert_non_null(strstr(client_reply(c), "PRDR"));
	return c;
}

/* u by live, x by the queue, v by other; both servers' replies are awaited. */
static struct client *
sent(bool queue)
{
	struct client	*c = greeted();

	say(c, "MAIL FROM:<a@b.example> PRDR", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	if (queue)
		say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "RCPT TO:<no@nowhere.example>", "550");
	say(c, "RCPT TO:<v@other.example>", "250");
	say(c, "DATA", "354");
	proxyd.log[0] = queued.log[0] = '\0';
	proxyd.hold = true;
	client_send(c, "x\r\n.\r\n");
	expect_nothing(c);
	return c;
}

static void
said(uint32_t tid, uint16_t code, const char *text)
{
	assert_true(proxyd_answer(tid, code, text));
	world_run();
}

static void
all_of(struct client *c, const char *const *replies)
{
	for (; *replies != NULL; replies++)
		expect_at(c, *replies, *replies, __LINE__);
	proxyd.hold = false;
	quit(c);
}
#define ALL(c, ...)	all_of((c), (const char *const[]){ __VA_ARGS__, NULL })

static void
test_taken(void **state)
{
	struct client	*c = sent(true);

	(void)state;
	said(proxyd.before, 0, NULL);
	said(proxyd.tid, 250, "2.0.0 mine, too");
	expect_nothing(c);
	queued_finished(Q_OK);
	ALL(c, "353 ", "250 2.0.0 got it", "250 2.0.0 ", "250 2.0.0 mine, too",
	    "250 2.0.0 ");
}

/* Who refuses behind another's 2xx is told of here, not by mail. */
static void
test_later(void **state)
{
	struct client	*c;

	(void)state;
	c = sent(true);
	said(proxyd.before, 0, NULL);
	said(proxyd.tid, 554, "5.7.1 spam");
	assert_non_null(strstr(queued.log, "settle 2 4 554"));
	queued_finished(Q_OK);
	ALL(c, "353 ", "250 2.0.0 got it", "250 2.0.0 ", "554 5.7.1 spam",
	    "250 2.0.0 ");
	/* What can't be now is the queue's. */
	for (int how = 0; how < 2; how++) {
		c = sent(true);
		said(proxyd.before, 0, NULL);
		if (how)
			server_gone();
		else
			said(proxyd.tid, 451, "4.3.0 later");
		assert_non_null(strstr(queued.log, "settle 2 1 "));
		queued_finished(Q_OK);
		ALL(c, "353 ", "250 2.0.0 got it", "250 2.0.0 ", "250 2.0.0 ",
		    "250 2.0.0 ");
	}
}

/* The first one's refusal is no longer that of all. */
static void
test_first(void **state)
{
	struct client	*c;

	(void)state;
	c = sent(false);
	said(proxyd.before, 554, "5.7.1 spam");
	assert_string_equal(proxyd.log, "end;end;");
	assert_non_null(strstr(queued.log, "settle 1 4 554"));
	said(proxyd.tid, 0, NULL);
	assert_non_null(strstr(queued.log, "settle 2 0 250"));
	assert_non_null(strstr(queued.log, "finish keep;"));
	queued_finished(Q_OK);
	ALL(c, "353 ", "554 5.7.1 spam", "250 2.0.0 got it", "250 2.0.0 ");
	/* Both, and the queue is left. */
	c = sent(true);
	said(proxyd.before, 421, "4.3.2 down");
	said(proxyd.tid, 554, "5.7.1 spam");
	assert_non_null(strstr(queued.log, "settle 0 1 "));
	assert_non_null(strstr(queued.log, "finish keep;"));
	queued_finished(Q_OK);
	ALL(c, "353 ", "451 4.3.2 down", "250 2.0.0 ", "554 5.7.1 spam",
	    "250 2.0.0 ");
	/* Both, and nobody is. */
	c = sent(false);
	said(proxyd.before, 554, "5.7.1 spam");
	said(proxyd.tid, 452, "4.3.1 full");
	assert_non_null(strstr(queued.log, "finish void;"));
	ALL(c, "353 ", "554 5.7.1 spam", "452 4.3.1 full", "452 4.3.1 full");
	/* One, and of the other it is not known. */
	c = sent(false);
	said(proxyd.before, 554, "5.7.1 spam");
	server_gone();
	assert_non_null(strstr(queued.log, "finish void;"));
	ALL(c, "451 4.4.2");
	/* The other was lost before: it is no reason to say 250. */
	c = sent(false);
	proxyd_close(proxyd.tid, "gone");
	world_run();
	said(proxyd.before, 554, "5.7.1 spam");
	assert_non_null(strstr(queued.log, "finish void;"));
	ALL(c, "353 ", "554 5.7.1 spam", "451 4.4.1", "554 5.7.1 spam");
}

static bool	 no_room;

char *__real_arena_str(struct arena *, struct span);
char *__wrap_arena_str(struct arena *, struct span);

char *
__wrap_arena_str(struct arena *a, struct span s)
{
	return no_room ? NULL : __real_arena_str(a, s);
}

/* A reply of their own that can't be kept: nobody has it, the queue neither. */
static void
test_no_room(void **state)
{
	struct client	*c = sent(true);

	(void)state;
	no_room = true;
	said(proxyd.before, 554, "5.7.1 spam");
	no_room = false;
	assert_non_null(strstr(queued.log, "finish void;"));
	ALL(c, "353 ", "451 4.4.1", "451 4.4.1", "451 4.4.1",
	    "554 5.7.1 spam");
}

/* One reply, where all go one way, or the client has not asked for more; what is
 * not offered is refused. */
static void
test_not(void **state)
{
	struct client	*c = greeted();

	(void)state;
	say(c, "MAIL FROM:<a@b.example> PRDR=1", "501");
	say(c, "MAIL FROM:<a@b.example> PRDR", "250");
	say(c, "RCPT TO:<u@live.example>", "250");
	say(c, "RCPT TO:<u2@live.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 got it");
	say(c, "MAIL FROM:<a@b.example> PRDR", "250");
	say(c, "RCPT TO:<x@dest.example>", "250");
	say(c, "RCPT TO:<x2@dest.example>", "250");
	say(c, "DATA", "354");
	say(c, ".", "250 2.0.0 ");
	expect_nothing(c);
	quit(c);
	world_conf->listens[listen_of(REGULAR)]->on_conflict =
	    CONFLICT_QUEUE;
	c = hello(REGULAR);
	say(c, "MAIL FROM:<a@b.example> PRDR", "555 5.5.4");
	quit(c);
	proxyd.caps.bits |= CAP_PRDR;
	c = client_at(PROXIED);
	expect(c, "220");
	client_say(c, "EHLO client.example");
	assert_null(strstr(client_reply(c), "PRDR"));
	quit(c);
}

/* The client goes, or the queue is lost for good: no word, and no false one. */
static void
test_gone(void **state)
{
	struct client	*c = sent(true);

	(void)state;
	said(proxyd.before, 0, NULL);
	client_free(c);
	world_run();
	said(proxyd.tid, 554, "5.7.1 spam");
	queued_finished(Q_OK);
	world_run();
	assert_null(world_leak());
	proxyd.hold = false;
	c = sent(true);
	said(proxyd.before, 0, NULL);
	queued_die();
	said(proxyd.tid, 554, "5.7.1 spam");
	world_skip_ms(61000);
	expect_nothing(c);
	expect_closed(c);
	proxyd.hold = false;
	leave(c);
	queued_start();
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		T(test_taken), T(test_later), T(test_first), T(test_no_room),
		T(test_not),
		T(test_gone)
	};

	return cmocka_run_group_tests(tests, test_init, NULL);
}
