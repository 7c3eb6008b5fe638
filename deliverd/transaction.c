/*
 * The transactions of a job on a connection, step by step: what is pushed into
 * the client machine, and what each reply means for the recipients. Replies
 * decide by their first digit alone (RFC 5321, 4.2.1).
 */
#include "deliverd/remote_i.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/base/utf8.h"
#include "deliverd/pool.h"
#include "deliverd/sender.h"

static void	 transaction(struct conn *);

static enum d_status
status_of(unsigned code)
{
	return code / 100 == 2 ? D_OK : code / 100 == 5 ? D_PERM : D_TEMP;
}

/* One recipient's result, counted for the server. */
static void
give(struct conn *c, struct rcpt *r, enum d_status status, struct span reply,
    bool remote)
{
	if (r->state == RCPT_DONE)
		return;
	srv_count(c->srv, status == D_OK);
	job_result(c->job, r, status, reply, remote, c->server);
}

void
transaction_settle(struct conn *c, enum d_status status, struct span reply,
    bool remote)
{
	struct rcpt	*r;

	for (size_t i = c->first; i < c->end; i++) {
		r = &c->job->rcpts[i];
		if (r->state != RCPT_WAITS)
			give(c, r, status, reply, remote);
	}
}

static void
settle_reply(struct conn *c, const struct smtp_client_event *ev)
{
	transaction_settle(c, status_of(ev->code),
	    remote_flat(ev->code, ev->text), true);
}

/* Words that refuse are no verdict on the message but for a 5yz. */
static void
settle_refused(struct conn *c, const struct smtp_client_event *ev)
{
	transaction_settle(c, ev->code / 100 == 5 ? D_PERM : D_TEMP,
	    remote_flat(ev->code, ev->text), true);
}

/* What a server says that wants less at a time. */
static bool
is_slow(unsigned code)
{
	return code == 421 || code == 450 || code == 451;
}

/* The transaction is over: the rest of the recipients, or the next job. */
static void
transaction_end(struct conn *c)
{
	struct job	*j = c->job;

	c->content = CONTENT_NONE;
	if (j->left > 0 && remote_spent(c)) {
		pool_more(c, j);
		return;
	}
	if (j->left > 0) {
		transaction(c);
		return;
	}
	c->job = NULL;
	c->jobs++;
	remote_phase(c, CONN_IDLE);
	job_done(j);
	pool_ready(c);
}

/* A reason of ours why this server can't get the job at all. */
static bool
unfit(struct conn *c)
{
	const struct smtp_caps	*caps = smtp_client_caps(c->c);
	struct job		*j = c->job;
	bool			 utf8 = !utf8_is_ascii(sender_of(j));

	/* RFC 1870, 6.1. */
	if ((caps->bits & CAP_SIZE) != 0 && caps->size != 0 &&
	    j->params.size > caps->size) {
		job_fail(j, D_PERM, "552 5.3.4 The message is larger than the "
		    "server takes", c->server);
		return true;
	}
	if (!j->params.utf8 || (caps->bits & CAP_SMTPUTF8) != 0)
		return false;
	for (size_t i = 0; i < j->nrcpts; i++)
		utf8 = utf8 || !utf8_is_ascii(j->rcpts[i].to);
	/* RFC 6531, 3.5: not in plain form; ASCII all over needs nothing. */
	if (!utf8 && !send_header_is_8bit(j)) {
		j->params.utf8 = false;
		return false;
	}
	job_fail(j, D_PERM, "550 5.6.7 The server does not offer SMTPUTF8, "
	    "which this message needs", c->server);
	return true;
}

/* ---- content ----------------------------------------------------------- */

