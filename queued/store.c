/*
 * The Berkeley DB environment and the rows of its databases. One owner, one
 * transaction at a time, no locks, no threads; pages of 4,096 bytes with
 * checksums, because larger ones tear at a power cut.
 */
#include "queued/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <db.h>

#include "common/base/log.h"
#include "queued/bytes.h"
#include "queued/diskio.h"
#include "queued/store_verify.h"

#define ROW_VERSION	2		/* written; older ones are read too */
#define ROW_VERSION_MIN	1
#define PAGE_SIZE	4096
#define ROW_MAX		8192		/* bytes of one row */
#define ASIDE		"aside."

enum { T_MSG, T_RCPT, T_SCHED, T_DEST, T_META, T_KEEP, T_COUNT };
static const char *const files[T_COUNT] = { "msg.db", "rcpt.db", "sched.db",
    "dest.db", "meta.db", "keep.db" };

struct store {
	DB_ENV		*env;
	DB		*db[T_COUNT];
	struct store_verify *verify;
	DB_TXN		*txn;
	uint32_t	 lg_max;
	struct buf	 out;		/* a row being written */
	uint8_t		 row[ROW_MAX];	/* the last one read */
};

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

static void
must(int ret, const char *what)
{
	if (ret != 0)
		broken(what, ret);
}

static void
key_u64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static uint64_t
key_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
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
	    (ret = store_verify_open(s->env, &s->verify)) == 0)
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
	store_verify_close(s->verify);
	if (s->env != NULL)
		s->env->close(s->env, 0);
	buf_clear(&s->out);
	free(s);
}

struct store_verify *
store_verify(struct store *s)
{
	return s->verify;
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
	must(s->env->txn_begin(s->env, NULL, &s->txn, 0), "begin");
}

/* The version of a row, which stands first in it. */
static uint8_t
row_version(struct cur *c, const char *what)
{
	uint8_t	 v = cur_u8(c);

	if (v < ROW_VERSION_MIN || v > ROW_VERSION)
		dio_stop_rebuild(what, "a row of another version");
	return v;
}

/* 0: there is none; else the row's version. */
static uint8_t
get(struct store *s, int t, const void *key, size_t klen, struct cur *c)
{
	DBT	 k = dbt(key, klen), d = dbt(s->row, 0);
	int	 ret;

	d.flags = DB_DBT_USERMEM;
	d.ulen = sizeof(s->row);
	ret = s->db[t]->get(s->db[t], s->txn, &k, &d, 0);
	if (ret == DB_NOTFOUND)
		return 0;
	must(ret, "get");
	*c = (struct cur){ span(s->row, d.size), false };
	return row_version(c, "get");
}

static int
put(struct store *s, int t, const void *key, size_t klen, uint32_t flags)
{
	struct span	 row = buf_content(&s->out);
	DBT		 k = dbt(key, klen), d = dbt(row.p, row.len);
	int		 ret;

	if (s->out.failed)
		fatalx("a row of the index is too long");
	ret = s->db[t]->put(s->db[t], s->txn, &k, &d, flags);
	if (ret != DB_KEYEXIST)
		must(ret, "put");
	return ret;
}

static void
del(struct store *s, int t, const void *key, size_t klen)
{
	DBT	 k = dbt(key, klen);
	int	 ret;

	ret = s->db[t]->del(s->db[t], s->txn, &k, 0);
	if (ret != DB_NOTFOUND)
		must(ret, "del");
}

static struct buf *
row_begin(struct store *s)
{
	buf_reset(&s->out);
	put_u8(&s->out, ROW_VERSION);
	return &s->out;
}

void
store_commit(struct store *s, const struct store_hwm *h)
{
	struct buf	*b = row_begin(s);
	DB_TXN		*t = s->txn;

	put_u64(b, h->segment);
	put_u64(b, h->offset);
	put_u64(b, h->oldest);
	put_u64(b, (uint64_t)h->qtime_ms);
	put_u64(b, (uint64_t)h->wall_ms);
	put(s, T_META, "hwm", 3, 0);
	s->txn = NULL;
	must(t->commit(t, DB_TXN_NOSYNC), "commit");
}

bool
store_hwm(struct store *s, struct store_hwm *h)
{
	struct cur	 c;

	if (get(s, T_META, "hwm", 3, &c) == 0)
		return false;
	h->segment = cur_u64(&c);
	h->offset = cur_u64(&c);
	h->oldest = cur_u64(&c);
	h->qtime_ms = (int64_t)cur_u64(&c);
	h->wall_ms = (int64_t)cur_u64(&c);
	return !c.bad;
}

