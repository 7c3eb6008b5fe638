/*
 * Envelopes of the segments' records: a message with its recipients, a change,
 * the outcome of a way, the state of the queue. Each has its writer beside its
 * reader.
 */
#include "queued/bytes.h"
#include "queued/record.h"

static bool
put_addr(struct buf *b, const struct addr *a)
{
	return put_u8(b, a->family) && put_u16(b, a->port) &&
	    buf_add(b, a->ip, a->family == 4 ? 4 : a->family == 6 ? 16 : 0);
}

static void
cur_addr(struct cur *c, struct addr *a)
{
	struct span	 ip;

	memset(a, 0, sizeof(*a));
	a->family = cur_u8(c);
	a->port = cur_u16(c);
	if (a->family != 0 && a->family != 4 && a->family != 6)
		c->bad = true;
	ip = cur_bytes(c, a->family == 4 ? 4 : a->family == 6 ? 16 : 0);
	if (ip.len != 0)
		memcpy(a->ip, ip.p, ip.len);
}

bool
rec_rcpt_add(struct buf *b, const struct rec_rcpt *r)
{
	return put_u32(b, r->n) && put_u8(b, r->state) &&
	    put_u8(b, r->notify) && put_u32(b, r->attempt) &&
	    put_u64(b, (uint64_t)r->next_ms) &&
	    put_u64(b, (uint64_t)r->last_ms) && put_str(b, r->to) &&
	    put_str(b, r->action) && put_str(b, r->orcpt) &&
	    put_str(b, span_sub(r->reason, 0, REC_REASON_MAX)) &&
	    put_str(b, r->orig) && put_u32(b, r->group) &&
	    put_u8(b, r->flags) &&
	    put_str(b, span_sub(r->server, 0, REC_SERVER_MAX)) &&
	    (r->state != RCPT_PREPARED ||
	    (put_u8(b, r->way) && put_u8(b, r->settled)));
}

static bool
cur_rcpt(struct cur *c, uint8_t version, struct rec_rcpt *r)
{
	*r = (struct rec_rcpt){ 0 };
	r->n = cur_u32(c);
	r->state = cur_u8(c);
	r->notify = cur_u8(c);
	r->attempt = cur_u32(c);
	r->next_ms = (int64_t)cur_u64(c);
	r->last_ms = (int64_t)cur_u64(c);
	r->to = cur_str(c);
	r->action = cur_str(c);
	r->orcpt = cur_str(c);
	r->reason = cur_str(c);
	r->group = r->n;
	if (version > 1) {
		r->orig = cur_str(c);
		r->group = cur_u32(c);
		r->flags = cur_u8(c);
		r->server = cur_str(c);
	}
	if (r->state == RCPT_PREPARED) {
		r->way = cur_u8(c);
		r->settled = cur_u8(c);
	}
	return !c->bad && r->group <= r->n && r->way <= WAY_MAX &&
	    r->settled <= SETTLED_LAST + 1 &&
	    r->state <= (version > 2 ? RCPT_STATE_MAX : RCPT_FAILED);
}

bool
rec_rcpt_next(struct span *s, uint8_t version, struct rec_rcpt *r)
{
	struct cur	 c = { *s, false };

	if (s->len == 0 || !cur_rcpt(&c, version, r))
		return false;
	*s = c.s;
	return true;
}

bool
rec_msg_encode(struct buf *b, const struct rec_msg *m)
{
	return put_u8(b, m->flags) && put_u8(b, m->body) &&
	    put_u8(b, m->ret) && put_u8(b, m->held) &&
	    put_u64(b, (uint64_t)m->held_since_ms) &&
	    put_u64(b, (uint64_t)m->accepted_ms) &&
	    put_u64(b, (uint64_t)m->expire_ms) && put_u64(b, m->received_ms) &&
	    put_u64(b, m->size) && put_addr(b, &m->client) &&
	    put_str(b, m->from) && put_str(b, m->envid) &&
	    put_str(b, m->rdns) && put_str(b, m->helo) &&
	    put_str(b, m->auth) && put_str(b, m->tag) &&
	    put_str(b, m->mail_auth) &&
	    put_u32(b, m->nrcpts) && put_u32(b, (uint32_t)m->rcpts.len) &&
	    buf_span(b, m->rcpts) && put_u64(b, m->cause_id) &&
	    put_u32(b, (uint32_t)m->cause.len) && buf_span(b, m->cause);
}

