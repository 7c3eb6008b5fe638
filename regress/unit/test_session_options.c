/*
 * What a listener's options do to messages: bare newlines, long lines, senders,
 * fields that are missing, our own field; in one piece, in many, both ways; and
 * how many messages a session may bring.
 */
#include "regress/lib/smtpdtest.h"

#include <unistd.h>

enum { PLAIN = 25, MEND = 26, FOLD = 27, REFUSE = 28, COMPLETE = 29, MASK = 30,
    MASQ = 31, AGAIN = 32, MASQ_PROXIED = 33 };

static const char	options_conf[] =
    "hostname gw.example.org\n"
    "limit messages 3\n"
    "limit errors 2\n"
    "limit recipients 500\n"
    "action out relay to { 192.0.2.9 } open\n"
    "action live proxy to { 192.0.2.9 } open\n"
    "table outside { \".inner.example\" = \"@example.org\", "
    "\"root@db1.inner.example\" = \"dba@example.org\" }\n"
    "listen on 192.0.2.1 port 25\n"
    "listen on 192.0.2.1 port 26 bare-newline normalize\n"
    "listen on 192.0.2.1 port 27 long-lines fold\n"
    "listen on 192.0.2.1 port 28 long-lines reject\n"
    "listen on 192.0.2.1 port 29 complete-headers\n"
    "listen on 192.0.2.1 port 30 mask-source\n"
    "listen on 192.0.2.1 port 31 masquerade <outside>\n"
    "listen on 192.0.2.1 port 32 recognise-retry\n"
    "listen on 192.0.2.1 port 33 proxy live masquerade <outside> "
    "long-lines fold bare-newline normalize\n"
    "match from any for any action out\n";

static void
start(struct client *c, const char *from)
{
	char	line[200];

	expect(c, "220 gw.example.org");
	say(c, "EHLO client.example", "250-gw.example.org");
	snprintf(line, sizeof(line), "MAIL FROM:<%s>", from);
	say(c, line, "250");
	say(c, "RCPT TO:<u@dest.example>", "250");
}

/* What arrives behind our Received field. */
static const char *
behind_ours(const char *content)
{
	const char	*p = content;

	assert_true(strncmp(p, "Received: ", 10) == 0);
	while ((p = strstr(p, "\r\n")) != NULL && p[2] == '\t')
		p += 2;
	return p == NULL ? "" : p + 2;
}

static void
sent_at(unsigned port, const char *client, const char *data, const char *reply,
    const char *want, int line)
{
	struct client	*c = client_new(listen_of(port), client);

	start(c, "a@x.inner.example");
	say(c, "DATA", "354");
	client_send(c, data);
	expect_at(c, reply, data, line);
	if (want != NULL && strcmp(behind_ours(queued.content), want) != 0)
		fail_msg("line %d: \"%s\"", line, queued.content);
	quit(c);
	/* The same as chunks of BDAT: no dots there. */
	if (reply[0] == '5' || strstr(data, "\n.") != strstr(data, "\r\n.\r\n") + 1)
		return;
	c = client_new(listen_of(port), client);
	start(c, "a@x.inner.example");
	for (size_t i = 0, n = strlen(data) - 3; i <= n; i += 7) {
		char	 chunk_text[60];
		size_t	 m = i + 7 > n ? n - i : 7;

		snprintf(chunk_text, sizeof(chunk_text), "BDAT %zu%s\r\n%.*s",
		    m, i + 7 > n ? " LAST" : "", (int)m, data + i);
		client_send(c, chunk_text);
		expect_at(c, i + 7 > n ? reply : "250", data, line);
	}
	if (want != NULL && strcmp(behind_ours(queued.content), want) != 0)
		fail_msg("line %d, BDAT: \"%s\"", line, queued.content);
	quit(c);
}
#define sent(port, data, reply, want) \
	sent_at(port, NULL, data, reply, want, __LINE__)

static void
bare(void **state)
{
	(void)state;
	sent(PLAIN, "a: b\r\n\r\nx\ny\r\n.\r\n", "550 5.6.0", NULL);
	sent(MEND, "a: b\n\nx\ry\r\r\n.\r\n", "250 2.0.0",
	    "a: b\r\n\r\nx\r\ny\r\n\r\n");
	sent(MEND, "a: b\n\nx\n.\ny\r\n.\nz\r\n.\r\n", "250 2.0.0",
	    "a: b\r\n\r\nx\r\n.\r\ny\r\n.\r\nz\r\n");
}

/* A line of n bytes. */
static const char *
long_line(size_t n)
{
	static char	data[9000];

	strcpy(data, "a: b\r\n\r\n");
	memset(data + 8, 'x', n);
	strcpy(data + 8 + n, "\r\n.\r\n");
	return data;
}

static void
lines(void **state)
{
	char	want[3000];

	(void)state;
	sent(REFUSE, long_line(998), "250", NULL);
	sent(REFUSE, long_line(999), "554 5.6.0", NULL);
	sent(PLAIN, long_line(5000), "250", NULL);
	snprintf(want, sizeof(want), "%s", long_line(998));
	strcpy(want + 8 + 998, "\r\nxx\r\n");
	sent(FOLD, long_line(1000), "250", want);
}

