/*
 * The verb message resend: a message that is kept goes out once more, as a new
 * one with an id of its own, the kept bytes, the sender and client of the old
 * one, and recipients that the rules are asked for again.
 */
#include "queued/ctl_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/rand.h"
#include "common/smtp/path.h"
#include "queued/diskio.h"
#include "queued/readers.h"

#define PIECE	60000	/* bytes of a long content copied in one go */

struct resend {
	struct queue	*q;
	struct txn	*t;
	uint64_t	 id, of, size;
	uint32_t	 nrcpts, no_rule;
	struct map	*there;		/* recipients by their actions */
	int		 fd;		/* of the old content's file, or -1 */
	off_t		 off;
	struct buf	 prefix;
	const char	*why;		/* of the last that has no rule */
	bool		 failed;
};

static void
resend_free(void *arg)
{
	struct resend	*x = arg;

	if (x->t != NULL)
		txn_abort(x->t);
	dio_close(x->fd);
	buf_clear(&x->prefix);
	map_free(x->there);
	free(x);
}

/* False: he has it already, by that action. */
static bool
note(struct resend *x, const struct reader *v)
{
	struct buf	 key;
	bool		 was;

	buf_init(&key, sizeof(v->to) + 256);
	buf_str(&key, v->to);
	buf_byte(&key, 0);
	buf_str(&key, v->action->name);
	was = map_get(x->there, buf_content(&key)) != NULL;
	if (!was && !map_set(x->there, buf_content(&key), x))
		x->failed = true;
	buf_clear(&key);
	return !was;
}

/* A recipient, or those whom he stands for, with each action of the rule; of
 * two aliases that lead to one he gets one. */
static void
add_rcpt(struct resend *x, const struct rec_msg *m, const struct rec_rcpt *e)
{
	struct rec_rcpt	 r = { .orcpt = e->orcpt, .notify = e->notify };
	struct readers	 to;
	uint32_t	 group = UINT32_MAX;	/* that r.group stands for */

	readers_again(x->q->conf, m, e->to, e->flags, &to);
	if (to.n == 0) {
		x->no_rule++;
		x->why = to.why;
	}
	for (size_t i = 0; i < to.n && !x->failed; i++) {
		const struct reader *v = &to.v[i];

		if (!note(x, v) && v->expanded)
			continue;
		r.to = span_str(v->to);
		r.orig = e->orig.len == 0 && v->expanded ? e->to : e->orig;
		r.flags = e->flags | (v->expanded ? RCPT_F_EXPANDED : 0);
		r.action = span_str(v->action->name);
		if (v->group != group)
			r.group = x->nrcpts;
		group = v->group;
		if (txn_rcpt(x->t, &r) == -1)
			x->failed = true;
		x->nrcpts++;
	}
	readers_clear(&to);
}

/* The old ones, each once and without an archive's copies; or the one given. */
static void
add_rcpts(struct resend *x, const struct rec_msg *m, const char *to)
{
	struct rec_rcpt	 e = { .to = span_str(to) };
	struct span	 s = m->rcpts;

	if (to != NULL) {
		add_rcpt(x, m, &e);
		return;
	}
	while (rec_rcpt_next(&s, m->version, &e))
		if (e.group == e.n && !(e.flags & RCPT_F_ARCHIVE))
			add_rcpt(x, m, &e);
}

static void
finish(struct ctl *c, struct resend *x, struct span content)
{
	struct queue	*q = x->q;
	struct txn	*t = x->t;
	struct store_msg m;
	char		 id[ID_STRLEN], of[ID_STRLEN];

	x->t = NULL;
	txn_commit(t, buf_content(&x->prefix), content, x->size);
	queue_flush(q);
	if (!store_msg_get(q->store, x->id, &m)) {
		ctl_end(c, EX_TEMPFAIL, q->closed ? q->closed_why :
		    "the queue did not take it");
		return;
	}
	log_info("id=%s event=resend of=%s uid=%u nrcpts=%u",
	    id_str(x->id, id), id_str(x->of, of), ctl_uid(c), x->nrcpts);
	log_info("id=%s event=resend as=%s", of, id);
	ctl_row(c, "resend");
	ctl_str(c, "id", id);
	ctl_str(c, "of", of);
	ctl_num(c, "rcpts", x->nrcpts);
	ctl_num(c, "no_rule", x->no_rule);
	ctl_row_end(c);
	ctl_end(c, EX_OK, x->why);
}

