/*
 * See stage.h.
 */
#include "smtpd/stage.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/mime/date.h"
#include "smtpd/handoff.h"
#include "smtpd/senders.h"

_Static_assert(EDIT_ADDR_MAX >= CONF_PATH_MAX, "a rewritten address fits");

static bool
masquerade(struct span addr, char dst[EDIT_ADDR_MAX], void *arg)
{
	const struct txn	*t = arg;

	return conf_masquerade(session_conf(), t->s->listen->masquerade, addr,
	    dst);
}

/* The agent that hands it in is one of ours (RFC 6409, 8). Content that streams
 * has left, header first, before it is known what it lacks. */
static bool
completes(const struct txn *t)
{
	return !t->way->streams && (t->s->listen->complete_headers ||
	    session_local(t->s) || t->s->authed);
}

/* As the client gives it, before it is rewritten. */
static bool
is_his(struct span addr, void *arg)
{
	const struct txn	*t = arg;

	if (senders_may_write(t->s, addr))
		return true;
	log_info("session=%s id=%s event=author result=refused user=%s "
	    "from=<%s>", t->s->id, t->ids,
	    log_quote(span_str(t->s->user != NULL ? t->s->user : "")),
	    txn_quote(addr));
	return false;
}

void
stage_begin(struct txn *t)
{
	const struct conf_listen *l = t->s->listen;
	struct stage		*g = &t->content.stage;
	bool			 fold = l->long_lines == LONG_FOLD;

	t->content.in.normalize = l->bare_normalize;
	g->completes = completes(t);
	if ((g->strict = senders_strict(t->s)))
		author_begin(&g->author, &g->seen, is_his, t);
	if (l->recognise_retry)
		g->digest = digest_new();
	if (!fold && l->masquerade == NULL)
		return;
	g->edits = true;
	edit_begin(&g->edit, fold, l->masquerade != NULL ? masquerade : NULL,
	    t);
	buf_init(&g->raw, CONTENT_HOLD);
	buf_init(&g->done, STAGE_OUT_MAX);
}

void
stage_clear(struct stage *g)
{
	digest_free(g->digest);
	g->digest = NULL;
	if (g->strict)
		author_clear(&g->author);
	g->strict = false;
	if (!g->edits)
		return;
	edit_clear(&g->edit);
	buf_clear(&g->raw);
	buf_clear(&g->done);
	g->edits = false;
}

struct buf *
stage_in(struct stage *g)
{
	return g->edits ? &g->raw : NULL;
}

void
stage_watch(struct stage *g, struct span s)
{
	if ((g->completes || g->strict) && !g->seen.over)
		header_seen_feed(&g->seen, s);
	if (g->digest != NULL)
		digest_add(g->digest, s);
}

void
stage_run(struct stage *g)
{
	edit_feed(&g->edit, buf_content(&g->raw), &g->done);
	buf_reset(&g->raw);
}

void
stage_end(struct stage *g)
{
	if (g->edits && !g->ended)
		edit_end(&g->edit, &g->done);
	g->ended = true;
}

bool
stage_drain(struct stage *g, struct buf *out, size_t max)
{
	size_t	n, room = max > buf_len(out) ? max - buf_len(out) : 0;

	if (!g->edits)
		return true;
	n = buf_len(&g->done) < room ? buf_len(&g->done) : room;
	if (!buf_span(out, span_sub(buf_content(&g->done), 0, n)))
		n = 0;
	buf_drain(&g->done, n);
	g->size += n;
	return buf_len(&g->done) == 0;
}

/* Of a header that has ended, or of one whose fields can't be his any more. */
static bool
author_ok(struct txn *t, const char **text)
{
	struct stage	*g = &t->content.stage;
	struct author	*a = &g->author;

	if (g->seen.over || g->ended)
		author_end(a, &g->seen);
	if (a->stopped) {
		*text = "5.7.1 From or Sender has an address that is not yours";
		return false;
	}
	if (a->why == NULL)
		return true;
	log_info("session=%s id=%s event=author result=refused user=%s "
	    "why=\"%s\"", t->s->id, t->ids,
	    log_quote(span_str(t->s->user != NULL ? t->s->user : "")), a->why);
	*text = "5.7.1 The header does not say clearly whom it is from "
	    "(RFC 5322, 3.6.2)";
	return false;
}

uint16_t
stage_judge(struct txn *t, const char **text)
{
	const struct smtp_content_in	*in = &t->content.in;

	if (t->s->listen->long_lines == LONG_REJECT &&
	    (in->line > EDIT_LINE_MAX || in->line_max > EDIT_LINE_MAX)) {
		*text = "5.6.0 The message has a line of more than 998 bytes";
		return 554;
	}
	if (t->content.stage.strict && !author_ok(t, text))
		return 550;
	if (t->content.stage.edits && t->content.stage.edit.failed) {
		*text = "5.6.0 The header can't be rewritten";
		return 554;
	}
	return 0;
}

/* ---- what it is known by ------------------------------------------------------ */

static int
by_bytes(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* In one order, whatever the client's was. */
static bool
digest_rcpts(struct digest *d, const struct txn *t)
{
	struct span	*v = reallocarray(NULL, t->nrcpts, sizeof(*v));
	size_t		 n = 0;

	if (v == NULL)
		return false;
	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].state == RCPT_TAKEN)
			v[n++] = t->rcpts[i].to;
	qsort(v, n, sizeof(*v), by_bytes);
	for (size_t i = 0; i < n; i++)
		digest_field(d, v[i]);
	free(v);
	return true;
}

bool
stage_digest(struct txn *t, uint8_t out[DIGEST_LEN])
{
	struct digest		*d = t->content.stage.digest;
	const struct addr	*a = &t->s->client;

	if (d == NULL)
		return false;
	/* Who goes from place to place is known by his name. */
	if (t->s->user != NULL) {
		digest_field(d, span_str("user"));
		digest_field(d, span_str(t->s->user));
	} else
		digest_field(d, span(a->ip, sizeof(a->ip)));
	digest_field(d, t->from);
	if (t->mail.requiretls)
		digest_field(d, span_str("REQUIRETLS"));
	return digest_rcpts(d, t) && digest_end(d, out);
}

/* ---- fields that are missing ------------------------------------------------ */

static void
add_from(struct buf *b, const struct txn *t)
{
	buf_str(b, "From: ");
	if (t->from.len > 0)
		buf_span(b, t->from);
	else
		buf_fmt(b, "MAILER-DAEMON@%s", t->s->listen->hostname);
	buf_str(b, "\r\n");
}

void
stage_complete(struct txn *t)
{
	const struct header_seen *h = &t->content.stage.seen;
	struct buf		 b;
	size_t			 n;

	if (!t->content.stage.completes)
		return;
	buf_init(&b, CONTENT_PREFIX_MAX);
	if (!h->date)
		date_field(&b, (time_t)(clock_wall().ms / 1000));
	if (!h->message_id)
		buf_fmt(&b, "Message-ID: <%s@%s>\r\n", t->ids,
		    t->s->listen->hostname);
	if (!h->from)
		add_from(&b, t);
	n = buf_len(&b);
	/* What has no header is a body as a whole. */
	if (h->bare)
		buf_str(&b, "\r\n");
	if (n > 0 && !b.failed &&
	    buf_span(&t->content.prefix, buf_content(&b)))
		log_debug("session=%s id=%s event=complete date=%s "
		    "message-id=%s from=%s", t->s->id, t->ids,
		    h->date ? "there" : "added",
		    h->message_id ? "there" : "added",
		    h->from ? "there" : "added");
	buf_clear(&b);
}