/* Writes content until the buffer is full to the mark or all is in it. */
static void
fill(struct conn *c)
{
	switch (send_fill(&c->send, stream_out(c->s), REMOTE_OUT_MARK)) {
	case SEND_MORE:
		break;
	case SEND_DONE:
		c->content = CONTENT_SENT;
		c->asked_at = clock_mono();
		if (c->send.stuff && !smtp_client_dot(c->c)) {
			remote_cut(c, "451 4.3.0 No memory");
			return;
		}
		break;
	case SEND_FAILED:
		/* No dot: what the server has is no message. */
		remote_cut(c, "451 4.3.0 The message could not be read");
		return;
	}
	stream_kick(c->s);
	remote_timer(c);
}

void
transaction_drained(struct conn *c)
{
	if (c->content == CONTENT_SENDING)
		fill(c);
	else if (c->content == CONTENT_SENT)
		c->asked_at = clock_mono();
}

/* BDAT and all that fits of the content (RFC 3030, 2). */
static void
begin_bdat(struct conn *c)
{
	if (!smtp_client_bdat(c->c, c->job->params.size, true)) {
		remote_cut(c, "451 4.3.0 No memory");
		return;
	}
	send_begin(&c->send, c->job, false);
	c->content = CONTENT_SENDING;
	fill(c);
}

static void
begin_content(struct conn *c)
{
	if (remote_has(c, CAP_CHUNKING))
		begin_bdat(c);
	else if (!smtp_client_data(c->c))
		remote_cut(c, "451 4.3.0 No memory");
	else
		c->content = CONTENT_ASKED;
}

/* ---- the envelope ------------------------------------------------------ */

/* Recipients of one transaction, by what the server has said of its limits. */
static size_t
rcpt_max(const struct conn *c)
{
	size_t	said = smtp_client_caps(c->c)->rcpt_max, n = REMOTE_RCPTS_MAX;

	if (said > 0 && said < n)
		n = said;
	return c->rcpt_max > 0 && c->rcpt_max < n ? c->rcpt_max : n;
}

/* Is this recipient's domain one of those of the transaction, or may it be one
 * more? */
static bool
domain_fits(const struct conn *c, struct span *domains, size_t *n,
    struct span to)
{
	uint32_t	max = smtp_client_caps(c->c)->rcpt_domain_max;
	struct span	d = span_sub(to, span_rfind(to, '@') + 1, to.len);

	if (max == 0)
		return true;
	for (size_t i = 0; i < *n; i++) {
		if (span_caseeq(domains[i], d))
			return true;
	}
	if (*n >= max)
		return false;
	domains[(*n)++] = d;
	return true;
}

/* Marks the recipients of the next transaction. */
static void
choose_rcpts(struct conn *c)
{
	struct span	 domains[REMOTE_RCPTS_MAX];
	size_t		 n = 0, ndomains = 0, max = rcpt_max(c);
	struct rcpt	*r;

	c->first = c->end = 0;
	for (size_t i = 0; i < c->job->nrcpts && n < max; i++) {
		r = &c->job->rcpts[i];
		if (r->state != RCPT_WAITS ||
		    !domain_fits(c, domains, &ndomains, r->to))
			continue;
		r->state = RCPT_ASKED;
		if (n++ == 0)
			c->first = i;
		c->end = i + 1;
	}
}

/*
 * RFC 4954, 5: who is behind the message is told where we have logged in
 * ourselves, and are believed; that nobody is known, too. Others are told
 * nothing.
 */
static bool
push_mail(struct conn *c)
{
	struct smtp_mail_params	p = c->job->params;

	if (c->as == NULL)
		p.auth = span(NULL, 0);
	else if (p.auth.len == 0)
		p.auth = span_str("<>");
	return smtp_client_mail(c->c, sender_of(c->job), &p);
}

static bool
push_rcpts(struct conn *c)
{
	struct rcpt	*r;

	for (size_t i = c->first; i < c->end; i++) {
		r = &c->job->rcpts[i];
		if (r->state != RCPT_ASKED)
			continue;
		if (!smtp_client_rcpt(c->c, r->to, &r->params, (uint32_t)i))
			return false;
		c->asked++;
	}
	return true;
}

