/*
 * The control socket's verbs. Long answers are made page by page from a key of
 * the index, so a listing of a million messages holds nothing but a number.
 */
#include "queued/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "queued/due.h"
#include "queued/filter.h"
#include "queued/hosts.h"

#define PAGE	64		/* messages looked at in one go */

static struct queue **queue_at;

static struct queue *
usable(struct ctl *c)
{
	struct queue	*q = *queue_at;

	if (!q->down)
		return q;
	ctl_end(c, EX_UNAVAILABLE, q->closed_why);
	return NULL;
}

/* Queue time as unix time. */
static int64_t
unix_ms(const struct queue *q, int64_t ms)
{
	return clock_wall().ms + (ms - queue_now(q));
}

/* ---- walking by filter ---- */

enum walk_what { WALK_LIST, WALK_COUNT, WALK_SCHEDULE, WALK_HOLD, WALK_RELEASE,
    WALK_REMOVE };

struct walk {
	enum walk_what	 what;
	struct filter	 filter;
	uint64_t	 from;
	int64_t		 n;		/* messages that fitted */
	uint64_t	 ids[PAGE];
	size_t		 nids;
};

static bool
walk_id(uint64_t id, const struct store_msg *m, void *arg)
{
	struct walk	*w = arg;

	(void)m;
	if (w->filter.id != 0 && id != w->filter.id)
		return false;
	w->ids[w->nids++] = id;
	return w->nids < PAGE;
}

struct look {
	struct queue	*q;
	uint64_t	 dest;		/* of its last recipient that waits */
	struct walk	*w;
	struct ctl	*c;
	bool		 fits;
	int64_t		 next_ms;
	unsigned	 attempts;
	uint32_t	 nrcpts;
	struct buf	 to, reason, fates;
	uint32_t	 nfates;
};

static bool
look_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct look	*l = arg;
	struct rec_fate	 f = { .n = n, .state = r->state,
			    .attempt = r->attempt, .last_ms = r->last_ms,
			    .reason = r->reason };

	if (filter_rcpt(&l->w->filter, r))
		l->fits = true;
	if (r->state != RCPT_WAITING)
		return true;
	if (l->nrcpts++ == 0) {
		buf_span(&l->to, r->to);
		buf_span(&l->reason, r->reason);
		l->next_ms = r->next_ms;
	}
	if (r->next_ms < l->next_ms)
		l->next_ms = r->next_ms;
	if (l->w->what == WALK_SCHEDULE) {
		l->dest = r->dest;
		f.next_ms = queue_now(l->q);
		rec_fate_add(&l->fates, &f);
		l->nfates++;
	}
	return true;
}

static void
list_row(struct look *l, uint64_t id, const struct store_msg *m)
{
	char	 ids[ID_STRLEN], addr[ADDR_STRLEN];
	int64_t	 next = unix_ms(l->q, l->next_ms);

	if (l->nrcpts > 1)
		buf_fmt(&l->to, " +%u", l->nrcpts - 1);
	ctl_row(l->c, "queued");
	ctl_str(l->c, "id", id_str(id, ids));
	ctl_str(l->c, "state", m->held ? "held" : "waiting");
	ctl_num(l->c, "size", (int64_t)m->size);
	ctl_num(l->c, "received_ms", (int64_t)m->received_ms);
	if (!m->held)
		ctl_num(l->c, "next_ms", next);
	ctl_field(l->c, "from", m->from);
	ctl_field(l->c, "to", buf_content(&l->to));
	ctl_num(l->c, "rcpts", l->nrcpts);
	ctl_str(l->c, "client", addr_str(&m->client, addr));
	ctl_field(l->c, "reason", buf_content(&l->reason));
	ctl_row_end(l->c);
}

