/*
 * The control socket's server side: classes, words, rows, long answers piece by
 * piece, callers that talk nonsense, do not read or go away.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/ctl.h"

#define S(lit)	((struct span)SPAN(lit))

static struct event_base	*base;
static int			 null_fd;

/* What the verbs saw and hold. */
static struct ctl	*held;		/* a request not yet answered */
static int		 runs, argc_seen, made, gones;
static char		 words[4096];
static unsigned		 uid_seen;

static void
run_words(struct ctl *c, int argc, char **argv)
{
	runs++;
	argc_seen = argc;
	uid_seen = ctl_uid(c);
	words[0] = '\0';
	assert_null(argv[argc]);
	for (int i = 0; i < argc; i++) {
		strlcat(words, argv[i], sizeof(words));
		strlcat(words, "|", sizeof(words));
	}
	ctl_end(c, 0, words);
}

static void
run_rows(struct ctl *c, int argc, char **argv)
{
	char	*big = malloc(40000);

	(void)argc;
	(void)argv;
	memset(big, 'x', 40000);
	ctl_row(c, "thing");
	ctl_str(c, "name", "a \"b\"");
	ctl_num(c, "n", -7);
	ctl_field(c, "bytes", S("\0\n\xff"));
	ctl_field(c, "big", span(big, 40000));	/* too long: left out */
	ctl_str(c, "after", "still here");
	ctl_row_end(c);
	ctl_data(c, span(big, 40000));
	ctl_end(c, EX_TEMPFAIL, NULL);
	free(big);
}

static void
run_hold(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	runs++;
	held = c;
}

#define LONG_ROWS	3000

static void
more(struct ctl *c, void *arg)
{
	assert_ptr_equal(arg, &made);
	ctl_row(c, "row");
	ctl_num(c, "i", made);
	ctl_str(c, "text", words);
	ctl_row_end(c);
	if (++made == LONG_ROWS)
		ctl_end(c, 0, "done");
}

static void
gone(void *arg)
{
	assert_ptr_equal(arg, &made);
	gones++;
}

static void
run_long(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	runs++;
	made = gones = 0;
	memset(words, 'w', 1000);
	words[1000] = '\0';
	ctl_more(c, more, gone, &made);
}

/* Works for long and says nothing. */
static void
busy(struct ctl *c, void *arg)
{
	(void)c;
	(void)arg;
	usleep(1000);
	made++;
}

static void
run_busy(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	made = gones = 0;
	ctl_more(c, busy, gone, &made);
}

static const struct ctl_verb	verbs[] = {
	{ "words", CTL_READ, run_words },
	{ "rows", CTL_READ, run_rows },
	{ "change", CTL_CHANGE, run_words },
	{ "stop it", CTL_STOP, run_words },
	{ "hold", CTL_READ, run_hold },
	{ "long", CTL_READ, run_long },
	{ "busy", CTL_READ, run_busy },
	{ NULL, 0, NULL }
};

static void
pass(int n)
{
	while (n-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

static void
quiet(bool on)
{
	static int	 saved = -1;

	if (on) {
		saved = dup(STDERR_FILENO);
		dup2(null_fd, STDERR_FILENO);
	} else {
		dup2(saved, STDERR_FILENO);
		close(saved);
	}
}

/* The caller's end. */
static int
dial(uint8_t classes)
{
	int	 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    sv), 0);
	ctl_serve(base, sv[0], IPC_QUEUED, 1234, classes, verbs);
	return sv[1];
}

static void
ask(int fd, const char *verb, struct span args)
{
	assert_int_equal(chan_send_now(fd, IPC_T_c_request,
	    &(struct ipc_c_request){ .tid = 1, .verb = span_str(verb),
	    .args = args }, -1), 0);
}

/* What the caller got: rows, bytes of data, the end. */
static struct answer {
	int		 rows, status;
	size_t		 bytes;
	char		 text[1100], kind[40], fields[300];
	bool		 ended;
} got;

static void
take_row(const struct ipc_c_row *m)
{
	struct span	 f = m->fields, k, v;
	bool		 number;
	char		 one[200];

	got.rows++;
	span_cstr(m->kind, got.kind, sizeof(got.kind));
	got.fields[0] = '\0';
	while (ctl_pair(&f, &k, &v, &number)) {
		snprintf(one, sizeof(one), "%.*s%s%zu:%.*s;", (int)k.len,
		    (const char *)k.p, number ? "#" : "=", v.len,
		    v.len > 50 ? 1 : (int)v.len, (const char *)v.p);
		strlcat(got.fields, one, sizeof(got.fields));
	}
	assert_int_equal(f.len, 0);
}

