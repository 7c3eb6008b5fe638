/*
 * Which fates of recipients somebody is told of.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/smtp/param.h"
#include "queued/dsn.h"

/* RFC 3461, 4.1: without NOTIFY, of failures, and of delays if we like. */
static bool
wants(const struct job_rcpt *r, enum smtp_notify what)
{
	if (r->flags & RCPT_F_ARCHIVE)
		return false;
	return r->notify == 0 ? what != NOTIFY_SUCCESS :
	    (r->notify & what) != 0;
}

bool
notice_postmaster(const struct queue *q)
{
	return q->conf->double_bounces && q->conf->postmaster != NULL;
}

/* ---- copies of one recipient ---- */

/* All of a message's but an archive's, as they are after what is decided. */
struct copy {
	uint32_t	 n, group;
	uint8_t		 state;
	bool		 here;		/* it is among what is decided */
};
struct copies {
	struct copy	*v;
	size_t		 n, cap;
	const struct fate *fates;
	size_t		 nfates;
};

static int
fate_cmp(const void *a, const void *b)
{
	uint32_t	 x = *(const uint32_t *)a;
	const struct fate *f = b;

	return x < f->f.n ? -1 : x > f->f.n;
}

static bool
copy_add(uint32_t n, const struct store_rcpt *row, void *arg)
{
	struct copies	*c = arg;
	const struct fate *f;
	struct copy	*v;

	if (row->flags & RCPT_F_ARCHIVE)
		return true;
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 4 : 8;
		if ((v = reallocarray(c->v, c->cap, sizeof(*v))) == NULL)
			fatal("copies");
		c->v = v;
	}
	f = bsearch(&n, c->fates, c->nfates, sizeof(*c->fates), fate_cmp);
	c->v[c->n++] = (struct copy){ .n = n, .group = row->group,
	    .state = f != NULL ? f->f.state : row->state, .here = f != NULL };
	return true;
}

/* Is it told of this one, seen what there is of the others? */
static bool
copies_allow(const struct copies *c, const struct fate *self)
{
	bool	 arrived = false;	/* another one, before */
	bool	 arrives = false;	/* at the same time, with a greater n */
	bool	 waits = false, waits_before = false, fails_before = false;

	for (size_t i = 0; i < c->n; i++) {
		const struct copy	*v = &c->v[i];
		bool			 before = v->n < self->f.n;

		if (v->group != self->r->group || v->n == self->f.n)
			continue;
		arrives |= v->state == RCPT_DONE && v->here && !before;
		arrived |= v->state == RCPT_DONE && (!v->here || before);
		waits |= v->state == RCPT_WAITING;
		waits_before |= v->state == RCPT_WAITING && before;
		fails_before |= v->state == RCPT_FAILED && v->here && before;
	}
	switch (self->f.state) {
	case RCPT_DONE:
		return !arrived;
	case RCPT_FAILED:
		return !arrived && !arrives && !waits && !fails_before;
	default:
		return !arrived && !arrives && !waits_before;
	}
}

/* ---- one fate ---- */

static enum dsn_action
success(const struct queue *q, const struct fate *f, const char *action)
{
	const struct conf_action *a = conf_action_find(q->conf,
			    span_str(action));

	/* RFC 3461, 5.2.2: a server that has DSN was asked to tell. */
	if (!wants(f->r, NOTIFY_SUCCESS) || f->r->dsn)
		return DSN_NONE;
	return a != NULL && (a->type == ACT_DISCARD ||
	    a->type == ACT_MAILBOX || a->type == ACT_LMTP) ? DSN_DELIVERED :
	    DSN_RELAYED;
}

/*
 * `queue warn-after`: the first attempt that fails after that time is told, and
 * as the row still knows when the one before was, no other is.
 */
static enum dsn_action
delayed(struct queue *q, uint64_t id, const struct store_msg *m,
    const struct fate *f)
{
	struct store_rcpt rc;
	int64_t		 at = m->accepted_ms + q->conf->warn_after_ms;

	if (q->conf->warn_after_ms <= 0 || f->f.last_ms < at ||
	    !wants(f->r, NOTIFY_DELAY) ||
	    !store_rcpt_get(q->store, id, f->f.n, &rc) ||
	    (rc.attempt > 0 && rc.last_ms >= at))
		return DSN_NONE;
	return DSN_DELAYED;
}