static void
has(const char *what, bool there)
{
	if ((strstr(queued.content, what) != NULL) != there)
		fail_msg("%s: \"%s\"", what, queued.content);
}

static void
complete(void **state)
{
	static const char	whole[] = "Date: x\r\nFrom: y\r\n"
	    "Message-Id: z\r\n\r\nbody\r\n";
	char			text[200];

	(void)state;
	snprintf(text, sizeof(text), "%s.\r\n", whole);
	sent(COMPLETE, text, "250", whole);
	sent(COMPLETE, "Subject: s\r\n\r\nbody\r\n.\r\n", "250", NULL);
	has("\r\nDate: ", true);
	has("\r\nMessage-ID: <", true);
	has("@gw.example.org>\r\nFrom: a@x.inner.example\r\nSubject: s\r\n\r\n"
	    "body\r\n", true);
	sent(COMPLETE, "no header\r\n.\r\n", "250", NULL);
	has("From: a@x.inner.example\r\n\r\nno header\r\n", true);
	/* Others' messages are theirs, those of this machine are not. */
	sent(PLAIN, "Subject: s\r\n\r\n.\r\n", "250", "Subject: s\r\n\r\n");
	sent_at(PLAIN, "127.0.0.1", "Subject: s\r\n\r\n.\r\n", "250", NULL,
	    __LINE__);
	has("From: a@x.inner.example\r\nSubject: s\r\n\r\n", true);
}

static void
source(void **state)
{
	(void)state;
	sent(MASK, "a: b\r\n\r\n.\r\n", "250", "a: b\r\n\r\n");
	has("Received: from localhost (local)", true);
	has(WORLD_SOURCE, false);
	has("client.example", false);
	sent(PLAIN, "a: b\r\n\r\n.\r\n", "250", "a: b\r\n\r\n");
	has(WORLD_SOURCE, true);
}

static void
senders(void **state)
{
	static const char	data[] =
	    "To: b@y.inner.example\r\nFrom: \"A\" <root@db1.inner.example>\r\n"
	    "Sender: a@x.inner.example\r\nDKIM-Signature: v=1\r\n\r\n"
	    "From: a@x.inner.example\r\n";
	static const char	want[] =
	    "To: b@y.inner.example\r\nFrom: \"A\" <dba@example.org>\r\n"
	    "Sender: a@example.org\r\nDKIM-Signature: v=1\r\n\r\n"
	    "From: a@x.inner.example\r\n";
	char			text[400];
	struct client		*c;

	(void)state;
	snprintf(text, sizeof(text), "%s.\r\n", data);
	sent(MASQ, text, "250", want);
	assert_true(strncmp(queued.log, "env a@example.org;", 18) == 0 ||
	    queued.log[0] == '\0');
	/* And to an actual server, as it streams. */
	c = client_at(MASQ_PROXIED);
	start(c, "a@x.inner.example");
	assert_non_null(strstr(proxyd.log, "mail a@example.org"));
	say(c, "DATA", "354");
	snprintf(text, sizeof(text), "%.*s\ny\r\n.\r\n", (int)strlen(data) - 2,
	    data);
	client_send(c, text);
	expect(c, "250");
	snprintf(text, sizeof(text), "%sy\r\n", want);
	assert_string_equal(behind_ours(proxyd.content), text);
	quit(c);
}

/* More than any buffer holds, to a queue that takes it bit by bit. */
static void
large(void **state)
{
	struct client	*c = client_at(FOLD);
	size_t		 n = 280000;

	(void)state;
	start(c, "a@b.example");
	say(c, "DATA", "354");
	queued.stingy = true;
	memset(big, 'x', n);
	big[0] = big[2] = '\r';
	big[1] = big[3] = '\n';
	strcpy(big + n, "\r\n.\r\n");
	for (size_t i = 0; i < n + 5;) {
		i += client_write(c, big + i, n + 5 - i);
		world_run();
		queued_credit(5000);
	}
	for (int i = 0; i < 100; i++)
		queued_credit(5000);
	expect(c, "250 2.0.0");
	/* 998 bytes a line, and a CR LF behind each. */
	assert_int_equal(queued.got, 4 + (n - 4) + 2 * ((n - 4 + 997) / 998));
	assert_int_equal(queued.content_len, queued.got +
	    (size_t)(behind_ours(queued.content) - queued.content));
	quit(c);
}

static void
messages(void **state)
{
	struct client	*c = client_at(PLAIN);

	(void)state;
	expect(c, "220");
	client_say(c, "EHLO client.example");
	assert_non_null(strstr(client_reply(c),
	    "|250 LIMITS MAILMAX=3 RCPTMAX=500"));
	for (int i = 0; i < 3; i++) {
		say(c, i == 1 ? "MAIL FROM:bad" : "MAIL FROM:<a@b.example>",
		    i == 1 ? "501" : "250");
		say(c, "RSET", "250");
	}
	say(c, "MAIL FROM:<a@b.example>", "452 4.7.0");
	say(c, "MAIL FROM:<a@b.example>", "452 4.7.0");
	say(c, "MAIL FROM:<a@b.example>", "421 4.7.0");
	expect_closed(c);
	leave(c);
	/* Not ours to say for another server. */
	c = client_at(MASQ_PROXIED);
	expect(c, "220");
	client_say(c, "EHLO client.example");
	assert_null(strstr(client_reply(c), "LIMITS"));
	for (int i = 0; i < 5; i++) {
		say(c, "MAIL FROM:<a@b.example>", "250");
		say(c, "RSET", "250");
	}
	quit(c);
}

