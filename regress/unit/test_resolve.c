/*
 * lookupd's resolver against a small DNS server on the loopback, in the same
 * event loop: the cache, questions that join, CNAMEs over packets, truncation
 * and TCP, servers without EDNS, new servers while questions are on their way.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "lookupd/resolve.h"

#define NOBODY	((void *)&noone)

struct server {
	struct addr	 addr;
	int		 udp, tcp;
	struct event	*ev_udp, *ev_tcp;
	unsigned	 asked;		/* UDP */
	unsigned	 asked_tcp;
	bool		 silent, no_edns;
};

static struct event_base	*base;
static struct resolver		*res;
static struct server		 one, two;
static int			 noone;

/* What the callback saw last. */
static struct {
	unsigned	 n;
	uint32_t	 tid;
	enum dns_status	 status;
	bool		 ad;
	char		 canon[DNS_NAME_MAX + 1];
	size_t		 nrr;
	char		 name[256];
	uint8_t		 ip[16];
} seen;

static void
done(void *owner, uint32_t tid, const struct answer *a, uint32_t ttl)
{
	struct answer_rr	r;
	size_t			pos = 0;

	(void)owner;
	(void)ttl;
	seen.n++;
	seen.tid = tid;
	seen.status = a->status;
	seen.ad = a->ad;
	span_cstr(answer_canon(a), seen.canon, sizeof(seen.canon));
	seen.nrr = a->nrr;
	if (answer_next(a, &pos, &r)) {
		span_cstr(r.name, seen.name, sizeof(seen.name));
		memcpy(seen.ip, r.addr.ip, sizeof(seen.ip));
	}
}

/* ---- the server: what it says follows from the first label asked for ---- */

static void
u16(struct buf *b, unsigned v)
{
	buf_byte(b, (uint8_t)(v >> 8));
	buf_byte(b, (uint8_t)v);
}

static void
rr_head(struct buf *b, unsigned type, unsigned ttl, unsigned len)
{
	u16(b, 0xc00c);
	u16(b, type);
	u16(b, 1);
	u16(b, 0);
	u16(b, ttl);
	u16(b, len);
}

static bool
asks(struct span q, const char *label)
{
	return q.len > 13 && q.p[12] == strlen(label) &&
	    memcmp(q.p + 13, label, strlen(label)) == 0;
}

/* False: say nothing. */
static bool
reply(struct server *s, struct span q, bool tcp, struct buf *b)
{
	size_t		end = 12;
	unsigned	flags = 0x8180, an = 1;
	bool		edns = q.len > 11 && q.p[11] == 1;

	while (end < q.len && q.p[end] != 0)
		end += q.p[end] + 1U;
	end += 5;
	if (s->silent || end > q.len || asks(q, "silent"))
		return false;
	assert_true(q.p[3] & 0x20);		/* AD was asked for */
	if (s->no_edns && edns) {
		flags |= 1;
		an = 0;
	} else if (asks(q, "nx")) {
		flags |= 3;
		an = 0;
	} else if (asks(q, "fail")) {
		flags |= 2;
		an = 0;
	} else if (asks(q, "big") && !tcp) {
		flags |= 0x0200;
		an = 0;
	} else if (asks(q, "ad"))
		flags |= 0x20;
	buf_add(b, q.p, 2);
	u16(b, flags);
	u16(b, 1);
	u16(b, an);
	u16(b, 0);
	u16(b, 0);
	buf_add(b, q.p + 12, end - 12);
	if (an == 0)
		return true;
	if (asks(q, "alias")) {
		rr_head(b, DNS_CNAME, 60, 4);
		buf_add(b, "\x01" "a" "\xc0\x12", 4);	/* a.example */
	} else if (asks(q, "ring")) {
		rr_head(b, DNS_CNAME, 60, 2);
		u16(b, 0xc00c);
	} else if (asks(q, "link") ) {
		rr_head(b, DNS_CNAME, 60, 8);
		buf_add(b, "\x05" "link2" "\xc0\x11", 8);
	} else if (asks(q, "link2")) {
		rr_head(b, DNS_CNAME, 60, 7);
		buf_add(b, "\x04" "link" "\xc0\x12", 7);
	} else {
		rr_head(b, DNS_A, 60, 4);
		buf_add(b, s == &one ? "\xc0\x00\x02\x01" :
		    "\xc0\x00\x02\x02", 4);
	}
	return true;
}

