/*
 * Secrets on their way through buffers, channels and streams: once they have
 * gone, this process's own memory is searched for them, freed or not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/io/stream.h"
#include "common/ipc/chan.h"

#define LEN		64		/* bytes of a secret */
#define SEEN		32		/* at its end, that are looked for */
#define MASK		0xa5
#define PIECE		65536
#define REGION_MAX	(256UL << 20)	/* what ASan has beside is larger */

static struct event_base	*base;
static uint8_t			 masked[LEN];	/* the secret is nowhere else */

static void
secret_new(void)
{
	arc4random_buf(masked, sizeof(masked));
}

static void
secret_put(uint8_t to[LEN])
{
	for (size_t i = 0; i < LEN; i++)
		to[i] = masked[i] ^ MASK;
}

static bool
stands_in(const uint8_t *p, size_t n)
{
	size_t	k;

	for (size_t i = 0; i + SEEN <= n; i++) {
		for (k = 0; k < SEEN && p[i + k] ==
		    (masked[LEN - SEEN + k] ^ MASK); k++)
			;
		if (k == SEEN)
			return true;
	}
	return false;
}

/* In what this process may write, but for what is read of it here. */
static bool
present(void)
{
	static uint8_t		 piece[PIECE + SEEN];
	unsigned long		 a, b;
	char			 line[512], mode[5];
	FILE			*maps = fopen("/proc/self/maps", "r");
	int			 mem = open("/proc/self/mem", O_RDONLY);
	ssize_t			 n;
	bool			 found = false;

	assert_true(maps != NULL && mem != -1);
	while (!found && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %4s", &a, &b, mode) != 3 ||
		    strncmp(mode, "rw", 2) != 0 || b - a > REGION_MAX)
			continue;
		for (; !found && a < b; a += PIECE) {
			explicit_bzero(piece, sizeof(piece));
			n = pread(mem, piece, b - a < sizeof(piece) ? b - a :
			    sizeof(piece), (off_t)a);
			found = n > 0 && stands_in(piece, (size_t)n);
		}
	}
	explicit_bzero(piece, sizeof(piece));
	close(mem);
	fclose(maps);
	return found;
}

/* In all three buffers it is moved, by growth and by its end. */
static void
buf_with(bool secret)
{
	uint8_t		 s[LEN], pad[4000] = { 0 };
	struct buf	 grown, trimmed, cleared;

	buf_init(&grown, 100000);
	buf_init(&trimmed, 100000);
	buf_init(&cleared, 100000);
	grown.secret = trimmed.secret = cleared.secret = secret;
	secret_put(s);
	buf_add(&grown, s, sizeof(s));
	buf_add(&trimmed, s, sizeof(s));
	buf_add(&cleared, s, sizeof(s));
	explicit_bzero(s, sizeof(s));
	assert_true(present());
	buf_add(&grown, pad, sizeof(pad));
	buf_drain(&trimmed, LEN);
	buf_trim(&trimmed);
	buf_clear(&grown);
	buf_clear(&cleared);
	buf_clear(&trimmed);
}

static void
buffers(void **state)
{
	(void)state;
	secret_new();
	buf_with(true);
	assert_false(present());
	/* The search would have found it. */
	buf_with(false);
	assert_true(present());
}

/* ---- channels -------------------------------------------------------------- */

static unsigned	handled;

static void
on_check(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_check	*m = msg;

	(void)c;
	(void)fd;
	assert_true(stands_in(m->password.p, m->password.len));
	handled++;
}

static void
on_checked(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)msg;
	(void)fd;
	handled++;
}

static void
on_closed(struct chan *c, const char *why)
{
	(void)c;
	fail_msg("%s", why != NULL ? why : "closed");
}

static const struct chan_row	wiped[] = { { IPC_T_k_check, on_check, true },
	{ IPC_T_k_checked, on_checked }, { 0, NULL } };
static const struct chan_row	kept[] = { { IPC_T_k_check, on_check },
	{ 0, NULL } };

static void
pass(unsigned until)
{
	for (int i = 0; i < 100 && handled < until; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(handled, until);
}

/* Others before it and behind it, in both directions of memory: a packet that is
 * kept for the next, and the buffer that packets are received in. */
static void
chan_with(const struct chan_row *rows, bool secret)
{
	struct ipc_k_check	 m = { .tid = 1, .hash = span_str("x") };
	struct chan		*a, *b;
	uint8_t			 s[LEN];
	int			 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	a = chan_new(base, sv[0], IPC_PASSWD, IPC_PASSWD, rows, on_closed,
	    NULL);
	b = chan_new(base, sv[1], IPC_PASSWD, IPC_PASSWD, rows, on_closed,
	    NULL);
	assert_true(a != NULL && b != NULL);
	handled = 0;
	for (unsigned i = 1; i < 3; i++) {
		secret_put(s);
		m.password = span(s, sizeof(s));
		if (secret)
			chan_send_secret(a, IPC_T_k_check, &m);
		else
			chan_send(a, IPC_T_k_check, &m, -1);
		explicit_bzero(s, sizeof(s));
		pass(i);
	}
	if (secret)
		assert_false(present());
	chan_free(a);
	chan_free(b);
}

static void
channels(void **state)
{
	(void)state;
	secret_new();
	chan_with(wiped, true);
	assert_false(present());
	/* Who sends it wipes, and who gets it: each by itself. */
	chan_with(wiped, false);
	assert_true(present());
	secret_new();
	chan_with(kept, false);
	assert_true(present());
}

/* It could not be sent, and never will be. */
static void
unsent(void **state)
{
	struct ipc_k_check	 m = { .tid = 1, .hash = span_str("x") };
	struct chan		*a;
	uint8_t			 s[LEN];
	int			 sv[2];

	(void)state;
	secret_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	a = chan_new(base, sv[0], IPC_PASSWD, IPC_PASSWD, wiped, on_closed,
	    NULL);
	secret_put(s);
	m.password = span(s, sizeof(s));
	chan_send_secret(a, IPC_T_k_check, &m);
	chan_send_secret(a, IPC_T_k_check, &m);
	explicit_bzero(s, sizeof(s));
	assert_true(present());
	chan_free(a);
	assert_false(present());
	close(sv[1]);
}

/* ---- streams --------------------------------------------------------------- */

static bool	secretly;

static void
on_readable(struct stream *s, void *arg)
{
	(void)arg;
	/* As a session, which sees by what has come that it is one. */
	if (secretly)
		stream_secret(s, true);
	stream_eat(s, stream_in(s).len);
	handled++;
}

static void
stream_with(bool secret)
{
	static const struct stream_ops	 ops = { .readable = on_readable };
	struct stream			*st;
	uint8_t				 s[LEN];
	int				 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	st = stream_new(base, sv[0], 4096, 4096, &ops, NULL);
	assert_non_null(st);
	secretly = secret;
	handled = 0;
	secret_put(s);
	assert_int_equal(write(sv[1], s, sizeof(s)), LEN);
	explicit_bzero(s, sizeof(s));
	pass(1);
	stream_free(st);
	close(sv[1]);
}

static void
streams(void **state)
{
	(void)state;
	secret_new();
	stream_with(true);
	assert_false(present());
	stream_with(false);
	assert_true(present());
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(buffers),
		cmocka_unit_test(channels),
		cmocka_unit_test(unsent),
		cmocka_unit_test(streams)
	};

	base = event_base_new();
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	return rc;
}
