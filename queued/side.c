/*
 * See side.h. No row here is worth the queue's end: what can't be read is
 * dropped.
 */
#include "queued/side.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <db.h>

#include "common/base/log.h"
#include "queued/diskio.h"

#define PAGE_SIZE	4096
#define TIME_LEN	9		/* 't' and its time */

struct side {
	const struct side_kind *kind;
	DB_ENV		*env;
	DB		*db;
	DB_TXN		*txn;
	uint64_t	 count;
	uint8_t		*row;		/* the last one read; row_max bytes */
	uint8_t		 key[TIME_LEN + SIDE_KEY_MAX];
};
struct key {			/* as it stands in the file */
	uint8_t		 p[TIME_LEN + SIDE_KEY_MAX];
	size_t		 len;
};

static void
must(struct side *s, int ret, const char *what)
{
	if (ret == 0)
		return;
	if (ret == ENOSPC || ret == EDQUOT)
		dio_stop(what, s->kind->file, ret);
	dio_stop_rebuild(what, db_strerror(ret));
}

static DBT
dbt(const void *p, size_t len)
{
	DBT	 d;

	memset(&d, 0, sizeof(d));
	memcpy(&d.data, &p, sizeof(p));
	d.size = (uint32_t)len;
	return d;
}

/* ---- one row ---- */

static bool
row_key(struct span key, struct key *k)
{
	if (key.len > SIDE_KEY_MAX)
		return false;
	k->p[0] = 'k';
	if (key.len > 0)
		memcpy(k->p + 1, key.p, key.len);
	k->len = 1 + key.len;
	return true;
}

static void
time_key(struct span key, int64_t ms, struct key *k)
{
	uint64_t	 be = htobe64((uint64_t)ms);

	k->p[0] = 't';
	memcpy(k->p + 1, &be, sizeof(be));
	if (key.len > 0)
		memcpy(k->p + TIME_LEN, key.p, key.len);
	k->len = TIME_LEN + key.len;
}

static bool
get(struct side *s, const void *key, size_t len, struct span *row)
{
	DBT	 k = dbt(key, len), d = dbt(s->row, 0);
	int	 ret;

	d.flags = DB_DBT_USERMEM;
	d.ulen = (uint32_t)s->kind->row_max;
	ret = s->db->get(s->db, s->txn, &k, &d, 0);
	if (ret == DB_NOTFOUND || ret == DB_BUFFER_SMALL)
		return false;
	must(s, ret, "get");
	*row = span(s->row, d.size);
	return true;
}

static void
put(struct side *s, const void *key, size_t len, struct span row)
{
	DBT	 k = dbt(key, len), d = dbt(row.p, row.len);

	must(s, s->db->put(s->db, s->txn, &k, &d, 0), "put");
}

static bool
del(struct side *s, const void *key, size_t len)
{
	DBT	 k = dbt(key, len);
	int	 ret = s->db->del(s->db, s->txn, &k, 0);

	if (ret == DB_NOTFOUND)
		return false;
	must(s, ret, "del");
	return true;
}

static void
begin(struct side *s)
{
	must(s, s->env->txn_begin(s->env, NULL, &s->txn, 0), "begin");
}

static void
commit(struct side *s)
{
	uint64_t	 n = htole64(s->count);
	DB_TXN		*t = s->txn;

	put(s, "n", 1, span(&n, sizeof(n)));
	s->txn = NULL;
	must(s, t->commit(t, DB_TXN_WRITE_NOSYNC), "commit");
}

/* The row and its time; inside a transaction. */
static bool
drop(struct side *s, struct span key)
{
	struct span	 row;
	struct key	 k, t;
	int64_t		 ms;

	if (!row_key(key, &k) || !get(s, k.p, k.len, &row))
		return false;
	if (s->kind->end(row, &ms)) {
		time_key(key, ms, &t);
		del(s, t.p, t.len);
	}
	if (del(s, k.p, k.len) && s->count > 0)
		s->count--;
	return true;
}

bool
side_get(struct side *s, struct span key, struct span *row)
{
	struct key	 k;

	return row_key(key, &k) && get(s, k.p, k.len, row);
}

bool
side_put(struct side *s, struct span key, struct span row)
{
	struct key	 k, t;
	int64_t		 ms;

	if (!row_key(key, &k) || row.len > s->kind->row_max ||
	    !s->kind->end(row, &ms))
		return false;
	time_key(key, ms, &t);
	begin(s);
	drop(s, key);
	put(s, k.p, k.len, row);
	put(s, t.p, t.len, span("", 0));
	s->count++;
	commit(s);
	return true;
}