void
store_checkpoint(struct store *s, bool force)
{
	uint32_t kb = (s->lg_max < (16U << 20) ? s->lg_max : 16U << 20) / 1024;

	must(s->env->txn_checkpoint(s->env, force ? 0 : kb, 0,
	    force ? DB_FORCE : 0), "checkpoint");
}

void
store_flush(struct store *s)
{
	must(s->env->log_flush(s->env, NULL), "flush");
}

/* ---- rows ---- */

static void
msg_row(struct cur *c, struct store_msg *m)
{
	struct span	 ip;

	m->accepted_ms = (int64_t)cur_u64(c);
	m->expire_ms = (int64_t)cur_u64(c);
	m->held_since_ms = (int64_t)cur_u64(c);
	m->received_ms = cur_u64(c);
	m->segment = cur_u64(c);
	m->offset = cur_u64(c);
	m->length = cur_u32(c);
	m->size = cur_u64(c);
	m->nrcpts = cur_u32(c);
	m->left = cur_u32(c);
	m->flags = cur_u8(c);
	m->held = cur_u8(c) != 0;
	memset(&m->client, 0, sizeof(m->client));
	m->client.family = cur_u8(c);
	if (m->client.family != 0 && (ip = cur_bytes(c, 16)).len == 16)
		memcpy(m->client.ip, ip.p, ip.len);
	m->from = cur_str(c);
	if (c->bad)
		dio_stop_rebuild("get", "a message's row");
}

bool
store_msg_get(struct store *s, uint64_t id, struct store_msg *m)
{
	uint8_t		 k[8];
	struct cur	 c;

	key_u64(k, id);
	if (get(s, T_MSG, k, sizeof(k), &c) == 0)
		return false;
	msg_row(&c, m);
	return true;
}

bool
store_msg_put(struct store *s, uint64_t id, const struct store_msg *m,
    bool fresh)
{
	struct buf	*b = row_begin(s);
	uint8_t		 k[8];

	key_u64(k, id);
	put_u64(b, (uint64_t)m->accepted_ms);
	put_u64(b, (uint64_t)m->expire_ms);
	put_u64(b, (uint64_t)m->held_since_ms);
	put_u64(b, m->received_ms);
	put_u64(b, m->segment);
	put_u64(b, m->offset);
	put_u32(b, m->length);
	put_u64(b, m->size);
	put_u32(b, m->nrcpts);
	put_u32(b, m->left);
	put_u8(b, m->flags);
	put_u8(b, m->held);
	put_u8(b, m->client.family);
	if (m->client.family != 0)
		buf_add(b, m->client.ip, 16);
	put_str(b, m->from);
	return put(s, T_MSG, k, sizeof(k), fresh ? DB_NOOVERWRITE : 0) == 0;
}

void
store_msg_del(struct store *s, uint64_t id, uint32_t nrcpts)
{
	uint8_t		 k[12];
	uint32_t	 be;

	key_u64(k, id);
	for (uint32_t n = 0; n < nrcpts; n++) {
		be = htobe32(n);
		memcpy(k + 8, &be, sizeof(be));
		del(s, T_RCPT, k, sizeof(k));
	}
	del(s, T_MSG, k, 8);
}

static void
rcpt_key(uint8_t *k, uint64_t id, uint32_t n)
{
	key_u64(k, id);
	n = htobe32(n);
	memcpy(k + 8, &n, sizeof(n));
}

static void
rcpt_row(struct cur *c, uint8_t version, uint32_t n, struct store_rcpt *r)
{
	*r = (struct store_rcpt){ .group = n };
	r->state = cur_u8(c);
	r->notify = cur_u8(c);
	r->attempt = cur_u32(c);
	r->next_ms = (int64_t)cur_u64(c);
	r->last_ms = (int64_t)cur_u64(c);
	r->dest = cur_u64(c);
	r->action = cur_str(c);
	r->to = cur_str(c);
	r->reason = cur_str(c);
	if (version > 1) {
		r->group = cur_u32(c);
		r->flags = cur_u8(c);
		r->server = cur_str(c);
	}
	if (c->bad)
		dio_stop_rebuild("get", "a recipient's row");
}