static void
on_udp(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage	 ss;
	struct server		*s = arg;
	socklen_t		 sl = sizeof(ss);
	uint8_t			 q[2048];
	struct buf		 b;
	ssize_t			 n;

	(void)what;
	n = recvfrom(fd, q, sizeof(q), 0, (struct sockaddr *)&ss, &sl);
	if (n < 12)
		return;
	s->asked++;
	buf_init(&b, 2048);
	if (reply(s, span(q, (size_t)n), false, &b))
		(void)!sendto(fd, b.p + b.start, buf_len(&b), 0,
		    (struct sockaddr *)&ss, sl);
	buf_clear(&b);
}

/* One question a connection, which comes in one piece. */
static void
on_tcp_question(evutil_socket_t fd, short what, void *arg)
{
	struct server	*s = arg;
	uint8_t		 q[2048];
	struct buf	 b;
	ssize_t		 n = read(fd, q, sizeof(q));

	(void)what;
	s->asked_tcp++;
	buf_init(&b, 2048);
	u16(&b, 0);
	if (n > 2 && reply(s, span(q + 2, (size_t)n - 2), true, &b)) {
		b.p[0] = (uint8_t)((buf_len(&b) - 2) >> 8);
		b.p[1] = (uint8_t)(buf_len(&b) - 2);
		(void)!write(fd, b.p, buf_len(&b));
	}
	buf_clear(&b);
	close(fd);
}

/* The question may not be there yet, and its sender is this very process. */
static void
on_tcp(evutil_socket_t lfd, short what, void *arg)
{
	int	 fd = accept(lfd, NULL, NULL);

	(void)what;
	event_base_once(base, fd, EV_READ, on_tcp_question, arg, NULL);
}

static void
server_start(struct server *s)
{
	struct sockaddr_storage	ss;
	socklen_t		sl;

	*s = (struct server){ .addr = { .family = 4,
	    .ip = { 127, 0, 0, 1 } } };
	sl = addr_to_sockaddr(&s->addr, &ss);
	/* A TCP port that is free for UDP too. */
	for (int i = 0; i < 100; i++) {
		s->tcp = socket(AF_INET, SOCK_STREAM, 0);
		s->udp = socket(AF_INET, SOCK_DGRAM, 0);
		s->addr.port = 0;
		sl = addr_to_sockaddr(&s->addr, &ss);
		assert_int_equal(bind(s->udp, (struct sockaddr *)&ss, sl), 0);
		getsockname(s->udp, (struct sockaddr *)&ss, &sl);
		addr_from_sockaddr(&s->addr, (struct sockaddr *)&ss);
		if (bind(s->tcp, (struct sockaddr *)&ss, sl) == 0)
			break;
		close(s->tcp);
		close(s->udp);
	}
	assert_int_equal(listen(s->tcp, 5), 0);
	s->ev_udp = event_new(base, s->udp, EV_READ | EV_PERSIST, on_udp, s);
	s->ev_tcp = event_new(base, s->tcp, EV_READ | EV_PERSIST, on_tcp, s);
	event_add(s->ev_udp, NULL);
	event_add(s->ev_tcp, NULL);
}

static void
server_stop(struct server *s)
{
	event_free(s->ev_udp);
	event_free(s->ev_tcp);
	close(s->udp);
	close(s->tcp);
}

static int
setup(void **state)
{
	struct resolve_stats	st;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	server_start(&one);
	server_start(&two);
	cache_flush(resolve_cache(res), span(NULL, 0));
	assert_true(resolve_servers(res, &one.addr, 1, false));
	resolve_stats(res, &st);
	return st.waiters != 0;
}