bool
side_del(struct side *s, struct span key)
{
	bool	 had;

	begin(s);
	had = drop(s, key);
	commit(s);
	return had;
}

uint64_t
side_count(const struct side *s)
{
	return s->count;
}

/* ---- walks ---- */

/* The first row of a key not before s->key[0..*len], to there. */
static bool
next(struct side *s, DBC *c, size_t *len, uint32_t op, struct span *row)
{
	DBT	 k = dbt(s->key, *len), d = dbt(s->row, 0);
	int	 ret;

	k.flags = d.flags = DB_DBT_USERMEM;
	k.ulen = sizeof(s->key);
	d.ulen = (uint32_t)s->kind->row_max;
	ret = c->get(c, &k, &d, op);
	if (ret == DB_NOTFOUND)
		return false;
	must(s, ret, "walk");
	*len = k.size;
	*row = span(s->row, d.size);
	return true;
}

/* The key of the row that ends first, if that is over, or with `any`. */
static bool
first_due(struct side *s, int64_t now_ms, bool any, struct key *k)
{
	struct span	 row;
	uint64_t	 be;
	DBC		*c;
	bool		 found;

	s->key[0] = 't';
	k->len = 1;
	must(s, s->db->cursor(s->db, s->txn, &c, 0), "cursor");
	found = next(s, c, &k->len, DB_SET_RANGE, &row) &&
	    k->len >= TIME_LEN && s->key[0] == 't';
	must(s, c->close(c), "cursor");
	if (!found)
		return false;
	memcpy(k->p, s->key, k->len);
	memcpy(&be, k->p + 1, sizeof(be));
	return any || (int64_t)be64toh(be) <= now_ms;
}

bool
side_due(struct side *s, int64_t now_ms, struct span *key)
{
	struct key	 k;

	if (!first_due(s, now_ms, false, &k))
		return false;
	*key = span(s->key + TIME_LEN, k.len - TIME_LEN);
	return true;
}

unsigned
side_sweep(struct side *s, int64_t now_ms, uint64_t max, unsigned n)
{
	unsigned	 done = 0;
	struct key	 k;

	while (done < n && first_due(s, now_ms, s->count > max, &k)) {
		begin(s);
		drop(s, span(k.p + TIME_LEN, k.len - TIME_LEN));
		/* Gone with its row, unless that can't be read. */
		del(s, k.p, k.len);
		commit(s);
		done++;
	}
	return done;
}

void
side_each(struct side *s, struct span front, struct span after,
    bool (*f)(struct span, struct span, void *), void *arg)
{
	struct key	 from, at;
	struct span	 row;
	uint32_t	 op = DB_SET_RANGE;
	size_t		 len;
	DBC		*c;

	if (!row_key(front, &from) || !row_key(after.len > 0 ? after : front,
	    &at))
		return;
	len = at.len;
	memcpy(s->key, at.p, len);
	must(s, s->db->cursor(s->db, s->txn, &c, 0), "cursor");
	while (next(s, c, &len, op, &row) && span_starts(span(s->key, len),
	    span(from.p, from.len))) {
		op = DB_NEXT;
		/* The one that the walk begins behind. */
		if (after.len > 0 && span_eq(span(s->key, len),
		    span(at.p, at.len)))
			continue;
		if (!f(span(s->key + 1, len - 1), row, arg))
			break;
	}
	must(s, c->close(c), "cursor");
}

/* ---- opening ---- */

int
side_open(void *env, const struct side_kind *kind, struct side **out)
{
	struct side	*s = calloc(1, sizeof(*s));
	struct span	 row;
	DB		*db;
	int		 ret;

	if (s == NULL || (s->row = malloc(kind->row_max)) == NULL)
		fatal("%s", kind->file);
	*out = s;
	s->kind = kind;
	s->env = env;
	if ((ret = db_create(&db, s->env, 0)) != 0)
		return ret;
	s->db = db;
	if ((ret = db->set_pagesize(db, PAGE_SIZE)) ||
	    (ret = db->set_flags(db, DB_CHKSUM)) ||
	    (ret = db->open(db, NULL, kind->file, NULL, DB_BTREE,
	    DB_CREATE | DB_AUTO_COMMIT, 0600)))
		return ret;
	if (get(s, "n", 1, &row) && row.len == sizeof(s->count)) {
		memcpy(&s->count, row.p, sizeof(s->count));
		s->count = le64toh(s->count);
	}
	return 0;
}

void
side_close(struct side *s)
{
	if (s == NULL)
		return;
	if (s->db != NULL)
		s->db->close(s->db, 0);
	free(s->row);
	free(s);
}
