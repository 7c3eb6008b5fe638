/*
 * See scrams.h.
 */
#include "keyd/scrams.h"

#include <sys/queue.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/sasl/scram.h"
#include "keyd/judge.h"

#define NONCE_LEN	18	/* bytes of chance; a multiple of 3 */

struct exchange {
	TAILQ_ENTRY(exchange) entry;	/* the oldest first */
	const void	*asker;
	uint32_t	 tid;
	struct mono	 since;
	bool		 nobody;	/* it fails whatever is proved */
	struct scram	 scram;
};

static TAILQ_HEAD(, exchange) exchanges = TAILQ_HEAD_INITIALIZER(exchanges);
static size_t	count;
static uint8_t	key[32];	/* of the salts of those who are not there */

bool
scrams_init(void)
{
	return RAND_bytes(key, sizeof(key)) == 1;
}

static void
exchange_free(struct exchange *e)
{
	TAILQ_REMOVE(&exchanges, e, entry);
	count--;
	freezero(e, sizeof(*e));
}

static struct exchange *
find(const void *asker, uint32_t tid)
{
	struct exchange	*e;

	TAILQ_FOREACH(e, &exchanges, entry)
		if (e->asker == asker && e->tid == tid)
			return e;
	return NULL;
}

/* Those that are too old, and as many as there are too many of. */
static void
make_room(struct mono now)
{
	struct exchange	*e;

	while ((e = TAILQ_FIRST(&exchanges)) != NULL &&
	    (count >= JUDGE_SCRAMS_MAX ||
	    now.ms - e->since.ms > JUDGE_SCRAM_MS))
		exchange_free(e);
}

/* Keys that nobody has a password for. */
static bool
fake(const struct ipc_k_login *m, struct span like, struct hash_scram *h)
{
	uint8_t		mac[32];
	unsigned	n = sizeof(mac);
	struct buf	b;
	bool		ok;

	if (!hash_scram(like, h))
		*h = (struct hash_scram){ .iterations = HASH_SCRAM_ITER,
		    .salt_len = SCRAM_FAKE_SALT };
	buf_init(&b, 512);
	ok = buf_span(&b, m->table) && buf_byte(&b, '\0') &&
	    buf_span(&b, m->user) && HMAC(EVP_sha256(), key, sizeof(key),
	    buf_content(&b).p, buf_len(&b), mac, &n) != NULL &&
	    RAND_bytes(h->stored, sizeof(h->stored)) == 1;
	buf_clear(&b);
	if (h->salt_len > sizeof(mac))
		h->salt_len = SCRAM_FAKE_SALT;
	memcpy(h->salt, mac, h->salt_len);
	return ok;
}

static enum k_verdict
begin(const void *asker, const struct ipc_k_login *m, struct span hash,
    struct span like, struct buf *said, const char **why)
{
	struct exchange		*e = calloc(1, sizeof(*e));
	struct mono		 now = clock_mono();
	struct hash_scram	 keys;
	uint8_t			 chance[NONCE_LEN];
	struct buf		 nonce;
	bool			 ok;

	if (e == NULL)
		fatal("exchange");
	make_room(now);
	TAILQ_INSERT_TAIL(&exchanges, e, entry);
	count++;
	e->asker = asker;
	e->tid = m->tid;
	e->since = now;
	e->nobody = !hash_scram(hash, &keys);
	buf_init(&nonce, 64);
	if ((e->nobody && !fake(m, like, &keys)) ||
	    RAND_bytes(chance, sizeof(chance)) != 1 ||
	    !enc_base64(&nonce, span(chance, sizeof(chance))))
		fatalx("no randomness");
	scram_init(&e->scram, &keys, m->how == K_SCRAM_PLUS, m->binding);
	OPENSSL_cleanse(&keys, sizeof(keys));
	ok = scram_first(&e->scram, m->said, buf_content(&nonce), said, why);
	buf_clear(&nonce);
	if (!ok)
		exchange_free(e);
	return ok ? K_MORE : K_MALFORMED;
}

enum k_verdict
scrams_say(const void *asker, const struct ipc_k_login *m, struct span hash,
    struct span like, struct buf *said, const char **why)
{
	struct exchange		*e = find(asker, m->tid);
	enum scram_verdict	 v;

	if (m->first)
		return e != NULL ? K_MALFORMED :
		    begin(asker, m, hash, like, said, why);
	if (e == NULL) {
		*why = "the exchange took too long";
		return K_LATER;
	}
	v = scram_final(&e->scram, m->said, said, why);
	if (v == SCRAM_YES && e->nobody)
		v = SCRAM_NO;
	exchange_free(e);
	if (v != SCRAM_YES)
		buf_reset(said);
	return v == SCRAM_YES ? K_YES : v == SCRAM_NO ? K_NO : K_MALFORMED;
}

void
scrams_forget(const void *asker)
{
	struct exchange	*e, *next;

	TAILQ_FOREACH_SAFE(e, &exchanges, entry, next)
		if (e->asker == asker)
			exchange_free(e);
}

size_t
scrams_count(void)
{
	return count;
}

void
scrams_stop(void)
{
	struct exchange	*e;

	while ((e = TAILQ_FIRST(&exchanges)) != NULL)
		exchange_free(e);
	OPENSSL_cleanse(key, sizeof(key));
}
