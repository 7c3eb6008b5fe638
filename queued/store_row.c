/*
 * The rows of the index's databases: what each says, by its key, and walks in
 * the order of keys. See store.h.
 */
#include "queued/store_i.h"

#include "queued/diskio.h"

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
	if (store_row_get(s, T_MSG, k, sizeof(k), &c) == 0)
		return false;
	msg_row(&c, m);
	return true;
}

bool
store_msg_put(struct store *s, uint64_t id, const struct store_msg *m,
    bool fresh)
{
	struct buf	*b = store_row_begin(s);
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
	return store_row_put(s, T_MSG, k, sizeof(k),
	    fresh ? DB_NOOVERWRITE : 0) == 0;
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
		store_row_del(s, T_RCPT, k, sizeof(k));
	}
	store_row_del(s, T_MSG, k, 8);
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
	if (r->state == RCPT_PREPARED) {
		r->way = cur_u8(c);
		r->settled = cur_u8(c);
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
	if ((version = store_row_get(s, T_RCPT, k, sizeof(k), &c)) == 0)
		return false;
	rcpt_row(&c, version, n, r);
	return true;
}

/* The spans of r may be those of the row read last. */
void
store_rcpt_put(struct store *s, uint64_t id, uint32_t n,
    const struct store_rcpt *r)
{
	struct buf	*b = store_row_begin(s);
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
	if (r->state == RCPT_PREPARED) {
		put_u8(b, r->way);
		put_u8(b, r->settled);
	}
	store_row_put(s, T_RCPT, k, sizeof(k), 0);
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
	store_row_begin(s);
	store_row_put(s, T_SCHED, sk, sizeof(sk), 0);
	put_u64(&s->out, (uint64_t)d->last_ms);
	store_row_put(s, T_DEST, dk, sizeof(dk), 0);
}

void
store_due_del(struct store *s, const struct store_due *d)
{
	uint8_t	 sk[24], dk[24];

	due_keys(d, sk, dk);
	store_row_del(s, T_SCHED, sk, sizeof(sk));
	store_row_del(s, T_DEST, dk, sizeof(dk));
}

bool
store_due_has(struct store *s, const struct store_due *d)
{
	uint8_t		 sk[24], dk[24];
	struct cur	 c;

	due_keys(d, sk, dk);
	return store_row_get(s, T_SCHED, sk, sizeof(sk), &c) != 0 &&
	    store_row_get(s, T_DEST, dk, sizeof(dk), &c) != 0;
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
	store_row_begin(s);
	store_row_put(s, T_KEEP, k, sizeof(k), 0);
}

void
store_keep_del(struct store *s, int64_t until_ms, uint64_t id)
{
	uint8_t	 k[16];

	keep_key(k, until_ms, id);
	store_row_del(s, T_KEEP, k, sizeof(k));
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
	DBT	 k = store_dbt(key, len), d = store_dbt(s->row, 0);
	DBC	*c;
	uint32_t op = DB_SET_RANGE;
	int	 ret;
	struct cur cur;

	memcpy(key, from, len);
	k.flags = d.flags = DB_DBT_USERMEM;
	k.ulen = sizeof(key);
	d.ulen = sizeof(s->row);
	store_must(s->db[t]->cursor(s->db[t], s->txn, &c, 0), "cursor");
	while ((ret = c->get(c, &k, &d, op)) == 0) {
		op = DB_NEXT;
		cur = (struct cur){ span(s->row, d.size), false };
		if (k.size != w->klen)
			dio_stop_rebuild("walk", "a key of another length");
		w->version = store_row_version(&cur, "walk");
		if (!w->row(span(key, k.size), &cur, w))
			break;
	}
	if (ret != DB_NOTFOUND)
		store_must(ret, "walk");
	store_must(c->close(c), "cursor");
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