static int
teardown(void **state)
{
	(void)state;
	server_stop(&one);
	server_stop(&two);
	return 0;
}

/* Runs the loop until n answers are there (a watchdog ends it). */
static void
wait_for(unsigned n)
{
	int64_t	end = clock_mono().ms + 15000;

	/* By the clock: a turn of the loop may end before its time. */
	while (seen.n < n && clock_mono().ms < end) {
		struct timeval	tv = { 0, 10000 };

		event_base_loopexit(base, &tv);
		event_base_loop(base, EVLOOP_ONCE);
	}
	assert_int_equal(seen.n, n);
}

static void
ask(const char *name, enum dns_type type, uint32_t tid)
{
	resolve_ask(res, type, span_str(name), NOBODY, tid);
}

static void
plain(void **state)
{
	(void)state;
	ask("a.example", DNS_A, 7);
	wait_for(1);
	assert_int_equal(seen.tid, 7);
	assert_int_equal(seen.status, DNS_OK);
	assert_int_equal(seen.ip[3], 1);
	ask("A.EXAMPLE", DNS_A, 8);		/* from the cache, at once */
	assert_int_equal(seen.n, 2);
	assert_int_equal(one.asked, 1);
}

static void
joined(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		ask(i & 1 ? "b.example" : "B.example", DNS_A, i);
	wait_for(100);
	assert_int_equal(one.asked, 1);
}

static void
aliases(void **state)
{
	(void)state;
	ask("alias.example", DNS_A, 1);
	wait_for(1);
	assert_int_equal(seen.status, DNS_OK);
	assert_int_equal(one.asked, 2);
	assert_string_equal(seen.canon, "a.example");
	ask("ring.example", DNS_A, 1);
	wait_for(2);
	assert_int_equal(seen.status, DNS_TEMPFAIL);
	ask("link.example", DNS_A, 1);		/* a loop over packets */
	wait_for(3);
	assert_int_equal(seen.status, DNS_TEMPFAIL);
	assert_in_range(one.asked, 10, 13);
}

static void
negative(void **state)
{
	unsigned	asked;

	(void)state;
	ask("nx.example", DNS_A, 1);
	wait_for(1);
	assert_int_equal(seen.status, DNS_NXDOMAIN);
	ask("fail.example", DNS_A, 1);
	wait_for(2);
	assert_int_equal(seen.status, DNS_TEMPFAIL);
	asked = one.asked;
	ask("fail.example", DNS_A, 1);
	assert_int_equal(seen.n, 3);		/* remembered */
	assert_int_equal(one.asked, asked);
	ask("no name", DNS_A, 1);
	assert_int_equal(seen.status, DNS_NXDOMAIN);
	ask("", DNS_MX, 1);
	assert_int_equal(seen.n, 5);
	assert_int_equal(one.asked, asked);
}

static void
own_names(void **state)
{
	(void)state;
	ask("localhost", DNS_A, 1);
	assert_int_equal(seen.n, 1);
	assert_memory_equal(seen.ip, "\x7f\x00\x00\x01", 4);
	ask("x.LocalHost", DNS_AAAA, 1);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.ip[15], 1);
	ask("localhost", DNS_MX, 1);
	assert_int_equal(seen.status, DNS_NODATA);
	assert_int_equal(one.asked, 0);
}

static void
truncated(void **state)
{
	(void)state;
	ask("big.example", DNS_A, 1);
	wait_for(1);
	assert_int_equal(seen.status, DNS_OK);
	assert_int_equal(one.asked_tcp, 1);
}

