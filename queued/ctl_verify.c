/*
 * The verb verify: the running queue is checked while mail flows.
 */
#include "queued/ctl_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/audit.h"

#define PROGRESS_MS	200
#define ROWS_MAX	1000	/* problems told; more are only counted */

struct ctl_verify {
	struct audit	 v;
	struct ctl	*c;
	uint32_t	 uid;
	int64_t		 began_ms, told_ms;
	bool		 done;
};

static void
verify_gone(void *arg)
{
	struct ctl_verify *x = arg;

	log_info("event=verify uid=%u records=%llu problems=%llu result=%s "
	    "seconds=%lld", x->uid, (unsigned long long)x->v.records,
	    (unsigned long long)x->v.problems, x->done ? "done" : "stopped",
	    (long long)(clock_mono().ms - x->began_ms) / 1000);
	audit_clear(&x->v);
	free(x);
}

static void
verify_problem(struct audit *v, const char *what, uint64_t id,
    uint64_t segment, uint64_t offset)
{
	struct ctl_verify *x = v->arg;
	char		 text[32];

	if (v->problems > ROWS_MAX)
		return;
	ctl_row(x->c, "problem");
	ctl_str(x->c, "what", what);
	if (id != 0)
		ctl_str(x->c, "id", id_str(id, text));
	if (segment != 0) {
		snprintf(text, sizeof(text), "%016llx",
		    (unsigned long long)segment);
		ctl_str(x->c, "segment", text);
		ctl_num(x->c, "offset", (int64_t)offset);
	}
	ctl_row_end(x->c);
}

static void
verify_more(struct ctl *c, void *arg)
{
	struct ctl_verify *x = arg;
	struct audit	*v = &x->v;
	int64_t		 now;

	if (audit_step(v)) {
		now = clock_mono().ms;
		if (now - x->told_ms < PROGRESS_MS)
			return;
		x->told_ms = now;
		ctl_row(c, "progress");
		ctl_num(c, "looked", (int64_t)(v->bytes >> 20));
		ctl_num(c, "total", (int64_t)(v->total_bytes >> 20));
		ctl_num(c, "messages", (int64_t)v->messages);
		ctl_num(c, "problems", (int64_t)v->problems);
		ctl_row_end(c);
		return;
	}
	x->done = true;
	ctl_row(c, "verified");
	ctl_num(c, "messages", (int64_t)v->messages);
	ctl_num(c, "bodies", (int64_t)v->bodies);
	ctl_num(c, "records", (int64_t)v->records);
	ctl_num(c, "segment_bytes", (int64_t)v->bytes);
	ctl_num(c, "problems", (int64_t)v->problems);
	ctl_row_end(c);
	ctl_end(c, v->problems == 0 ? EX_OK : EX_DATAERR, v->problems == 0 ?
	    NULL : "the queue is damaged; see PROBLEMS in posternctl(8)");
}

void
verb_verify(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = verb_queue(c);
	struct ctl_verify *x;

	(void)argv;
	if (q == NULL)
		return;
	if (argc != 0) {
		ctl_end(c, EX_USAGE, "no word may follow");
		return;
	}
	if ((x = calloc(1, sizeof(*x))) == NULL ||
	    !audit_init(&x->v, q, false)) {
		free(x);
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	x->v.problem = verify_problem;
	x->v.arg = x;
	x->c = c;
	x->uid = ctl_uid(c);
	x->began_ms = x->told_ms = clock_mono().ms;
	ctl_more(c, verify_more, verify_gone, x);
}
