/*
 * See login.h.
 */
#include "keyd/login.h"

#include <openssl/crypto.h>
#include <string.h>

#include "common/base/enc.h"
#include "common/sasl/derive.h"

#define SALT_MAX	256
#define DERIVED_MAX	8
#define NONCE_MIN	16		/* octets of what login_next() made of ours */

/* Keys derived from a password (RFC 5802, 3), since one derivation takes
 * thousands of rounds and a server keeps its salt. */
struct derived {
	size_t		 len;		/* 0: free */
	uint8_t		 of[32];	/* SHA-256 of what they are made of */
	uint8_t		 client[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
};
static struct derived	*kept;		/* DERIVED_MAX, in the secure heap */
static size_t		 oldest;

void
login_forget(void)
{
	OPENSSL_secure_clear_free(kept, DERIVED_MAX * sizeof(*kept));
	kept = NULL;
	oldest = 0;
}

/* ---- SCRAM ----------------------------------------------------------------- */

/* saslname: "," and "=" are escaped. */
static bool
put_name(struct buf *b, struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == ',' ? !buf_str(b, "=2C") :
		    name.p[i] == '=' ? !buf_str(b, "=3D") :
		    !buf_byte(b, name.p[i]))
			return false;
	}
	return true;
}

/* gs2-header "n,,": no channel binding, no other identity. */
static bool
scram_first(const struct login *l, const uint8_t nonce[LOGIN_NONCE],
    struct buf *response)
{
	return buf_str(response, "n,,n=") && put_name(response, l->user) &&
	    buf_str(response, ",r=") &&
	    enc_base64(response, span(nonce, LOGIN_NONCE));
}

struct server_first {
	struct span	 nonce;
	uint8_t		 salt[SALT_MAX];
	size_t		 salt_len;
	uint64_t	 rounds;
};

/* server-first-message = [reserved-mext ","] nonce "," salt ","
 * iteration-count ["," extensions]; the reserved one is a failure. */
static bool
read_server_first(struct span in, struct span ours, struct server_first *f,
    const char **why)
{
	struct span	salt, rounds;

	*why = "the server's answer is no SCRAM";
	if (!scram_attribute(&in, 'r', &f->nonce) ||
	    !scram_attribute(&in, 's', &salt) ||
	    !scram_attribute(&in, 'i', &rounds))
		return false;
	if (f->nonce.len <= ours.len || !span_starts(f->nonce, ours)) {
		*why = "the server answers to another exchange";
		return false;
	}
	if (!span_u64(rounds, UINT32_MAX, &f->rounds) ||
	    f->rounds < LOGIN_ROUNDS_MIN || f->rounds > LOGIN_ROUNDS_MAX) {
		*why = "the server's rounds are not between 4096 and 100000";
		return false;
	}
	return dec_base64_into(salt, f->salt, 1, sizeof(f->salt),
	    &f->salt_len);
}

