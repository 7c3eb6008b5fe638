/*
 * The machine of content.h, and the Received field (RFC 5321, 4.4).
 */
#include "smtpd/content.h"

#include <stdio.h>

#include "common/base/log.h"
#include "smtpd/fan.h"
#include "smtpd/link.h"
#include "smtpd/notify.h"
#include "smtpd/reader.h"
#include "smtpd/tls.h"

void
content_init(struct content *c)
{
	buf_init(&c->prefix, CONTENT_PREFIX_MAX);
	buf_init(&c->out, CONTENT_ROOM);
}

void
content_clear(struct content *c)
{
	buf_clear(&c->prefix);
	buf_clear(&c->out);
	stage_clear(&c->stage);
}

uint64_t
content_size(const struct txn *t)
{
	return t->content.stage.edits ? t->content.stage.size :
	    t->content.in.size;
}

bool
content_tls_optional(const struct txn *t)
{
	return !t->mail.requiretls &&
	    received_tls_optional(&t->content.count);
}

bool
content_flows(const struct txn *t)
{
	return t != NULL && t->content.state == CONTENT_FLOW;
}

/* ---- beginning ------------------------------------------------------------- */

static void
begin(struct txn *t, struct cmd *cmd, bool bdat)
{
	struct content	*c = &t->content;

	c->state = CONTENT_BEGIN;
	c->bdat = bdat;
	if (t->fan == NULL && notify_owed(t) && !fan_start(t))
		fatal("fan");
	if (t->fan != NULL)
		t->way = &handoff_fan;
	c->cmd = cmd;
	smtp_content_begin(&c->in, bdat);
	received_count_begin(&c->count);
	stage_begin(t);
	session_hold(cmd);
	session_phase(t->s, bdat ? PH_BDAT : PH_DATA);
	if (t->verifying == 0)
		t->way->begin(t);
}

void
content_verified(struct txn *t)
{
	if (t->content.state != CONTENT_BEGIN)
		return;
	if (t->taken > 0)
		t->way->begin(t);
	else
		content_refuse(t, 554, span_str("5.5.1 No valid recipients"));
}

void
content_data(struct txn *t, struct cmd *cmd)
{
	begin(t, cmd, false);
}

void
content_chunk(struct txn *t, struct cmd *cmd, uint64_t size, bool last)
{
	struct content	*c = &t->content;

	c->chunk = size;
	c->last = last;
	if (c->state == CONTENT_NONE) {
		begin(t, cmd, true);
		return;
	}
	c->cmd = cmd;
	c->state = CONTENT_FLOW;
}

/* RFC 3848; RFC 6531, 4.3. */
static const char *
protocol(const struct txn *t)
{
	const struct session	*s = t->s;

	static const char *const	 esmtp[] = { "ESMTP", "ESMTPA", "ESMTPS",
	    "ESMTPSA" }, *const utf8[] = { "UTF8SMTP", "UTF8SMTPA",
	    "UTF8SMTPS", "UTF8SMTPSA" };
	int				 i = (s->tls != NULL) * 2 + s->authed;

	/* Nobody has given HELO over TLS a name of its own. */
	if (s->caps == 0)
		return "SMTP";
	return t->mail.utf8 ? utf8[i] : esmtp[i];
}

static bool
received(struct txn *t)
{
	const struct session	*s = t->s;
	time_t			 now = (time_t)(clock_wall().ms / 1000);
	struct received		 r = {
		.by = span_str(s->listen->hostname),
		.with = protocol(t),
		.tls = s->tls,
		.cipher = s->cipher,
		.id = span_str(t->ids)
	};

	if (!s->listen->mask_source) {
		r.helo = span_str(s->helo);
		r.rdns = peer_name(&s->peer);
		r.client = s->client;
	}
	/* 7.2: others' addresses are nobody's business. */
	if (t->taken == 1)
		r.rcpt = txn_first(t);
	localtime_r(&now, &r.tm);
	r.gmtoff_min = (int)(r.tm.tm_gmtoff / 60);
	return received_write(&t->content.prefix, &r);
}

void
content_ready(struct txn *t)
{
	struct content	*c = &t->content;
	struct cmd	*cmd = c->cmd;

	c->state = CONTENT_FLOW;
	if (!received(t) || (t->way->streams &&
	    !buf_span(&c->out, buf_content(&c->prefix)))) {
		content_refuse(t, 451, span_str("4.3.0 No memory"));
		return;
	}
	if (c->bdat) {
		session_unhold(cmd);
		return;
	}
	c->cmd = NULL;
	session_answer(cmd, 354, span_str("End data with <CR><LF>.<CR><LF>"));
}