static void
change(struct look *l, uint64_t id, const struct store_msg *m)
{
	struct rec_change ch = { 0 };
	struct rec	 r = { .kind = REC_CHANGE, .id = id };
	struct buf	 env;
	int64_t		 now = queue_now(l->q);
	char		 ids[ID_STRLEN];
	static const char *const events[] = { [WALK_SCHEDULE] = "schedule",
	    [WALK_HOLD] = "hold", [WALK_RELEASE] = "release",
	    [WALK_REMOVE] = "remove" };

	switch (l->w->what) {
	case WALK_SCHEDULE:
		ch.nrcpts = l->nfates;
		ch.rcpts = buf_content(&l->fates);
		due_first(l->q, l->dest, id);
		break;
	case WALK_HOLD:
	case WALK_RELEASE:
		ch.what = CHANGE_HOLD;
		ch.held = l->w->what == WALK_HOLD;
		ch.held_since_ms = now;
		ch.expire_ms = m->expire_ms;
		/* Held time does not count. */
		if (m->held && !ch.held)
			ch.expire_ms += now - m->held_since_ms;
		if (m->held == ch.held)
			return;
		break;
	default:
		ch.what = CHANGE_REMOVE;
	}
	buf_init(&env, REC_ENV_MAX);
	if (rec_change_encode(&env, &ch)) {
		r.env = buf_content(&env);
		queue_record(l->q, &r);
		log_info("id=%s event=%s uid=%u", id_str(id, ids),
		    events[l->w->what], ctl_uid(l->c));
	}
	buf_clear(&env);
}

static void
look_at(struct queue *q, struct ctl *c, struct walk *w, uint64_t id)
{
	struct look	 l = { .q = q, .w = w, .c = c };
	struct store_msg m;

	if (!store_msg_get(q->store, id, &m) ||
	    !filter_msg(&w->filter, q, id, &m))
		return;
	buf_init(&l.to, 2048);
	buf_init(&l.reason, 2048);
	buf_init(&l.fates, REC_ENV_MAX);
	store_rcpts(q->store, id, look_rcpt, &l);
	if ((l.fits || !w->filter.any_rcpt) &&
	    store_msg_get(q->store, id, &m)) {
		w->n++;
		if (w->what == WALK_LIST)
			list_row(&l, id, &m);
		else if (w->what != WALK_COUNT)
			change(&l, id, &m);
	}
	buf_clear(&l.to);
	buf_clear(&l.reason);
	buf_clear(&l.fates);
}

static void
walk_more(struct ctl *c, void *arg)
{
	struct walk	*w = arg;
	struct queue	*q = usable(c);

	if (q == NULL)
		return;
	w->nids = 0;
	store_msgs(q->store, w->from, walk_id, w);
	for (size_t i = 0; i < w->nids; i++)
		look_at(q, c, w, w->ids[i]);
	if (w->what >= WALK_SCHEDULE)
		queue_flush(q);
	if (w->nids == PAGE && w->filter.id == 0) {
		w->from = w->ids[PAGE - 1] + 1;
		return;
	}
	if (w->what != WALK_LIST) {
		ctl_row(c, "count");
		ctl_num(c, "messages", w->n);
		ctl_row_end(c);
	}
	ctl_end(c, w->n == 0 && w->filter.id != 0 ? EX_DATAERR : EX_OK,
	    w->n == 0 && w->filter.id != 0 ? "no such message" : NULL);
}

static void
walk_start(struct ctl *c, enum walk_what what, int argc, char **argv)
{
	struct walk	*w;
	const char	*why;

	if (usable(c) == NULL)
		return;
	if ((w = calloc(1, sizeof(*w))) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	w->what = what;
	why = argc == 0 && what != WALK_LIST ? "a filter is wanted; \"all\" "
	    "is one" : filter_parse(&w->filter, argc, argv);
	if (why != NULL) {
		free(w);
		ctl_end(c, EX_USAGE, why);
		return;
	}
	w->from = w->filter.id;
	ctl_more(c, walk_more, free, w);
}

static void
run_list(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_LIST, argc, argv);
}

static void
run_count(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_COUNT, argc, argv);
}

static void
run_schedule(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_SCHEDULE, argc, argv);
}

static void
run_hold(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_HOLD, argc, argv);
}

static void
run_release(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_RELEASE, argc, argv);
}

static void
run_remove(struct ctl *c, int argc, char **argv)
{
	walk_start(c, WALK_REMOVE, argc, argv);
}

/* ---- one message ---- */

static bool
show_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct look	*l = arg;
	static const char *const states[] = { "waiting", "delivered",
	    "failed" };

	(void)n;
	ctl_row(l->c, "recipient");
	ctl_field(l->c, "to", r->to);
	ctl_str(l->c, "state", r->state <= RCPT_FAILED ? states[r->state] :
	    "?");
	ctl_field(l->c, "action", r->action);
	ctl_num(l->c, "attempts", r->attempt);
	if (r->state == RCPT_WAITING)
		ctl_num(l->c, "next_ms", unix_ms(l->q, r->next_ms));
	ctl_field(l->c, "reason", r->reason);
	ctl_row_end(l->c);
	return true;
}

