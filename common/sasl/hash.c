/*
 * See hash.h.
 */
#include "common/sasl/hash.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/enc.h"
#include "common/sasl/crammd5.h"
#include "common/sasl/derive.h"

static const struct {
	const char	*name;
	enum hash_scheme scheme;
} schemes[] = {
	{ "CRYPT", HASH_CRYPT },
	{ "SHA512-CRYPT", HASH_CRYPT },
	{ "SHA256-CRYPT", HASH_CRYPT },
	{ "BLF-CRYPT", HASH_CRYPT },
	{ "SCRAM-SHA-256", HASH_SCRAM },
	{ "CRAM-MD5", HASH_CRAM },
	{ "PLAIN", HASH_PLAIN },
	{ "CLEAR", HASH_PLAIN },
	{ "CLEARTEXT", HASH_PLAIN },
};
/* libcrypt's methods that are still good for something. */
static const struct {
	const char	*prefix, *name;
} methods[] = {
	{ "$y$", "yescrypt" }, { "$gy$", "gost-yescrypt" },
	{ "$7$", "scrypt" }, { "$2b$", "bcrypt" }, { "$2a$", "bcrypt" },
	{ "$2y$", "bcrypt" }, { "$6$", "sha512-crypt" },
	{ "$5$", "sha256-crypt" },
};
#define N(array)	(sizeof(array) / sizeof((array)[0]))

/* The row of a hash of crypt(5); N(methods): none. */
static size_t
method_of(struct span body)
{
	size_t	i;

	for (i = 0; i < N(methods); i++)
		if (span_starts(body, span_str(methods[i].prefix)))
			break;
	return i;
}

/* The characters of crypt(5): printable, and none that divides fields. */
static bool
is_crypt(struct span body)
{
	for (size_t i = 0; i < body.len; i++)
		if (body.p[i] <= ' ' || body.p[i] > '~' ||
		    strchr(":;*!\\", body.p[i]) != NULL)
			return false;
	return method_of(body) < N(methods) && span_rfind(body, '$') + 1 <
	    body.len && body.len >= 20;
}

static bool
scram_parse(struct span body, struct hash_scram *h)
{
	struct span	 w;
	uint64_t	 n;
	size_t		 len;

	memset(h, 0, sizeof(*h));
	if (!span_word(&body, ",", &w) || !span_u64(w, HASH_ITER_MAX, &n) ||
	    n == 0 || !span_word(&body, ",", &w) ||
	    !dec_base64_into(w, h->salt, 1, sizeof(h->salt), &h->salt_len) ||
	    !span_word(&body, ",", &w) ||
	    !dec_base64_into(w, h->stored, HASH_KEY_LEN, HASH_KEY_LEN, &len) ||
	    !dec_base64_into(body, h->server, HASH_KEY_LEN, HASH_KEY_LEN, &len))
		return false;
	h->iterations = (unsigned)n;
	return true;
}

static bool
is_well_formed(enum hash_scheme scheme, struct span body)
{
	struct hash_scram	 h;
	uint8_t			 state[CRAMMD5_STATE];
	bool			 ok = true;

	switch (scheme) {
	case HASH_LOCKED:
		break;
	case HASH_CRYPT:
		return is_crypt(body);
	case HASH_PLAIN:
		return body.len > 0 && body.len <= HASH_PASSWORD_MAX;
	case HASH_SCRAM:
		ok = scram_parse(body, &h);
		OPENSSL_cleanse(&h, sizeof(h));
		break;
	case HASH_CRAM:
		ok = crammd5_state(body, state);
		OPENSSL_cleanse(state, sizeof(state));
		break;
	}
	return ok;
}