void
content_refuse(struct txn *t, uint16_t code, struct span text)
{
	content_refuse_as(t, code, text, text);
}

void
content_refuse_as(struct txn *t, uint16_t code, struct span text,
    struct span said)
{
	struct session	*s = t->s;
	struct content	*c = &t->content;
	struct cmd	*cmd = c->cmd;
	uint64_t	 chunk = c->chunk;
	bool		 bdat = c->bdat;

	log_info("session=%s id=%s event=refused from=<%s> to=<%s> reply=%s",
	    s->id, t->ids, txn_quote(t->from), txn_quote(txn_first(t)),
	    log_reply(code, text));
	if (bdat)
		reader_swallow(cmd, chunk, code, said);
	txn_end(s);
	if (!bdat)
		session_answer(cmd, code, said);
}

/* ---- bytes ----------------------------------------------------------------- */

/* The client is told at the end; until then its bytes are eaten. */
void
content_spoil(struct txn *t, uint16_t code, const char *text)
{
	struct content	*c = &t->content;

	if (c->code != 0)
		return;
	c->code = code;
	c->text = text;
	c->full = false;
	buf_clear(&c->out);
	t->way->abort(t);
}

static void
judge(struct txn *t)
{
	struct content		*c = &t->content;
	const struct session	*s = t->s;
	const char		*text;
	uint16_t		 code;

	if (c->in.faults != 0)
		content_spoil(t, 550, c->in.faults & CONTENT_NUL ?
		    "5.6.0 The message has a NUL in it" :
		    "5.6.0 The message has a bare CR or LF in it");
	else if (s->size_max > 0 && c->in.size > s->size_max)
		content_spoil(t, 552, "5.3.4 The message is too large");
	else if (c->count.received > session_conf()->limits.received)
		content_spoil(t, 554, "5.4.6 Too many Received fields: a mail "
		    "loop");
	else if (c->count.fields > CONTENT_FIELDS_MAX ||
	    c->count.header_bytes > CONTENT_HEADER_MAX)
		content_spoil(t, 552, "5.3.4 The header is too large");
	else if ((code = stage_judge(t, &text)) != 0)
		content_spoil(t, code, text);
}

/* Passes on what was changed. False: the way has no room. */
static bool
drain(struct txn *t)
{
	struct content	*c = &t->content;

	while (c->code == 0 && !stage_drain(&c->stage, &c->out,
	    CONTENT_ROOM)) {
		t->way->write(t, &c->out);
		c->full = c->code == 0 && buf_len(&c->out) >= CONTENT_ROOM;
		if (c->full)
			return false;
	}
	return true;
}

/* Canonical bytes, as the client sent them. */
static void
came(struct txn *t, struct span s)
{
	struct content	*c = &t->content;

	if (!c->count.over)
		received_count_feed(&c->count, s);
	stage_watch(&c->stage, s);
}

/* Eats of in what there is room for. */
static void
feed(struct txn *t, struct span *in)
{
	struct content	*c = &t->content;
	struct buf	*raw, *to;
	size_t		 kept, left;

	while (in->len > 0 && !c->in.done) {
		if (c->code != 0)
			buf_reset(&c->out);
		if (!drain(t))
			return;
		if (buf_len(&c->out) + 2 > CONTENT_ROOM)
			t->way->write(t, &c->out);
		c->full = buf_len(&c->out) + 2 > CONTENT_ROOM;
		if (c->full)
			return;
		raw = stage_in(&c->stage);
		to = raw != NULL ? raw : &c->out;
		kept = buf_len(to);
		left = in->len;
		smtp_content_feed(&c->in, in, to);
		came(t, span_sub(buf_content(to), kept, SIZE_MAX));
		if (raw != NULL)
			stage_run(&c->stage);
		judge(t);
		if (in->len == left && !c->in.done) {
			content_spoil(t, 451, "4.3.0 No memory");
			span_skip(in, in->len);
		}
	}
}

/* No more comes: what is held of it goes on. False: the way has no room. */
static bool
finish(struct txn *t)
{
	struct content	*c = &t->content;
	struct buf	*raw = stage_in(&c->stage), *to;
	size_t		 kept;

	if (c->code != 0)
		return true;
	if (c->bdat && !c->stage.ended) {
		to = raw != NULL ? raw : &c->out;
		c->out.max = CONTENT_HOLD;
		kept = buf_len(to);
		smtp_content_bdat_end(&c->in, to);
		came(t, span_sub(buf_content(to), kept, SIZE_MAX));
		if (raw != NULL)
			stage_run(&c->stage);
	}
	stage_end(&c->stage);
	judge(t);
	return drain(t);
}

