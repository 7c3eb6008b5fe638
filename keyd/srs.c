/*
 * See srs.h.
 */
#include "keyd/srs.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define HASH_LEN	8		/* of five bits each */
#define HASHED_MAX	1024		/* bytes of an address */
#define DAYS		1024		/* until a day's name comes again */

static const char	base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* Of what, in lower case. False: too long. */
static bool
hash(struct span key, struct span what, char dst[HASH_LEN])
{
	uint8_t		 low[HASHED_MAX], md[EVP_MAX_MD_SIZE];
	unsigned	 len;
	uint64_t	 bits = 0;

	if (what.len > sizeof(low))
		return false;
	for (size_t i = 0; i < what.len; i++)
		low[i] = what.p[i] >= 'A' && what.p[i] <= 'Z' ?
		    what.p[i] | 0x20 : what.p[i];
	if (HMAC(EVP_sha256(), key.p, (int)key.len, low, what.len, md,
	    &len) == NULL)
		return false;
	for (int i = 0; i < 5; i++)
		bits = bits << 8 | md[i];
	for (int i = HASH_LEN - 1; i >= 0; i--, bits >>= 5)
		dst[i] = base32[bits & 31];
	OPENSSL_cleanse(md, sizeof(md));
	return true;
}

static bool
hash_is(struct span key, struct span what, struct span said)
{
	char	 want[HASH_LEN], have[HASH_LEN];

	if (said.len != HASH_LEN || !hash(key, what, want))
		return false;
	for (size_t i = 0; i < HASH_LEN; i++)
		have[i] = (char)(said.p[i] >= 'a' && said.p[i] <= 'z' ?
		    said.p[i] & ~0x20 : said.p[i]);
	return CRYPTO_memcmp(want, have, HASH_LEN) == 0;
}

/* A digit's value, or -1. */
static int
digit(uint8_t c)
{
	const char	*p;

	if (c >= 'a' && c <= 'z')
		c &= ~0x20;
	p = c == '\0' ? NULL : strchr(base32, c);
	return p == NULL ? -1 : (int)(p - base32);
}

/* Two digits are the day within DAYS. */
static bool
day_is_good(struct span said, int64_t day)
{
	int	 high, low;

	if (said.len != 2 || (high = digit(said.p[0])) < 0 ||
	    (low = digit(said.p[1])) < 0)
		return false;
	return (day - (high * 32 + low)) % DAYS <= SRS_DAYS;
}

/* "SRS0=" or "SRS1=", or with the other separators that are in use; the
 * separator stays in front of rest. */
static bool
is_srs(struct span local, char digit_, struct span *rest)
{
	if (local.len < 6 || !span_casestarts(local, span_str("SRS")) ||
	    local.p[3] != (uint8_t)digit_ || strchr("=+-", local.p[4]) == NULL)
		return false;
	*rest = span_sub(local, 4, local.len);
	return true;
}

/* The inside of a quoted local part; true if it was one. */
static bool
unquote(struct span *local)
{
	if (local->len < 2 || local->p[0] != '"' ||
	    local->p[local->len - 1] != '"')
		return false;
	*local = span_sub(*local, 1, local->len - 2);
	return true;
}

/* Up to the next "=", which is passed over. False: there is none. */
static bool
word(struct span *s, struct span *w)
{
	size_t	 n = span_find(*s, '=');

	if (n == s->len)
		return false;
	*w = span_sub(*s, 0, n);
	span_skip(s, n + 1);
	return true;
}

static bool
put(struct span key, const char *scheme, bool quoted, struct span hashed,
    const char *domain, struct buf *out)
{
	char	 h[HASH_LEN];

	return hash(key, hashed, h) && buf_str(out, quoted ? "\"" : "") &&
	    buf_str(out, scheme) && buf_add(out, h, HASH_LEN) &&
	    buf_byte(out, '=') && buf_span(out, hashed) &&
	    buf_str(out, quoted ? "\"@" : "@") && buf_str(out, domain);
}

bool
srs_make(struct span key, int64_t day, struct span from, const char *domain,
    struct buf *out)
{
	size_t		 at = span_rfind(from, '@');
	struct span	 local = span_sub(from, 0, at), rest, h;
	struct span	 host = span_sub(from, at + 1, from.len);
	bool		 quoted = unquote(&local), ok;
	struct buf	 b;

	/* The separator is in no domain. */
	if (at == from.len || local.len == 0 || host.len == 0 ||
	    span_find(host, '=') != host.len)
		return false;
	buf_init(&b, HASHED_MAX);
	if (is_srs(local, '1', &rest)) {
		/* Forwarded twice before: the first of them stays. */
		span_skip(&rest, 1);
		ok = word(&rest, &h) && buf_span(&b, rest) &&
		    put(key, "SRS1=", quoted, buf_content(&b), domain, out);
	} else if (is_srs(local, '0', &rest)) {
		ok = buf_span(&b, host) && buf_byte(&b, '=') &&
		    buf_span(&b, rest) && put(key, "SRS1=", quoted,
		    buf_content(&b), domain, out);
	} else {
		ok = buf_byte(&b, (uint8_t)base32[day % DAYS / 32]) &&
		    buf_byte(&b, (uint8_t)base32[day % 32]) &&
		    buf_byte(&b, '=') && buf_span(&b, host) &&
		    buf_byte(&b, '=') && buf_span(&b, local) &&
		    put(key, "SRS0=", quoted, buf_content(&b), domain, out);
	}
	buf_clear(&b);
	return ok;
}

enum srs
srs_back(struct span key, int64_t day, struct span local, struct buf *out)
{
	struct span	 rest, h, tt, host, hashed;
	bool		 quoted = unquote(&local), first;

	first = is_srs(local, '0', &rest);
	if (!first && !is_srs(local, '1', &rest))
		return SRS_NOT;
	span_skip(&rest, 1);
	if (!word(&rest, &h))
		return SRS_NOT;
	hashed = rest;
	if ((first && !word(&rest, &tt)) || !word(&rest, &host) ||
	    host.len == 0 || rest.len == 0)
		return SRS_NOT;
	if (!hash_is(key, hashed, h))
		return SRS_FORGED;
	if (first && !day_is_good(tt, day))
		return SRS_OLD;
	buf_str(out, quoted ? "\"" : "");
	buf_str(out, first ? "" : "SRS0");
	buf_span(out, rest);
	buf_str(out, quoted ? "\"@" : "@");
	return buf_span(out, host) ? SRS_OK : SRS_NOT;
}
