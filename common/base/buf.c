/*
 * The bounded output buffer. See buf.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"

#define BUF_FIRST	256	/* bytes of the first allocation */

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

/* Memory that was the buffer's goes back. */
static void
buf_give(const struct buf *b, uint8_t *p)
{
	if (b->secret)
		freezero(p, b->cap);
	else
		free(p);
}

void
buf_clear(struct buf *b)
{
	buf_give(b, b->p);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->start = b->len = 0;
	b->failed = false;
}

void
buf_trim(struct buf *b)
{
	if (b->start != b->len)
		return;
	buf_give(b, b->p);
	b->p = NULL;
	b->start = b->len = b->cap = 0;
}

/* Room for n more at the end, whatever the maximum says. */
static uint8_t *
buf_grow(struct buf *b, size_t n)
{
	size_t	 used = b->len - b->start, cap;
	uint8_t	*p;

	if (b->cap - b->len >= n && b->p != NULL)
		return b->p + b->len;
	if (b->p != NULL && b->cap - used >= n) {
		memmove(b->p, b->p + b->start, used);
		b->start = 0;
		b->len = used;
		return b->p + b->len;
	}
	cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
	while (cap < used + n)
		cap *= 2;
	if (cap > b->max && b->max >= used + n && b->max >= BUF_FIRST)
		cap = b->max;
	if ((p = malloc(cap)) == NULL) {
		b->failed = true;
		return NULL;
	}
	if (b->p != NULL)
		memcpy(p, b->p + b->start, used);
	buf_give(b, b->p);
	b->p = p;
	b->cap = cap;
	b->start = 0;
	b->len = used;
	return b->p + b->len;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	if (n > b->max || b->len - b->start > b->max - n) {
		b->failed = true;
		return NULL;
	}
	return buf_grow(b, n);
}

void
buf_added(struct buf *b, size_t n)
{
	b->len += n;
}

bool
buf_add(struct buf *b, const void *p, size_t n)
{
	uint8_t	*to;

	if (b->failed)
		return false;
	if (n == 0)
		return true;
	if ((to = buf_room(b, n)) == NULL)
		return false;
	memcpy(to, p, n);
	b->len += n;
	return true;
}

bool
buf_span(struct buf *b, struct span s)
{
	return buf_add(b, s.p, s.len);
}

bool
buf_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool
buf_byte(struct buf *b, uint8_t c)
{
	return buf_add(b, &c, 1);
}

bool
buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	char	 small[512], *big;
	va_list	 again;
	bool	 ok;
	int	 n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0) {
		b->failed = true;
		ok = false;
	} else if ((size_t)n < sizeof(small)) {
		ok = buf_add(b, small, (size_t)n);
	} else if ((big = malloc((size_t)n + 1)) == NULL) {
		b->failed = true;
		ok = false;
	} else {
		vsnprintf(big, (size_t)n + 1, fmt, again);
		ok = buf_add(b, big, (size_t)n);
		free(big);
	}
	va_end(again);
	return ok;
}

bool
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list	 ap;
	bool	 ok;

	va_start(ap, fmt);
	ok = buf_vfmt(b, fmt, ap);
	va_end(ap);
	return ok;
}

void
buf_drain(struct buf *b, size_t n)
{
	if (n >= b->len - b->start)
		b->start = b->len = 0;
	else
		b->start += n;
}

const char *
buf_cstr(struct buf *b)
{
	uint8_t	*end;

	if (b->failed || (end = buf_grow(b, 1)) == NULL)
		return NULL;
	*end = '\0';
	return (const char *)b->p + b->start;
}