/*
 * With PIPELINING the whole envelope goes in one write, and DATA with it (RFC
 * 2920, 3.1), or, with CHUNKING, a short message itself.
 */
static void
transaction(struct conn *c)
{
	struct job	*j = c->job;
	bool		 ok = true;

	choose_rcpts(c);
	c->asked = c->taken = c->slow = 0;
	c->answered = c->mail_ok = false;
	c->content = CONTENT_NONE;
	c->asked_at = clock_mono();
	c->mails++;
	if (c->rset)
		ok = smtp_client_simple(c->c, STEP_RSET);
	c->rset = false;
	ok = ok && push_mail(c);
	if (remote_has(c, CAP_PIPELINING))
		ok = ok && push_rcpts(c);
	if (!ok) {
		remote_cut(c, "451 4.3.0 The envelope could not be written");
		return;
	}
	stream_kick(c->s);
	remote_timer(c);
	if (!remote_has(c, CAP_PIPELINING))
		return;
	if (!remote_has(c, CAP_CHUNKING) ||
	    j->params.size <= REMOTE_EARLY_MAX)
		begin_content(c);
}

void
remote_begin(struct conn *c, struct job *j)
{
	remote_phase(c, CONN_BUSY);
	c->job = j;
	j->dsn = remote_has(c, CAP_DSN);
	tls_facts_text(&c->secured, j->tls);
	c->first = c->end = 0;
	log_debug("id=%s event=try server=%s rcpts=%zu", j->ids,
	    log_quote(span_str(c->server)), j->left);
	if (j->params.body == BODY_8BITMIME && !remote_has(c, CAP_8BITMIME))
		log_info("id=%s event=8bit server=%s what=\"the server does "
		    "not offer 8BITMIME, sent as it is\"", j->ids,
		    log_quote(span_str(c->server)));
	if (unfit(c)) {
		transaction_end(c);
		return;
	}
	transaction(c);
}

/* ---- replies ----------------------------------------------------------- */