/* One packet, if there is one: -1 at the end of the connection. */
static int
take_packet(int fd)
{
	static uint8_t	 p[IPC_PACKET_MAX];
	union ipc_any	 m;
	const char	*why;
	struct span	 in;
	uint16_t	 type;
	ssize_t		 n;

	if ((n = recv(fd, p, sizeof(p), MSG_DONTWAIT)) <= 0)
		return n == -1 && errno == EAGAIN ? 0 : -1;
	in = span(p, (size_t)n);
	while (in.len > 0) {
		assert_int_equal(ipc_decode(&in, &type, &m, &why), PARSE_OK);
		switch (type) {
		case IPC_T_c_row:
			take_row(&m.c_row);
			break;
		case IPC_T_c_data:
			got.bytes += m.c_data.bytes.len;
			break;
		case IPC_T_c_end:
			got.status = m.c_end.status;
			span_cstr(m.c_end.text, got.text, sizeof(got.text));
			got.ended = true;
			break;
		default:
			fail_msg("message %u", type);
		}
	}
	return 1;
}

/* Reads until the answer ends; -1 if the connection does first. */
static int
answer(int fd)
{
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < 10000 && !got.ended; i++) {
		pass(1);
		if (take_packet(fd) == -1)
			return -1;
	}
	return got.ended ? 0 : -1;
}

static bool
is_closed(int fd)
{
	ssize_t	 n;
	char	 x;

	pass(3);
	n = recv(fd, &x, 1, MSG_DONTWAIT);
	return n == 0 || (n == -1 && errno == ECONNRESET);
}

static void
classes(void **state)
{
	static const struct {
		uint8_t		 classes;
		const char	*verb;
		int		 status;
	} table[] = {
		{ CTL_READ, "words", 0 },
		{ CTL_READ, "change", EX_NOPERM },
		{ CTL_READ, "stop it", EX_NOPERM },
		{ CTL_READ | CTL_CHANGE, "words", 0 },
		{ CTL_READ | CTL_CHANGE, "change", 0 },
		{ CTL_READ | CTL_CHANGE, "stop it", EX_NOPERM },
		{ CTL_CHANGE, "words", EX_NOPERM },
		{ CTL_READ | CTL_CHANGE | CTL_STOP, "stop it", 0 },
		{ 0, "words", EX_NOPERM },
		{ 0, "no such verb", EX_USAGE },
		{ 0xff, "stop", EX_USAGE },
		{ 0xff, "stop it now", EX_USAGE },
		{ 0xff, "", EX_USAGE }
	};
	int	 fd;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fd = dial(table[i].classes);
		runs = 0;
		quiet(true);
		ask(fd, table[i].verb, S(""));
		assert_int_equal(answer(fd), 0);
		quiet(false);
		assert_int_equal(got.status, table[i].status);
		assert_int_equal(runs, table[i].status == 0);
		if (runs > 0)
			assert_int_equal(uid_seen, 1234);
		/* Another request on the same connection. */
		ask(fd, "nothing", S(""));
		assert_int_equal(answer(fd), 0);
		assert_int_equal(got.status, EX_USAGE);
		close(fd);
		pass(2);
	}
}

static void
arguments(void **state)
{
	static const struct {
		struct span	 args;
		int		 argc;
		const char	*words;
	} table[] = {
		{ SPAN(""), 0, "" },
		{ SPAN("one"), 1, "one|" },
		{ SPAN("one\ntwo words"), 2, "one|two words|" },
		{ SPAN("\nx\n\ny"), 4, "|x||y|" },
		{ SPAN("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n"
		    "17\n18\n19\n20\n21\n22\n23\n24\n25\n26\n27\n28\n29\n30\n"
		    "31\n32"), 32, NULL }
	};
	char	 many[4096];
	int	 fd = dial(CTL_READ);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ask(fd, "words", table[i].args);
		assert_int_equal(answer(fd), 0);
		assert_int_equal(got.status, 0);
		assert_int_equal(argc_seen, table[i].argc);
		if (table[i].words != NULL)
			assert_string_equal(got.text, table[i].words);
	}
	runs = 0;
	for (size_t n = 33; n < 2048; n += 400) {
		for (size_t i = 0; i < n; i++)
			memcpy(many + 2 * i, "a\n", 2);
		ask(fd, "words", span(many, 2 * n - 1));
		assert_int_equal(answer(fd), 0);
		assert_int_equal(got.status, EX_USAGE);
	}
	assert_int_equal(runs, 0);
	close(fd);
	pass(2);
}