bool
hash_parse(struct span hash, enum hash_scheme *scheme, struct span *body,
    const char **why)
{
	struct span	name;
	size_t		i, end;

	*body = hash;
	if (hash.len > HASH_MAX) {
		*why = "the hash is too long";
		return false;
	}
	if (hash.len == 0 || hash.p[0] == '!' || span_is(hash, "*")) {
		*scheme = HASH_LOCKED;
		return true;
	}
	*scheme = HASH_CRYPT;
	if (hash.p[0] == '{') {
		end = span_find(hash, '}');
		name = span_sub(hash, 1, end - 1);
		for (i = 0; i < N(schemes); i++)
			if (span_caseis(name, schemes[i].name))
				break;
		if (end == hash.len || i == N(schemes)) {
			*why = "a scheme of passwords that is not supported";
			return false;
		}
		*scheme = schemes[i].scheme;
		*body = span_sub(hash, end + 1, hash.len);
		/* {CRYPT}! is how passwd -l leaves it. */
		if (body->len > 0 && body->p[0] == '!')
			*scheme = HASH_LOCKED;
	}
	if (is_well_formed(*scheme, *body))
		return true;
	*why = *scheme == HASH_CRYPT ? "not a hash of yescrypt, scrypt, "
	    "bcrypt, SHA-512 or SHA-256" : "the hash is malformed";
	return false;
}

void
hash_class(struct span hash, char dst[HASH_CLASS_MAX])
{
	enum hash_scheme	 scheme = HASH_LOCKED;
	struct span		 body, w;
	const char		*why;

	(void)hash_parse(hash, &scheme, &body, &why);
	switch (scheme) {
	case HASH_CRYPT:
		/* Up to the salt; bcrypt has no "$" behind it, and $7$ has
		 * five bytes of its cost in front. */
		w = span_sub(body, 0, span_rfind(body, '$'));
		if (method_of(body) == 2)
			w = span_sub(body, 0, 9);
		else if (!span_starts(body, (struct span)SPAN("$2")))
			w = span_sub(w, 0, span_rfind(w, '$'));
		snprintf(dst, HASH_CLASS_MAX, "%.*s", (int)w.len,
		    (const char *)w.p);
		break;
	case HASH_SCRAM:
		snprintf(dst, HASH_CLASS_MAX, "scram %.*s",
		    (int)span_find(body, ','), (const char *)body.p);
		break;
	default:
		snprintf(dst, HASH_CLASS_MAX, "%d", (int)scheme);
	}
}

const char *
hash_name(struct span hash)
{
	static const char *const names[] = { "locked", "crypt", "plain",
	    "scram-sha-256", "cram-md5" };
	enum hash_scheme	 scheme;
	struct span		 body;
	const char		*why;

	if (!hash_parse(hash, &scheme, &body, &why))
		return "unknown";
	return scheme == HASH_CRYPT ? methods[method_of(body)].name :
	    names[scheme];
}

/* ---- checking -------------------------------------------------------------- */

/* RFC 5802, 3 */
static bool
scram_keys(struct span password, struct hash_scram *h)
{
	uint8_t	client[HASH_KEY_LEN];
	bool	ok;

	ok = scram_derive(EVP_sha256(), password, span(h->salt, h->salt_len),
	    h->iterations, client, h->server) &&
	    EVP_Digest(client, sizeof(client), h->stored, NULL, EVP_sha256(),
	    NULL) == 1;
	OPENSSL_cleanse(client, sizeof(client));
	return ok;
}

static enum hash_result
check_scram(struct span body, struct span password)
{
	struct hash_scram	 is, said;
	enum hash_result	 r = HASH_FAILED;

	if (!scram_parse(body, &is))
		return HASH_NO;
	said = is;
	if (scram_keys(password, &said))
		r = CRYPTO_memcmp(is.stored, said.stored, HASH_KEY_LEN) == 0 ?
		    HASH_YES : HASH_NO;
	OPENSSL_cleanse(&is, sizeof(is));
	OPENSSL_cleanse(&said, sizeof(said));
	return r;
}

static enum hash_result
check_crypt(struct span body, struct span password, struct crypt_data *data)
{
	char			 pass[HASH_PASSWORD_MAX + 1];
	char			 setting[HASH_MAX + 1], *made;
	enum hash_result	 r = HASH_FAILED;
	size_t			 len;

	if (!span_cstr(password, pass, sizeof(pass)) ||
	    !span_cstr(body, setting, sizeof(setting)))
		return HASH_NO;
	made = crypt_r(pass, setting, data);
	OPENSSL_cleanse(pass, sizeof(pass));
	if (made != NULL && made[0] != '*') {
		len = strlen(made);
		r = len == body.len && CRYPTO_memcmp(made, body.p, len) == 0 ?
		    HASH_YES : HASH_NO;
	}
	OPENSSL_cleanse(data, sizeof(*data));
	return r;
}

