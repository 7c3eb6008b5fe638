/*
 * The rows of verify.db. See store_verify.h.
 */
#include "queued/store_verify.h"

#include "queued/side.h"
#include "queued/verify_row.h"

static bool
end_of(struct span row, int64_t *ms)
{
	struct verify_row r;

	if (!verify_get_row(row, &r))
		return false;
	*ms = r.drop_ms;
	return true;
}

const struct side_kind store_verify_kind = { "verify.db", VERIFY_ROW_MAX,
    end_of };

bool
store_verify_get(struct side *v, const struct verify_key *key,
    struct verify_row *r)
{
	struct span	 row;
	struct buf	 k;
	bool		 ok;

	buf_init(&k, VERIFY_KEY_MAX);
	ok = verify_put_key(&k, key) && side_get(v, buf_content(&k), &row) &&
	    verify_get_row(row, r);
	buf_clear(&k);
	return ok;
}

void
store_verify_put(struct side *v, const struct verify_key *key,
    const struct verify_row *r)
{
	struct buf	 k, row;

	buf_init(&k, VERIFY_KEY_MAX);
	buf_init(&row, VERIFY_ROW_MAX);
	verify_put_row(&row, r);
	if (verify_put_key(&k, key) && !row.failed)
		side_put(v, buf_content(&k), buf_content(&row));
	buf_clear(&k);
	buf_clear(&row);
}

bool
store_verify_del(struct side *v, const struct verify_key *key)
{
	struct buf	 k;
	bool		 had;

	buf_init(&k, VERIFY_KEY_MAX);
	had = verify_put_key(&k, key) && side_del(v, buf_content(&k));
	buf_clear(&k);
	return had;
}

struct each {
	bool	(*f)(const struct verify_key *, const struct verify_row *,
		    void *);
	void	*arg;
};

static bool
each_one(struct span key, struct span row, void *arg)
{
	struct each	*e = arg;
	struct verify_key k;
	struct verify_row r;

	return !verify_get_key(key, &k) || !verify_get_row(row, &r) ||
	    e->f(&k, &r, e->arg);
}

void
store_verify_each(struct side *v, struct span domain,
    const struct span *local, const struct verify_key *after,
    bool (*f)(const struct verify_key *, const struct verify_row *, void *),
    void *arg)
{
	struct each	 e = { f, arg };
	struct buf	 front, from;

	buf_init(&front, VERIFY_KEY_MAX);
	buf_init(&from, VERIFY_KEY_MAX);
	buf_span(&front, domain);
	buf_byte(&front, 0);
	if (local != NULL) {
		buf_span(&front, *local);
		buf_byte(&front, 0);
	}
	if (after != NULL && !verify_put_key(&from, after))
		buf_reset(&from);
	if (!front.failed)
		side_each(v, buf_content(&front), buf_content(&from), each_one,
		    &e);
	buf_clear(&front);
	buf_clear(&from);
}
