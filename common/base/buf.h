/*
 * A growing output buffer with a maximum: what is written past the maximum is
 * refused, and the buffer then says so until it is cleared (a sticky error,
 * so that a writer may check once at its end). It owns its bytes.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "common/base/span.h"

struct buf {
	uint8_t	*p;		/* bytes start .. len are the content */
	size_t	 start;		/* eaten from the front by buf_drain() */
	size_t	 len;		/* end of the content */
	size_t	 cap;		/* allocated */
	size_t	 max;		/* content never gets longer than this */
	bool	 failed;	/* a write did not fit (or no memory) */
	bool	 secret;	/* memory is wiped before it is given back */
};

/* Sets up an empty buffer of at most max bytes; allocates nothing yet. Who puts
 * a secret into it sets `secret` before; it stays set until buf_clear(). */
void	 buf_init(struct buf *, size_t max);
/* Frees the bytes; the buffer may be used again with the same maximum. */
void	 buf_clear(struct buf *);
/* Content becomes empty, the error is forgotten, the memory is kept. */
void	 buf_reset(struct buf *);
/* Gives memory back when the content is empty. */
void	 buf_trim(struct buf *);

/* All add to the end and return false (and set failed) if it does not fit. */
bool	 buf_add(struct buf *, const void *, size_t);
bool	 buf_span(struct buf *, struct span);
bool	 buf_str(struct buf *, const char *);
bool	 buf_byte(struct buf *, uint8_t);
bool	 buf_fmt(struct buf *, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
bool	 buf_vfmt(struct buf *, const char *, va_list)
	    __attribute__((format(printf, 2, 0)));
/*
 * Room for n bytes at the end to be written by the caller, who then calls
 * buf_added(b, written). NULL if n more do not fit. Valid until the next call.
 */
uint8_t	*buf_room(struct buf *, size_t n);
void	 buf_added(struct buf *, size_t n);
/* The content; borrowed until the buffer changes. */
static inline struct span
buf_content(const struct buf *b)
{
	return (struct span){ b->len == b->start ? NULL : b->p + b->start,
	    b->len - b->start };
}
static inline size_t
buf_len(const struct buf *b)
{
	return b->len - b->start;
}
/* Removes n bytes (clamped) from the front. */
void	 buf_drain(struct buf *, size_t n);
/* Content as C string (a NUL is kept behind, not counted). NULL if failed. */
const char *buf_cstr(struct buf *);

#endif
