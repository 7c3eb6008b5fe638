/*
 * What a message costs queued: syncs and processor time with fifty sessions in
 * flight that are each answered before they send the next, everything delivered
 * at once; and with one session. The bound on syncs is checked, times are told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

#define LEN	4096

static struct conf	*conf;
static const char	*path;
static struct help	 h;
static struct job	*running[4096];
static size_t		 nrunning;
static uint64_t		 writes, bytes;

static void
trace(const struct dio_event *e, void *arg)
{
	(void)arg;
	if (e->op == DIO_WRITE) {
		writes++;
		bytes += e->len;
	}
}

/* Results come while the next messages do. */
static void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	(void)x;
	(void)r;
	(void)m;
	running[nrunning++] = j;
}

static double
cpu_us(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
flow(unsigned at_once, unsigned n)
{
	struct queue_params p;
	struct dio_hook	 hook = { .trace = trace };
	struct rec_msg	 m = { .from = span_str("sender@example.org"),
			    .helo = span_str("client.example") };
	struct rec_rcpt	 r = { .to = span_str("user@example.net"),
			    .action = span_str("relay") };
	static uint8_t	 content[LEN];
	struct txn	*t;
	uint64_t	 syncs;
	double		 us;
	int		 err = dup(2), null = open("/dev/null", O_WRONLY);

	path = help_dir();
	memset(&h, 0, sizeof(h));
	h.can_hand = true;
	h.hand = hand;
	memset(content, 'x', sizeof(content));
	queue_params_for_disk(&p);
	help_open_params(&h, conf, &p);
	while (!segs_spare_ready(h.q->segs))
		queue_housekeep(h.q);
	dup2(null, 2);			/* the log goes somewhere, as ever */
	dio_hook(&hook);
	writes = bytes = 0;
	syncs = dio_syncs();
	us = cpu_us();
	for (unsigned i = 0; i < n; i += at_once) {
		for (unsigned k = 0; k < at_once; k++) {
			t = txn_begin(h.q, &h, k, id_new(), &m);
			txn_rcpt(t, &r);
			txn_commit(t, span_str("Received: from client.example"
			    " by gw.example.org with ESMTP\r\n"),
			    span(content, LEN), LEN);
		}
		for (size_t k = 0; k < nrunning; k++)
			help_end(&h, running[k], D_OK, "250 2.0.0 Ok: queued "
			    "as 12345", D_DEST_OK);
		nrunning = 0;
		h.nresults = 0;
		queue_flush(h.q);
		queue_run(h.q);
		if (i % (at_once * 32) == 0)
			queue_housekeep(h.q);
	}
	us = cpu_us() - us;
	syncs = dio_syncs() - syncs;
	dio_hook(NULL);
	dup2(err, 2);
	close(err);
	close(null);
	print_message("%u in flight: %.3f syncs, %.2f writes, %.0f bytes "
	    "written, %.1f us CPU a message\n", at_once,
	    (double)syncs / n, (double)writes / n, (double)bytes / n, us / n);
	if (at_once >= 50)
		assert_true((double)syncs / n <= 0.15);
	for (size_t k = 0; k < nrunning; k++)
		help_end(&h, running[k], D_OK, "250", D_DEST_OK);
	nrunning = 0;
	help_close(&h);
	help_dir_remove(path);
}

static void
test_fifty(void **state)
{
	(void)state;
	flow(50, 20000);
}

static void
test_one(void **state)
{
	(void)state;
	flow(1, 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fifty),
		cmocka_unit_test(test_one),
	};

	conf = help_conf();
	conf->limits.deliveries_per_dest = 100;
	id_init(1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
