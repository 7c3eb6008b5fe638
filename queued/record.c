/*
 * Encoding and decoding of the segments' records: the header here, the kinds of
 * envelopes in envelope.c.
 */
#include "queued/record.h"

#include "common/base/enc.h"
#include "queued/bytes.h"

#define REC_MAGIC	0x31525150	/* "PQR1" */

const char	rec_why_version[] = "record of an unknown version";

static size_t
padded(size_t n)
{
	return (n + REC_ALIGN - 1) & ~(size_t)(REC_ALIGN - 1);
}

static void
set_u32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void
set_u64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t
get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t
get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static uint32_t
content_crc(const struct rec *r)
{
	return enc_crc32c(enc_crc32c(0, r->prefix), r->content);
}

bool
rec_encode(struct buf *b, const struct rec *r)
{
	uint8_t	*p;
	size_t	 len = REC_HEAD + r->env.len + r->prefix.len + r->content.len;
	size_t	 total = padded(len);

	if (r->env.len > REC_ENV_MAX || r->prefix.len > REC_PREFIX_MAX ||
	    r->content.len > REC_CONTENT_MAX ||
	    (p = buf_room(b, total)) == NULL)
		return false;
	memset(p, 0, REC_HEAD);
	set_u32(p, REC_MAGIC);
	p[4] = REC_VERSION;
	p[5] = r->kind;
	set_u64(p + 8, r->id);
	set_u32(p + 32, (uint32_t)r->env.len);
	set_u32(p + 36, (uint32_t)r->prefix.len);
	set_u32(p + 40, (uint32_t)r->content.len);
	set_u64(p + 44, (uint64_t)r->qtime_ms);
	set_u32(p + 52, r->wall_s);
	set_u32(p + 56, content_crc(r));
	p += REC_HEAD;
	if (r->env.len)
		memcpy(p, r->env.p, r->env.len);
	p += r->env.len;
	if (r->prefix.len)
		memcpy(p, r->prefix.p, r->prefix.len);
	p += r->prefix.len;
	if (r->content.len)
		memcpy(p, r->content.p, r->content.len);
	p += r->content.len;
	memset(p, 0, total - len);
	buf_added(b, total);
	return true;
}

size_t
rec_total(const uint8_t *p)
{
	return padded((size_t)REC_HEAD + get_u32(p + 32) + get_u32(p + 36) +
	    get_u32(p + 40));
}

static uint32_t
head_crc(const uint8_t *p)
{
	return enc_crc32c(enc_crc32c(0, span(p, 60)),
	    span(p + REC_HEAD, get_u32(p + 32)));
}

void
rec_stamp(uint8_t *p, uint64_t stamp, uint64_t synced)
{
	set_u64(p + 16, stamp);
	set_u64(p + 24, synced);
	set_u32(p + 60, head_crc(p));
}

enum parse
rec_decode_env(struct span in, struct rec *r, size_t *need, const char **why)
{
	const uint8_t	*p = in.p;
	size_t		 env, prefix, content;

	*need = REC_HEAD;
	if (in.len < REC_HEAD)
		return PARSE_MORE;
	*why = "no record";
	if (get_u32(p) != REC_MAGIC)
		return PARSE_BAD;
	env = get_u32(p + 32);
	prefix = get_u32(p + 36);
	content = get_u32(p + 40);
	if (env > REC_ENV_MAX || prefix > REC_PREFIX_MAX ||
	    content > REC_CONTENT_MAX)
		return PARSE_BAD;
	*need = REC_HEAD + env;
	if (in.len < *need)
		return PARSE_MORE;
	*why = "checksum";
	if (get_u32(p + 60) != head_crc(p))
		return PARSE_BAD;
	if (p[4] < REC_VERSION_MIN || p[4] > REC_VERSION ||
	    p[5] < REC_MESSAGE || p[5] > REC_KIND_MAX) {
		*r = (struct rec){ .stamp = get_u64(p + 16) };
		*why = rec_why_version;
		return PARSE_BAD;
	}
	*r = (struct rec){ .version = p[4], .kind = p[5], .id = get_u64(p + 8),
	    .stamp = get_u64(p + 16), .synced = get_u64(p + 24),
	    .qtime_ms = (int64_t)get_u64(p + 44), .wall_s = get_u32(p + 52),
	    .content_crc = get_u32(p + 56), .env = span(p + REC_HEAD, env),
	    .total = padded(REC_HEAD + env + prefix + content) };
	return PARSE_OK;
}

enum parse
rec_decode(struct span in, struct rec *r, size_t *need, const char **why)
{
	enum parse	 st;

	if ((st = rec_decode_env(in, r, need, why)) != PARSE_OK)
		return st;
	*need = r->total;
	if (in.len < *need)
		return PARSE_MORE;
	r->prefix = span(r->env.p + r->env.len, get_u32(in.p + 36));
	r->content = span(r->prefix.p + r->prefix.len, get_u32(in.p + 40));
	return PARSE_OK;
}

bool
rec_content_ok(const struct rec *r)
{
	return content_crc(r) == r->content_crc;
}
