/*
 * Destinations in memory: made when a row of theirs is due, forgotten when
 * nobody needs to remember; each has its place among those that may start a job
 * or must wait, and its turn when jobs are handed out. How many jobs one may
 * have is dest.c's.
 */
#include "queued/due_i.h"

#include <stdlib.h>
#include <string.h>

#include "queued/dest.h"

#define LOOK_MS		60000	/* called again at least so often */
#define FIRST_MS	5000	/* to become due, for one that is to be first */
#define PROBE_LOOK_MS	1000	/* those parked are looked at so often */
#define DEST_KEEP_MS	1800000	/* trouble is remembered for so long */
#define IDLE_MAX	1000	/* destinations asked in vain in one turn */
#define IDLE_MS		10	/* then others have their turn */
#define CROWDED_MS	1000	/* too many destinations: wait for some to go */

/* ---- from the first row to the last ---- */

static struct dest *
dest_new(struct queue *q, uint64_t key, struct span action, const char *domain)
{
	struct dest	*d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->key = key;
	d->action = span_dup(action);
	d->domain = strdup(domain);
	d->window = DEST_WINDOW;
	TAILQ_INIT(&d->senders);
	if (d->action == NULL || d->domain == NULL ||
	    !map_set_u64(q->dests, key, d)) {
		free(d->action);
		free(d->domain);
		free(d);
		return NULL;
	}
	if (d->window > dest_limit(q->conf, d))
		d->window = dest_limit(q->conf, d);
	d->paused = queue_is_paused(q, d);
	d->used_ms = queue_now(q);
	return d;
}

/* The names of a destination that is only known by its key. */
struct names {
	uint64_t	 dest;
	char		 action[256], to[1100];
	bool		 found;
};

static bool
names_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct names	*s = arg;

	(void)n;
	if (r->dest != s->dest)
		return true;
	s->found = span_cstr(r->action, s->action, sizeof(s->action)) &&
	    span_cstr(r->to, s->to, sizeof(s->to));
	return false;
}

static bool
by_auth_user(const struct conf *c)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i]->by == BY_AUTH_USER)
			return true;
	return false;
}

void
due_sender(struct queue *q, uint64_t id, struct due_sender *s)
{
	struct store_msg row;
	struct rec_msg	 m;
	struct rec	 r;
	const char	*why;

	s->from[0] = s->auth[0] = '\0';
	if (by_auth_user(q->conf) && load_record(q, id, &r) &&
	    rec_msg_decode(r.env, r.version, &m, &why) == PARSE_OK)
		span_cstr(m.auth, s->auth, sizeof(s->auth));
	if (store_msg_get(q->store, id, &row))
		span_cstr(row.from, s->from, sizeof(s->from));
}

struct dest *
dest_of_row(struct queue *q, const struct store_due *row)
{
	struct dest	*d = map_get_u64(q->dests, row->dest);
	struct names	 s = { .dest = row->dest };
	struct due_sender from;
	char		 domain[CONF_TARGET_MAX];

	if (d != NULL)
		return d;
	store_rcpts(q->store, row->id, names_rcpt, &s);
	if (!s.found)
		return NULL;
	due_sender(q, row->id, &from);
	dest_of(q->conf, span_str(s.action), span_str(s.to),
	    span_str(from.from), span_str(from.auth), domain);
	return dest_new(q, row->dest, span_str(s.action), domain);
}

static void
dest_free(struct queue *q, struct dest *d)
{
	map_del_u64(q->dests, d->key);
	free(d->action);
	free(d->domain);
	free(d);
}

/* ---- places ---- */

/* Where a destination waits for its turn: among those that may start a job
 * now, or parked until a job ends, a probe is due or somebody resumes it. */
void
dest_place(struct queue *q, struct dest *d)
{
	int	 to = DEST_IDLE;

	if (d->nready > 0 || d->backlog || d->nskipped > 0)
		to = dest_may_start(d, queue_now(q)) ? DEST_ACTIVE :
		    DEST_PARKED;
	if (to == DEST_PARKED && d->state == DEST_DOWN && d->running == 0 &&
	    !d->paused && (q->probe_ms == 0 || d->probe_ms < q->probe_ms))
		q->probe_ms = d->probe_ms;
	if (to == (int)d->place)
		return;
	if (d->place == DEST_ACTIVE) {
		TAILQ_REMOVE(&q->active, d, entry);
		q->nactive--;
	} else if (d->place == DEST_PARKED)
		TAILQ_REMOVE(&q->parked, d, entry);
	if (to == DEST_ACTIVE) {
		TAILQ_INSERT_TAIL(&q->active, d, entry);
		q->nactive++;
	} else if (to == DEST_PARKED)
		TAILQ_INSERT_TAIL(&q->parked, d, entry);
	d->place = to;
}

