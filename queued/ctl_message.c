/*
 * Verbs that read one message: its envelope with all recipients, its header,
 * its content as it was received. Long ones are read piece by piece.
 */
#include "queued/ctl_i.h"

#include <stdlib.h>
#include <sysexits.h>

#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/diskio.h"

#define RCPTS_STEP	256	/* recipients told in one go */
#define READ_PIECE	16384

struct queue *
verb_named(struct ctl *c, int argc, char **argv, uint64_t *id, struct store_msg *m)
{
	struct queue	*q = verb_queue(c);

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

/* ---- the envelope ---- */

struct showing {
	struct queue	*q;
	uint64_t	 id;
	uint32_t	 n, nrcpts;	/* the next recipient, of so many */
	struct buf	 env;		/* the record's, copied */
	struct span	 rcpts;		/* what is left of it */
	uint8_t		 version;	/* of that */
};

static void
showing_free(void *arg)
{
	struct showing	*s = arg;

	buf_clear(&s->env);
	free(s);
}

static void
notify_field(struct ctl *c, uint8_t notify)
{
	static const struct { uint8_t bit; const char *word; } words[] = {
		{ NOTIFY_NEVER, "never" }, { NOTIFY_SUCCESS, "success" },
		{ NOTIFY_FAILURE, "failure" }, { NOTIFY_DELAY, "delay" } };
	char	 text[40] = "";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (notify & words[i].bit) {
			if (text[0] != '\0')
				strlcat(text, ",", sizeof(text));
			strlcat(text, words[i].word, sizeof(text));
		}
	if (text[0] != '\0')
		ctl_str(c, "notify", text);
}

/* e: what the record says of it, NULL if that can't be read. */
static void
show_rcpt(struct ctl *c, struct showing *s, const struct store_rcpt *r,
    const struct rec_rcpt *e)
{
	static const char *const states[] = { "waiting", "delivered",
	    "failed", "prepared" };

	ctl_row(c, "recipient");
	ctl_num(c, "n", s->n);
	ctl_field(c, "to", r->to);
	ctl_str(c, "state", r->state <= RCPT_STATE_MAX ? states[r->state] :
	    "?");
	ctl_field(c, "action", r->action);
	ctl_num(c, "attempts", r->attempt);
	if (r->attempt > 0)
		ctl_num(c, "last_ms", verb_unix_ms(s->q, r->last_ms));
	if (r->state == RCPT_WAITING)
		ctl_num(c, "next_ms", verb_unix_ms(s->q, r->next_ms));
	if (e != NULL && e->orig.len > 0)
		ctl_field(c, "orig", e->orig);
	if (e != NULL && e->orcpt.len > 0)
		ctl_field(c, "orcpt", e->orcpt);
	notify_field(c, r->notify);
	if (r->state == RCPT_PREPARED) {
		ctl_num(c, "way", r->way);
		if (r->settled > 0 && r->settled <= SETTLED_LAST + 1)
			ctl_str(c, "settled", settled_name(r->settled - 1));
	}
	if (r->group != s->n)
		ctl_num(c, "group", r->group);
	if (r->flags & RCPT_F_ARCHIVE)
		ctl_str(c, "archive", "yes");
	if (r->server.len > 0)
		ctl_field(c, "server", r->server);
	ctl_field(c, "reason", r->reason);
	ctl_row_end(c);
}

static void
show_more(struct ctl *c, void *arg)
{
	struct showing	*s = arg;
	struct store_rcpt r;
	struct rec_rcpt	 e;

	for (unsigned i = 0; i < RCPTS_STEP && s->n < s->nrcpts;
	    i++, s->n++) {
		bool	 known = rec_rcpt_next(&s->rcpts, s->version, &e);

		if (store_rcpt_get(s->q->store, s->id, s->n, &r))
			show_rcpt(c, s, &r, known ? &e : NULL);
	}
	if (s->n >= s->nrcpts)
		ctl_end(c, EX_OK, NULL);
}

/* What the index knows; the spans of m die with the next look into it. */
static void
show_row(struct ctl *c, const struct queue *q, uint64_t id,
    const struct store_msg *m)
{
	char	 ids[ID_STRLEN], addr[ADDR_STRLEN];

	ctl_str(c, "id", id_str(id, ids));
	ctl_str(c, "state", verb_state(m));
	ctl_field(c, "from", m->from);
	ctl_num(c, "size", (int64_t)m->size);
	ctl_num(c, "received_ms", (int64_t)m->received_ms);
	ctl_num(c, m->flags & MSG_KEPT ? "kept_until_ms" : "expire_ms",
	    verb_unix_ms(q, m->expire_ms));
	if (m->held)
		ctl_num(c, "held_since_ms", verb_unix_ms(q,
		    m->held_since_ms));
	ctl_num(c, "rcpts", m->nrcpts);
	ctl_num(c, "left", m->left);
	ctl_str(c, "client", addr_str(&m->client, addr));
}

static void
show_envelope(struct ctl *c, const struct rec_msg *e)
{
	static const char *const bodies[] = { [BODY_NONE] = "none",
	    [BODY_7BIT] = "7bit", [BODY_8BITMIME] = "8bitmime" };
	static const char *const rets[] = { [RET_NONE] = "none",
	    [RET_FULL] = "full", [RET_HDRS] = "hdrs" };

	ctl_field(c, "rdns", e->rdns);
	ctl_field(c, "helo", e->helo);
	ctl_field(c, "auth", e->auth);
	ctl_field(c, "tag", e->tag);
	ctl_field(c, "envid", e->envid);
	ctl_field(c, "mail_auth", e->mail_auth);
	ctl_str(c, "ret", e->ret <= RET_HDRS ? rets[e->ret] : "?");
	ctl_str(c, "body", e->body <= BODY_8BITMIME ? bodies[e->body] : "?");
	ctl_str(c, "utf8", e->flags & MSG_UTF8 ? "yes" : "no");
	ctl_str(c, "tls", e->flags & MSG_REQUIRETLS ? "required" :
	    e->flags & MSG_TLS_OPTIONAL ? "optional" : "usual");
	ctl_str(c, "bounce", e->flags & MSG_BOUNCE ? "yes" : "no");
}

void
verb_show(struct ctl *c, int argc, char **argv)
{
	struct store_msg m;
	struct rec	 r;
	struct rec_msg	 e;
	struct showing	*s;
	struct queue	*q;
	const char	*why;
	uint64_t	 id;

	if ((q = verb_named(c, argc, argv, &id, &m)) == NULL)
		return;
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	*s = (struct showing){ .q = q, .id = id, .nrcpts = m.nrcpts };
	buf_init(&s->env, REC_ENV_MAX);
	ctl_row(c, "message");
	show_row(c, q, id, &m);
	if (load_record(q, id, &r) && buf_span(&s->env, r.env) &&
	    rec_msg_decode(buf_content(&s->env), r.version, &e, &why) ==
	    PARSE_OK) {
		show_envelope(c, &e);
		s->rcpts = e.rcpts;
		s->version = e.version;
	}
	ctl_row_end(c);
	ctl_more(c, show_more, showing_free, s);
}

/* ---- the content ---- */

/* What goes to the caller: all, or up to the empty line behind the header, in
 * whatever pieces it comes. */
struct reading {
	bool		 headers;
	unsigned	 seen;		/* of CR LF CR LF */
	bool		 over;
	int		 fd;		/* of the body's file, or -1 */
	off_t		 off;
};

static void
reading_free(void *arg)
{
	struct reading	*rd = arg;

	dio_close(rd->fd);
	free(rd);
}

static void
read_piece(struct ctl *c, struct reading *rd, struct span s)
{
	size_t	 i;

	if (rd->over)
		return;
	for (i = 0; rd->headers && i < s.len && rd->seen < 4; i++)
		if (s.p[i] == (rd->seen % 2 == 0 ? '\r' : '\n'))
			rd->seen++;
		else
			rd->seen = s.p[i] == '\r';
	if (rd->seen == 4) {
		rd->over = true;
		s.len = i;
	}
	ctl_data(c, s);
}

static void
read_more(struct ctl *c, void *arg)
{
	struct reading	*rd = arg;
	uint8_t		 buf[READ_PIECE];
	ssize_t		 n;

	n = dio_pread(rd->fd, buf, sizeof(buf), rd->off);
	if (n > 0) {
		rd->off += n;
		read_piece(c, rd, span(buf, (size_t)n));
	}
	if (n <= 0 || rd->over)
		ctl_end(c, n >= 0 ? EX_OK : EX_IOERR, n >= 0 ? NULL :
		    "its content can't be read");
}

static void
content(struct ctl *c, int argc, char **argv, bool headers)
{
	struct store_msg m;
	struct queue	*q;
	struct rec	 r;
	struct reading	*rd;
	uint64_t	 id;

	if ((q = verb_named(c, argc, argv, &id, &m)) == NULL)
		return;
	if ((rd = calloc(1, sizeof(*rd))) == NULL) {
		ctl_end(c, EX_OSERR, "out of memory");
		return;
	}
	*rd = (struct reading){ .headers = headers, .fd = -1 };
	if (!load_record(q, id, &r) || ((m.flags & MSG_BODY_FILE) &&
	    (rd->fd = body_open(id, false)) == -1)) {
		free(rd);
		ctl_end(c, EX_IOERR, "its record or content can't be read");
		return;
	}
	read_piece(c, rd, r.prefix);
	if (rd->fd != -1) {
		ctl_more(c, read_more, reading_free, rd);
		return;
	}
	read_piece(c, rd, r.content);
	reading_free(rd);
	ctl_end(c, EX_OK, NULL);
}

void
verb_headers(struct ctl *c, int argc, char **argv)
{
	content(c, argc, argv, true);
}

void
verb_content(struct ctl *c, int argc, char **argv)
{
	content(c, argc, argv, false);
}