/* A message, and its digest. */
static struct client *
digested(unsigned port, const char *client, const char *from,
    const char *rcpts, const char *body, uint8_t digest[32])
{
	struct client	*c = client_new(listen_of(port), client);
	char		 text[400];

	expect(c, "220");
	say(c, "EHLO client.example", "250-");
	snprintf(text, sizeof(text), "MAIL FROM:<%s>", from);
	say(c, text, "250");
	for (; *rcpts != '\0'; rcpts++) {
		snprintf(text, sizeof(text), "RCPT TO:<%c@d.example>", *rcpts);
		say(c, text, "250");
	}
	say(c, "DATA", "354");
	client_say(c, body);
	memcpy(digest, queued.digest, 32);
	return c;
}

static void
digests(void **state)
{
	static const struct { const char *client, *from, *rcpts, *body; }
	t[] = {
		{ NULL, "a@b.example", "xy", "m: 1\r\n\r\nz\r\n." },
		{ NULL, "a@b.example", "yx", "m: 1\r\n\r\nz\r\n." },
		{ "192.0.2.8", "a@b.example", "xy", "m: 1\r\n\r\nz\r\n." },
		{ NULL, "b@b.example", "xy", "m: 1\r\n\r\nz\r\n." },
		{ NULL, "a@b.example", "xyz", "m: 1\r\n\r\nz\r\n." },
		{ NULL, "a@b.example", "xx", "m: 1\r\n\r\nz\r\n." },
		{ NULL, "a@b.example", "xy", "m: 2\r\n\r\nz\r\n." },
		{ NULL, "a@b.example", "xy", "m: 1\r\n\r\nz\r\n\r\n." }
	};
	uint8_t		 one[32], other[32];
	struct client	*c;

	(void)state;
	c = digested(PLAIN, NULL, "a@b.example", "x", "m: 1\r\n.", one);
	assert_false(queued.digested);
	expect(c, "250 2.0.0");
	quit(c);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		c = digested(AGAIN, t[i].client, t[i].from, t[i].rcpts,
		    t[i].body, i == 0 ? one : other);
		assert_true(queued.digested);
		if (i > 0)
			assert_int_equal(memcmp(one, other, 32) == 0, i == 1);
		expect(c, "250 2.0.0");
		quit(c);
	}
}

/* What ends behind the 250 without a word may not have had it. */
static void
silence(void **state)
{
	uint8_t		 digest[32];
	uint64_t	 id;
	char		 want[60], ids[ID_STRLEN];
	struct client	*c;

	(void)state;
	c = digested(AGAIN, NULL, "a@b.example", "x", "m: 1\r\n.", digest);
	id = queued.id;
	client_free(c);
	assert_null(world_leak());
	assert_int_equal(queued.fates, 1);
	assert_int_equal(queued.lost, id);
	/* A time-out is the same. */
	c = digested(AGAIN, NULL, "a@b.example", "x", "m: 1\r\n.", digest);
	id = queued.id;
	world_skip_ms(301000);
	assert_int_equal(queued.lost, id);
	leave(c);
	/* Whoever says anything has read it; others were not asked for. */
	c = digested(AGAIN, NULL, "a@b.example", "x", "m: 1\r\n.", digest);
	expect(c, "250 2.0.0");
	say(c, "NOOP", "250");
	leave(c);
	assert_int_equal(queued.fates, 0);
	c = digested(PLAIN, NULL, "a@b.example", "x", "m: 1\r\n.", digest);
	leave(c);
	assert_int_equal(queued.fates, 0);
	/* Gone before there was a reply. */
	queued.hold = true;
	c = digested(AGAIN, NULL, "a@b.example", "x", "m: 1\r\n.", digest);
	id = queued.id;
	close(c->fd);
	c->fd = -1;
	world_run();
	queued_result(Q_OK);
	world_run();
	assert_int_equal(queued.lost, id);
	leave(c);
	/* Here it is again: the client hears the first one's id. */
	queued.hold = true;
	c = digested(AGAIN, NULL, "a@b.example", "x", "m: 1\r\n.", digest);
	queued.id = id;
	queued_result(Q_OK);
	snprintf(want, sizeof(want), "250 2.0.0 %s queued", id_str(id, ids));
	expect(c, want);
	client_free(c);
	assert_null(world_leak());
	assert_int_equal(queued.lost, id);
}

static int
init(void **state)
{
	(void)state;
	world_init(options_conf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(bare), T(lines), T(complete), T(source), T(senders),
		T(large), T(messages),
		T(digests), T(silence)
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