/* What nobody needs to remember goes. */
void
dest_rest(struct queue *q, struct dest *d)
{
	dest_place(q, d);
	if (d->place == DEST_IDLE && d->njobs == 0 && (d->state == DEST_UP ||
	    queue_now(q) - d->used_ms > DEST_KEEP_MS))
		dest_free(q, d);
}

static bool
rest_one(struct span key, void *v, void *arg)
{
	(void)key;
	dest_rest(arg, v);
	return true;
}

/* From time to time: probes that are due, destinations that nobody asks for. */
static void
look_at_dests(struct queue *q, int64_t now)
{
	struct dest	*d, *next;

	if (q->probe_ms != 0 && now >= q->probe_ms &&
	    now - q->probed_ms >= PROBE_LOOK_MS) {
		q->probed_ms = now;
		q->probe_ms = 0;
		TAILQ_FOREACH_SAFE(d, &q->parked, entry, next)
			dest_place(q, d);
	}
	if (now - q->rested_ms >= LOOK_MS) {
		q->rested_ms = now;
		map_each(q->dests, rest_one, q);
	}
}

static bool
pause_one(struct span key, void *v, void *arg)
{
	struct dest	*d = v;

	(void)key;
	d->paused = queue_is_paused(arg, d);
	dest_place(arg, d);
	return true;
}

void
due_pauses(struct queue *q)
{
	map_each(q->dests, pause_one, q);
}

/* ---- handing out ---- */

/* The one that is wanted first, else the oldest of the next sender. */
static struct job *
next_job(struct queue *q, struct dest *d, int64_t now)
{
	struct job	*j;

	if (d->first != 0) {
		j = job_find(q, d->first, d->key);
		if (j == NULL && now < d->first_until_ms)
			return NULL;
		d->first = 0;
		if (j != NULL && !j->running && !j->ended)
			return j;
	}
	return sender_next(d);
}

void
due_first(struct queue *q, uint64_t dest, uint64_t id)
{
	struct dest	*d = map_get_u64(q->dests, dest);

	if (d == NULL)
		return;
	d->first = id;
	d->first_until_ms = queue_now(q) + FIRST_MS;
	d->probe_ms = queue_now(q);
	dest_place(q, d);
}

void
due_back_up(struct queue *q, uint64_t dest)
{
	struct dest	*d = map_get_u64(q->dests, dest);

	if (d == NULL || d->state != DEST_DOWN)
		return;
	d->probe_ms = queue_now(q);
	dest_place(q, d);
	q->ops->want_run(q);
}

/* One job of this destination; false if it has none to give now. */
static bool
hand_one(struct queue *q, struct dest *d, int64_t now)
{
	struct job	*j;

	due_refill(q, d, now);
	if ((j = next_job(q, d, now)) == NULL || !dest_may_start(d, now) ||
	    !q->ops->can_hand(q, d))
		return false;
	job_unready(q, j);
	j->running = true;
	j->begun_ms = now;
	d->running++;
	q->nrunning++;
	q->ops->hand(q, j);		/* may end it, and free d */
	return true;
}

int64_t
queue_run(struct queue *q)
{
	struct dest	*d;
	int64_t		 now = queue_now(q), wait = LOOK_MS;
	uint64_t	 key;
	unsigned	 idle = 0;

	if (q->down || q->mta_paused || q->stuck)
		return wait;
	q->turn++;
	q->hungry = false;
	if (q->nagain > 0 && buf_len(&q->changes) == 0)
		due_look_again(q);
	due_scan(q, now);
	look_at_dests(q, now);
	/* One job a turn, until nobody has one to give. */
	while (idle < q->nactive && idle < IDLE_MAX) {
		d = TAILQ_FIRST(&q->active);
		TAILQ_REMOVE(&q->active, d, entry);
		TAILQ_INSERT_TAIL(&q->active, d, entry);
		key = d->key;
		if (hand_one(q, d, now))
			idle = 0;
		else
			idle++;
		if ((d = map_get_u64(q->dests, key)) != NULL)
			dest_place(q, d);
	}
	if (q->hungry)
		return 0;
	if (q->behind)
		return q->crowded ? CROWDED_MS : 0;
	if (q->next_due_ms != 0 && q->next_due_ms - now < wait)
		wait = q->next_due_ms - now;
	if (q->probe_ms != 0 && q->probe_ms - now < wait)
		wait = q->probe_ms - now > PROBE_LOOK_MS ?
		    q->probe_ms - now : PROBE_LOOK_MS;
	if (idle == IDLE_MAX && wait > IDLE_MS)
		wait = IDLE_MS;
	return wait < 0 ? 0 : wait;
}
