/*
 * See verify_row.h.
 */
#include "queued/verify_row.h"

#include "common/ipc/codec.h"
#include "queued/bytes.h"

#define ROW_VERSION	1

bool
verify_put_key(struct buf *b, const struct verify_key *k)
{
	return buf_span(b, k->domain) && buf_byte(b, 0) &&
	    buf_span(b, k->local) && buf_byte(b, 0) && buf_span(b, k->where) &&
	    buf_byte(b, 0) && buf_span(b, k->target);
}

bool
verify_get_key(struct span s, struct verify_key *k)
{
	struct span	*parts[] = { &k->domain, &k->local, &k->where };
	size_t		 n;

	for (size_t i = 0; i < 3; i++) {
		if ((n = span_find(s, 0)) == s.len)
			return false;
		*parts[i] = span_sub(s, 0, n);
		span_skip(&s, n + 1);
	}
	k->target = s;
	return span_find(s, 0) == s.len;
}

void
verify_put_row(struct buf *b, const struct verify_row *r)
{
	put_u8(b, ROW_VERSION);
	put_u8(b, r->state);
	put_u8(b, r->any);
	put_u8(b, r->by_delivery);
	put_u64(b, (uint64_t)r->since_ms);
	put_u64(b, (uint64_t)r->asked_ms);
	put_u64(b, (uint64_t)r->until_ms);
	put_u64(b, (uint64_t)r->good_ms);
	put_u64(b, (uint64_t)r->drop_ms);
	put_str(b, span_sub(r->reply, 0, STORE_VERIFY_REPLY_MAX));
	put_str(b, span_sub(r->server, 0, STORE_VERIFY_SERVER_MAX));
}

bool
verify_get_row(struct span s, struct verify_row *r)
{
	struct cur	 c = { s, false };

	if (cur_u8(&c) != ROW_VERSION)
		return false;
	r->state = cur_u8(&c);
	r->any = cur_u8(&c);
	r->by_delivery = cur_u8(&c) != 0;
	r->since_ms = (int64_t)cur_u64(&c);
	r->asked_ms = (int64_t)cur_u64(&c);
	r->until_ms = (int64_t)cur_u64(&c);
	r->good_ms = (int64_t)cur_u64(&c);
	r->drop_ms = (int64_t)cur_u64(&c);
	r->reply = cur_str(&c);
	r->server = cur_str(&c);
	return !c.bad && c.s.len == 0 && r->state <= V_BAD &&
	    r->any <= V_ANY_YES && r->reply.len <= STORE_VERIFY_REPLY_MAX &&
	    r->server.len <= STORE_VERIFY_SERVER_MAX;
}
