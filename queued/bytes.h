/*
 * Fixed-width little-endian numbers and counted strings, written to a buffer
 * and read by a cursor with a sticky error: what records and index rows are
 * made of.
 */
#ifndef QUEUED_BYTES_H
#define QUEUED_BYTES_H

#include <endian.h>

#include "common/base/buf.h"

static inline bool
put_u8(struct buf *b, uint8_t v)
{
	return buf_byte(b, v);
}

static inline bool
put_u16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	return buf_add(b, &v, sizeof(v));
}

static inline bool
put_u32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	return buf_add(b, &v, sizeof(v));
}

static inline bool
put_u64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	return buf_add(b, &v, sizeof(v));
}

/* At most 65,535 bytes. */
static inline bool
put_str(struct buf *b, struct span s)
{
	if (s.len > UINT16_MAX) {
		b->failed = true;
		return false;
	}
	return put_u16(b, (uint16_t)s.len) && buf_span(b, s);
}

struct cur {
	struct span	 s;
	bool		 bad;	/* something was missing */
};

static inline struct span
cur_bytes(struct cur *c, size_t n)
{
	struct span	 r = { NULL, 0 };

	if (c->bad || n > c->s.len) {
		c->bad = true;
		return r;
	}
	r = span(c->s.p, n);
	c->s.p += n;
	c->s.len -= n;
	return r;
}

static inline uint8_t
cur_u8(struct cur *c)
{
	struct span	 r = cur_bytes(c, 1);

	return r.len == 0 ? 0 : r.p[0];
}

static inline uint16_t
cur_u16(struct cur *c)
{
	struct span	 r = cur_bytes(c, 2);
	uint16_t	 v = 0;

	if (r.len != 0)
		memcpy(&v, r.p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t
cur_u32(struct cur *c)
{
	struct span	 r = cur_bytes(c, 4);
	uint32_t	 v = 0;

	if (r.len != 0)
		memcpy(&v, r.p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t
cur_u64(struct cur *c)
{
	struct span	 r = cur_bytes(c, 8);
	uint64_t	 v = 0;

	if (r.len != 0)
		memcpy(&v, r.p, sizeof(v));
	return le64toh(v);
}

static inline struct span
cur_str(struct cur *c)
{
	return cur_bytes(c, cur_u16(c));
}

#endif
