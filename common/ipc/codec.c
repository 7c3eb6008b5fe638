/*
 * Encode, decode and dump of every message, made from msg.def. See codec.h.
 */
#include <inttypes.h>
#include <string.h>

#include "common/ipc/codec.h"

/* ---- fields, one by one, little-endian --------------------------------- */

static void
put_int(struct buf *b, uint64_t v, unsigned n)
{
	uint8_t	 bytes[8];

	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	buf_add(b, bytes, n);
}

static void
put_span(struct buf *b, struct span s, size_t max, bool text)
{
	if (s.len > max || (text && span_find(s, 0) != s.len)) {
		b->failed = true;
		return;
	}
	put_int(b, s.len, 2);
	buf_span(b, s);
}

static void
put_addr(struct buf *b, const struct addr *a)
{
	put_int(b, a->family, 1);
	put_int(b, a->port, 2);
	buf_add(b, a->ip, sizeof(a->ip));
}

/* A cursor with a sticky error. */
struct cursor {
	struct span	 in;
	const char	*why;
};

static uint64_t
get_int(struct cursor *c, unsigned n)
{
	uint64_t	 v = 0;

	/* The first reason is the one that is told. */
	if (c->why == NULL && c->in.len < n)
		c->why = "message ends within a number";
	if (c->why != NULL)
		return 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)c->in.p[i] << (8 * i);
	span_skip(&c->in, n);
	return v;
}

static bool
get_bool(struct cursor *c)
{
	uint64_t	 v = get_int(c, 1);

	if (c->why == NULL && v > 1)
		c->why = "neither true nor false";
	return v == 1;
}

static struct span
get_span(struct cursor *c, size_t max, bool text)
{
	size_t		 n = get_int(c, 2);
	struct span	 s;

	if (c->why == NULL && n > max)
		c->why = "field longer than its maximum";
	else if (c->why == NULL && n > c->in.len)
		c->why = "message ends within a field";
	if (c->why != NULL)
		return span(NULL, 0);
	s = span(c->in.p, n);
	if (text && span_find(s, 0) != n)
		c->why = "NUL in a string";
	span_skip(&c->in, n);
	return s;
}

static struct addr
get_addr(struct cursor *c)
{
	struct addr	 a = { 0 };

	a.family = (uint8_t)get_int(c, 1);
	a.port = (uint16_t)get_int(c, 2);
	if (c->why == NULL && a.family != 0 && a.family != 4 && a.family != 6)
		c->why = "no such address family";
	if (c->why == NULL && c->in.len < sizeof(a.ip))
		c->why = "message ends within an address";
	if (c->why == NULL) {
		memcpy(a.ip, c->in.p, sizeof(a.ip));
		span_skip(&c->in, sizeof(a.ip));
	}
	return a;
}

static void
show_text(struct buf *b, const char *key, struct span s)
{
	buf_fmt(b, " %s=\"", key);
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' &&
		    s.p[i] != '\\')
			buf_byte(b, s.p[i]);
		else
			buf_fmt(b, "\\x%02x", s.p[i]);
	buf_byte(b, '"');
}

static void
show_addr(struct buf *b, const char *key, const struct addr *a)
{
	char	 text[ADDR_STRLEN];

	buf_fmt(b, " %s=%s", key, addr_str_port(a, text));
}

/* ---- one function of each kind for each message ------------------------ */

