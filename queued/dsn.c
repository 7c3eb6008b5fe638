/*
 * Delivery status notifications: who is told of what became of a message's
 * recipients, in records that have both the notification and their fates. What
 * is told is notice.c's, how it reads common/mime/dsn.h's.
 */
#include "queued/dsn.h"

#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/diskio.h"
#include "queued/readers.h"

#define HEAD_MAX	32000	/* bytes read of a content in a file */

/* Who is told, or why there is nobody. */
struct audience {
	struct span	 to;
	bool		 postmaster;	/* of what has no sender */
	const char	*why;
	struct readers	 readers;	/* where that is */
};

/* A message that something is told of. */
struct about {
	struct queue	*q;
	uint64_t	 id;
	const struct rec *r;		/* without content: it can't be read */
	const struct rec_msg *m;
	struct audience	 audience;
	struct buf	 head;		/* its content's beginning, from a file */
	bool		 beside;	/* it is in the batch of messages */
	bool		 finish;	/* it was prepared, and is ours now */
};

/* ---- who ---- */

/* By the rules for mail of this host; what is for the postmaster by those for
 * an address that another stands for, too. */
static void
audience_find(const struct queue *q, struct span from, struct audience *au)
{
	*au = (struct audience){ .to = from };
	/* RFC 5321, 4.5.5: never a notification about a notification. */
	if (from.len == 0 && !notice_postmaster(q)) {
		au->why = "null sender";
		return;
	}
	if (from.len == 0) {
		au->to = span_str(q->conf->postmaster);
		au->postmaster = true;
	}
	readers_find(q->conf, au->to, au->postmaster, &au->readers);
	if (au->readers.n == 0)
		au->why = au->readers.why;
}

/* Is there somebody who wants to hear of this fate? What can't be brought to
 * the postmaster is not told to him. */
static bool
heard(const struct audience *au, const struct fate *f)
{
	struct span	 to = span_str(f->r->to);

	if (f->told == DSN_NONE || au->readers.n == 0)
		return false;
	if (!au->postmaster)
		return true;
	for (size_t i = 0; i < au->readers.n; i++)
		if (span_is(to, au->readers.v[i].to))
			return false;
	return f->told == DSN_FAILED && !span_eq(to, au->to);
}

/* ---- about what ---- */

/* The beginning of a content that is in a file of its own. */
static void
head_read(struct about *ab)
{
	uint8_t	*p;
	ssize_t	 n;
	int	 fd;

	if (!(ab->m->flags & MSG_BODY_FILE) ||
	    (fd = body_open(ab->id, false)) == -1)
		return;
	if ((p = buf_room(&ab->head, HEAD_MAX)) != NULL &&
	    (n = dio_pread(fd, p, HEAD_MAX, 0)) > 0)
		buf_added(&ab->head, (size_t)n);
	dio_close(fd);
}

static uint64_t
unix_ms(const struct queue *q, int64_t ms)
{
	int64_t	 t = clock_wall().ms + (ms - queue_now(q));

	return t < 0 ? 0 : (uint64_t)t;
}

static int
zone_min(void)
{
	time_t		 t = (time_t)(clock_wall().ms / 1000);
	struct tm	 tm;

	return localtime_r(&t, &tm) == NULL ? 0 : (int)(tm.tm_gmtoff / 60);
}

static void
describe(const struct about *ab, struct dsn *d)
{
	const struct queue	*q = ab->q;
	const struct rec_msg	*m = ab->m;
	bool			 file = (m->flags & MSG_BODY_FILE) != 0;

	d->host = span_str(q->conf->hostname);
	d->to = ab->audience.to;
	d->double_bounce = ab->audience.postmaster;
	d->utf8 = (m->flags & MSG_UTF8) != 0;
	/* The postmaster sees what a notification of ours would have told. RFC
	 * 8689, 5: of what needs TLS the header alone, whatever RET says. */
	d->full = !(m->flags & MSG_REQUIRETLS) && (m->ret == RET_FULL ||
	    (d->double_bounce && (m->flags & MSG_BOUNCE) != 0));
	d->envid = m->envid;
	d->now_ms = (uint64_t)clock_wall().ms;
	d->arrived_ms = m->received_ms;
	d->until_ms = unix_ms(q, m->expire_ms);
	d->zone_min = zone_min();
	d->prefix = ab->r->prefix;
	d->content = file ? buf_content(&ab->head) : ab->r->content;
	d->whole = !file;
}

/* ---- records ---- */

static bool
append(const struct about *ab, const struct rec *r)
{
	return ab->beside ? queue_record_beside(ab->q, r) :
	    queue_record(ab->q, r);
}

