/*
 * Transactions with the gateway and trying again: see submit.h.
 *
 * A broken connection is harmless up to the last byte of the content: without
 * its final dot the gateway has no message. Once that byte has been given to
 * the kernel the gateway may have it, and there is no way to ask, since only
 * the lost reply would have told its id. A second try might make two of it, so
 * there is none; the caller keeps the message and says what may be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "posternctl/submit.h"

#define GROUP_MAX	500	/* recipients of a transaction */
#define STEP_MS		60000	/* for a reply, but that to the content */
#define GREET_MS	5000	/* for the greeting, also at the last try */
#define WAIT_MIN_MS	100	/* between tries, doubled each time … */
#define WAIT_MAX_MS	5000	/* … up to this */

size_t
submit_count(const struct submission *s, enum rcpt_state state)
{
	size_t	n = 0;

	for (size_t i = 0; i < s->nrcpts; i++)
		n += s->rcpts[i].state == state;
	return n;
}

void
submit_clear(struct submission *s)
{
	for (size_t i = 0; i < s->nrcpts; i++) {
		free(s->rcpts[i].reply);
		s->rcpts[i].reply = NULL;
	}
}

int
submit_status(const struct submit_rcpt *r)
{
	struct span	enh = { NULL, 0 }, text = span_str(r->reply);

	span_skip(&text, 4);
	(void)smtp_enhanced(r->code, text, &enh);
	if (span_is(enh, "5.1.2"))
		return EX_NOHOST;
	if (!r->content && span_starts(enh, (struct span)SPAN("5.1.")))
		return EX_NOUSER;
	if (span_starts(enh, (struct span)SPAN("5.6.")) ||
	    span_is(enh, "5.3.4") || (r->content && r->code == 552))
		return EX_DATAERR;
	return !r->content && enh.len == 0 && (r->code == 550 ||
	    r->code == 553) ? EX_NOUSER : EX_UNAVAILABLE;
}

static void
refuse(struct submit_rcpt *r, const struct link *l, uint16_t code,
    bool content)
{
	r->state = RCPT_REFUSED;
	r->code = code;
	r->content = content;
	free(r->reply);
	if ((r->reply = strdup(l->why)) == NULL)
		r->code = 0;
}

/* All of one state to another. */
static void
become(struct submission *s, enum rcpt_state from, enum rcpt_state to)
{
	for (size_t i = 0; i < s->nrcpts; i++)
		if (s->rcpts[i].state == from)
			s->rcpts[i].state = to;
}

static void
refuse_all(struct submission *s, enum rcpt_state state, const struct link *l,
    uint16_t code, bool content)
{
	for (size_t i = 0; i < s->nrcpts; i++)
		if (s->rcpts[i].state == state)
			refuse(&s->rcpts[i], l, code, content);
}

static bool
reply(struct link *l, struct smtp_client_event *ev, int64_t ms)
{
	return link_reply(l, ev, (struct mono){ clock_mono().ms + ms });
}

/* MAIL and the RCPTs as one group, and what was said to them. The reply that
 * kept a recipient waiting is remembered. */
static bool
envelope(struct submission *s, struct link *l)
{
	struct smtp_client_event	 ev;
	size_t				 n = 0;
	uint16_t			 mail;

	if (!smtp_client_mail(l->client, s->from, &s->mail))
		return false;
	for (size_t i = 0; i < s->nrcpts && n < GROUP_MAX; i++)
		if (s->rcpts[i].state == RCPT_WAITING) {
			if (!smtp_client_rcpt(l->client,
			    span_str(s->rcpts[i].addr), &s->rcpt, (uint32_t)i))
				return false;
			n++;
		}
	if (!reply(l, &ev, STEP_MS))
		return false;
	if ((mail = ev.code) / 100 == 5)
		refuse_all(s, RCPT_WAITING, l, mail, true);
	if (mail / 100 != 2)
		snprintf(s->why, sizeof(s->why), "%s", l->why);
	for (; n > 0; n--) {
		if (!reply(l, &ev, STEP_MS))
			return false;
		if (mail / 100 != 2)
			continue;
		if (ev.code / 100 == 2)
			s->rcpts[ev.tag].state = RCPT_TAKEN;
		else if (ev.code / 100 == 5)
			refuse(&s->rcpts[ev.tag], l, ev.code, false);
		else
			snprintf(s->why, sizeof(s->why), "%s", l->why);
	}
	return true;
}

