/*
 * The rows of verify.db. See store_verify.h. No row here is worth the queue's
 * end: what can't be read is dropped.
 */
#include "queued/store_verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <db.h>

#include "common/base/log.h"
#include "queued/diskio.h"
#include "queued/verify_row.h"

#define PAGE_SIZE	4096
#define KEY_LEN_MAX	(VERIFY_KEY_MAX - 16)	/* a longer one is not kept */
#define DROP_LEN	9		/* 't' and its time */

struct store_verify {
	DB_ENV		*env;
	DB		*db;
	DB_TXN		*txn;
	uint64_t	 count;
	uint8_t		 row[VERIFY_ROW_MAX];	/* the last one read */
	uint8_t		 key[VERIFY_KEY_MAX];
};

static void
must(int ret, const char *what)
{
	if (ret == 0)
		return;
	if (ret == ENOSPC || ret == EDQUOT)
		dio_stop(what, "verify.db", ret);
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
get(struct store_verify *v, const void *key, size_t len, struct span *row)
{
	DBT	 k = dbt(key, len), d = dbt(v->row, 0);
	int	 ret;

	d.flags = DB_DBT_USERMEM;
	d.ulen = sizeof(v->row);
	ret = v->db->get(v->db, v->txn, &k, &d, 0);
	if (ret == DB_NOTFOUND || ret == DB_BUFFER_SMALL)
		return false;
	must(ret, "get");
	*row = span(v->row, d.size);
	return true;
}

static void
put(struct store_verify *v, const void *key, size_t len, struct span row)
{
	DBT	 k = dbt(key, len), d = dbt(row.p, row.len);

	must(v->db->put(v->db, v->txn, &k, &d, 0), "put");
}

static bool
del(struct store_verify *v, const void *key, size_t len)
{
	DBT	 k = dbt(key, len);
	int	 ret = v->db->del(v->db, v->txn, &k, 0);

	if (ret == DB_NOTFOUND)
		return false;
	must(ret, "del");
	return true;
}

static void
begin(struct store_verify *v)
{
	must(v->env->txn_begin(v->env, NULL, &v->txn, 0), "begin");
}

static void
commit(struct store_verify *v)
{
	uint64_t	 n = htole64(v->count);
	DB_TXN		*t = v->txn;

	put(v, "n", 1, span(&n, sizeof(n)));
	v->txn = NULL;
	must(t->commit(t, DB_TXN_WRITE_NOSYNC), "commit");
}

/* The row and its time; inside a transaction. */
static bool
drop(struct store_verify *v, const struct verify_key *key)
{
	struct verify_row r;
	struct span	 row;
	struct buf	 k, t;
	bool		 had;

	buf_init(&k, KEY_LEN_MAX);
	buf_init(&t, VERIFY_KEY_MAX);
	buf_byte(&k, 'k');
	had = verify_put_key(&k, key) &&
	    get(v, buf_content(&k).p, buf_len(&k), &row);
	if (had) {
		if (verify_get_row(row, &r)) {
			verify_put_time(&t, r.drop_ms);
			verify_put_key(&t, key);
			del(v, buf_content(&t).p, buf_len(&t));
		}
		if (del(v, buf_content(&k).p, buf_len(&k)) && v->count > 0)
			v->count--;
	}
	buf_clear(&k);
	buf_clear(&t);
	return had;
}

bool
store_verify_get(struct store_verify *v, const struct verify_key *key,
    struct verify_row *r)
{
	struct span	 row;
	struct buf	 k;
	bool		 ok;

	buf_init(&k, KEY_LEN_MAX);
	buf_byte(&k, 'k');
	ok = verify_put_key(&k, key) &&
	    get(v, buf_content(&k).p, buf_len(&k), &row) && verify_get_row(row, r);
	buf_clear(&k);
	return ok;
}

void
store_verify_put(struct store_verify *v, const struct verify_key *key,
    const struct verify_row *r)
{
	struct buf	 k, t, row;

	buf_init(&k, KEY_LEN_MAX);
	buf_init(&t, VERIFY_KEY_MAX);
	buf_init(&row, VERIFY_ROW_MAX);
	buf_byte(&k, 'k');
	verify_put_time(&t, r->drop_ms);
	verify_put_row(&row, r);
	if (verify_put_key(&t, key) && verify_put_key(&k, key) && !row.failed) {
		begin(v);
		drop(v, key);
		put(v, buf_content(&k).p, buf_len(&k), buf_content(&row));
		put(v, buf_content(&t).p, buf_len(&t), span("", 0));
		v->count++;
		commit(v);
	}
	buf_clear(&k);
	buf_clear(&t);
	buf_clear(&row);
}

bool
store_verify_del(struct store_verify *v, const struct verify_key *key)
{
	bool	 had;

	begin(v);
	had = drop(v, key);
	commit(v);
	return had;
}

uint64_t
store_verify_count(struct store_verify *v)
{
	return v->count;
}

/* ---- walks ---- */

/* The first row of a key not before v->key[0..*len], to there. */
static bool
next(struct store_verify *v, DBC *c, size_t *len, uint32_t op,
    struct span *row)
{
	DBT	 k = dbt(v->key, *len), d = dbt(v->row, 0);
	int	 ret;

	k.flags = d.flags = DB_DBT_USERMEM;
	k.ulen = sizeof(v->key);
	d.ulen = sizeof(v->row);
	ret = c->get(c, &k, &d, op);
	if (ret == DB_NOTFOUND)
		return false;
	must(ret, "walk");
	*len = k.size;
	*row = span(v->row, d.size);
	return true;
}

static bool
first_due(struct store_verify *v, int64_t now_ms, bool any,
    struct verify_key *key, size_t *len)
{
	struct span	 row;
	uint64_t	 be;
	DBC		*c;
	bool		 found;

	v->key[0] = 't';
	*len = 1;
	must(v->db->cursor(v->db, v->txn, &c, 0), "cursor");
	found = next(v, c, len, DB_SET_RANGE, &row) && *len >= DROP_LEN &&
	    v->key[0] == 't';
	must(c->close(c), "cursor");
	if (!found)
		return false;
	memcpy(&be, v->key + 1, sizeof(be));
	if (!any && (int64_t)be64toh(be) > now_ms)
		return false;
	if (!verify_get_key(span(v->key + DROP_LEN, *len - DROP_LEN), key))
		*key = (struct verify_key){ 0 };
	return true;
}

unsigned
store_verify_sweep(struct store_verify *v, int64_t now_ms, uint64_t max,
    unsigned n)
{
	struct verify_key key;
	unsigned	 done = 0;
	size_t		 len;

	while (done < n && first_due(v, now_ms, v->count > max, &key, &len)) {
		begin(v);
		drop(v, &key);
		/* Gone with its row, unless that can't be read. */
		del(v, v->key, len);
		commit(v);
		done++;
	}
	return done;
}

void
store_verify_each(struct store_verify *v, struct span domain,
    const struct span *local, const struct verify_key *after,
    bool (*f)(const struct verify_key *, const struct verify_row *, void *),
    void *arg)
{
	struct verify_key key;
	struct verify_row r;
	struct buf	 front, from;
	struct span	 row;
	uint32_t	 op = DB_SET_RANGE;
	size_t		 len;
	DBC		*c;

	buf_init(&front, VERIFY_KEY_MAX);
	buf_init(&from, VERIFY_KEY_MAX);
	buf_byte(&front, 'k');
	buf_span(&front, domain);
	buf_byte(&front, 0);
	if (local != NULL) {
		buf_span(&front, *local);
		buf_byte(&front, 0);
	}
	buf_byte(&from, 'k');
	if (after == NULL || !verify_put_key(&from, after) || !buf_byte(&from, 0)) {
		buf_reset(&from);
		buf_span(&from, buf_content(&front));
	}
	if (!front.failed && !from.failed) {
		len = buf_len(&from);
		memcpy(v->key, buf_content(&from).p, len);
		must(v->db->cursor(v->db, v->txn, &c, 0), "cursor");
		while (next(v, c, &len, op, &row) &&
		    span_starts(span(v->key, len), buf_content(&front))) {
			op = DB_NEXT;
			if (verify_get_key(span(v->key + 1, len - 1), &key) &&
			    verify_get_row(row, &r) && !f(&key, &r, arg))
				break;
		}
		must(c->close(c), "cursor");
	}
	buf_clear(&front);
	buf_clear(&from);
}

/* ---- opening ---- */

int
store_verify_open(void *env, struct store_verify **out)
{
	struct store_verify *v;
	struct span	 row;
	DB		*db;
	int		 ret;

	if ((v = calloc(1, sizeof(*v))) == NULL)
		fatal("verify.db");
	*out = v;
	v->env = env;
	if ((ret = db_create(&db, v->env, 0)) != 0)
		return ret;
	v->db = db;
	if ((ret = db->set_pagesize(db, PAGE_SIZE)) ||
	    (ret = db->set_flags(db, DB_CHKSUM)) ||
	    (ret = db->open(db, NULL, "verify.db", NULL, DB_BTREE,
	    DB_CREATE | DB_AUTO_COMMIT, 0600)))
		return ret;
	if (get(v, "n", 1, &row) && row.len == sizeof(v->count)) {
		memcpy(&v->count, row.p, sizeof(v->count));
		v->count = le64toh(v->count);
	}
	return 0;
}

void
store_verify_close(struct store_verify *v)
{
	if (v == NULL)
		return;
	if (v->db != NULL)
		v->db->close(v->db, 0);
	free(v);
}
