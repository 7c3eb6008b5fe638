/*
 * Verbs that walk over the messages by a filter: the list, their number, and
 * changes. A caller that goes away ends its walk.
 */
#include "queued/ctl_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/walk.h"

#define PROGRESS_MS	200	/* between two words of how far it is */

struct ctl_walk {
	struct walk	*w;
	struct ctl	*c;
	int64_t		 began_ms, told_ms;
	bool		 ended;
};

static void
list_row(struct walk *w, const struct walk_msg *p, void *arg)
{
	struct ctl	*c = arg;
	char		 ids[ID_STRLEN], addr[ADDR_STRLEN];

	if (w->nwaiting > 1)
		buf_fmt(&w->to, " +%u", w->nwaiting - 1);
	ctl_row(c, "queued");
	ctl_str(c, "id", id_str(p->id, ids));
	ctl_str(c, "state", verb_state(&p->m));
	ctl_num(c, "size", (int64_t)p->m.size);
	ctl_num(c, "received_ms", (int64_t)p->m.received_ms);
	if (p->m.flags & MSG_KEPT)
		ctl_num(c, "kept_until_ms", verb_unix_ms(w->q,
		    p->m.expire_ms));
	else if (!p->m.held && !(p->m.flags & MSG_PREPARED))
		ctl_num(c, "next_ms", verb_unix_ms(w->q, w->next_ms));
	ctl_field(c, "from", p->m.from);
	ctl_field(c, "to", buf_content(&w->to));
	ctl_num(c, "rcpts", w->nwaiting);
	ctl_str(c, "client", addr_str(&p->m.client, addr));
	ctl_field(c, "reason", buf_content(&w->reason));
	ctl_row_end(c);
}

static void
route_row(struct walk *w, uint64_t id, const struct store_rcpt *r,
    const char *action, const char *why)
{
	struct ctl	*c = w->arg;
	char		 ids[ID_STRLEN];

	/* Of changes that are made the log tells, message by message. */
	if (action != NULL && !w->dry)
		return;
	ctl_row(c, "route");
	ctl_str(c, "id", id_str(id, ids));
	ctl_field(c, "to", r->to);
	ctl_field(c, "action", r->action);
	if (action != NULL)
		ctl_str(c, "new", action);
	else
		ctl_str(c, "why", why);
	ctl_row_end(c);
}

/* What a change has done is told in the log, as it is known to be then. */
static void
walk_gone(void *arg)
{
	struct ctl_walk	*x = arg;
	struct walk	*w = x->w;

	if (w->what >= WALK_SCHEDULE && !w->dry)
		log_info("event=change verb=%s uid=%u looked=%llu changed=%llu "
		    "result=%s seconds=%lld", walk_word(w->what), w->uid,
		    (unsigned long long)w->looked,
		    (unsigned long long)w->changed,
		    x->ended ? "done" : "stopped",
		    (long long)(clock_mono().ms - x->began_ms) / 1000);
	walk_free(w);
	free(x);
}

static void
count_fields(struct ctl *c, const struct walk *w)
{
	ctl_num(c, "messages", (int64_t)w->fits);
	if (w->what < WALK_SCHEDULE)
		return;
	ctl_num(c, "changed", (int64_t)w->changed);
	if (w->what == WALK_REROUTE) {
		ctl_num(c, "recipients", (int64_t)w->routed);
		ctl_num(c, "unchanged", (int64_t)w->same);
		ctl_num(c, "no_rule", (int64_t)w->no_rule);
	}
	if (w->skipped > 0)
		ctl_num(c, "at_work", (int64_t)w->skipped);
}

static void
walk_more(struct ctl *c, void *arg)
{
	struct ctl_walk	*x = arg;
	struct walk	*w = x->w;
	int64_t		 now;
	bool		 none;

	if (walk_step(w)) {
		now = clock_mono().ms;
		if (w->what == WALK_LIST || now - x->told_ms < PROGRESS_MS)
			return;
		x->told_ms = now;
		ctl_row(c, "progress");
		ctl_num(c, "looked", (int64_t)w->looked);
		ctl_num(c, "total", (int64_t)w->total);
		count_fields(c, w);
		ctl_row_end(c);
		return;
	}
	x->ended = true;
	if (w->what != WALK_LIST) {
		ctl_row(c, "count");
		count_fields(c, w);
		ctl_row_end(c);
	}
	none = w->fits == 0 && w->filter.id != 0;
	ctl_end(c, none ? EX_DATAERR : EX_OK, none ? "no such message" : NULL);
}

static void
walk_start(struct ctl *c, enum walk_what what, bool dry, int argc,
    char **argv)
{
	struct queue	*q = verb_queue(c);
	struct ctl_walk	*x;
	const char	*why;

	if (q == NULL)
		return;
	if ((x = calloc(1, sizeof(*x))) == NULL ||
	    (x->w = walk_new(q, what, ctl_uid(c))) == NULL) {
		free(x);
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	why = argc == 0 && what != WALK_LIST ? "a filter is wanted; \"all\" "
	    "is one" : filter_parse(&x->w->filter, argc, argv);
	if (why != NULL) {
		walk_free(x->w);
		free(x);
		ctl_end(c, EX_USAGE, why);
		return;
	}
	x->c = c;
	x->began_ms = x->told_ms = clock_mono().ms;
	x->w->from = x->w->filter.id;
	x->w->row = list_row;
	x->w->route_row = route_row;
	x->w->dry = dry;
	x->w->arg = c;
	ctl_more(c, walk_more, walk_gone, x);
}

void
verb_list(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_LIST, false, argc, argv);
}

void
verb_count(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_COUNT, false, argc, argv);
}

void
verb_schedule(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_SCHEDULE, false, argc, argv);
}

void
verb_hold(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_HOLD, false, argc, argv);
}

void
verb_release(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_RELEASE, false, argc, argv);
}

void
verb_remove(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_REMOVE, false, argc, argv);
}

void
verb_bounce(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_BOUNCE, false, argc, argv);
}

void
verb_reroute(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_REROUTE, false, argc, argv);
}

void
verb_reroute_try(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_REROUTE, true, argc, argv);
}
