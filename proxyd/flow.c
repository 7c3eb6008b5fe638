/*
 * The machine of flow.h. DATA: dot-stuffed by common/smtp, written as it comes.
 * BDAT: one chunk at a time (security.md, R13); what comes meanwhile is held
 * and makes the next, larger chunk. A short message is one BDAT LAST.
 */
#include "proxyd/flow.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/link.h"

static const struct span	go_ahead = SPAN("Start mail input");
static const struct span	nobody = SPAN("5.5.1 No valid recipients");

void
flow_init(struct flow *f)
{
	*f = (struct flow){ 0 };
	buf_init(&f->held, FLOW_HELD_MAX);
}

void
flow_clear(struct flow *f)
{
	buf_clear(&f->held);
	free(f->text);
	f->text = NULL;
}

/* Content is over; the next transaction begins anew. */
static void
flow_over(struct flow *f)
{
	f->mode = FLOW_NONE;
	f->ended = false;
	f->taken = 0;
	f->in = f->credited = 0;
	flow_clear(f);
}

bool
flow_open(const struct flow *f)
{
	return f->mode == FLOW_DATA || f->mode == FLOW_BDAT ||
	    f->mode == FLOW_EMPTY || f->mode == FLOW_END ||
	    f->mode == FLOW_ASKED;
}

bool
flow_wants_chunks(const struct flow *f)
{
	return f->mode == FLOW_DATA || ((f->mode == FLOW_BDAT ||
	    f->mode == FLOW_SWALLOW) && !f->ended);
}

void
flow_credit(struct link *l)
{
	struct flow	*f = &l->flow;
	uint64_t	 left = buf_len(&f->held), gone;

	if (!flow_wants_chunks(f))
		return;
	/* In SWALLOW nothing of it is on the way any more. */
	if (f->mode != FLOW_SWALLOW)
		left += stream_waiting(l->s);
	gone = left < f->in ? f->in - left : 0;
	if (gone <= f->credited || (left > 0 &&
	    gone - f->credited < FLOW_CREDIT_STEP))
		return;
	CHAN_SEND(l->chan, p_credit, .tid = l->tid,
	    .bytes = (uint32_t)(gone - f->credited));
	f->credited = gone;
}

/* ---- DATA -------------------------------------------------------------- */

static bool
data_write(struct link *l, struct span in)
{
	smtp_content_write(&l->flow.so, &in, stream_out(l->s));
	stream_kick(l->s);
	return in.len == 0;
}

static bool
data_end(struct link *l, struct span in)
{
	if (!data_write(l, in) ||
	    !smtp_content_finish(&l->flow.so, stream_out(l->s)) ||
	    !smtp_client_dot(l->c))
		return false;
	l->flow.mode = FLOW_END;
	return true;
}

/* ---- BDAT -------------------------------------------------------------- */

/* Sends what is held and in, as one chunk, if one may go now; else holds. */
static bool
bdat_write(struct link *l, struct span in)
{
	struct flow	*f = &l->flow;
	size_t		 n = buf_len(&f->held) + in.len;
	struct buf	*out = stream_out(l->s);

	if (smtp_client_pending(l->c) > 0)
		return in.len == 0 || buf_span(&f->held, in);
	if (n == 0 && !f->ended)
		return true;
	if (out->max - buf_len(out) < n + 64 ||
	    !smtp_client_bdat(l->c, n, f->ended))
		return false;
	if (!buf_span(out, buf_content(&f->held)) || !buf_span(out, in))
		return false;
	buf_reset(&f->held);
	buf_trim(&f->held);
	if (f->ended)
		f->mode = FLOW_END;
	stream_kick(l->s);
	return true;
}

/*
 * A chunk was refused: the transaction is lost (RFC 3030, 2), but smtpd is told
 * at its end only, as a server of DATA would.
 */
static void
bdat_refused(struct link *l, const struct smtp_client_event *ev)
{
	struct flow	*f = &l->flow;
	bool		 ended = f->ended;

	if (smtp_client_simple(l->c, STEP_RSET)) {
		f->resets++;
		stream_kick(l->s);
	}
	if (ended) {
		flow_over(f);
		link_reply(l, ev->code, ev->text, false);
		return;
	}
	f->mode = FLOW_SWALLOW;
	f->code = ev->code;
	free(f->text);
	f->text = span_dup(ev->text);
	buf_clear(&f->held);
	flow_credit(l);
}

static void
bdat_reply(struct link *l, const struct smtp_client_event *ev)
{
	struct flow	*f = &l->flow;

	if (ev->code / 100 != 2)
		bdat_refused(l, ev);
	else if (f->mode == FLOW_END) {
		flow_over(f);
		link_reply(l, ev->code, ev->text, false);
	} else if (!bdat_write(l, (struct span){ 0 }))
		link_fail(l, 421, "4.3.0 No memory");
}

