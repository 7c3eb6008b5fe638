/*
 * A span is a borrowed run of bytes: pointer and length, never NUL-terminated.
 * All reading in postern is done on spans; who makes one says how long the
 * bytes live. The empty span may have a NULL pointer.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t	*p;
	size_t		 len;
};

/* Result of every incremental or whole parser in common/. */
enum parse {
	PARSE_OK,		/* parsed; the input span moved behind it */
	PARSE_MORE,		/* good so far, the end is missing */
	PARSE_BAD		/* wrong; *why says so in a static string */
};

static inline struct span
span(const void *p, size_t len)
{
	return (struct span){ p, len };
}

/* The bytes of a C string without its NUL; borrowed from it. */
static inline struct span
span_str(const char *s)
{
	return (struct span){ (const uint8_t *)s, s == NULL ? 0 : strlen(s) };
}

/* A span of a string literal, usable in initialisers. */
#define SPAN(lit)	{ (const uint8_t *)(lit), sizeof(lit) - 1 }

static inline bool
span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool
span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

/* Equal but for ASCII case (never by locale). */
bool	 span_caseeq(struct span, struct span);
bool	 span_caseis(struct span, const char *);
/* Does a begin with, or end in, b? The case variants ignore ASCII case. */
bool	 span_starts(struct span a, struct span b);
bool	 span_casestarts(struct span a, struct span b);
bool	 span_caseends(struct span a, struct span b);
/* Order as memcmp, the shorter first where one is a prefix. */
int	 span_cmp(struct span, struct span);
/* Index of the first byte c, or len if there is none. */
size_t	 span_find(struct span, uint8_t c);
/* Index of the last byte c, or len if there is none. */
size_t	 span_rfind(struct span, uint8_t c);
/* The part from byte `from` (clamped to the length) of at most `len` bytes. */
struct span span_sub(struct span, size_t from, size_t len);
/* Moves behind the first n bytes (n is clamped). */
void	 span_skip(struct span *, size_t n);
/* Without spaces and tabs at both ends. */
struct span span_trim(struct span);
/*
 * The next word of s up to one of the bytes in the C string `sep`; s moves
 * behind the separator. False when s is empty.
 */
bool	 span_word(struct span *s, const char *sep, struct span *word);
/* Decimal number 0 .. max, digits only, no sign; false if not one. */
bool	 span_u64(struct span, uint64_t max, uint64_t *out);
/*
 * Copies into dst (size bytes, at least 1) and ends it with NUL. False, and
 * dst empty, if it does not fit or holds a NUL itself.
 */
bool	 span_cstr(struct span, char *dst, size_t size);
/* A NUL-terminated copy on the heap; free with free(). NULL: out of memory. */
char	*span_dup(struct span);

#endif
