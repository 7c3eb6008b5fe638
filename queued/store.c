/*
 * The Berkeley DB environment: opened, transactions, any row by its key. One
 * owner, one transaction at a time, no locks, no threads; pages of 4,096 bytes
 * with checksums, because larger ones tear at a power cut. What the rows say is
 * store_row.c's.
 */
#include "queued/store_i.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "queued/diskio.h"
#include "queued/policies.h"
#include "queued/rpt.h"
#include "queued/side.h"
#include "queued/store_verify.h"

#define ROW_VERSION_MIN	1
#define PAGE_SIZE	4096
#define ASIDE		"aside."
#define CHECKPOINT	(16U << 20)	/* bytes of its log between two */

static const char *const files[T_COUNT] = { "msg.db", "rcpt.db", "sched.db",
    "dest.db", "meta.db", "keep.db" };

static void
db_error(const DB_ENV *env, const char *pfx, const char *msg)
{
	(void)env;
	(void)pfx;
	log_warnx("event=index why=%s", log_quote(span_str(msg)));
}

/* An error that nobody foresaw: this process must not carry on. */
static _Noreturn void
broken(const char *what, int ret)
{
	if (ret == ENOSPC || ret == EDQUOT)
		dio_stop(what, "index", ret);
	dio_stop_rebuild(what, db_strerror(ret));
}

void
store_must(int ret, const char *what)
{
	if (ret != 0)
		broken(what, ret);
}

/* ---- opening ---- */

static int
open_env(struct store *s, const struct store_params *p)
{
	DB_ENV	*e;
	int	 ret;

	if ((ret = db_env_create(&s->env, 0)) != 0)
		return ret;
	e = s->env;
	e->set_errcall(e, db_error);
	if ((ret = e->set_cachesize(e, 0, p->cache, 1)) ||
	    /* Two buckets a page: what is looked for is found at once. */
	    (ret = e->set_mp_tablesize(e, 2 * (p->cache / PAGE_SIZE))) ||
	    (ret = e->set_lg_bsize(e, p->lg_bsize)) ||
	    (ret = e->set_lg_max(e, p->lg_max)) ||
	    (ret = e->set_tmp_dir(e, ".")) ||
	    (ret = e->set_tx_max(e, 16)) ||
	    (ret = e->log_set_config(e, DB_LOG_AUTO_REMOVE, 1)))
		return ret;
	return e->open(e, ".", DB_PRIVATE | DB_INIT_TXN | DB_INIT_LOG |
	    DB_INIT_MPOOL | DB_CREATE | DB_RECOVER, 0600);
}

static int
open_dbs(struct store *s)
{
	DB	*db;
	int	 ret;

	for (int i = 0; i < T_COUNT; i++) {
		if ((ret = db_create(&db, s->env, 0)) != 0)
			return ret;
		s->db[i] = db;
		if ((ret = db->set_pagesize(db, PAGE_SIZE)) ||
		    (ret = db->set_flags(db, DB_CHKSUM)) ||
		    (ret = db->open(db, NULL, files[i], NULL, DB_BTREE,
		    DB_CREATE | DB_AUTO_COMMIT, 0600)))
			return ret;
	}
	return 0;
}

struct store *
store_open(const struct store_params *p, const char **why)
{
	struct store	*s;
	int		 ret;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("index");
	buf_init(&s->out, ROW_MAX);
	s->lg_max = p->lg_max;
	dio_use_for_db();
	if ((ret = open_env(s, p)) == 0 && (ret = open_dbs(s)) == 0 &&
	    (ret = side_open(s->env, &store_verify_kind,
	    &s->verify)) == 0 && (ret = side_open(s->env, &policies_kind,
	    &s->policies)) == 0 && (ret = side_open(s->env, &rpt_side_kind,
	    &s->rpt)) == 0)
		return s;
	*why = db_strerror(ret);
	store_close(s);
	return NULL;
}

struct store *
store_open_read(const char **why)
{
	struct store	*s;
	DB		*db;
	int		 ret = 0;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("index");
	buf_init(&s->out, ROW_MAX);
	for (int i = 0; ret == 0 && i < T_COUNT; i++) {
		if ((ret = db_create(&db, NULL, 0)) != 0)
			break;
		s->db[i] = db;
		ret = db->open(db, NULL, files[i], NULL, DB_BTREE, DB_RDONLY,
		    0);
		if (ret == ENOENT && i == T_KEEP)
			ret = 0;	/* of before mail was kept */
	}
	if (ret == 0)
		return s;
	*why = db_strerror(ret);
	store_close(s);
	return NULL;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < T_COUNT; i++)
		if (s->db[i] != NULL)
			s->db[i]->close(s->db[i], 0);
	side_close(s->verify);
	side_close(s->policies);
	side_close(s->rpt);
	if (s->env != NULL)
		s->env->close(s->env, 0);
	buf_clear(&s->out);
	free(s);
}