/* What the derived keys are made of, in short. */
static bool
name_derived(const struct login *l, const struct server_first *f,
    uint8_t of[32])
{
	EVP_MD_CTX	*x = EVP_MD_CTX_new();
	uint64_t	 v[3] = { l->mech, f->rounds, f->salt_len };
	unsigned	 n;
	bool		 ok;

	ok = x != NULL && EVP_DigestInit_ex(x, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(x, v, sizeof(v)) == 1 &&
	    EVP_DigestUpdate(x, f->salt, f->salt_len) == 1 &&
	    EVP_DigestUpdate(x, l->secret.p, l->secret.len) == 1 &&
	    EVP_DigestFinal_ex(x, of, &n) == 1;
	EVP_MD_CTX_free(x);
	return ok;
}

static const struct derived *
derive(const struct login *l, const struct server_first *f, const EVP_MD *md)
{
	uint8_t		 of[32];
	size_t		 len = (size_t)EVP_MD_get_size(md);
	struct derived	*d;

	if ((kept == NULL && (kept = OPENSSL_secure_zalloc(DERIVED_MAX *
	    sizeof(*kept))) == NULL) || !name_derived(l, f, of))
		return NULL;
	for (d = kept; d < kept + DERIVED_MAX; d++)
		if (d->len == len && memcmp(d->of, of, sizeof(of)) == 0)
			return d;
	d = &kept[oldest];
	d->len = 0;
	if (!scram_derive(md, l->secret, span(f->salt, f->salt_len),
	    (unsigned)f->rounds, d->client, d->server))
		return NULL;
	d->len = len;
	memcpy(d->of, of, sizeof(of));
	oldest = (oldest + 1) % DERIVED_MAX;
	return d;
}

/* ClientProof and ServerSignature of this AuthMessage. */
static bool
sign(const struct derived *d, const EVP_MD *md, struct span message,
    struct buf *response, struct buf *expect)
{
	uint8_t		stored[EVP_MAX_MD_SIZE], sig[EVP_MAX_MD_SIZE];
	bool		ok;

	ok = EVP_Digest(d->client, d->len, stored, NULL, md, NULL) == 1 &&
	    sasl_hmac(md, span(stored, d->len), message, sig);
	for (size_t i = 0; ok && i < d->len; i++)
		sig[i] ^= d->client[i];
	ok = ok && buf_str(response, ",p=") &&
	    enc_base64(response, span(sig, d->len)) &&
	    sasl_hmac(md, span(d->server, d->len), message, sig) &&
	    buf_str(expect, "v=") && enc_base64(expect, span(sig, d->len));
	OPENSSL_cleanse(stored, sizeof(stored));
	OPENSSL_cleanse(sig, sizeof(sig));
	return ok;
}

/* The bare first message and our nonce in it, of what scram_first() made. */
static bool
read_first(const struct login *l, struct span *bare, struct span *nonce)
{
	struct buf	b;
	bool		ok;

	*bare = l->first;
	if (!span_starts(*bare, (struct span)SPAN("n,,")))
		return false;
	span_skip(bare, 3);
	/* The name is this credential's, and behind it stands the nonce alone:
	 * no more of ours is ever signed. */
	buf_init(&b, SASL_FIRST_MAX);
	ok = buf_str(&b, "n=") && put_name(&b, l->user) &&
	    buf_str(&b, ",r=") && span_starts(*bare, buf_content(&b));
	*nonce = span_sub(*bare, buf_len(&b), bare->len);
	buf_clear(&b);
	return ok && nonce->len >= NONCE_MIN &&
	    span_find(*nonce, ',') == nonce->len;
}

static bool
scram_final(const struct login *l, const EVP_MD *md, struct buf *response,
    struct buf *expect, const char **why)
{
	const struct derived	*d;
	struct server_first	 f;
	struct span		 bare, nonce;
	struct buf		 message;
	bool			 ok;

	*why = "the exchange was not begun here";
	if (!read_first(l, &bare, &nonce) ||
	    !read_server_first(l->challenge, nonce, &f, why))
		return false;
	*why = "no memory";
	/* c= is the gs2-header in base64. */
	if (!buf_str(response, "c=biws,r=") || !buf_span(response, f.nonce) ||
	    (d = derive(l, &f, md)) == NULL)
		return false;
	buf_init(&message, SASL_FIRST_MAX + 2 * LOGIN_RESPONSE_MAX);
	ok = buf_span(&message, bare) && buf_byte(&message, ',') &&
	    buf_span(&message, l->challenge) && buf_byte(&message, ',') &&
	    buf_span(&message, buf_content(response)) &&
	    sign(d, md, buf_content(&message), response, expect);
	buf_clear(&message);
	return ok;
}

/* ---- the others ------------------------------------------------------------ */

/* user SP hex(HMAC-MD5(secret, challenge)) */
static bool
cram_md5(const struct login *l, struct buf *response)
{
	uint8_t	md[EVP_MAX_MD_SIZE];
	bool	ok;

	ok = sasl_hmac(EVP_md5(), l->secret, l->challenge, md) &&
	    buf_span(response, l->user) && buf_byte(response, ' ') &&
	    enc_hex(response, span(md, 16));
	OPENSSL_cleanse(md, sizeof(md));
	return ok;
}

/* RFC 7628, 3.1: the user is the identity to act as. */
static bool
bearer(const struct login *l, struct buf *response)
{
	bool	ok;

	if (l->mech == MECH_OAUTHBEARER)
		ok = buf_str(response, "n,a=") && put_name(response, l->user) &&
		    buf_byte(response, ',');
	else
		ok = buf_str(response, "user=") && buf_span(response, l->user);
	return ok && buf_str(response, "\1auth=Bearer ") &&
	    buf_span(response, l->secret) && buf_str(response, "\1\1");
}

/* The server may be asked for nothing but these two. */
static bool
login(const struct login *l, struct buf *response, bool *says)
{
	*says = l->step > 0;
	return l->step == 0 ||
	    buf_span(response, l->step == 1 ? l->user : l->secret);
}

static bool
plain(const struct login *l, struct buf *response)
{
	return buf_byte(response, '\0') && buf_span(response, l->user) &&
	    buf_byte(response, '\0') && buf_span(response, l->secret);
}

bool
login_next(const struct login *l, const uint8_t nonce[LOGIN_NONCE],
    struct buf *response, bool *says, struct buf *expect, const char **why)
{
	const EVP_MD	*md = l->mech == MECH_SCRAM_SHA_256 ? EVP_sha256() :
			    EVP_sha1();

	*says = true;
	*why = "a challenge too many";
	if (l->step > (l->mech == MECH_LOGIN ? 2U :
	    l->mech <= MECH_CRAM_MD5 ? 1U : 0U))
		return false;
	switch (l->mech) {
	case MECH_SCRAM_SHA_256:
	case MECH_SCRAM_SHA_1:
		if (l->step > 0)
			return scram_final(l, md, response, expect, why);
		*why = "the user's name is too long";
		return scram_first(l, nonce, response) &&
		    buf_len(response) <= SASL_FIRST_MAX;
	case MECH_CRAM_MD5:
		*says = l->step > 0;
		return l->step == 0 || cram_md5(l, response);
	case MECH_OAUTHBEARER:
	case MECH_XOAUTH2:
		return bearer(l, response);
	case MECH_PLAIN:
		return plain(l, response);
	case MECH_LOGIN:
		return login(l, response, says);
	case MECH_NONE:
		break;
	}
	*why = "no such mechanism";
	return false;
}
