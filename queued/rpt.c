/*
 * The sums. See rpt.h.
 */
#include "queued/rpt_i.h"

#include "common/base/clock.h"
#include "common/base/enc.h"
#include "common/base/rand.h"
#include "queued/bytes.h"
#include "queued/queue.h"
#include "queued/side.h"

#define ROW_VERSION	1
#define ROW_MAX		32768

struct side *
rpt_side(const struct queue *q)
{
	return q == NULL || q->down || q->closed || q->store == NULL ? NULL :
	    store_rpt(q->store);
}

/* ---- rows ---- */

static void
put_addr(struct buf *b, const struct addr *a)
{
	uint8_t	 key[ADDR_KEY_LEN];

	put_u8(b, a->family != 0);
	if (a->family != 0)
		buf_span(b, addr_key(a, key));
}

static void
cur_addr(struct cur *c, struct addr *a)
{
	*a = (struct addr){ .family = 0 };
	if (cur_u8(c) != 0 && !addr_from_key(cur_bytes(c, ADDR_KEY_LEN), a))
		c->bad = true;
}

struct buf *
rpt_row_begin(struct buf *b, enum rpt_row row, int64_t end_ms)
{
	buf_init(b, ROW_MAX);
	put_u8(b, ROW_VERSION);
	put_u8(b, (uint8_t)row);
	put_u64(b, (uint64_t)end_ms);
	return b;
}

static void
domain_get(struct cur *c, struct rpt_domain *d)
{
	d->begin_s = (int64_t)cur_u64(c);
	d->end_s = (int64_t)cur_u64(c);
	d->ok = cur_u64(c);
	d->failed = cur_u64(c);
	d->policies = cur_u16(c);
	d->details = cur_u16(c);
	d->rua = cur_str(c);
}

void
rpt_domain_put(struct buf *b, const struct rpt_domain *d)
{
	rpt_row_begin(b, RPT_ROW_DOMAIN, d->due_ms);
	put_u64(b, (uint64_t)d->begin_s);
	put_u64(b, (uint64_t)d->end_s);
	put_u64(b, d->ok);
	put_u64(b, d->failed);
	put_u16(b, d->policies);
	put_u16(b, d->details);
	put_str(b, d->rua);
}

static void
policy_get(struct cur *c, struct rpt_policy *p)
{
	uint8_t	 kind = cur_u8(c);

	c->bad = c->bad || kind >= RPT_KINDS;
	p->kind = (enum rpt_kind)kind;
	p->ok = cur_u64(c);
	p->failed = cur_u64(c);
	p->domain = cur_str(c);
	p->mx = cur_str(c);
	p->strings = cur_str(c);
}

static void
detail_get(struct cur *c, struct rpt_detail *d)
{
	uint8_t	 result = cur_u8(c);

	c->bad = c->bad || result == RPT_OK || result >= RPT_RESULTS;
	d->result = (enum rpt_result)result;
	d->sessions = cur_u64(c);
	cur_addr(c, &d->ours);
	cur_addr(c, &d->theirs);
	d->mx = cur_str(c);
	d->reason = cur_str(c);
}

static void
post_get(struct cur *c, struct rpt_post *p)
{
	p->created_ms = (int64_t)cur_u64(c);
	p->tries = cur_u8(c);
	p->domain = cur_str(c);
	p->url = cur_str(c);
	p->json = cur_str(c);
}

bool
rpt_row_get(struct span row, struct rpt_any *a)
{
	struct cur	 c = { row, false };
	uint8_t		 version = cur_u8(&c), kind = cur_u8(&c);

	*a = (struct rpt_any){ .row = (enum rpt_row)kind,
	    .end_ms = (int64_t)cur_u64(&c) };
	switch (kind) {
	case RPT_ROW_DAY:
		a->domains = cur_u32(&c);
		break;
	case RPT_ROW_DOMAIN:
		domain_get(&c, &a->domain);
		a->domain.due_ms = a->end_ms;
		break;
	case RPT_ROW_POLICY:
		policy_get(&c, &a->policy);
		break;
	case RPT_ROW_DETAIL:
		detail_get(&c, &a->detail);
		break;
	case RPT_ROW_POST:
		post_get(&c, &a->post);
		break;
	default:
		return false;
	}
	return version == ROW_VERSION && !c.bad && c.s.len == 0;
}

