/*
 * See scram.h.
 */
#include "common/sasl/scram.h"

#include <openssl/crypto.h>

#include "common/base/enc.h"
#include "common/sasl/derive.h"

static const char	binds[] = "p=tls-exporter";

void
scram_init(struct scram *s, const struct hash_scram *keys, bool plus,
    struct span binding)
{
	memset(s, 0, sizeof(*s));
	s->keys = *keys;
	s->bound = plus;
	if (binding.len > 0 && binding.len <= sizeof(s->binding)) {
		memcpy(s->binding, binding.p, binding.len);
		s->binding_len = binding.len;
	}
}

/* Up to a ",", which is there and eaten. */
static bool
part(struct span *in, struct span *out)
{
	size_t	n = span_find(*in, ',');

	*out = span_sub(*in, 0, n);
	if (n == in->len)
		return false;
	span_skip(in, n + 1);
	return true;
}

/* printable without "," (RFC 5802, 7) */
static bool
is_nonce(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	return s.len > 0;
}

static const char *
flag_is_wrong(const struct scram *s, struct span flag)
{
	if (s->bound)
		return s->binding_len > 0 && span_is(flag, binds) ? NULL :
		    "no binding to this channel";
	if (span_is(flag, "n"))
		return NULL;
	if (!span_is(flag, "y"))
		return "a binding that was not offered";
	return s->binding_len == 0 ? NULL :
	    "a binding was offered, the client did not see it";
}

static bool
gs2_header(struct scram *s, struct span *said, struct span *authzid,
    const char **why)
{
	struct span	all = *said, flag, rest;

	*why = "the header is malformed";
	if (!part(said, &flag) || !part(said, authzid))
		return false;
	if ((*why = flag_is_wrong(s, flag)) != NULL)
		return false;
	s->gs2_len = all.len - said->len;
	*why = "the header is too long";
	if (s->gs2_len > sizeof(s->gs2))
		return false;
	memcpy(s->gs2, all.p, s->gs2_len);
	*why = "the header is malformed";
	rest = *authzid;
	return rest.len == 0 || scram_attribute(&rest, 'a', authzid);
}

static bool
auth_add(struct scram *s, struct span what)
{
	if (what.len > sizeof(s->auth) - s->auth_len)
		return false;
	memcpy(s->auth + s->auth_len, what.p, what.len);
	s->auth_len += what.len;
	return true;
}

static bool
challenge_make(struct scram *s, struct span theirs, struct span ours,
    struct buf *to)
{
	size_t	from = buf_len(to);

	if (theirs.len + ours.len > sizeof(s->nonce))
		return false;
	memcpy(s->nonce, theirs.p, theirs.len);
	memcpy(s->nonce + theirs.len, ours.p, ours.len);
	s->nonce_len = theirs.len + ours.len;
	return buf_str(to, "r=") && buf_add(to, s->nonce, s->nonce_len) &&
	    buf_str(to, ",s=") &&
	    enc_base64(to, span(s->keys.salt, s->keys.salt_len)) &&
	    buf_fmt(to, ",i=%u", s->keys.iterations) &&
	    auth_add(s, span_sub(buf_content(to), from, buf_len(to)));
}

bool
scram_first(struct scram *s, struct span said, struct span nonce,
    struct buf *challenge, const char **why)
{
	struct span	bare, authzid, name, theirs;

	if (!gs2_header(s, &said, &authzid, why))
		return false;
	bare = said;
	*why = "the first message is malformed";
	if (!scram_attribute(&said, 'n', &name) || name.len == 0)
		return false;
	if (authzid.len > 0 && !span_eq(authzid, name)) {
		*why = "nobody may act for another";
		return false;
	}
	/* Extensions may follow; none is known, and they may be passed over. */
	if (!scram_attribute(&said, 'r', &theirs) || !is_nonce(theirs))
		return false;
	*why = "the first message is too long";
	return auth_add(s, bare) && auth_add(s, span_str(",")) &&
	    challenge_make(s, theirs, nonce, challenge);
}

/* cbind-input: the header, and behind "p" what the channel has. */
static bool
binding_is(const struct scram *s, struct span said)
{
	struct buf	b;
	uint8_t		want[SCRAM_GS2_MAX + SCRAM_BINDING_MAX];
	size_t		len = s->gs2_len;
	bool		ok;

	memcpy(want, s->gs2, len);
	if (s->bound) {
		memcpy(want + len, s->binding, s->binding_len);
		len += s->binding_len;
	}
	buf_init(&b, sizeof(want));
	ok = dec_base64(&b, said) && span_eq(buf_content(&b), span(want, len));
	buf_clear(&b);
	return ok;
}

/* ClientProof XOR ClientSignature is the key that StoredKey is the hash of. */
static bool
is_proved(const struct scram *s, const uint8_t proof[HASH_KEY_LEN])
{
	uint8_t	sign[HASH_KEY_LEN], key[HASH_KEY_LEN];
	bool	ok;

	if (!sasl_hmac(EVP_sha256(), span(s->keys.stored, HASH_KEY_LEN),
	    span(s->auth, s->auth_len), sign))
		return false;
	for (size_t i = 0; i < HASH_KEY_LEN; i++)
		key[i] = sign[i] ^ proof[i];
	ok = EVP_Digest(key, sizeof(key), sign, NULL, EVP_sha256(), NULL) == 1 &&
	    CRYPTO_memcmp(sign, s->keys.stored, sizeof(sign)) == 0;
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(sign, sizeof(sign));
	return ok;
}

enum scram_verdict
scram_final(struct scram *s, struct span said, struct buf *signature,
    const char **why)
{
	struct span	without, rest, tail, proof_at, channel, nonce;
	uint8_t		proof[HASH_KEY_LEN], sign[HASH_KEY_LEN];
	size_t		last = span_rfind(said, ','), len;

	*why = "the last message is malformed";
	without = rest = span_sub(said, 0, last);
	tail = span_sub(said, last + 1, said.len);
	if (last == said.len || !scram_attribute(&tail, 'p', &proof_at) ||
	    !dec_base64_into(proof_at, proof, HASH_KEY_LEN, HASH_KEY_LEN,
	    &len))
		return SCRAM_BAD;
	if (!scram_attribute(&rest, 'c', &channel) ||
	    !scram_attribute(&rest, 'r', &nonce) ||
	    !span_eq(nonce, span(s->nonce, s->nonce_len)))
		return SCRAM_BAD;
	if (!binding_is(s, channel)) {
		*why = "not the binding that was said first";
		return SCRAM_BAD;
	}
	*why = "the last message is too long";
	if (!auth_add(s, span_str(",")) || !auth_add(s, without))
		return SCRAM_BAD;
	*why = "wrong password";
	if (!is_proved(s, proof))
		return SCRAM_NO;
	if (!sasl_hmac(EVP_sha256(), span(s->keys.server, HASH_KEY_LEN),
	    span(s->auth, s->auth_len), sign) ||
	    !buf_str(signature, "v=") ||
	    !enc_base64(signature, span(sign, sizeof(sign))))
		return SCRAM_BAD;
	return SCRAM_YES;
}