#define IPC_MSG(name, num, from, to, fds) \
static void enc_##name(struct buf *b, const void *p) \
{ const struct ipc_##name *m = p; (void)b; (void)m;
#define IPC_U8(f)	put_int(b, m->f, 1);
#define IPC_U16(f)	put_int(b, m->f, 2);
#define IPC_U32(f)	put_int(b, m->f, 4);
#define IPC_U64(f)	put_int(b, m->f, 8);
#define IPC_BOOL(f)	put_int(b, m->f, 1);
#define IPC_ADDR(f)	put_addr(b, &m->f);
#define IPC_STR(f, max)	put_span(b, m->f, max, true);
#define IPC_BLOB(f, max) put_span(b, m->f, max, false);
#define IPC_END(name)	}
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"

#define IPC_MSG(name, num, from, to, fds) \
static void dec_##name(struct cursor *c, void *p) \
{ struct ipc_##name *m = p; (void)c; (void)m;
#define IPC_U8(f)	m->f = (uint8_t)get_int(c, 1);
#define IPC_U16(f)	m->f = (uint16_t)get_int(c, 2);
#define IPC_U32(f)	m->f = (uint32_t)get_int(c, 4);
#define IPC_U64(f)	m->f = get_int(c, 8);
#define IPC_BOOL(f)	m->f = get_bool(c);
#define IPC_ADDR(f)	m->f = get_addr(c);
#define IPC_STR(f, max)	m->f = get_span(c, max, true);
#define IPC_BLOB(f, max) m->f = get_span(c, max, false);
#define IPC_END(name)	}
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"

#define IPC_MSG(name, num, from, to, fds) \
static void show_##name(struct buf *b, const void *p) \
{ const struct ipc_##name *m = p; (void)b; (void)m;
#define IPC_U8(f)	buf_fmt(b, " " #f "=%u", m->f);
#define IPC_U16(f)	buf_fmt(b, " " #f "=%u", m->f);
#define IPC_U32(f)	buf_fmt(b, " " #f "=%" PRIu32, m->f);
#define IPC_U64(f)	buf_fmt(b, " " #f "=%" PRIu64, m->f);
#define IPC_BOOL(f)	buf_fmt(b, " " #f "=%s", m->f ? "yes" : "no");
#define IPC_ADDR(f)	show_addr(b, #f, &m->f);
#define IPC_STR(f, max)	show_text(b, #f, m->f);
#define IPC_BLOB(f, max) buf_fmt(b, " " #f "=[%zu bytes]", m->f.len);
#define IPC_END(name)	}
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"

/* ---- the table of all messages ----------------------------------------- */

struct row {
	struct ipc_info	 info;
	size_t		 size;
	void		(*enc)(struct buf *, const void *);
	void		(*dec)(struct cursor *, void *);
	void		(*show)(struct buf *, const void *);
};

static const struct row rows[IPC_T_MAX] = {
#define IPC_MSG(name, num, from, to, fds) [num] = { { #name, from, to, fds }, \
	sizeof(struct ipc_##name), enc_##name, dec_##name, show_##name },
#define IPC_U8(f)
#define IPC_U16(f)
#define IPC_U32(f)
#define IPC_U64(f)
#define IPC_BOOL(f)
#define IPC_ADDR(f)
#define IPC_STR(f, max)
#define IPC_BLOB(f, max)
#define IPC_END(name)
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"
};

const struct ipc_info *
ipc_info(uint16_t type)
{
	if (type >= IPC_T_MAX || rows[type].enc == NULL)
		return NULL;
	return &rows[type].info;
}

/* Every message struct begins with its tid. */
struct any_head { uint32_t tid; };

bool
ipc_encode(struct buf *b, uint16_t type, const void *m)
{
	size_t	 before = buf_len(b), body, at;

	if (ipc_info(type) == NULL || b->failed)
		return false;
	put_int(b, type, 2);
	put_int(b, IPC_VERSION, 1);
	put_int(b, 0, 1);
	put_int(b, ((const struct any_head *)m)->tid, 4);
	put_int(b, 0, 4);
	rows[type].enc(b, m);
	if (b->failed) {
		b->failed = false;
		b->len = b->start + before;
		return false;
	}
	body = buf_len(b) - before - IPC_HEAD_LEN;
	at = b->start + before + 8;
	for (unsigned i = 0; i < 4; i++)
		b->p[at + i] = (uint8_t)(body >> (8 * i));
	return true;
}

enum parse
ipc_decode(struct span *in, uint16_t *type, union ipc_any *out,
    const char **why)
{
	struct cursor	 c = { *in, NULL };
	uint8_t		 version, zero;
	uint32_t	 tid;
	size_t		 len;

	*type = (uint16_t)get_int(&c, 2);
	version = (uint8_t)get_int(&c, 1);
	zero = (uint8_t)get_int(&c, 1);
	tid = (uint32_t)get_int(&c, 4);
	len = get_int(&c, 4);
	if (c.why == NULL && (version != IPC_VERSION || zero != 0))
		c.why = "another version of the protocol";
	else if (c.why == NULL && ipc_info(*type) == NULL)
		c.why = "no such message";
	else if (c.why == NULL && len > c.in.len)
		c.why = "message longer than its packet";
	if (c.why == NULL) {
		span_skip(in, IPC_HEAD_LEN + len);
		c.in.len = len;
		memset(out, 0, rows[*type].size);
		rows[*type].dec(&c, out);
		((struct any_head *)out)->tid = tid;
		if (c.why == NULL && c.in.len > 0)
			c.why = "message longer than its fields";
	}
	if (c.why != NULL) {
		*why = c.why;
		return PARSE_BAD;
	}
	return PARSE_OK;
}

void
ipc_dump(struct buf *b, uint16_t type, const void *m)
{
	if (ipc_info(type) == NULL) {
		buf_fmt(b, "?%u", type);
		return;
	}
	buf_fmt(b, "%s tid=%" PRIu32, rows[type].info.name,
	    ((const struct any_head *)m)->tid);
	rows[type].show(b, m);
}