static bool
end_of(struct span row, int64_t *ms)
{
	struct rpt_any	 a;

	if (!rpt_row_get(row, &a))
		return false;
	*ms = a.end_ms;
	return true;
}

const struct side_kind rpt_side_kind = { "tlsrpt.db", ROW_MAX, end_of };

/* ---- keys ---- */

static void
put_be32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_add(b, &v, sizeof(v));
}

void
rpt_key(struct buf *b, uint32_t day, struct span domain)
{
	buf_init(b, RPT_KEY_MAX);
	put_be32(b, day);
	for (size_t i = 0; i < domain.len; i++)
		buf_byte(b, domain.p[i] >= 'A' && domain.p[i] <= 'Z' ?
		    (uint8_t)(domain.p[i] + 'a' - 'A') : domain.p[i]);
	buf_byte(b, 0);
}

bool
rpt_key_get(struct span key, uint32_t *day, struct span *domain)
{
	uint32_t	 be;

	if (key.len < sizeof(be) + 2 || key.p[key.len - 1] != 0)
		return false;
	memcpy(&be, key.p, sizeof(be));
	*day = be32toh(be);
	*domain = span_sub(key, sizeof(be), key.len - sizeof(be) - 1);
	/* It may get into a header. */
	return dns_name_ok(*domain);
}

/* Two things of the same number are counted as one: rare, and no harm. */
static void
put_number(struct buf *b, const struct buf *of)
{
	put_be32(b, enc_crc32c(0, buf_content(of)));
}

/* ---- one word ---- */

struct adding {
	struct side	*s;
	const struct ipc_d_tls *m;
	uint32_t	 day;
	int64_t		 keep_ms;	/* rows that nobody needs go then */
	struct buf	 key;		/* the domain's, then longer */
};

static bool
may_grow(const struct adding *a)
{
	return side_count(a->s) < RPT_ROWS_MAX;
}

/* One more domain of the day. False: it has too many. */
static bool
day_grow(const struct adding *a)
{
	struct span	 key = span_sub(buf_content(&a->key), 0,
			    sizeof(uint32_t)), row;
	struct rpt_any	 any = { .domains = 0 };
	struct buf	 b;
	bool		 ok;

	if (side_get(a->s, key, &row) && rpt_row_get(row, &any) &&
	    any.domains >= RPT_DOMAINS_MAX)
		return false;
	put_u32(rpt_row_begin(&b, RPT_ROW_DAY, a->keep_ms), any.domains + 1);
	ok = !b.failed && side_put(a->s, key, buf_content(&b));
	buf_clear(&b);
	return ok;
}

/* The domain's row as it is, or a new one. False: there is no room. */
static bool
domain_find(const struct adding *a, struct rpt_domain *d)
{
	int64_t		 begin = (int64_t)a->day * RPT_DAY_S;
	struct rpt_any	 any;
	struct span	 row;

	if (side_get(a->s, buf_content(&a->key), &row) &&
	    rpt_row_get(row, &any) && any.row == RPT_ROW_DOMAIN) {
		*d = any.domain;
		return true;
	}
	if (!may_grow(a) || !day_grow(a))
		return false;
	*d = (struct rpt_domain){ .begin_s = begin,
	    .end_s = begin + RPT_DAY_S - 1, .due_ms = (begin + RPT_DAY_S +
	    rand_below(RPT_DELAY_MAX_S)) * 1000 };
	return true;
}

/* The row of the policy that the word is about, one session more in it; false:
 * it is a new one. a->key is its key then. */
static bool
policy_count(struct adding *a, bool may_add)
{
	const struct ipc_d_tls *m = a->m;
	bool		 was, ok = m->result == RPT_OK;
	struct rpt_any	 any = { .row = RPT_ROW_POLICY };
	struct span	 row, mx = m->kind == RPT_TLSA ? m->mx :
			    span(NULL, 0);
	struct buf	 what, b;

	buf_init(&what, ROW_MAX);
	put_u8(&what, m->kind);
	put_str(&what, m->policy_domain);
	put_str(&what, mx);
	put_str(&what, m->strings);
	put_number(&a->key, &what);
	was = side_get(a->s, buf_content(&a->key), &row) &&
	    rpt_row_get(row, &any) && any.row == RPT_ROW_POLICY;
	if (was || may_add) {
		rpt_row_begin(&b, RPT_ROW_POLICY, a->keep_ms);
		put_u8(&b, m->kind);
		put_u64(&b, any.policy.ok + ok);
		put_u64(&b, any.policy.failed + !ok);
		buf_span(&b, span_sub(buf_content(&what), 1, ROW_MAX));
		if (!b.failed)
			side_put(a->s, buf_content(&a->key), buf_content(&b));
		buf_clear(&b);
	}
	buf_clear(&what);
	return was;
}