static enum hash_result
check_plain(struct span body, struct span password)
{
	return body.len == password.len &&
	    CRYPTO_memcmp(body.p, password.p, body.len) == 0 ? HASH_YES :
	    HASH_NO;
}

enum hash_result
hash_check(struct span hash, struct span password, struct crypt_data *data)
{
	enum hash_scheme	 scheme;
	struct span		 body;
	const char		*why;

	if (!hash_parse(hash, &scheme, &body, &why) || password.len == 0 ||
	    password.len > HASH_PASSWORD_MAX)
		return HASH_NO;
	switch (scheme) {
	case HASH_CRYPT:
		return check_crypt(body, password, data);
	case HASH_PLAIN:
		return check_plain(body, password);
	case HASH_SCRAM:
		return check_scram(body, password);
	case HASH_CRAM:
		return crammd5_check(body, password) ? HASH_YES : HASH_NO;
	case HASH_LOCKED:
		break;
	}
	return HASH_NO;
}

bool
hash_scram(struct span hash, struct hash_scram *h)
{
	enum hash_scheme	 scheme;
	struct span		 body;
	const char		*why;

	return hash_parse(hash, &scheme, &body, &why) &&
	    scheme == HASH_SCRAM && scram_parse(body, h);
}

bool
hash_cram(struct span hash, struct span challenge, struct span digest)
{
	enum hash_scheme	 scheme;
	struct span		 body;
	const char		*why;

	if (!hash_parse(hash, &scheme, &body, &why))
		return false;
	if (scheme == HASH_PLAIN)
		return crammd5_plain(body, challenge, digest);
	return scheme == HASH_CRAM && crammd5_hashed(body, challenge, digest);
}

/* ---- making ---------------------------------------------------------------- */

static bool
make_crypt(const char *prefix, const char *scheme, struct span password,
    struct buf *to)
{
	struct crypt_data	*data = calloc(1, sizeof(*data));
	char			 pass[HASH_PASSWORD_MAX + 1];
	char			 setting[CRYPT_GENSALT_OUTPUT_SIZE], *made;
	bool			 ok = false;

	if (data != NULL && span_cstr(password, pass, sizeof(pass)) &&
	    crypt_gensalt_rn(prefix, 0, NULL, 0, setting,
	    sizeof(setting)) != NULL &&
	    (made = crypt_r(pass, setting, data)) != NULL && made[0] != '*')
		ok = buf_fmt(to, "{%s}%s", scheme, made);
	OPENSSL_cleanse(pass, sizeof(pass));
	if (data != NULL)
		OPENSSL_cleanse(data, sizeof(*data));
	free(data);
	return ok;
}

static bool
make_scram(struct span password, struct buf *to)
{
	struct hash_scram	h = { .iterations = HASH_SCRAM_ITER,
				    .salt_len = 16 };
	bool			ok;

	ok = RAND_bytes(h.salt, (int)h.salt_len) == 1 &&
	    scram_keys(password, &h) &&
	    buf_fmt(to, "{SCRAM-SHA-256}%u,", h.iterations) &&
	    enc_base64(to, span(h.salt, h.salt_len)) && buf_byte(to, ',') &&
	    enc_base64(to, span(h.stored, HASH_KEY_LEN)) &&
	    buf_byte(to, ',') && enc_base64(to, span(h.server, HASH_KEY_LEN));
	OPENSSL_cleanse(&h, sizeof(h));
	return ok;
}

bool
hash_make(enum hash_make how, struct span password, struct buf *to)
{
	if (password.len == 0 || password.len > HASH_PASSWORD_MAX ||
	    span_find(password, '\0') < password.len)
		return false;
	switch (how) {
	case MAKE_YESCRYPT:
		return make_crypt("$y$", "CRYPT", password, to);
	case MAKE_BCRYPT:
		return make_crypt("$2b$", "BLF-CRYPT", password, to);
	case MAKE_SHA512:
		return make_crypt("$6$", "SHA512-CRYPT", password, to);
	case MAKE_SCRAM:
		return make_scram(password, to);
	}
	return false;
}
