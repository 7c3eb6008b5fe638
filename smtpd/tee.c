/*
 * See tee.h.
 */
#include "smtpd/tee.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/codec.h"
#include "smtpd/archive.h"
#include "smtpd/handoff.h"

/* The server has it, or is asked for it. */
static bool
is_live(const struct rcpt *r)
{
	return r->state != RCPT_REFUSED && !r->queued;
}

static bool
has_queued(const struct txn *t)
{
	for (size_t i = 0; i < t->nrcpts; i++)
		if (t->rcpts[i].queued && t->rcpts[i].state != RCPT_REFUSED)
			return true;
	return false;
}

bool
tee_alone(const struct txn *t)
{
	for (size_t i = 0; i < t->nrcpts; i++)
		if (is_live(&t->rcpts[i]))
			return false;
	return has_queued(t);
}

/* Is there anything to keep? must: without it the message is not taken. */
static bool
wanted(const struct txn *t, bool *must)
{
	bool	archived;

	*must = t->s->listen->copy != NULL || has_queued(t);
	archived = archive_wanted(t, must);
	return archived || t->s->listen->copy != NULL || has_queued(t);
}

bool
tee_begin(struct txn *t)
{
	const char	*text;
	uint16_t	 code;
	bool		 must;

	if (!wanted(t, &must))
		return true;
	if (!archive_possible(t)) {
		content_refuse(t, 451, span_str("4.3.5 The archive can't take "
		    "it now"));
		return false;
	}
	if (!queue_takes(&code, &text)) {
		if (!must)
			return true;
		content_refuse(t, 451, span_str("4.3.0 The queue can't take "
		    "its copy now"));
		return false;
	}
	t->tee.state = TEE_OPEN;
	return true;
}

void
tee_ready(struct txn *t)
{
	if (t->tee.state == TEE_OPEN && !wanted(t, &t->tee.must))
		t->tee.state = TEE_NONE;
}

uint32_t
tee_send(const struct txn *t, const struct rcpt *r, struct chan *chan,
    uint32_t n)
{
	const struct conf_action *copy = t->s->listen->copy;

	if (t->tee.state == TEE_NONE || !is_live(r))
		return 0;
	/* What becomes of the message itself is the server's to tell. */
	CHAN_SEND(chan, q_rcpt, .tid = t->queue.u.tid, .to = r->to,
	    .action = span_str(copy != NULL ? copy->name : r->action->name),
	    .notify = NOTIFY_NEVER, .orcpt = r->params.orcpt, .group = n,
	    .flags = copy != NULL ? 0 : RCPT_F_LIVE);
	return 1;
}

void
tee_write(struct txn *t, struct link *l, struct buf *b)
{
	uint64_t	 n = buf_len(b);
	struct span	 s;

	/* Before it is announced it has as much as the link. */
	if (t->queue.u.tid != 0 && n > t->queue.credit)
		n = t->queue.credit;
	if (n > l->credit)
		n = l->credit;
	if (n == 0)
		return;
	s = span_sub(buf_content(b), 0, (size_t)n);
	if (!queue_beside(t, s)) {
		tee_over(t, false);
		/* Spoiled, or without it. */
		if (t->content.code != 0)
			return;
	}
	link_put(l, s);
	buf_drain(b, s.len);
}

static void
failed(const struct txn *t, const char *why)
{
	session_stats()->copies_failed++;
	log_warnx("session=%s id=%s event=copy result=failed from=<%s> "
	    "to=<%s> why=\"%s\"", t->s->id, t->ids, txn_quote(t->from),
	    txn_quote(txn_first(t)), why);
}

/* The server has it. Who is in the queue alone would be lost, so the client
 * sends again: twice is better than not at all. */
static void
finish(struct txn *t, bool ok)
{
	bool		 lost = !ok && has_queued(t);
	uint16_t	 code = t->tee.code;
	char		*text = t->tee.text, *said = t->tee.said;

	t->tee.text = t->tee.said = NULL;
	if (ok) {
		session_stats()->copies++;
		log_info("session=%s id=%s event=copy result=ok", t->s->id,
		    t->ids);
	} else
		failed(t, "the server has taken the message, the queue has "
		    "not");
	t->tee.state = TEE_NONE;
	if (lost)
		content_done(t, 451, span_str("4.3.0 The queue did not take "
		    "it"));
	else
		content_done_as(t, code, span_str(text), span_str(said));
	free(text);
	free(said);
}

bool
tee_done(struct txn *t, uint16_t code, struct span text, struct span said)
{
	if (t->tee.state == TEE_NONE)
		return false;
	if (code / 100 != 2) {
		tee_abort(t);
		return false;
	}
	t->tee.code = code;
	t->tee.text = text.len > 0 ? span_dup(text) : strdup("");
	t->tee.said = said.len > 0 ? span_dup(said) : strdup("");
	if (t->tee.text == NULL || t->tee.said == NULL)
		fatal("tee");
	if (t->tee.state == TEE_OPEN && queue_commit(t, &t->content.out))
		t->tee.state = TEE_COMMIT;
	else
		finish(t, false);
	return true;
}

void
tee_over(struct txn *t, bool ok)
{
	switch (t->tee.state) {
	case TEE_COMMIT:
		finish(t, ok);
		break;
	case TEE_OPEN:
		t->tee.state = TEE_FAILED;
		if (t->committed)
			break;		/* the server's reply is waited for */
		if (t->tee.must)
			content_spoil(t, 451, "4.3.0 The queue did not take "
			    "it");
		else {
			failed(t, "the queue did not take it");
			t->tee.state = TEE_NONE;
			if (t->content.full)
				content_go(t);
		}
		break;
	case TEE_FAILED:
	case TEE_NONE:
		break;
	}
}

void
tee_abort(struct txn *t)
{
	if (t->tee.state == TEE_OPEN)
		queue_leave(t);
	if (t->tee.state != TEE_COMMIT)
		t->tee.state = TEE_NONE;
}

void
tee_end(struct txn *t)
{
	tee_abort(t);
	free(t->tee.text);
	free(t->tee.said);
	t->tee.text = t->tee.said = NULL;
}