bool
store_rcpt_get(struct store *s, uint64_t id, uint32_t n, struct store_rcpt *r)
{
	uint8_t		 k[12], version;
	struct cur	 c;

	rcpt_key(k, id, n);
	if ((version = get(s, T_RCPT, k, sizeof(k), &c)) == 0)
		return false;
	rcpt_row(&c, version, n, r);
	return true;
}

/* The spans of r may be those of the row read last. */
void
store_rcpt_put(struct store *s, uint64_t id, uint32_t n,
    const struct store_rcpt *r)
{
	struct buf	*b = row_begin(s);
	uint8_t		 k[12];

	rcpt_key(k, id, n);
	put_u8(b, r->state);
	put_u8(b, r->notify);
	put_u32(b, r->attempt);
	put_u64(b, (uint64_t)r->next_ms);
	put_u64(b, (uint64_t)r->last_ms);
	put_u64(b, r->dest);
	put_str(b, r->action);
	put_str(b, r->to);
	put_str(b, r->reason);
	put_u32(b, r->group);
	put_u8(b, r->flags);
	put_str(b, r->server);
	put(s, T_RCPT, k, sizeof(k), 0);
}

static void
due_keys(const struct store_due *d, uint8_t *sched, uint8_t *dest)
{
	key_u64(sched, (uint64_t)d->next_ms);
	key_u64(sched + 8, d->id);
	key_u64(sched + 16, d->dest);
	key_u64(dest, d->dest);
	key_u64(dest + 8, (uint64_t)d->next_ms);
	key_u64(dest + 16, d->id);
}

void
store_due_put(struct store *s, const struct store_due *d)
{
	uint8_t	 sk[24], dk[24];

	due_keys(d, sk, dk);
	row_begin(s);
	put(s, T_SCHED, sk, sizeof(sk), 0);
	put_u64(&s->out, (uint64_t)d->last_ms);
	put(s, T_DEST, dk, sizeof(dk), 0);
}

void
store_due_del(struct store *s, const struct store_due *d)
{
	uint8_t	 sk[24], dk[24];

	due_keys(d, sk, dk);
	del(s, T_SCHED, sk, sizeof(sk));
	del(s, T_DEST, dk, sizeof(dk));
}

bool
store_due_has(struct store *s, const struct store_due *d)
{
	uint8_t		 sk[24], dk[24];
	struct cur	 c;

	due_keys(d, sk, dk);
	return get(s, T_SCHED, sk, sizeof(sk), &c) != 0 &&
	    get(s, T_DEST, dk, sizeof(dk), &c) != 0;
}

static void
keep_key(uint8_t *k, int64_t until_ms, uint64_t id)
{
	key_u64(k, (uint64_t)until_ms);
	key_u64(k + 8, id);
}

void
store_keep_put(struct store *s, int64_t until_ms, uint64_t id)
{
	uint8_t	 k[16];

	keep_key(k, until_ms, id);
	row_begin(s);
	put(s, T_KEEP, k, sizeof(k), 0);
}

void
store_keep_del(struct store *s, int64_t until_ms, uint64_t id)
{
	uint8_t	 k[16];

	keep_key(k, until_ms, id);
	del(s, T_KEEP, k, sizeof(k));
}

/* ---- walks ---- */

struct walk {
	bool	(*row)(struct span key, struct cur *, struct walk *);
	size_t	 klen;
	void	*f, *arg;
	uint64_t id;
	uint8_t	 version;	/* of the row at hand */
};

static void
walk(struct store *s, int t, const void *from, size_t len, struct walk *w)
{
	uint8_t	 key[32] = { 0 };
	DBT	 k = dbt(key, len), d = dbt(s->row, 0);
	DBC	*c;
	uint32_t op = DB_SET_RANGE;
	int	 ret;
	struct cur cur;

	memcpy(key, from, len);
	k.flags = d.flags = DB_DBT_USERMEM;
	k.ulen = sizeof(key);
	d.ulen = sizeof(s->row);
	must(s->db[t]->cursor(s->db[t], s->txn, &c, 0), "cursor");
	while ((ret = c->get(c, &k, &d, op)) == 0) {
		op = DB_NEXT;
		cur = (struct cur){ span(s->row, d.size), false };
		if (k.size != w->klen)
			dio_stop_rebuild("walk", "a key of another length");
		w->version = row_version(&cur, "walk");
		if (!w->row(span(key, k.size), &cur, w))
			break;
	}
	if (ret != DB_NOTFOUND)
		must(ret, "walk");
	must(c->close(c), "cursor");
}