/* How long the server took for an answer; the slowest of the job counts. */
static void
note_time(struct conn *c)
{
	int64_t	ms = clock_mono().ms - c->asked_at.ms;

	if (ms > c->job->ms)
		c->job->ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* Nothing is wrong with the mail: with the session, for reasons of ours. */
static void
settle_insecure(struct conn *c, const struct smtp_client_event *ev)
{
	char		why[700];
	struct span	said = span_sub(remote_flat(ev->code, ev->text), 0,
			    300);

	snprintf(why, sizeof(why), "451 4.7.0 %s takes nothing without TLS, "
	    "and %s; it said: %.*s", c->server, c->tls.mode == TLS_OFF ?
	    "tls is off for it" : !remote_has(c, CAP_STARTTLS) ?
	    "does not offer it" : "it failed with TLS before", (int)said.len,
	    (const char *)said.p);
	transaction_settle(c, D_TEMP, span_str(why), false);
}

static void
reply_mail(struct conn *c, const struct smtp_client_event *ev)
{
	note_time(c);
	c->mail_ok = ev->code / 100 == 2;
	if (tls_client_wanted(&c->secured, ev->code, ev->text)) {
		settle_insecure(c, ev);
	} else if (!c->mail_ok) {
		if (ev->code / 100 == 4)
			c->job->dest = D_DEST_SLOW;
		settle_refused(c, ev);
	}
	if (remote_has(c, CAP_PIPELINING))
		return;
	if (!c->mail_ok)
		transaction_end(c);
	else if (!push_rcpts(c))
		remote_cut(c, "451 4.3.0 The envelope could not be written");
}

/* All RCPTs have their reply and content was not asked for with them. */
static void
rcpts_answered(struct conn *c)
{
	if (c->taken > 0) {
		begin_content(c);
		return;
	}
	c->rset = c->mail_ok;
	transaction_end(c);
}

/*
 * RFC 5321, 4.5.3.1.10: enough recipients for one transaction, 452 or from old
 * servers 552; with another enhanced code than X.5.3 it means something else
 * (a full mailbox, a full disk).
 */
static bool
too_many(const struct conn *c, const struct smtp_client_event *ev)
{
	struct span	t = ev->text;

	if (c->taken == 0 || (ev->code != 452 && ev->code != 552))
		return false;
	if (t.len < 4 || t.p[1] != '.' || (t.p[0] != '4' && t.p[0] != '5'))
		return true;
	span_skip(&t, 2);
	return span_starts(t, span_str("5.3")) &&
	    (t.len == 3 || t.p[3] < '0' || t.p[3] > '9');
}

static void
reply_rcpt(struct conn *c, const struct smtp_client_event *ev)
{
	struct rcpt	*r = &c->job->rcpts[ev->tag];

	if (r->state == RCPT_ASKED && ev->code / 100 == 2) {
		r->state = RCPT_TAKEN;
		c->taken++;
	} else if (r->state == RCPT_ASKED && too_many(c, ev)) {
		/* In the next transaction, at once. */
		r->state = RCPT_WAITS;
		c->rcpt_max = c->taken;
	} else if (r->state == RCPT_ASKED) {
		c->slow += is_slow(ev->code);
		give(c, r, ev->code / 100 == 5 && ev->code != 552 ? D_PERM :
		    D_TEMP, remote_flat(ev->code, ev->text), true);
	}
	if (--c->asked > 0)
		return;
	/* One that wants nobody now wants less, not other recipients. */
	if (c->taken == 0 && c->slow > 0)
		c->job->dest = D_DEST_SLOW;
	if (c->content == CONTENT_NONE)
		rcpts_answered(c);
}

static void
reply_data(struct conn *c, const struct smtp_client_event *ev)
{
	if (ev->code != 354) {
		if (is_slow(ev->code) && c->taken > 0)
			c->job->dest = D_DEST_SLOW;
		settle_refused(c, ev);
		c->rset = c->mail_ok;
		transaction_end(c);
		return;
	}
	if (c->taken > 0) {
		send_begin(&c->send, c->job, true);
		c->content = CONTENT_SENDING;
		fill(c);
		return;
	}
	/* RFC 2920, 3.1: no recipient and yet 354: an empty message, whose
	 * reply does not matter. */
	c->content = CONTENT_SENT;
	if (!buf_str(stream_out(c->s), ".\r\n") || !smtp_client_dot(c->c))
		remote_cut(c, "451 4.3.0 No memory");
	else
		stream_kick(c->s);
}

static void
reply_content(struct conn *c, const struct smtp_client_event *ev)
{
	if (c->content == CONTENT_SENDING) {
		/* RFC 3030 has no reply before the last byte; the rest of the
		 * chunk would be taken for commands by whoever gave up. */
		settle_refused(c, ev);
		remote_cut(c, "451 4.5.0 The server answered before the end of "
		    "the message");
		return;
	}
	note_time(c);
	if (is_slow(ev->code) && c->taken > 0)
		c->job->dest = D_DEST_SLOW;
	settle_reply(c, ev);
	c->rset = ev->step == STEP_BDAT && ev->code / 100 != 2;
	transaction_end(c);
}

void
transaction_reply(struct conn *c, const struct smtp_client_event *ev)
{
	if (ev->code == 421) {
		remote_refused(c, ev);
		return;
	}
	if (ev->step != STEP_RSET)
		c->answered = true;
	switch (ev->step) {
	case STEP_MAIL:
		reply_mail(c, ev);
		break;
	case STEP_RCPT:
		reply_rcpt(c, ev);
		break;
	case STEP_DATA:
		reply_data(c, ev);
		break;
	case STEP_DOT:
	case STEP_BDAT:
		reply_content(c, ev);
		break;
	default:
		break;
	}
}