static bool
rcpts_ok(const struct rec_msg *m)
{
	struct span	 s = m->rcpts;
	struct rec_rcpt	 r;
	uint32_t	 n = 0;

	while (rec_rcpt_next(&s, m->version, &r))
		if (r.n != n++)
			return false;
	return s.len == 0 && n == m->nrcpts && n > 0;
}

enum parse
rec_msg_decode(struct span env, uint8_t version, struct rec_msg *m,
    const char **why)
{
	struct cur	 c = { env, false };
	struct rec_change ch;

	m->version = version;
	m->flags = cur_u8(&c);
	m->body = cur_u8(&c);
	m->ret = cur_u8(&c);
	m->held = cur_u8(&c) != 0;
	m->held_since_ms = (int64_t)cur_u64(&c);
	m->accepted_ms = (int64_t)cur_u64(&c);
	m->expire_ms = (int64_t)cur_u64(&c);
	m->received_ms = cur_u64(&c);
	m->size = cur_u64(&c);
	cur_addr(&c, &m->client);
	m->from = cur_str(&c);
	m->envid = cur_str(&c);
	m->rdns = cur_str(&c);
	m->helo = cur_str(&c);
	m->auth = cur_str(&c);
	m->tag = cur_str(&c);
	m->mail_auth = version > 3 ? cur_str(&c) : span(NULL, 0);
	m->nrcpts = cur_u32(&c);
	m->rcpts = cur_bytes(&c, cur_u32(&c));
	m->cause_id = cur_u64(&c);
	m->cause = cur_bytes(&c, cur_u32(&c));
	*why = "envelope";
	if (c.bad || c.s.len != 0 || !rcpts_ok(m))
		return PARSE_BAD;
	if (m->cause.len != 0 && rec_change_decode(m->cause, version, &ch, why))
		return PARSE_BAD;
	return PARSE_OK;
}

bool
rec_fate_add(struct buf *b, const struct rec_fate *f)
{
	return put_u32(b, f->n) && put_u8(b, f->state) &&
	    put_u32(b, f->attempt) && put_u64(b, (uint64_t)f->next_ms) &&
	    put_u64(b, (uint64_t)f->last_ms) &&
	    put_str(b, span_sub(f->reason, 0, REC_REASON_MAX)) &&
	    put_str(b, span_sub(f->server, 0, REC_SERVER_MAX));
}

bool
rec_fate_next(struct span *s, uint8_t version, struct rec_fate *f)
{
	struct cur	 c = { *s, false };

	if (s->len == 0)
		return false;
	f->n = cur_u32(&c);
	f->state = cur_u8(&c);
	f->attempt = cur_u32(&c);
	f->next_ms = (int64_t)cur_u64(&c);
	f->last_ms = (int64_t)cur_u64(&c);
	f->reason = cur_str(&c);
	f->server = version > 1 ? cur_str(&c) : span(NULL, 0);
	if (c.bad || f->state > RCPT_FAILED)	/* never prepared anew */
		return false;
	*s = c.s;
	return true;
}

bool
rec_route_add(struct buf *b, const struct rec_route *r)
{
	return put_u32(b, r->n) && put_str(b, r->action);
}

bool
rec_route_next(struct span *s, struct rec_route *r)
{
	struct cur	 c = { *s, false };

	if (s->len == 0)
		return false;
	r->n = cur_u32(&c);
	r->action = cur_str(&c);
	if (c.bad)
		return false;
	*s = c.s;
	return true;
}