/* Those fates alone. */
static void
change_alone(struct about *ab, struct span change)
{
	struct rec	 r = { .kind = ab->finish ? REC_FINISHED : REC_CHANGE,
			    .id = ab->id, .env = change };

	if (change.len > 0)
		append(ab, &r);
}

static void
log_queued(const struct about *ab, uint64_t id, const struct dsn_rcpt *v,
    size_t n)
{
	static const char *const events[DSN_ACTIONS] = { "", "bounce", "delay",
	    "notify", "notify", "notify" };
	static const char *const kinds[DSN_ACTIONS] = { "", "", "",
	    " what=delivered", " what=relayed", " what=expanded" };
	enum dsn_action	 a = v[0].action;
	char		 ids[ID_STRLEN], of[ID_STRLEN];

	/* The gravest has the least number. */
	for (size_t i = 1; i < n; i++)
		if (v[i].action < a)
			a = v[i].action;
	if (a == DSN_FAILED)
		ab->q->stats.bounced++;
	log_info("id=%s event=%s of=%s to=<%s>%s rcpts=%zu result=queued",
	    id_str(id, ids), events[a], id_str(ab->id, of),
	    log_quote(ab->audience.to), kinds[a], n);
}

static void
log_dropped(const struct about *ab, const char *why)
{
	char	 ids[ID_STRLEN];

	log_info("id=%s event=bounce to=<%s> result=dropped why=%s",
	    id_str(ab->id, ids), ab->audience.to.len > 0 ?
	    log_quote(ab->audience.to) : "", log_quote(span_str(why)));
}

/* Those who get it, encoded; what that means for the message's flags. */
static uint8_t
rcpts_make(const struct about *ab, struct buf *rcpts)
{
	const struct reader *v = ab->audience.readers.v;
	uint8_t		 flags = 0;

	for (uint32_t i = 0; i < ab->audience.readers.n; i++) {
		/* No other NOTIFY may be had by a notification. */
		struct rec_rcpt	 r = { .n = i, .to = span_str(v[i].to),
				    .action = span_str(v[i].action->name),
				    .group = v[i].group,
				    .notify = NOTIFY_NEVER,
				    .next_ms = queue_now(ab->q) };

		if (v[i].expanded) {
			r.orig = ab->audience.to;
			r.flags = RCPT_F_EXPANDED;
		}
		if (v[i].group != i)
			flags = MSG_GROUPS;
		rec_rcpt_add(rcpts, &r);
	}
	return flags;
}

/* The notification's record with the change that it tells of. */
static bool
dsn_append(struct about *ab, uint64_t id, struct span text,
    const struct dsn_form *form, struct span change)
{
	struct queue	*q = ab->q;
	struct rec_msg	 m = { .flags = MSG_BOUNCE, .size = text.len,
			    .nrcpts = (uint32_t)ab->audience.readers.n,
			    .accepted_ms = queue_now(q),
			    .received_ms = (uint64_t)clock_wall().ms,
			    .cause_id = ab->id, .cause = change };
	struct rec	 r = { .kind = REC_MESSAGE, .id = id, .content = text };
	struct buf	 env, rcpts;
	bool		 ok;

	buf_init(&env, REC_ENV_MAX);
	buf_init(&rcpts, REC_ENV_MAX);
	m.flags |= rcpts_make(ab, &rcpts);
	/* RFC 8689, 5: it tells as much as the header that it brings back. */
	m.flags |= ab->m->flags & MSG_REQUIRETLS;
	m.rcpts = buf_content(&rcpts);
	m.expire_ms = m.accepted_ms + q->conf->bounce_ttl_ms;
	m.body = form->eightbit ? BODY_8BITMIME : BODY_7BIT;
	if (form->smtputf8)
		m.flags |= MSG_UTF8;
	ok = rec_msg_encode(&env, &m);
	r.env = buf_content(&env);
	ok = ok && append(ab, &r);
	buf_clear(&env);
	buf_clear(&rcpts);
	return ok;
}

/* ---- notifications ---- */

/* The fates that go with the next record, and where those told are. */
struct with {
	const struct fate *v;
	size_t		 n;
	bool		*in;		/* of the next record; NULL: all */
	size_t		*at;		/* recipient told -> its fate */
};