static enum dsn_action
decide(struct queue *q, uint64_t id, const struct store_msg *m, bool null,
    const char *action, const struct fate *f)
{
	/* Who has no sender wants nothing; what is lost with it is another
	 * matter, and that of the postmaster. */
	if (null)
		return f->f.state == RCPT_FAILED &&
		    !(f->r->flags & RCPT_F_ARCHIVE) ? DSN_FAILED : DSN_NONE;
	switch (f->f.state) {
	case RCPT_DONE:
		return success(q, f, action);
	case RCPT_FAILED:
		return wants(f->r, NOTIFY_FAILURE) ? DSN_FAILED : DSN_NONE;
	default:
		return delayed(q, id, m, f);
	}
}

void
notice_decide(struct queue *q, uint64_t id, const struct store_msg *msg,
    const char *action, struct fate *v, size_t n)
{
	struct store_msg m = *msg;
	struct copies	 c = { .fates = v, .nfates = n };
	bool		 null = m.from.len == 0, any = false;

	for (size_t i = 0; i < n; i++) {
		v[i].told = decide(q, id, &m, null, action, &v[i]);
		any |= v[i].told != DSN_NONE;
	}
	if (!any || !(m.flags & MSG_GROUPS))
		return;
	store_rcpts(q->store, id, copy_add, &c);
	for (size_t i = 0; i < n; i++)
		if (v[i].told != DSN_NONE && !copies_allow(&c, &v[i]))
			v[i].told = DSN_NONE;
	free(c.v);
}

/* ---- aliases, when a message is accepted ---- */

/* In the map: the group of an alias's only address so far; that it has several;
 * that it is among those to be told. */
#define ONE(group)	((void *)((uintptr_t)(group) + 3))
#define SEVERAL		((void *)1)
#define TOLD		((void *)2)

static bool
is_expanded(const struct rec_rcpt *r)
{
	return (r->flags & RCPT_F_EXPANDED) && !(r->flags & RCPT_F_ARCHIVE) &&
	    (r->notify & NOTIFY_SUCCESS) && r->orig.len > 0;
}

/* How many addresses each alias has become; copies of one count once. */
static struct map *
aliases_count(struct span rcpts, size_t *n)
{
	struct map	*map = NULL;
	struct rec_rcpt	 r;
	void		*was;

	*n = 0;
	while (rec_rcpt_next(&rcpts, REC_VERSION, &r)) {
		if (!is_expanded(&r))
			continue;
		if (map == NULL && (map = map_new(1 << 20)) == NULL)
			fatal("aliases");
		was = map_get(map, r.orig);
		if (was == SEVERAL || was == ONE(r.group))
			continue;
		*n += was != NULL;
		if (!map_set(map, r.orig, was == NULL ? ONE(r.group) :
		    SEVERAL))
			fatal("aliases");
	}
	return map;
}

size_t
notice_expand(struct span rcpts, struct buf *out, struct dsn_rcpt **told,
    bool mark)
{
	struct map	*map;
	struct rec_rcpt	 r;
	size_t		 max, n = 0;

	map = aliases_count(rcpts, &max);
	if (max > 0 && (*told = calloc(max, sizeof(**told))) == NULL)
		fatal("aliases");
	while (max > 0 && rec_rcpt_next(&rcpts, REC_VERSION, &r)) {
		void	*was = is_expanded(&r) ? map_get(map, r.orig) : NULL;

		if (was == SEVERAL) {
			(*told)[n++] = (struct dsn_rcpt){ .to = r.orig,
			    .action = DSN_EXPANDED, .orcpt = r.orcpt };
			map_set(map, r.orig, TOLD);
			if (mark)
				r.flags |= RCPT_TELL;
		}
		if (was == SEVERAL || was == TOLD) {
			r.notify &= (uint8_t)~NOTIFY_SUCCESS;
			if (r.notify == 0)
				r.notify = NOTIFY_NEVER;
		}
		rec_rcpt_add(out, &r);
	}
	map_free(map);
	return n;
}