/* ---- the end --------------------------------------------------------------- */

static void
ended(const struct txn *t, const char *event, uint16_t code,
    struct span text)
{
	const struct session	*s = t->s;
	const struct link	*l = s->link;
	char			 server[340] = "", client[ADDR_STRLEN],
				 tls[TLS_LOG_MAX];

	if (t->way == &handoff_proxy && l != NULL && l->server != NULL)
		snprintf(server, sizeof(server), " server=%s",
		    log_quote(span_str(l->server)));
	if (code / 100 != 2)
		session_stats()->refused++;
	else if (t->way == &handoff_proxy)
		session_stats()->proxied++;
	else
		session_stats()->accepted++;
	log_info("session=%s id=%s event=%s from=<%s> to=<%s> nrcpts=%u "
	    "size=%llu client=%s way=%s%s%s reply=%s delay=%.3f", s->id, t->ids,
	    event, txn_quote(t->from), txn_quote(txn_first(t)), t->taken,
	    (unsigned long long)content_size(t),
	    addr_str(&s->client, client), t->way->name, server,
	    tls_log(s, tls), log_reply(code, text),
	    (double)(clock_mono().ms - t->since.ms) / 1000);
}

static void
give(struct txn *t, struct cmd *cmd)
{
	struct content	*c = &t->content;
	struct session	*s = t->s;
	uint16_t	 code = c->code;
	const char	*text = c->text;

	if (code != 0) {
		ended(t, "refused", code, span_str(text));
		txn_end(s);
		session_reply(cmd, code, "%s", text);
		return;
	}
	c->state = CONTENT_ENDING;
	c->cmd = cmd;
	session_hold(cmd);
	t->committed = true;
	stage_complete(t);
	t->way->end(t, &c->out);
}

/* A chunk is whole. */
static void
chunk_end(struct txn *t)
{
	struct content	*c = &t->content;
	struct cmd	*cmd = c->cmd;

	c->cmd = NULL;
	if (c->last || c->code != 0) {
		give(t, cmd);
		return;
	}
	c->state = CONTENT_PAUSE;
	session_reply(cmd, 250, "2.0.0 %llu octets so far",
	    (unsigned long long)c->in.size);
}

bool
content_run(struct txn *t)
{
	struct session	*s = t->s;
	struct content	*c = &t->content;
	struct span	 in = stream_in(s->stream);
	size_t		 before;

	if (c->bdat && in.len > c->chunk)
		in.len = (size_t)c->chunk;
	before = in.len;
	feed(t, &in);
	before -= in.len;
	stream_eat(s->stream, before);
	s->window += before;
	if (c->bdat)
		c->chunk -= before;
	if (c->bdat && c->chunk == 0) {
		if (c->last && !finish(t))
			return false;
		chunk_end(t);
		return true;
	}
	if (c->in.done) {
		if (!finish(t))
			return false;
		give(t, session_cmd(s, VERB_DATA));
		return true;
	}
	/* What is still here when its server is lost can go into the queue. */
	if (!c->full && c->code == 0 && t->way->streams &&
	    t->action->on_failure == NULL &&
	    buf_len(&c->out) >= CONTENT_PIECE)
		t->way->write(t, &c->out);
	return before > 0 && !c->full;
}

void
content_go(struct txn *t)
{
	t->content.full = false;
	session_go(t->s);
}

void
content_done(struct txn *t, uint16_t code, struct span text)
{
	content_done_as(t, code, text, text);
}

void
content_done_as(struct txn *t, uint16_t code, struct span text,
    struct span said)
{
	struct session	*s = t->s;
	struct cmd	*cmd = t->content.cmd;
	bool		 ok = code / 100 == 2;

	/* The client first: it waits. */
	if (s->phase != PH_CLOSING) {
		session_answer(cmd, code, said);
		if (s->stream != NULL)
			stream_flush(s->stream);
	}
	ended(t, !ok ? "refused" : t->way == &handoff_proxy ? "proxied" :
	    "accepted", code, text);
	if (ok)
		s->messages++;
	/* It was gone before the reply. */
	if (s->phase == PH_CLOSING)
		session_unheard(s);
	txn_end(s);
	if (s->phase == PH_CLOSING)
		session_release(s);
}