static void
with_change(const struct about *ab, struct buf *env, const struct with *w)
{
	struct rec_change ch = { .what = ab->finish ? CHANGE_FINISH : 0 };
	struct buf	 fates;

	buf_init(&fates, REC_ENV_MAX);
	for (size_t i = 0; i < w->n; i++)
		if (w->in == NULL || w->in[i]) {
			rec_fate_add(&fates, &w->v[i].f);
			ch.nrcpts++;
		}
	ch.rcpts = buf_content(&fates);
	keep_mark(ab->q, &ch);
	buf_reset(env);
	if (ch.nrcpts > 0 && (fates.failed || !rec_change_encode(env, &ch)))
		fatalx("change");
	buf_clear(&fates);
}

/* One notification about the first of n recipients; how many they are. */
static size_t
tell_some(struct about *ab, struct dsn *d, struct with *w, struct buf *env)
{
	struct dsn_form	 form;
	struct buf	 text;
	uint64_t	 id = id_new();
	char		 ids[ID_STRLEN], of[ID_STRLEN];

	d->id = span_str(id_str(id, ids));
	d->of = span_str(id_str(ab->id, of));
	buf_init(&text, DSN_MAX);
	if (!dsn_write(&text, d, &form))
		fatalx("notification");
	for (size_t i = 0; w != NULL && i < form.told; i++)
		w->in[w->at[i]] = true;
	if (w != NULL)
		with_change(ab, env, w);
	if (dsn_append(ab, id, buf_content(&text), &form, buf_content(env)))
		log_queued(ab, id, d->rcpts, form.told);
	else {
		log_dropped(ab, "its record is too long");
		change_alone(ab, buf_content(env));
	}
	buf_clear(&text);
	return form.told;
}

/* As many as it takes for all of them; the first has the fates that are marked
 * already. */
static void
tell(struct about *ab, const struct dsn_rcpt *v, size_t n, struct with *w)
{
	struct dsn	 d = { 0 };
	struct buf	 env;
	size_t		 told;

	buf_init(&ab->head, HEAD_MAX);
	buf_init(&env, REC_ENV_MAX);
	head_read(ab);
	describe(ab, &d);
	d.rcpts = v;
	for (d.nrcpts = n; d.nrcpts > 0; d.nrcpts -= told) {
		told = tell_some(ab, &d, w, &env);
		d.rcpts += told;
		if (w != NULL) {
			memset(w->in, 0, w->n * sizeof(*w->in));
			w->at += told;
		}
	}
	buf_clear(&env);
	buf_clear(&ab->head);
}

/* What the message's record says of a recipient that is told of. */
static void
rcpt_describe(const struct about *ab, const struct fate *f,
    struct dsn_rcpt *out)
{
	const struct job_rcpt	*r = f->r;

	*out = (struct dsn_rcpt){ .action = f->told, .expired = f->expired,
	    .to = span_str(r->to), .reply = span_str(r->reply),
	    .server = r->remote ? span_str(r->server) : span(NULL, 0),
	    .tried_ms = r->tried_ms == 0 ? 0 : unix_ms(ab->q, r->tried_ms) };
}

/* ORCPT and what the client gave; rcpts and fates are both in the order of
 * their numbers. */
static void
rcpts_complete(const struct rec_msg *m, const struct with *w,
    struct dsn_rcpt *v, size_t n)
{
	struct span	 s = m->rcpts;
	struct rec_rcpt	 e;
	size_t		 i = 0;

	while (i < n && rec_rcpt_next(&s, m->version, &e)) {
		while (i < n && w->v[w->at[i]].f.n < e.n)
			i++;
		if (i < n && w->v[w->at[i]].f.n == e.n) {
			v[i].orcpt = e.orcpt;
			v[i].orig = e.orig;
		}
	}
}

/*
 * The message that a notification tells of. If its record can't be read, the
 * index still knows whose it was: the sender is told without its header. from
 * has room for any path.
 */
static bool
message_load(struct queue *q, uint64_t id, struct rec *r, struct rec_msg *m,
    char *from, size_t size)
{
	struct store_msg row;
	const char	*why;

	if (load_record(q, id, r) &&
	    rec_msg_decode(r->env, r->version, m, &why) == PARSE_OK)
		return true;
	if (!store_msg_get(q->store, id, &row) ||
	    !span_cstr(row.from, from, size))
		return false;
	*r = (struct rec){ .id = id };
	*m = (struct rec_msg){ .from = span_str(from),
	    .flags = row.flags & (MSG_UTF8 | MSG_REQUIRETLS),
	    .received_ms = row.received_ms,
	    .expire_ms = row.expire_ms };
	return true;
}

static bool
any_told(const struct fate *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].told != DSN_NONE)
			return true;
	return false;
}

