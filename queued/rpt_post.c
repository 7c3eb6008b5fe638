/*
 * Reports that go by POST (RFC 8460, 5.4): kept until a server has taken them,
 * or for a day. A row's end is its next try; it is moved before the try, so
 * nobody needs to remember that one is under way.
 */
#include "queued/rpt_i.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/bytes.h"
#include "queued/queue.h"
#include "queued/side.h"

#define POST_DAY	UINT32_MAX	/* no day of a report's rows */

static bool
put(struct side *s, struct span key, const struct rpt_post *p,
    int64_t next_ms)
{
	struct buf	 b;
	bool		 ok;

	rpt_row_begin(&b, RPT_ROW_POST, next_ms);
	put_u64(&b, (uint64_t)p->created_ms);
	put_u8(&b, p->tries);
	put_str(&b, p->domain);
	put_str(&b, p->url);
	put_str(&b, p->json);
	ok = !b.failed && side_put(s, key, buf_content(&b));
	buf_clear(&b);
	return ok;
}

bool
rpt_post_add(struct queue *q, struct span domain, struct span url,
    struct span json)
{
	struct side	*s = rpt_side(q);
	struct rpt_post	 p = { .created_ms = clock_wall().ms,
			    .domain = domain, .url = url, .json = json };
	uint32_t	 n = rand_below(UINT32_MAX);
	struct buf	 key;
	bool		 ok;

	rpt_key(&key, POST_DAY, domain);
	buf_add(&key, &n, sizeof(n));
	ok = s != NULL && !key.failed && side_count(s) < RPT_ROWS_MAX &&
	    put(s, buf_content(&key), &p, p.created_ms);
	buf_clear(&key);
	return ok;
}

/* The row of that key, if it is one; spans are borrowed. */
static bool
find(struct side *s, struct span key, struct rpt_post *p)
{
	struct span	 row;
	struct rpt_any	 a;

	if (s == NULL || !side_get(s, key, &row) || !rpt_row_get(row, &a) ||
	    a.row != RPT_ROW_POST)
		return false;
	*p = a.post;
	return true;
}

static void
log_post(const struct rpt_post *p, const char *result, struct span why)
{
	log_info("event=tlsrpt domain=%s to=%s result=%s%s%s",
	    log_quote(p->domain), log_quote(p->url), result,
	    why.len > 0 ? " why=" : "", why.len > 0 ? log_quote(why) : "");
}

bool
rpt_post_step(struct queue *q, struct span due)
{
	struct side	*s = rpt_side(q);
	uint8_t		 copy[RPT_KEY_MAX];
	struct span	 key = span(copy, due.len);
	int64_t		 now = clock_wall().ms, wait = RPT_POST_MS;
	struct rpt_post	 p;

	if (due.len > sizeof(copy))
		return false;
	memcpy(copy, due.p, due.len);
	if (!find(s, key, &p))
		return false;
	if (now - p.created_ms >= RPT_TTL_MS || q->conf->report_from == NULL) {
		log_post(&p, "failed", span_str("its time is over"));
		side_del(s, key);
		return true;
	}
	if (!q->ops->post(q, key, p.url, p.json))
		wait = RPT_AGAIN_MS;
	else {
		for (unsigned i = 0; i < p.tries && i < RPT_POST_DOUBLE; i++)
			wait *= 2;
		p.tries += p.tries < UINT8_MAX;
	}
	put(s, key, &p, now + wait);
	return true;
}

void
rpt_posted(struct queue *q, struct span key, struct span why)
{
	struct side	*s = rpt_side(q);
	struct rpt_post	 p;

	if (!find(s, key, &p))
		return;
	log_post(&p, why.len == 0 ? "delivered" : "deferred", why);
	if (why.len == 0)
		side_del(s, key);
}