static void
validated(void **state)
{
	struct addr	far = { .family = 4, .port = 53,
			    .ip = { 192, 0, 2, 53 } };
	struct addr	both[2] = { one.addr, far };

	(void)state;
	ask("ad.example", DNS_A, 1);
	wait_for(1);
	assert_true(seen.ad);
	ask("a.example", DNS_A, 1);
	wait_for(2);
	assert_false(seen.ad);
	/* Not believed if any of the servers is elsewhere … */
	assert_true(resolve_servers(res, both, 2, false));
	ask("ad.example", DNS_A, 1);
	wait_for(3);
	assert_false(seen.ad);
	/* … but for trust-ad. */
	cache_flush(resolve_cache(res), span(NULL, 0));
	assert_true(resolve_servers(res, both, 2, true));
	ask("ad.example", DNS_A, 1);
	wait_for(4);
	assert_true(seen.ad);
}

static void
without_edns(void **state)
{
	(void)state;
	one.no_edns = true;
	ask("a.example", DNS_A, 1);
	wait_for(1);
	assert_int_equal(seen.status, DNS_OK);
	ask("b.example", DNS_A, 1);
	ask("c.example", DNS_A, 1);
	wait_for(3);
	assert_int_equal(seen.status, DNS_OK);
}

/* The servers change while a question is on its way: it is asked again. */
static void
new_servers(void **state)
{
	(void)state;
	one.silent = true;
	ask("a.example", DNS_A, 1);
	ask("b.example", DNS_A, 2);
	assert_true(resolve_servers(res, &two.addr, 1, false));
	wait_for(2);
	assert_int_equal(seen.status, DNS_OK);
	assert_int_equal(seen.ip[3], 2);
	assert_int_equal(two.asked, 2);
}

/* One of two servers is dead: the other answers after the first's try. */
static void
dead_server(void **state)
{
	struct addr	both[2] = { one.addr, two.addr };

	(void)state;
	one.silent = true;
	assert_true(resolve_servers(res, both, 2, false));
	ask("a.example", DNS_A, 1);
	wait_for(1);
	assert_int_equal(seen.status, DNS_OK);
	assert_int_equal(seen.ip[3], 2);
}

static void
forgotten(void **state)
{
	struct resolve_stats	st;
	int			other;

	(void)state;
	one.silent = true;
	resolve_ask(res, DNS_A, span_str("a.example"), &other, 1);
	resolve_ask(res, DNS_A, span_str("b.example"), &other, 2);
	ask("a.example", DNS_A, 3);
	resolve_forget(res, &other);
	resolve_stats(res, &st);
	assert_int_equal(st.waiters, 1);
	resolve_forget(res, NOBODY);
	assert_true(resolve_servers(res, &two.addr, 1, false));
	ask("c.example", DNS_A, 4);
	wait_for(1);
	assert_int_equal(seen.tid, 4);
}

/* Beyond the limit of one owner the answer is at once "later". */
static void
limited(void **state)
{
	char	name[32];

	(void)state;
	one.silent = true;
	for (uint32_t i = 0; i < RESOLVE_PER_OWNER_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.example", i % 10);
		ask(name, DNS_A, i);
	}
	assert_int_equal(seen.n, 0);
	ask("more.example", DNS_A, 1);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.status, DNS_TEMPFAIL);
	resolve_forget(res, NOBODY);
}

/* Nobody answers: in the end the waiter is told. */
static void
late(void **state)
{
	struct resolve_stats	st;
	struct mono		now = clock_mono();
	int64_t			ms;

	(void)state;
	one.silent = true;
	ask("late.example", DNS_A, 1);
	wait_for(1);
	assert_int_equal(seen.status, DNS_TEMPFAIL);
	ms = clock_mono().ms - now.ms;
	assert_in_range(ms, RESOLVE_TIMEOUT_MS - 1000,
	    RESOLVE_TIMEOUT_MS + 1000);
	resolve_stats(res, &st);
	assert_int_equal(st.waiters, 0);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain), T(joined), T(aliases), T(negative), T(own_names),
		T(truncated), T(validated), T(without_edns), T(new_servers),
		T(dead_server), T(forgotten), T(limited), T(late),
	};

	log_init("test_resolve", LOG_FORM_TEXT, LOG_LV_WARN);
	base = event_base_new();
	res = resolve_new(base, done);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