struct sending {
	struct link		*l;
	struct smtp_content_out	 o;
};

static bool
piece(struct span in, void *arg)
{
	struct sending	*s = arg;

	while (in.len > 0) {
		smtp_content_write(&s->o, &in, &s->l->out);
		if (!link_flush(s->l, STEP_MS))
			return false;
	}
	return true;
}

/* The content and its final dot; true if the whole of it may have got there. */
static bool
content(struct submission *s, struct link *l)
{
	struct sending	 x = { .l = l };

	smtp_content_out_begin(&x.o);
	if (!piece(s->head, &x) || !piece((struct span)SPAN("\r\n"), &x))
		return false;
	if (!spill_each(s->body, piece, &x)) {
		if (l->fd != -1)
			snprintf(l->why, sizeof(l->why), "the message could "
			    "not be read back from its file");
		return false;
	}
	return smtp_content_finish(&x.o, &l->out) &&
	    smtp_client_dot(l->client) && link_flush(l, STEP_MS);
}

/* One transaction; false if the session is at an end. */
static bool
transaction(struct submission *s, struct link *l)
{
	struct smtp_client_event	 ev;

	s->why[0] = '\0';
	if (!envelope(s, l))
		return false;
	if (submit_count(s, RCPT_TAKEN) == 0)
		return smtp_client_simple(l->client, STEP_RSET) &&
		    reply(l, &ev, STEP_MS);
	if (!smtp_client_data(l->client) || !reply(l, &ev, STEP_MS))
		return false;
	if (ev.code == 354) {
		if (!content(s, l))
			return false;
		if (!reply(l, &ev, smtp_step_timeout_ms(STEP_DOT))) {
			become(s, RCPT_TAKEN, RCPT_DOUBT);
			return false;
		}
	}
	if (ev.code / 100 == 2)
		become(s, RCPT_TAKEN, RCPT_SENT);
	else if (ev.code / 100 == 5)
		refuse_all(s, RCPT_TAKEN, l, ev.code, true);
	else
		snprintf(s->why, sizeof(s->why), "%s", l->why);
	return ev.code != 421;
}

/* What the gateway must be able to do for this message. */
static bool
capable(struct submission *s, struct link *l)
{
	if (!s->mail.utf8 ||
	    (smtp_client_caps(l->client)->bits & CAP_SMTPUTF8) != 0)
		return true;
	snprintf(l->why, sizeof(l->why), "550 5.6.7 the gateway does not take "
	    "internationalized mail (SMTPUTF8) here");
	refuse_all(s, RCPT_WAITING, l, 550, true);
	return false;
}

/* One session with as many transactions as bring something about. */
static void
session(struct submission *s, struct mono until)
{
	struct link	l = { .fd = -1, .verbose = s->verbose };
	size_t		before = s->nrcpts + 1, now;
	bool		open;

	s->why[0] = '\0';
	open = link_open(&l, &s->place, until) && capable(s, &l);
	while (open && (now = submit_count(s, RCPT_WAITING)) > 0 &&
	    now < before) {
		before = now;
		open = transaction(s, &l);
		/* Taken, but the message was not. */
		become(s, RCPT_TAKEN, RCPT_WAITING);
	}
	if (!open && s->why[0] == '\0')
		snprintf(s->why, sizeof(s->why), "%s", l.why);
	link_close(&l);
}

void
submit(struct submission *s)
{
	struct mono	end = { clock_mono().ms + s->retry_ms };
	int64_t		wait = WAIT_MIN_MS, left;
	size_t		before, now = submit_count(s, RCPT_WAITING);
	struct timespec	ts;

	while (now > 0) {
		before = now;
		left = clock_mono().ms + GREET_MS;
		session(s, (struct mono){ left > end.ms ? left : end.ms });
		if (submit_count(s, RCPT_DOUBT) > 0)
			return;
		if ((now = submit_count(s, RCPT_WAITING)) < before) {
			wait = WAIT_MIN_MS;
			continue;
		}
		if ((left = end.ms - clock_mono().ms) <= 0)
			return;
		wait = wait < left ? wait : left;
		ts = (struct timespec){ .tv_sec = wait / 1000,
		    .tv_nsec = wait % 1000 * 1000000 };
		nanosleep(&ts, NULL);
		wait = wait * 2 < WAIT_MAX_MS ? wait * 2 : WAIT_MAX_MS;
	}
}
