/*
 * The bundle: items one after the other, each kind (1 byte), three lengths (4
 * bytes each, little-endian), then name, key and text. See bundle.h.
 */
#include "common/conf/bundle.h"

#define MAGIC		"postern-bundle-1"
#define HEAD_LEN	13

void
bundle_begin(struct buf *b)
{
	buf_init(b, BUNDLE_MAX);
	buf_str(b, MAGIC);
}

static void
put_len(uint8_t *p, size_t n)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> (8 * i));
}

static size_t
get_len(const uint8_t *p)
{
	return p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 |
	    (size_t)p[3] << 24;
}

bool
bundle_add(struct buf *b, enum bundle_kind kind, struct span name,
    struct span key, struct span text)
{
	uint8_t	 head[HEAD_LEN];

	head[0] = (uint8_t)kind;
	put_len(head + 1, name.len);
	put_len(head + 5, key.len);
	put_len(head + 9, text.len);
	buf_add(b, head, sizeof(head));
	buf_span(b, name);
	buf_span(b, key);
	return buf_span(b, text);
}

bool
bundle_next(struct span *s, struct bundle_item *item)
{
	size_t	 n[3], sum;

	if (span_starts(*s, span_str(MAGIC)))
		span_skip(s, sizeof(MAGIC) - 1);
	if (s->len < HEAD_LEN || s->p[0] > BUNDLE_LIST)
		return false;
	for (unsigned i = 0; i < 3; i++)
		n[i] = get_len(s->p + 1 + 4 * i);
	sum = n[0] + n[1] + n[2];
	if (sum > s->len - HEAD_LEN)
		return false;
	item->kind = (enum bundle_kind)s->p[0];
	item->name = span_sub(*s, HEAD_LEN, n[0]);
	item->key = span_sub(*s, HEAD_LEN + n[0], n[1]);
	item->text = span_sub(*s, HEAD_LEN + n[0] + n[1], n[2]);
	span_skip(s, HEAD_LEN + sum);
	return true;
}