bool
rec_change_encode(struct buf *b, const struct rec_change *ch)
{
	bool	 ok;

	ok = put_u8(b, ch->what) && put_u8(b, ch->held) &&
	    put_u64(b, (uint64_t)ch->held_since_ms) &&
	    put_u64(b, (uint64_t)ch->expire_ms);
	if (ok && (ch->what & CHANGE_ROUTE))
		ok = put_u32(b, (uint32_t)ch->routes.len) &&
		    buf_span(b, ch->routes);
	return ok && put_u32(b, ch->nrcpts) && buf_span(b, ch->rcpts);
}

enum parse
rec_change_decode(struct span env, uint8_t version, struct rec_change *ch,
    const char **why)
{
	struct cur	 c = { env, false };
	struct rec_fate	 f;
	struct rec_route route;
	struct span	 s;
	uint32_t	 n = 0;

	ch->version = version;
	ch->what = cur_u8(&c);
	ch->held = cur_u8(&c) != 0;
	ch->held_since_ms = (int64_t)cur_u64(&c);
	ch->expire_ms = (int64_t)cur_u64(&c);
	ch->routes = span(NULL, 0);
	if (ch->what & CHANGE_ROUTE)
		ch->routes = cur_bytes(&c, cur_u32(&c));
	ch->nrcpts = cur_u32(&c);
	ch->rcpts = s = c.s;
	*why = "change";
	if (c.bad)
		return PARSE_BAD;
	for (struct span r = ch->routes; r.len > 0;)
		if (!rec_route_next(&r, &route))
			return PARSE_BAD;
	while (rec_fate_next(&s, version, &f))
		n++;
	return s.len == 0 && n == ch->nrcpts ? PARSE_OK : PARSE_BAD;
}

const char *
settled_name(unsigned outcome)
{
	static const char *const names[] = { [SETTLED_TAKEN] = "taken",
	    [SETTLED_QUEUE] = "queue", [SETTLED_REFUSED] = "refused",
	    [SETTLED_RELAYED] = "relayed", [SETTLED_TOLD] = "told" };

	return outcome <= SETTLED_LAST ? names[outcome] : "?";
}

bool
rec_settled_encode(struct buf *b, const struct rec_settled *s)
{
	return put_u8(b, s->way) && put_u8(b, s->outcome) &&
	    put_str(b, span_sub(s->reply, 0, REC_REASON_MAX)) &&
	    put_str(b, span_sub(s->server, 0, REC_SERVER_MAX));
}

enum parse
rec_settled_decode(struct span env, struct rec_settled *s, const char **why)
{
	struct cur	 c = { env, false };

	s->way = cur_u8(&c);
	s->outcome = cur_u8(&c);
	s->reply = cur_str(&c);
	s->server = cur_str(&c);
	*why = "outcome of a way";
	return c.bad || c.s.len != 0 || s->way > WAY_MAX ||
	    s->outcome > SETTLED_LAST ? PARSE_BAD : PARSE_OK;
}

bool
rec_name_add(struct buf *b, struct span name)
{
	return put_str(b, name);
}

bool
rec_name_next(struct span *s, struct span *name)
{
	struct cur	 c = { *s, false };

	if (s->len == 0)
		return false;
	*name = cur_str(&c);
	if (c.bad)
		return false;
	*s = c.s;
	return true;
}

bool
rec_state_encode(struct buf *b, const struct rec_state *st)
{
	return put_u8(b, st->mta_paused) && put_u32(b, st->npaused) &&
	    buf_span(b, st->paused);
}

enum parse
rec_state_decode(struct span env, struct rec_state *st, const char **why)
{
	struct cur	 c = { env, false };
	struct span	 s, name;
	uint32_t	 n = 0;

	st->mta_paused = cur_u8(&c) != 0;
	st->npaused = cur_u32(&c);
	st->paused = s = c.s;
	*why = "state";
	if (c.bad)
		return PARSE_BAD;
	while (rec_name_next(&s, &name))
		n++;
	return s.len == 0 && n == st->npaused ? PARSE_OK : PARSE_BAD;
}