static void
rows(void **state)
{
	int	 fd = dial(CTL_READ);

	(void)state;
	ask(fd, "rows", S(""));
	assert_int_equal(answer(fd), 0);
	assert_int_equal(got.rows, 1);
	assert_string_equal(got.kind, "thing");
	assert_memory_equal(got.fields, "name=5:a \"b\";n#2:-7;bytes=3:", 28);
	assert_non_null(strstr(got.fields, "after=10:still here;"));
	assert_null(strstr(got.fields, "big"));
	assert_int_equal(got.bytes, 40000);
	assert_int_equal(got.status, EX_TEMPFAIL);
	assert_string_equal(got.text, "");
	close(fd);
	pass(2);
}

/* The blob of fields is another process's word for posternctl. */
static void
pairs(void **state)
{
	static const uint8_t	 good[] = { 1, 2, 0, 1, 0, 0, 0, 'a', 'b', '7' };
	struct span		 in, k, v;
	bool			 number;
	uint8_t			 bad[sizeof(good)];

	(void)state;
	in = span(good, sizeof(good));
	assert_true(ctl_pair(&in, &k, &v, &number));
	assert_true(number && span_is(k, "ab") && span_is(v, "7"));
	assert_false(ctl_pair(&in, &k, &v, &number));
	for (size_t n = 0; n < sizeof(good); n++) {
		in = span(good, n);
		assert_false(ctl_pair(&in, &k, &v, &number));
	}
	for (size_t i = 1; i < 7; i++) {
		memcpy(bad, good, sizeof(bad));
		bad[i] = 0xff;
		in = span(bad, sizeof(bad));
		assert_false(ctl_pair(&in, &k, &v, &number));
	}
}

/* A long answer is made only as fast as the caller reads. */
static void
long_answer(void **state)
{
	int	 fd = dial(CTL_READ), before, total = 0;

	(void)state;
	ask(fd, "long", S(""));
	pass(20);
	assert_int_equal(gones, 0);
	/* The socket's buffer, and our low water, and no more. */
	assert_true(made > 0);
	assert_true(made < 600);
	before = made;
	pass(50);
	assert_int_equal(made, before);
	memset(&got, 0, sizeof(got));
	while (!got.ended) {
		assert_int_not_equal(take_packet(fd), -1);
		pass(1);
		assert_true(made - got.rows < 600);
		if (made != before)
			total++;
		before = made;
	}
	assert_true(total > 10);
	assert_int_equal(got.rows, LONG_ROWS);
	assert_string_equal(got.text, "done");
	assert_int_equal(gones, 1);
	close(fd);
	pass(2);
	assert_int_equal(gones, 1);
}

static void
caller_goes(void **state)
{
	int	 fd = dial(CTL_READ);

	(void)state;
	/* In the middle of a long answer. */
	ask(fd, "long", S(""));
	pass(3);
	assert_int_equal(gones, 0);
	close(fd);
	pass(3);
	assert_int_equal(gones, 1);
	assert_true(made < LONG_ROWS);
	/* While its request is being worked out. */
	fd = dial(CTL_READ);
	runs = 0;
	ask(fd, "hold", S(""));
	pass(2);
	assert_int_equal(runs, 1);
	close(fd);
	pass(3);
	ctl_row(held, "late");
	ctl_str(held, "a", "b");
	ctl_row_end(held);
	ctl_data(held, S("xyz"));
	ctl_end(held, 0, "for nobody");
	/* Before anything. */
	fd = dial(CTL_READ);
	close(fd);
	pass(2);
}

static void
nonsense(void **state)
{
	static const char	*packets[] = { "x", "GET / HTTP/1.0\r\n\r\n",
	    "\xc0\0\1\0\1\0\0\0\xff\xff\0\0" };
	struct buf		 b;
	int			 good = dial(CTL_READ), fd;

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);
	quiet(true);
	for (size_t i = 0; i < 3; i++) {
		fd = dial(0xff);
		assert_true(send(fd, packets[i], i == 2 ? 12 :
		    strlen(packets[i]), MSG_NOSIGNAL) > 0);
		assert_true(is_closed(fd));
		close(fd);
	}
	/* Any other message, whoever it is from. */
	for (uint16_t t = 1; t < IPC_T_MAX; t++) {
		static union ipc_any	 m;

		if (ipc_info(t) == NULL || t == IPC_T_c_request)
			continue;
		memset(&m, 0, sizeof(m));
		buf_reset(&b);
		assert_true(ipc_encode(&b, t, &m));
		fd = dial(0xff);
		assert_true(send(fd, buf_content(&b).p, buf_len(&b),
		    MSG_NOSIGNAL) > 0);
		assert_true(is_closed(fd));
		close(fd);
	}
	/* A second request before the answer. */
	fd = dial(0xff);
	ask(fd, "hold", S(""));
	ask(fd, "words", S(""));
	pass(2);
	ctl_end(held, 0, NULL);
	assert_true(is_closed(fd));
	close(fd);
	quiet(false);
	/* The one beside them does not notice. */
	ask(good, "words", S("still"));
	assert_int_equal(answer(good), 0);
	assert_string_equal(got.text, "still|");
	close(good);
	pass(2);
	buf_clear(&b);
}