/* Marks what nobody hears of for the first record, and lists the others. */
static size_t
sort_out(const struct about *ab, struct with *w, struct dsn_rcpt *v)
{
	size_t	 told = 0;
	bool	 dropped = false;

	for (size_t i = 0; i < w->n; i++) {
		if (heard(&ab->audience, &w->v[i])) {
			rcpt_describe(ab, &w->v[i], &v[told]);
			w->at[told++] = i;
			continue;
		}
		w->in[i] = true;
		dropped |= w->v[i].told == DSN_FAILED;
	}
	if (dropped)
		log_dropped(ab, ab->audience.why != NULL ? ab->audience.why :
		    "the postmaster can't be reached");
	return told;
}

/* Those fates and no more. */
static void
record_plain(struct about *ab, const struct with *w)
{
	struct with	 all = { .v = w->v, .n = w->n };
	struct buf	 env;

	buf_init(&env, REC_ENV_MAX);
	with_change(ab, &env, &all);
	change_alone(ab, buf_content(&env));
	buf_clear(&env);
}

static void
record_told(const struct about *plain, struct with *w)
{
	struct about	 ab = *plain;
	struct queue	*q = ab.q;
	uint64_t	 id = ab.id;
	struct rec	 r;
	struct rec_msg	 m;
	struct dsn_rcpt	*rcpts = calloc(w->n, sizeof(*rcpts));
	bool		*in = calloc(w->n, sizeof(*in));
	size_t		*at = calloc(w->n, sizeof(*at)), told = 0;
	char		 from[1100];

	if (rcpts == NULL || in == NULL || at == NULL)
		fatal("notification");
	w->in = in;
	w->at = at;
	if (message_load(q, id, &r, &m, from, sizeof(from))) {
		ab.r = &r;
		ab.m = &m;
		audience_find(q, m.from, &ab.audience);
		told = sort_out(&ab, w, rcpts);
	}
	if (told > 0) {
		rcpts_complete(&m, w, rcpts, told);
		tell(&ab, rcpts, told, w);
	} else
		record_plain(&ab, w);
	readers_clear(&ab.audience.readers);
	free(rcpts);
	free(in);
	free(at);
}

bool
dsn_must_wait(const struct queue *q, uint64_t id, const struct store_msg *m)
{
	return (m->flags & MSG_GROUPS) && map_get_u64(q->grouped, id) != NULL;
}

void
dsn_record(struct queue *q, uint64_t id, const struct store_msg *m,
    const char *action, struct fate *v, size_t n)
{
	struct about	 ab = { .q = q, .id = id,
			    .finish = (m->flags & MSG_PREPARED) != 0 };
	struct with	 w = { .v = v, .n = n };
	bool		 groups = (m->flags & MSG_GROUPS) != 0;

	notice_decide(q, id, m, action, v, n);
	if (any_told(v, n))
		record_told(&ab, &w);
	else
		record_plain(&ab, &w);
	if (groups && buf_len(&q->changes) > 0 &&
	    !map_set_u64(q->grouped, id, q))
		fatal("results");
}

void
dsn_expanded(struct queue *q, const struct rec *r, const struct rec_msg *m,
    const struct dsn_rcpt *v, size_t n)
{
	struct about	 ab = { .q = q, .id = r->id, .r = r, .m = m,
			    .beside = true };

	audience_find(q, m->from, &ab.audience);
	if (ab.audience.readers.n > 0 && !ab.audience.postmaster)
		tell(&ab, v, n, NULL);
	readers_clear(&ab.audience.readers);
}

void
dsn_expanded_late(struct queue *q, uint64_t id)
{
	struct about	 ab = { .q = q, .id = id };
	struct rec	 r;
	struct rec_msg	 m;
	struct rec_rcpt	 e;
	struct dsn_rcpt	*v;
	struct span	 s;
	char		 from[1100];
	size_t		 n = 0;

	if (!message_load(q, id, &r, &m, from, sizeof(from)))
		return;
	if ((v = calloc(m.nrcpts + 1, sizeof(*v))) == NULL)
		fatal("aliases");
	for (s = m.rcpts; rec_rcpt_next(&s, m.version, &e);)
		if (e.flags & RCPT_TELL)
			v[n++] = (struct dsn_rcpt){ .to = e.orig,
			    .action = DSN_EXPANDED, .orcpt = e.orcpt };
	ab.r = &r;
	ab.m = &m;
	audience_find(q, m.from, &ab.audience);
	if (n > 0 && ab.audience.readers.n > 0 && !ab.audience.postmaster)
		tell(&ab, v, n, NULL);
	readers_clear(&ab.audience.readers);
	free(v);
}