/* The same of what was wrong. */
static bool
detail_count(struct adding *a, bool may_add)
{
	const struct ipc_d_tls *m = a->m;
	struct rpt_any	 any = { .row = RPT_ROW_DETAIL };
	struct addr	 ours = m->ours, theirs = m->theirs;
	struct buf	 what, b;
	struct span	 row;
	bool		 was;

	ours.port = theirs.port = 0;
	buf_init(&what, ROW_MAX);
	put_addr(&what, &ours);
	put_addr(&what, &theirs);
	put_str(&what, m->mx);
	put_str(&what, m->reason);
	put_be32(&a->key, m->result);
	put_number(&a->key, &what);
	was = side_get(a->s, buf_content(&a->key), &row) &&
	    rpt_row_get(row, &any) && any.row == RPT_ROW_DETAIL;
	if (was || may_add) {
		rpt_row_begin(&b, RPT_ROW_DETAIL, a->keep_ms);
		put_u8(&b, m->result);
		put_u64(&b, any.detail.sessions + 1);
		buf_span(&b, buf_content(&what));
		if (!b.failed)
			side_put(a->s, buf_content(&a->key), buf_content(&b));
		buf_clear(&b);
	}
	buf_clear(&what);
	return was;
}

static void
add(struct adding *a)
{
	size_t		 front = buf_len(&a->key);
	bool		 more = may_grow(a), room;
	struct rpt_domain d;
	struct buf	 b;

	if (!domain_find(a, &d))
		return;
	d.rua = a->m->rua;
	room = more && d.policies < RPT_POLICIES_MAX;
	if (policy_count(a, room))
		room = true;
	else
		d.policies += room;
	if (room && a->m->result != RPT_OK) {
		more = more && d.details < RPT_DETAILS_MAX;
		if (!detail_count(a, more))
			d.details += more;
	}
	d.ok += a->m->result == RPT_OK;
	d.failed += a->m->result != RPT_OK;
	rpt_domain_put(&b, &d);
	if (!b.failed)
		side_put(a->s, span_sub(buf_content(&a->key), 0, front),
		    buf_content(&b));
	buf_clear(&b);
}

bool
rpt_add(struct queue *q, const struct ipc_d_tls *m)
{
	struct adding	 a = { .s = rpt_side(q), .m = m };
	int64_t		 now_s = clock_wall().ms / 1000;

	/* The name goes into a header. */
	if (m->kind >= RPT_KINDS || m->result >= RPT_RESULTS ||
	    !dns_name_ok(m->domain))
		return false;
	if (a.s == NULL || q->conf->report_from == NULL || now_s < 0 ||
	    m->rua.len == 0)
		return true;
	a.day = (uint32_t)(now_s / RPT_DAY_S);
	a.keep_ms = ((int64_t)a.day + 1 + RPT_KEEP_DAYS) * RPT_DAY_S * 1000;
	rpt_key(&a.key, a.day, m->domain);
	if (!a.key.failed)
		add(&a);
	buf_clear(&a.key);
	return true;
}

/* ---- for people ---- */

struct each {
	void	(*f)(const struct rpt_domain *, void *);
	void	*arg;
};

static bool
each_one(struct span key, struct span row, void *arg)
{
	struct each	*e = arg;
	struct rpt_any	 any;
	uint32_t	 day;

	if (rpt_key_get(key, &day, &any.domain.domain)) {
		struct span	domain = any.domain.domain;

		if (rpt_row_get(row, &any) && any.row == RPT_ROW_DOMAIN) {
			any.domain.domain = domain;
			e->f(&any.domain, e->arg);
		}
	}
	return true;
}

void
rpt_each(struct queue *q, void (*f)(const struct rpt_domain *, void *),
    void *arg)
{
	struct side	*s = rpt_side(q);

	if (s != NULL)
		side_each(s, span(NULL, 0), span(NULL, 0), each_one,
		    &(struct each){ f, arg });
}