static void
resend_more(struct ctl *c, void *arg)
{
	struct resend	*x = arg;
	uint8_t		 piece[PIECE];
	ssize_t		 n;

	n = dio_pread(x->fd, piece, sizeof(piece), x->off);
	if (n > 0 && txn_data(x->t, span(piece, (size_t)n)) == 0) {
		x->off += n;
		if ((uint64_t)x->off < x->size)
			return;
		finish(c, x, span(NULL, 0));
		return;
	}
	ctl_end(c, EX_IOERR, n > 0 ? "it is longer than allowed now" :
	    "its content can't be read");
}

/* The transaction with its envelope; false: answered. */
static bool
begin(struct ctl *c, struct resend *x, const struct rec_msg *m,
    const char *to)
{
	struct rec_msg	 e = *m;

	e.flags = m->flags & (MSG_UTF8 | MSG_BOUNCE | MSG_REQUIRETLS |
	    MSG_TLS_OPTIONAL);
	e.held = false;
	e.received_ms = (uint64_t)clock_wall().ms;
	e.nrcpts = 0;
	e.rcpts = e.cause = span(NULL, 0);
	e.cause_id = 0;
	x->id = id_new();
	x->size = m->size;
	if ((x->t = txn_begin(x->q, NULL, 0, x->id, &e)) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return false;
	}
	add_rcpts(x, m, to);
	if (x->nrcpts > 0 && !x->failed)
		return true;
	ctl_end(c, EX_DATAERR, x->failed ? "too many recipients" : x->why !=
	    NULL ? x->why : "it has no recipient but an archive");
	return false;
}

void
verb_resend(struct ctl *c, int argc, char **argv)
{
	const char	*to = argc == 2 ? argv[1] : NULL, *why;
	struct smtp_path path;
	struct store_msg m;
	struct queue	*q;
	struct rec	 r;
	struct rec_msg	 e;
	struct resend	*x;
	uint64_t	 id;
	bool		 file;

	if ((q = verb_named(c, argc == 2 ? 1 : argc, argv, &id, &m)) == NULL)
		return;
	if (!(m.flags & MSG_KEPT) || (to != NULL &&
	    smtp_mailbox_parse(span_str(to), m.flags & MSG_UTF8, &path,
	    &why) != PARSE_OK)) {
		ctl_end(c, EX_DATAERR, m.flags & MSG_KEPT ? "this is no "
		    "address" : "it is not over; schedule is for what waits");
		return;
	}
	file = m.flags & MSG_BODY_FILE;
	if ((x = calloc(1, sizeof(*x))) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	*x = (struct resend){ .q = q, .of = id, .fd = -1,
	    .there = map_new(q->conf->limits.recipients) };
	buf_init(&x->prefix, REC_PREFIX_MAX);
	if (x->there == NULL)
		ctl_end(c, EX_OSERR, "out of memory");
	else if (!load_record(q, id, &r) ||
	    rec_msg_decode(r.env, r.version, &e, &why) != PARSE_OK ||
	    !buf_span(&x->prefix, r.prefix) ||
	    (file && (x->fd = body_open(id, false)) == -1))
		ctl_end(c, EX_IOERR, "its record or content can't be read");
	else if (begin(c, x, &e, to)) {
		if (file) {
			ctl_more(c, resend_more, resend_free, x);
			return;
		}
		finish(c, x, r.content);
	}
	resend_free(x);
}