static void
connections(void **state)
{
	int	 fd[CTL_CONNS_MAX + 1];

	(void)state;
	quiet(true);
	for (int i = 0; i <= CTL_CONNS_MAX; i++)
		fd[i] = dial(CTL_READ);
	quiet(false);
	assert_true(is_closed(fd[CTL_CONNS_MAX]));
	close(fd[CTL_CONNS_MAX]);
	for (int i = 0; i < CTL_CONNS_MAX; i++) {
		ask(fd[i], "words", S("x"));
		assert_int_equal(answer(fd[i]), 0);
		close(fd[i]);
	}
	pass(3);
	/* Their places are free again. */
	for (int i = 0; i < CTL_CONNS_MAX; i++)
		fd[i] = dial(CTL_READ);
	for (int i = 0; i < CTL_CONNS_MAX; i++) {
		assert_false(is_closed(fd[i]));
		close(fd[i]);
	}
	pass(3);
}

/* ---- time: a stand-in makes the loop's timers fire at once ---------------------- */

static int	 timers_s[8], ntimers;
static struct event	*last_timer;

int	 __real_event_add(struct event *, const struct timeval *);
int	 __wrap_event_add(struct event *, const struct timeval *);

int
__wrap_event_add(struct event *e, const struct timeval *tv)
{
	if (tv != NULL) {
		timers_s[ntimers++ % 8] = (int)tv->tv_sec;
		last_timer = e;
	}
	return __real_event_add(e, tv);
}

static int
last_timer_s(void)
{
	return ntimers == 0 ? -1 : timers_s[(ntimers - 1) % 8];
}

static void
idle(void **state)
{
	int	 fd = dial(CTL_READ);

	(void)state;
	assert_int_equal(last_timer_s(), 10);
	ask(fd, "words", S(""));
	assert_int_equal(answer(fd), 0);
	pass(1);
	assert_int_equal(last_timer_s(), 10);
	event_active(last_timer, EV_TIMEOUT, 0);
	assert_true(is_closed(fd));
	close(fd);

	/* Not while the daemon works. */
	fd = dial(CTL_READ);
	ask(fd, "hold", S(""));
	pass(2);
	event_active(last_timer, EV_TIMEOUT, 0);
	pass(2);
	assert_false(is_closed(fd));
	ctl_end(held, 0, "ok");
	assert_int_equal(answer(fd), 0);
	close(fd);
	pass(2);
}

/* A caller that asks for much and reads nothing loses its place. */
static void
stalled(void **state)
{
	int	 fd = dial(CTL_READ);

	(void)state;
	ask(fd, "long", S(""));
	pass(5);
	assert_int_equal(last_timer_s(), 300);
	quiet(true);
	event_active(last_timer, EV_TIMEOUT, 0);
	pass(2);
	quiet(false);
	assert_int_equal(gones, 1);
	close(fd);
	pass(2);
}

/* Work without an answer yet leaves the loop its turns, and ends when the caller
 * goes away. */
static void
turns(void **state)
{
	int	 a = dial(CTL_READ), b, before;

	(void)state;
	ask(a, "busy", S(""));
	pass(3);
	assert_true(made > 0 && made < 100);
	before = made;
	pass(3);
	assert_true(made > before && made < before + 100);
	b = dial(CTL_READ);		/* others are served meanwhile */
	ask(b, "words", S("x"));
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < 10 && !got.ended; i++) {
		pass(1);
		assert_int_not_equal(take_packet(b), -1);
	}
	assert_true(got.ended);
	assert_int_equal(gones, 0);
	close(a);
	pass(5);
	assert_int_equal(gones, 1);
	before = made;
	pass(5);
	assert_int_equal(made, before);
	close(b);
	pass(2);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(arguments),
		cmocka_unit_test(rows),
		cmocka_unit_test(pairs),
		cmocka_unit_test(long_answer),
		cmocka_unit_test(turns),
		cmocka_unit_test(caller_goes),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(connections),
		cmocka_unit_test(idle),
		cmocka_unit_test(stalled)
	};

	base = event_base_new();
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	log_init("test", LOG_FORM_TEXT, LOG_LV_WARN);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	close(null_fd);
	return rc;
}
