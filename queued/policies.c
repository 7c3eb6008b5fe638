/*
 * See policies.h. Key: the domain, in lower case; row: a version, the time when
 * it expires, the id, the text.
 */
#include "queued/policies.h"

#include "common/base/clock.h"
#include "queued/bytes.h"
#include "queued/queue.h"
#include "queued/side.h"

#define ROW_VERSION	1
#define ROW_MAX		32768	/* the text is no longer than a message */
#define SWEEP_STEP	32

static uint64_t	rows_max = POLICIES_MAX;

void
policies_limit(uint64_t n)
{
	rows_max = n;
}

/* ---- rows ---- */

static bool
row_get(struct span row, struct policy *p)
{
	struct cur	 c = { row, false };

	if (cur_u8(&c) != ROW_VERSION)
		return false;
	p->expires_ms = (int64_t)cur_u64(&c);
	p->id = cur_str(&c);
	p->text = cur_str(&c);
	return !c.bad && c.s.len == 0 && p->id.len <= STS_ID_MAX;
}

static bool
end_of(struct span row, int64_t *ms)
{
	struct policy	 p;

	if (!row_get(row, &p))
		return false;
	*ms = p.expires_ms;
	return true;
}

const struct side_kind policies_kind = { "sts.db", ROW_MAX, end_of };

/* What is there is told while the disk is full, too: else mail would go without
 * what its domain asks for. */
static struct side *
to_read(const struct queue *q)
{
	return q == NULL || q->down || q->store == NULL ? NULL :
	    store_policies(q->store);
}

static struct side *
to_write(const struct queue *q)
{
	return q == NULL || q->closed ? NULL : to_read(q);
}

static struct span
key_of(struct span domain, char key[256])
{
	if (!span_cstr(domain, key, 256))
		return span(NULL, 0);
	for (char *p = key; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	return span_str(key);
}

/* ---- policies ---- */

void
policies_put(struct queue *q, const struct ipc_d_policy *m)
{
	struct side		*s = to_write(q);
	int64_t			 now = clock_wall().ms, ends;
	struct sts_policy	 p;
	struct buf		 row;
	struct span		 key;
	const char		*why;
	char			 name[256];

	key = key_of(m->domain, name);
	if (s == NULL || key.len == 0 || m->expires_ms > INT64_MAX ||
	    sts_policy_parse(m->text, &p, &why) != PARSE_OK)
		return;
	ends = now + (int64_t)p.max_age * 1000;
	if ((int64_t)m->expires_ms < ends)
		ends = (int64_t)m->expires_ms;
	if (ends <= now)
		return;
	buf_init(&row, ROW_MAX);
	put_u8(&row, ROW_VERSION);
	put_u64(&row, (uint64_t)ends);
	put_str(&row, m->id);
	put_str(&row, m->text);
	if (!row.failed)
		side_put(s, key, buf_content(&row));
	buf_clear(&row);
	if (side_count(s) > rows_max)
		side_sweep(s, now, rows_max, 2);
}

bool
policies_get(struct queue *q, struct span domain, struct policy *p)
{
	struct side	*s = to_read(q);
	char		 name[256];
	struct span	 key = key_of(domain, name), row;

	if (s == NULL || key.len == 0 || !side_get(s, key, &row) ||
	    !row_get(row, p) || p->expires_ms <= clock_wall().ms)
		return false;
	p->domain = domain;
	return true;
}

struct each {
	void	(*f)(const struct policy *, void *);
	void	*arg;
	int64_t	 now;
};

static bool
each_one(struct span key, struct span row, void *arg)
{
	struct each	*e = arg;
	struct policy	 p = { .domain = key };

	if (row_get(row, &p) && p.expires_ms > e->now)
		e->f(&p, e->arg);
	return true;
}

void
policies_each(struct queue *q, void (*f)(const struct policy *, void *),
    void *arg)
{
	struct side	*s = to_read(q);
	struct each	 e = { f, arg, clock_wall().ms };

	if (s != NULL)
		side_each(s, span(NULL, 0), span(NULL, 0), each_one, &e);
}

bool
policies_sweep(struct queue *q)
{
	struct side	*s = to_write(q);

	return s != NULL && side_sweep(s, clock_wall().ms, rows_max,
	    SWEEP_STEP) == SWEEP_STEP;
}
