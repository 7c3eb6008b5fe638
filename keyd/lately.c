/*
 * See lately.h.
 */
#include "keyd/lately.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "common/base/buf.h"

#define ALL_MAX	2048	/* table, user, hash, password and their lengths */

struct kept {
	uint8_t		mac[32];
	int64_t		until;		/* 0: an empty place */
};

static uint8_t		key[32];
static struct kept	kept[LATELY_SETS][LATELY_WAYS];

bool
lately_init(void)
{
	OPENSSL_cleanse(kept, sizeof(kept));
	return RAND_bytes(key, sizeof(key)) == 1;
}

static bool
put(struct buf *b, struct span s)
{
	uint8_t	len[2] = { (uint8_t)(s.len >> 8), (uint8_t)s.len };

	return s.len <= UINT16_MAX && buf_add(b, len, sizeof(len)) &&
	    buf_span(b, s);
}

bool
lately_key(struct span table, struct span user, struct span hash,
    struct span password, struct lately_key *k)
{
	struct buf	b;
	unsigned	n = sizeof(k->mac);
	bool		ok;

	buf_init(&b, ALL_MAX);
	b.secret = true;
	ok = put(&b, table) && put(&b, user) && put(&b, hash) &&
	    put(&b, password) && HMAC(EVP_sha256(), key, sizeof(key),
	    buf_content(&b).p, buf_len(&b), k->mac, &n) != NULL;
	buf_clear(&b);
	return ok;
}

static struct kept *
set_of(const struct lately_key *k)
{
	return kept[(k->mac[0] | k->mac[1] << 8) % LATELY_SETS];
}

bool
lately_has(const struct lately_key *k, struct mono now)
{
	struct kept	*set = set_of(k);

	for (int i = 0; i < LATELY_WAYS; i++) {
		if (set[i].until != 0 && set[i].until <= now.ms)
			OPENSSL_cleanse(&set[i], sizeof(set[i]));
		if (set[i].until != 0 && CRYPTO_memcmp(set[i].mac, k->mac,
		    sizeof(k->mac)) == 0)
			return true;
	}
	return false;
}

void
lately_add(const struct lately_key *k, struct mono now)
{
	struct kept	*set = set_of(k), *to = &set[0];

	for (int i = 0; i < LATELY_WAYS; i++) {
		if (CRYPTO_memcmp(set[i].mac, k->mac, sizeof(k->mac)) == 0) {
			to = &set[i];
			break;
		}
		if (set[i].until < to->until)
			to = &set[i];
	}
	memcpy(to->mac, k->mac, sizeof(k->mac));
	to->until = now.ms + LATELY_MS;
}

void
lately_wipe(void)
{
	OPENSSL_cleanse(kept, sizeof(kept));
	OPENSSL_cleanse(key, sizeof(key));
}