/* The message that the only argument names, or NULL: answered. */
static struct queue *
named(struct ctl *c, int argc, char **argv, uint64_t *id, struct store_msg *m)
{
	struct queue	*q = usable(c);

	if (q == NULL)
		return NULL;
	if (argc != 1 || !id_parse(span_str(argv[0]), id))
		ctl_end(c, EX_USAGE, "an id is wanted");
	else if (!store_msg_get(q->store, *id, m))
		ctl_end(c, EX_DATAERR, "no such message");
	else
		return q;
	return NULL;
}

static void
run_show(struct ctl *c, int argc, char **argv)
{
	struct store_msg m;
	struct rec	 r;
	struct rec_msg	 e;
	struct queue	*q;
	struct look	 l = { .c = c };
	const char	*why;
	uint64_t	 id;
	char		 addr[ADDR_STRLEN];

	if ((q = named(c, argc, argv, &id, &m)) == NULL)
		return;
	l.q = q;
	ctl_row(c, "message");
	ctl_str(c, "id", argv[0]);
	ctl_str(c, "state", m.held ? "held" : "waiting");
	ctl_field(c, "from", m.from);
	ctl_num(c, "size", (int64_t)m.size);
	ctl_num(c, "received_ms", (int64_t)m.received_ms);
	ctl_num(c, "expire_ms", unix_ms(q, m.expire_ms));
	ctl_str(c, "client", addr_str(&m.client, addr));
	if (load_record(q, id, &r) &&
	    rec_msg_decode(r.env, &e, &why) == PARSE_OK) {
		ctl_field(c, "rdns", e.rdns);
		ctl_field(c, "helo", e.helo);
		ctl_field(c, "auth", e.auth);
		ctl_field(c, "tag", e.tag);
		ctl_field(c, "envid", e.envid);
	}
	ctl_row_end(c);
	store_rcpts(q->store, id, show_rcpt, &l);
	ctl_end(c, EX_OK, NULL);
}

struct reading {
	int		 fd;
	off_t		 off;
	bool		 headers;
};

static void
reading_free(void *arg)
{
	struct reading	*rd = arg;

	dio_close(rd->fd);
	free(rd);
}

/* Bytes up to and with the empty line, or all if there is none. */
static size_t
header_len(struct span s, bool *ends)
{
	for (size_t i = 0; i + 3 < s.len; i++)
		if (memcmp(s.p + i, "\r\n\r\n", 4) == 0) {
			*ends = true;
			return i + 2;
		}
	*ends = false;
	return s.len;
}

static void
read_more(struct ctl *c, void *arg)
{
	struct reading	*rd = arg;
	uint8_t		 buf[16384];
	struct span	 s;
	ssize_t		 n;
	bool		 ends = false;

	n = dio_pread(rd->fd, buf, sizeof(buf), rd->off);
	if (n <= 0) {
		ctl_end(c, n == 0 ? EX_OK : EX_IOERR, NULL);
		return;
	}
	rd->off += n;
	s = span(buf, (size_t)n);
	if (rd->headers)
		s.len = header_len(s, &ends);
	ctl_data(c, s);
	if (ends)
		ctl_end(c, EX_OK, NULL);
}

static void
content(struct ctl *c, int argc, char **argv, bool headers)
{
	struct store_msg m;
	struct queue	*q;
	struct rec	 r;
	struct span	 s;
	struct reading	*rd;
	uint64_t	 id;
	bool		 ends;

	if ((q = named(c, argc, argv, &id, &m)) == NULL)
		return;
	if (!load_record(q, id, &r)) {
		ctl_end(c, EX_IOERR, "its record can't be read");
		return;
	}
	ctl_data(c, r.prefix);
	if (!(m.flags & MSG_BODY_FILE)) {
		s = r.content;
		if (headers)
			s.len = header_len(s, &ends);
		ctl_data(c, s);
		ctl_end(c, EX_OK, NULL);
		return;
	}
	if ((rd = calloc(1, sizeof(*rd))) == NULL ||
	    (rd->fd = body_open(id, false)) == -1) {
		free(rd);
		ctl_end(c, EX_IOERR, "its content can't be read");
		return;
	}
	rd->headers = headers;
	ctl_more(c, read_more, reading_free, rd);
}

