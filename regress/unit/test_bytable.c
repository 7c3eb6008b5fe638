/*
 * `to <T> by …` in the queue: one destination a customer, found by what the
 * action goes by; a reload moves what waits, and says so where no entry is left.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "common/base/rand.h"
#include "queued/dest.h"
#include "regress/lib/confhelp.h"
#include "regress/lib/queuehelp.h"

#define CUSTOMERS	500

static const char	*path;
static struct help	 h;
static struct seen {
	uint64_t	 id;
	char		 domain[CONF_TARGET_MAX];
} seen[4 * CUSTOMERS];
static size_t		 nseen;
static enum d_status	 status;

static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct seen	*s = &seen[nseen++];

	(void)r;
	(void)m;
	s->id = j->id;
	strlcpy(s->domain, j->dest->domain, sizeof(s->domain));
	help_end(x, j, status, "450 4.2.0 a reply", D_DEST_OK);
}

static void
settle(void)
{
	size_t	 before;

	do {
		before = nseen;
		queue_flush(h.q);
		queue_run(h.q);
		queue_flush(h.q);
	} while (nseen != before);
}

/* "relay" goes by `by`; customer n has server sn, but those from `moved` on tn,
 * and the one of number `gone` has none. */
static struct conf *
customers(const char *by, const char *pre, const char *post, unsigned moved,
    unsigned gone)
{
	struct buf	 text, msgs;
	struct conf	*c;

	buf_init(&text, 1 << 20);
	buf_init(&msgs, 1 << 16);
	buf_str(&text, "table customers { none.example = \"none.example\"");
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		if (i == gone)
			continue;
		buf_fmt(&text, ", \"%s%u%s\" = \"%c%u.example:2525 weight 2, "
		    "both.example standby\"", pre, i, post,
		    i >= moved ? 't' : 's', i);
	}
	buf_fmt(&text, " }\nqueue retry 1m..2h\n"
	    "action relay relay to <customers> by %s\n"
	    "listen on 127.0.0.1 port 1\nmatch for any action relay\n", by);
	c = confhelp_parse(buf_cstr(&text), &msgs);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&msgs));
	c->reserve = 0;
	buf_clear(&text);
	buf_clear(&msgs);
	return c;
}

static void
begin(const struct conf *c)
{
	path = help_dir();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	nseen = 0;
	status = D_OK;
	help_clock();
	help_open(&h, c);
}

static void
end(void)
{
	help_close(&h);
	help_dir_remove(path);
}

static double
cpu_ms(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* 500 customers are one table and one rule. */
static void
test_many(void **state)
{
	struct conf	*c = customers("rcpt-domain", "c", ".example", CUSTOMERS,
			    CUSTOMERS);
	char		 to[64], want[64];
	double		 t;

	(void)state;
	begin(c);
	t = cpu_ms();
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		snprintf(to, sizeof(to), "u@C%u.example", i);
		help_send(&h, 1 + i, "a@example.org", to, 20);
		settle();
	}
	t = cpu_ms() - t;
	print_message("%d customers, a message each: %.1f us CPU a message\n",
	    CUSTOMERS, t * 1e3 / CUSTOMERS);
	assert_true(t < 2000);
	assert_int_equal(nseen, CUSTOMERS);
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		snprintf(want, sizeof(want), "s%u.example:2525 weight 2, "
		    "both.example standby", i);
		assert_int_equal(seen[i].id, 1 + i);
		assert_string_equal(seen[i].domain, want);
	}
	assert_int_equal(h.q->messages, 0);
	end();
	conf_free(c);
}

/* The same key for the same list, another for another; none has its own. */
static void
test_keys(void **state)
{
	static const struct { const char *by, *pre, *post, *to, *from,
	    *user; } t[] = {
		{ "rcpt-domain", "c", ".example", "u@c7.example", "", "" },
		{ "rcpt-to", "u", "@x.example", "u7@x.example", "", "" },
		{ "mail-from", "s", "@x.example", "u@y.example",
		    "s7@x.example", "" },
		{ "auth-user", "user", "", "u@y.example", "s@x.example",
		    "user7" },
	};
	char		 got[CONF_TARGET_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct conf	*c = customers(t[i].by, t[i].pre,
				    t[i].post, CUSTOMERS, CUSTOMERS);
		uint64_t	 k = dest_of(c, span_str("relay"),
				    span_str(t[i].to), span_str(t[i].from),
				    span_str(t[i].user), got);

		assert_string_equal(got, "s7.example:2525 weight 2, "
		    "both.example standby");
		assert_true(k != dest_of(c, span_str("relay"),
		    span_str("x@else.example"), span_str("y@else.example"),
		    span_str("nobody"), got));
		assert_string_equal(got, "");
		conf_free(c);
	}
}

static void
test_moves(void **state)
{
	struct conf	*a = customers("rcpt-domain", "c", ".example", 400, 7),
			*b = customers("rcpt-domain", "c", ".example", 400, 7),
			*d = customers("rcpt-domain", "c", ".example", 401, 7),
			*e = customers("rcpt-to", "c", ".example", 400, 7);

	(void)state;
	assert_false(dest_moves(a, b));
	assert_true(dest_moves(a, d) && dest_moves(d, a));
	assert_true(dest_moves(a, e) && dest_moves(e, a));
	conf_free(a);
	conf_free(b);
	conf_free(d);
	conf_free(e);
}

/* By the sender: after a restart it is found in the queue again; a reload moves
 * a waiting message to another list, and one has none any more. */
static void
reload(const char *by, const char *pre, const char *post, const char *from,
    const char *other)
{
	struct conf	*c = customers(by, pre, post, CUSTOMERS, CUSTOMERS),
			*moved = customers(by, pre, post, 7, 8);

	begin(c);
	status = D_TEMP;
	help_send(&h, 1, from, "u@y.example", 20);
	help_send(&h, 2, other, "u@y.example", 20);
	settle();
	assert_int_equal(nseen, 2);
	help_close(&h);
	nseen = 0;
	help_open(&h, c);
	help_advance(90000);
	settle();
	assert_int_equal(nseen, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(seen[i].domain, seen[i].id == 1 ?
		    "s7.example:2525 weight 2, both.example standby" :
		    "s8.example:2525 weight 2, both.example standby");
	queue_conf(h.q, moved);
	nseen = 0;
	status = D_OK;
	help_advance(300000);
	settle();
	assert_int_equal(nseen, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(seen[i].domain, seen[i].id == 1 ?
		    "t7.example:2525 weight 2, both.example standby" : "");
	end();
	conf_free(c);
	conf_free(moved);
}

static void
test_reload(void **state)
{
	(void)state;
	reload("mail-from", "s", "@x.example", "s7@x.example", "s8@x.example");
	/* help_send() says that who sent it had authenticated as this. */
	reload("auth-user", "user", "", "user7", "user8");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_reload),
	};

	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