/* ---- both -------------------------------------------------------------- */

bool
flow_begin(struct link *l)
{
	struct flow	*f = &l->flow;

	if (f->mode != FLOW_NONE)
		return false;
	smtp_content_out_begin(&f->so);
	f->in = f->credited = 0;
	if ((smtp_client_caps(l->c)->bits & CAP_CHUNKING) != 0) {
		f->mode = FLOW_WAIT;
		flow_go_on(l);
		return true;
	}
	if (!smtp_client_data(l->c)) {
		link_fail(l, 421, "4.3.0 Too many commands");
		return true;
	}
	f->mode = FLOW_ASKED;
	stream_kick(l->s);
	return true;
}

/* BDAT needs no leave, so the 354 is ours, once it is known that somebody
 * takes the message. */
void
flow_go_on(struct link *l)
{
	struct flow	*f = &l->flow;

	if (f->mode != FLOW_WAIT || smtp_client_pending(l->c) > 0)
		return;
	f->mode = f->taken > 0 ? FLOW_BDAT : FLOW_NONE;
	if (f->taken > 0)
		link_reply(l, 354, go_ahead, true);
	else
		link_reply(l, 554, nobody, true);
}

bool
flow_chunk(struct link *l, struct span in)
{
	struct flow	*f = &l->flow;

	if (!flow_wants_chunks(f))
		return false;
	f->in += in.len;
	if (f->in - f->credited > FLOW_CREDIT)
		return false;
	if ((f->mode == FLOW_DATA && !data_write(l, in)) ||
	    (f->mode == FLOW_BDAT && !bdat_write(l, in))) {
		link_fail(l, 421, "4.3.0 No memory");
		return true;
	}
	flow_credit(l);
	return true;
}

bool
flow_end(struct link *l, struct span in)
{
	struct flow	*f = &l->flow;
	struct span	 text;

	if (!flow_wants_chunks(f))
		return false;
	f->ended = true;
	if (f->mode == FLOW_SWALLOW) {
		uint16_t	 code = f->code;
		char		*copy = f->text;

		f->text = NULL;
		flow_over(f);
		text = span_str(copy != NULL ? copy : "4.3.0 Refused");
		link_reply(l, code, text, false);
		free(copy);
		return true;
	}
	if ((f->mode == FLOW_DATA && !data_end(l, in)) ||
	    (f->mode == FLOW_BDAT && !bdat_write(l, in)))
		link_fail(l, 421, "4.3.0 No memory");
	return true;
}

bool
flow_abort(struct link *l)
{
	struct flow	*f = &l->flow;
	bool		 bdat = f->mode == FLOW_BDAT;

	if ((!bdat && f->mode != FLOW_SWALLOW) || f->ended)
		return false;
	flow_over(f);
	if (!bdat)
		return true;		/* it was reset when it was refused */
	/* A chunk that is on its way is whole; RSET goes behind its reply. */
	if (smtp_client_pending(l->c) > 0)
		f->stale++;
	if (!smtp_client_simple(l->c, STEP_RSET)) {
		link_fail(l, 421, "4.3.0 Too many commands");
		return true;
	}
	f->resets++;
	stream_kick(l->s);
	return true;
}

/* RFC 2920, 3.1: 354 although nobody is left to take it. */
static void
empty(struct link *l)
{
	l->flow.mode = FLOW_EMPTY;
	if (!buf_str(stream_out(l->s), ".\r\n") || !smtp_client_dot(l->c))
		link_fail(l, 421, "4.3.0 No memory");
	else
		stream_kick(l->s);
}

void
flow_reply(struct link *l, const struct smtp_client_event *ev)
{
	struct flow	*f = &l->flow;

	if (ev->step == STEP_BDAT && f->stale > 0) {
		f->stale--;
	} else if (ev->step == STEP_BDAT) {
		bdat_reply(l, ev);
	} else if (ev->step == STEP_DOT && f->mode == FLOW_EMPTY) {
		flow_over(f);
		link_reply(l, 554, nobody, true);
	} else if (ev->step == STEP_DOT) {
		flow_over(f);
		link_reply(l, ev->code, ev->text, false);
	} else if (ev->code != 354) {
		f->mode = FLOW_NONE;
		link_reply(l, ev->code, ev->text, false);
	} else if (f->taken == 0)
		empty(l);
	else {
		f->mode = FLOW_DATA;
		link_reply(l, ev->code, ev->text, false);
	}
}