static void
run_headers(struct ctl *c, int argc, char **argv)
{
	content(c, argc, argv, true);
}

static void
run_content(struct ctl *c, int argc, char **argv)
{
	content(c, argc, argv, false);
}

/* ---- the queue ---- */

static void
run_stats(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = *queue_at;

	(void)argc;
	(void)argv;
	ctl_row(c, "queue");
	ctl_str(c, "state", q->down ? "down" : q->closed ? "closed" : "open");
	if (q->closed)
		ctl_str(c, "why", q->closed_why);
	ctl_num(c, "messages", (int64_t)q->messages);
	ctl_num(c, "held", (int64_t)q->held);
	ctl_num(c, "ready", q->nready);
	ctl_num(c, "running", q->nrunning);
	ctl_str(c, "mta", q->mta_paused ? "paused" : "running");
	ctl_num(c, "accepted", (int64_t)q->stats.accepted);
	ctl_num(c, "delivered", (int64_t)q->stats.delivered);
	ctl_num(c, "deferred", (int64_t)q->stats.deferred);
	ctl_num(c, "failed", (int64_t)q->stats.failed);
	ctl_num(c, "expired", (int64_t)q->stats.expired);
	ctl_num(c, "bounced", (int64_t)q->stats.bounced);
	ctl_num(c, "batches", (int64_t)q->stats.batches);
	ctl_num(c, "syncs", (int64_t)dio_syncs());
	if (!q->down) {
		ctl_num(c, "segments", (int64_t)segs_count(q->segs));
		ctl_num(c, "damage", (int64_t)(segs_damage(q->segs) +
		    q->damage));
		ctl_num(c, "free_bytes", (int64_t)q->space_free);
	}
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static void
run_pause_mta(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = usable(c);

	(void)argc;
	(void)argv;
	if (q == NULL)
		return;
	log_info("event=pause what=mta uid=%u", ctl_uid(c));
	queue_pause_mta(q, true);
	ctl_end(c, EX_OK, NULL);
}

static void
run_resume_mta(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = usable(c);

	(void)argc;
	(void)argv;
	if (q == NULL)
		return;
	log_info("event=resume what=mta uid=%u", ctl_uid(c));
	queue_pause_mta(q, false);
	ctl_end(c, EX_OK, NULL);
}

static void
pause_dest(struct ctl *c, int argc, char **argv, bool on)
{
	struct queue	*q = usable(c);

	if (q == NULL)
		return;
	if (argc != 1 || argv[0][0] == '\0' || strlen(argv[0]) > 255) {
		ctl_end(c, EX_USAGE, "the name of an action or a domain");
		return;
	}
	log_info("event=%s what=%s uid=%u", on ? "pause" : "resume",
	    log_quote(span_str(argv[0])), ctl_uid(c));
	if (queue_pause_dest(q, span_str(argv[0]), on))
		ctl_end(c, EX_OK, NULL);
	else
		ctl_end(c, EX_UNAVAILABLE, "too many names");
}

static void
run_pause_dest(struct ctl *c, int argc, char **argv)
{
	pause_dest(c, argc, argv, true);
}

static void
run_resume_dest(struct ctl *c, int argc, char **argv)
{
	pause_dest(c, argc, argv, false);
}

static const struct ctl_verb verbs[] = {
	{ "hosts", CTL_READ, hosts_list },
	{ "queue list", CTL_READ, run_list },
	{ "queue count", CTL_READ, run_count },
	{ "queue stats", CTL_READ, run_stats },
	{ "message show", CTL_READ, run_show },
	{ "message headers", CTL_READ, run_headers },
	{ "message content", CTL_READ, run_content },
	{ "schedule", CTL_CHANGE, run_schedule },
	{ "hold", CTL_CHANGE, run_hold },
	{ "release", CTL_CHANGE, run_release },
	{ "remove", CTL_CHANGE, run_remove },
	{ "pause mta", CTL_CHANGE, run_pause_mta },
	{ "resume mta", CTL_CHANGE, run_resume_mta },
	{ "pause destination", CTL_CHANGE, run_pause_dest },
	{ "resume destination", CTL_CHANGE, run_resume_dest },
	{ NULL, 0, NULL }
};

const struct ctl_verb *
verbs_init(struct queue **q)
{
	queue_at = q;
	return verbs;
}