typedef bool msg_f(uint64_t, const struct store_msg *, void *);
typedef bool rcpt_f(uint32_t, const struct store_rcpt *, void *);
typedef bool rcpts_f(uint64_t, uint32_t, const struct store_rcpt *, void *);
typedef bool due_f(const struct store_due *, void *);

static bool
walk_msg(struct span key, struct cur *c, struct walk *w)
{
	struct store_msg m;

	msg_row(c, &m);
	return (*(msg_f **)w->f)(key_get64(key.p), &m, w->arg);
}

void
store_msgs(struct store *s, uint64_t from, msg_f *f, void *arg)
{
	struct walk	 w = { walk_msg, 8, &f, arg, 0 };
	uint8_t		 k[8];

	key_u64(k, from);
	walk(s, T_MSG, k, sizeof(k), &w);
}

static bool
walk_rcpt(struct span key, struct cur *c, struct walk *w)
{
	struct store_rcpt r;
	uint32_t	 n;

	if (key_get64(key.p) != w->id)
		return false;
	memcpy(&n, key.p + 8, sizeof(n));
	n = be32toh(n);
	rcpt_row(c, w->version, n, &r);
	return (*(rcpt_f **)w->f)(n, &r, w->arg);
}

void
store_rcpts(struct store *s, uint64_t id, rcpt_f *f, void *arg)
{
	struct walk	 w = { walk_rcpt, 12, &f, arg, id };
	uint8_t		 k[12];

	rcpt_key(k, id, 0);
	walk(s, T_RCPT, k, sizeof(k), &w);
}

static bool
walk_rcpts(struct span key, struct cur *c, struct walk *w)
{
	struct store_rcpt r;
	uint32_t	 n;

	memcpy(&n, key.p + 8, sizeof(n));
	n = be32toh(n);
	rcpt_row(c, w->version, n, &r);
	return (*(rcpts_f **)w->f)(key_get64(key.p), n, &r, w->arg);
}

void
store_rcpts_from(struct store *s, uint64_t id, rcpts_f *f, void *arg)
{
	struct walk	 w = { .row = walk_rcpts, .klen = 12, .f = &f,
			    .arg = arg };
	uint8_t		 k[12];

	rcpt_key(k, id, 0);
	walk(s, T_RCPT, k, sizeof(k), &w);
}

static bool
walk_sched(struct span key, struct cur *c, struct walk *w)
{
	struct store_due d = { (int64_t)key_get64(key.p),
	    key_get64(key.p + 8), key_get64(key.p + 16), 0 };

	(void)c;
	return (*(due_f **)w->f)(&d, w->arg);
}

void
store_sched(struct store *s, const struct store_due *from, due_f *f, void *arg)
{
	struct walk	 w = { walk_sched, 24, &f, arg, 0 };
	uint8_t		 sk[24], dk[24];

	due_keys(from, sk, dk);
	walk(s, T_SCHED, sk, sizeof(sk), &w);
}

static bool
walk_dest(struct span key, struct cur *c, struct walk *w)
{
	struct store_due d = { .dest = key_get64(key.p),
	    .next_ms = (int64_t)key_get64(key.p + 8),
	    .id = key_get64(key.p + 16), .last_ms = (int64_t)cur_u64(c) };

	if (d.dest != w->id)
		return false;
	return (*(due_f **)w->f)(&d, w->arg);
}

void
store_dest(struct store *s, const struct store_due *from, due_f *f, void *arg)
{
	struct walk	 w = { walk_dest, 24, &f, arg, from->dest };
	uint8_t		 sk[24], dk[24];

	due_keys(from, sk, dk);
	walk(s, T_DEST, dk, sizeof(dk), &w);
}

typedef bool keep_f(int64_t, uint64_t, void *);

static bool
walk_keep(struct span key, struct cur *c, struct walk *w)
{
	(void)c;
	return (*(keep_f **)w->f)((int64_t)key_get64(key.p),
	    key_get64(key.p + 8), w->arg);
}

void
store_keeps(struct store *s, keep_f *f, void *arg)
{
	struct walk	 w = { .row = walk_keep, .klen = 16, .f = &f,
			    .arg = arg };
	uint8_t		 k[16] = { 0 };

	walk(s, T_KEEP, k, sizeof(k), &w);
}