struct side *
store_verify(struct store *s)
{
	return s->verify;
}

struct side *
store_policies(struct store *s)
{
	return s->policies;
}

struct side *
store_rpt(struct store *s)
{
	return s->rpt;
}

static void
aside_one(const char *name, void *arg)
{
	char	 to[300];

	(void)arg;
	if (strncmp(name, "log.", 4) && (strlen(name) < 4 ||
	    strcmp(name + strlen(name) - 3, ".db") ||
	    strncmp(name, ASIDE, sizeof(ASIDE) - 1) == 0))
		return;
	snprintf(to, sizeof(to), ASIDE "%s", name);
	dio_rename(name, to);
}

static void
aside_old(const char *name, void *arg)
{
	(void)arg;
	if (strncmp(name, ASIDE, sizeof(ASIDE) - 1) == 0)
		dio_unlink(name);
}

void
store_set_aside(void)
{
	dio_each(aside_old, NULL);
	dio_each(aside_one, NULL);
	dio_sync_dir();
}

/* ---- transactions ---- */

void
store_begin(struct store *s)
{
	store_must(s->env->txn_begin(s->env, NULL, &s->txn, 0), "begin");
}

uint8_t
store_row_version(struct cur *c, const char *what)
{
	uint8_t	 v = cur_u8(c);

	if (v < ROW_VERSION_MIN || v > ROW_VERSION)
		dio_stop_rebuild(what, "a row of another version");
	return v;
}

uint8_t
store_row_get(struct store *s, int t, const void *key, size_t klen,
    struct cur *c)
{
	DBT	 k = store_dbt(key, klen), d = store_dbt(s->row, 0);
	int	 ret;

	d.flags = DB_DBT_USERMEM;
	d.ulen = sizeof(s->row);
	ret = s->db[t]->get(s->db[t], s->txn, &k, &d, 0);
	if (ret == DB_NOTFOUND)
		return 0;
	store_must(ret, "get");
	*c = (struct cur){ span(s->row, d.size), false };
	return store_row_version(c, "get");
}

int
store_row_put(struct store *s, int t, const void *key, size_t klen,
    uint32_t flags)
{
	struct span	 row = buf_content(&s->out);
	DBT		 k = store_dbt(key, klen);
	DBT		 d = store_dbt(row.p, row.len);
	int		 ret;

	if (s->out.failed)
		fatalx("a row of the index is too long");
	ret = s->db[t]->put(s->db[t], s->txn, &k, &d, flags);
	if (ret != DB_KEYEXIST)
		store_must(ret, "put");
	return ret;
}

void
store_row_del(struct store *s, int t, const void *key, size_t klen)
{
	DBT	 k = store_dbt(key, klen);
	int	 ret;

	ret = s->db[t]->del(s->db[t], s->txn, &k, 0);
	if (ret != DB_NOTFOUND)
		store_must(ret, "del");
}

struct buf *
store_row_begin(struct store *s)
{
	buf_reset(&s->out);
	put_u8(&s->out, ROW_VERSION);
	return &s->out;
}

void
store_commit(struct store *s, const struct store_hwm *h)
{
	struct buf	*b = store_row_begin(s);
	DB_TXN		*t = s->txn;

	put_u64(b, h->segment);
	put_u64(b, h->offset);
	put_u64(b, h->oldest);
	put_u64(b, (uint64_t)h->qtime_ms);
	put_u64(b, (uint64_t)h->wall_ms);
	store_row_put(s, T_META, "hwm", 3, 0);
	s->txn = NULL;
	store_must(t->commit(t, DB_TXN_NOSYNC), "commit");
}

bool
store_hwm(struct store *s, struct store_hwm *h)
{
	struct cur	 c;

	if (store_row_get(s, T_META, "hwm", 3, &c) == 0)
		return false;
	h->segment = cur_u64(&c);
	h->offset = cur_u64(&c);
	h->oldest = cur_u64(&c);
	h->qtime_ms = (int64_t)cur_u64(&c);
	h->wall_ms = (int64_t)cur_u64(&c);
	return !c.bad;
}

/* txn_checkpoint() with a bound of its own reads the last checkpoint out of the
 * log to know how long ago it was: two opens and 32 KB each time. */
static bool
checkpoint_due(struct store *s)
{
	DB_LOG_STAT	*st;
	uint64_t	 since;

	store_must(s->env->log_stat(s->env, &st, 0), "log");
	since = ((uint64_t)st->st_wc_mbytes << 20) + st->st_wc_bytes;
	free(st);
	return since >= (s->lg_max < CHECKPOINT ? s->lg_max : CHECKPOINT);
}

void
store_checkpoint(struct store *s, bool force)
{
	if (force || checkpoint_due(s))
		store_must(s->env->txn_checkpoint(s->env, 0, 0,
		    force ? DB_FORCE : 0), "checkpoint");
}

void
store_flush(struct store *s)
{
	store_must(s->env->log_flush(s->env, NULL), "flush");
}
