/*
 * Signatures by somebody else, inside of an ASYNC job. See provider.h.
 *
 * A request lives on the heap: the handshake that waits for it is a job's
 * stack, which OpenSSL leaves behind without a word when its SSL is freed. The
 * job's wait context tells it then, by the clean-up of a descriptor that is
 * none.
 */
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "common/tls/provider_i.h"

/*
 * A handshake may be tried again before the answer is there, and waits once
 * more. Pausing may also be blocked, by OpenSSL itself; then this ends it.
 */
#define TRIES_MAX	100000

struct provider_request {
	ASYNC_WAIT_CTX	*ctx;
	bool		 done;
	uint8_t		 sig[SIGNATURE_MAX];
	size_t		 len;		/* 0: there is none */
	void		*arg;
};
struct sign_ctx {
	struct held_key	*key;
	char		 digest[24];	/* "": Ed25519 */
	bool		 pss;
};

const struct provider_ops	*provider_sign_ops;

/* ---- waiting ------------------------------------------------------------- */

/* The SSL is freed, so its job is never gone on with. */
static void
orphaned(ASYNC_WAIT_CTX *ctx, const void *key, OSSL_ASYNC_FD fd, void *arg)
{
	struct provider_request	*r = arg;

	(void)ctx;
	(void)key;
	(void)fd;
	if (!r->done)
		provider_sign_ops->cancel(r);
	OPENSSL_free(r);
}

void
provider_answer(struct provider_request *r, struct span signature)
{
	ASYNC_callback_fn	 f = NULL;
	void			*arg = NULL;

	if (r->done)
		return;
	r->done = true;
	if (signature.len > 0 && signature.len <= sizeof(r->sig)) {
		memcpy(r->sig, signature.p, signature.len);
		r->len = signature.len;
	}
	if (ASYNC_WAIT_CTX_get_callback(r->ctx, &f, &arg) == 1 && f != NULL)
		(void)f(arg);
}

void
provider_set_arg(struct provider_request *r, void *arg)
{
	r->arg = arg;
}

void *
provider_arg(const struct provider_request *r)
{
	return r->arg;
}

static bool
wait_for(struct provider_request *r)
{
	for (unsigned n = 0; !r->done; n++)
		if (n == TRIES_MAX || ASYNC_pause_job() != 1) {
			provider_sign_ops->cancel(r);
			return false;
		}
	return r->len > 0;
}

static bool
fail(const char *why)
{
	ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "%s", why);
	return false;
}

/* Gives the signature, in max bytes at most. */
static bool
ask(const struct held_key *k, const struct scheme *by, struct span statement,
    uint8_t *sig, size_t max, size_t *len)
{
	ASYNC_JOB		*job = ASYNC_get_current_job();
	struct provider_request	*r;
	bool			 ok;

	if (job == NULL)
		return fail("not in an asynchronous job");
	if ((r = OPENSSL_zalloc(sizeof(*r))) == NULL)
		return fail("out of memory");
	r->ctx = ASYNC_get_wait_ctx(job);
	if (ASYNC_WAIT_CTX_set_wait_fd(r->ctx, r, OSSL_BAD_ASYNC_FD, r,
	    orphaned) != 1) {
		OPENSSL_free(r);
		return fail("out of memory");
	}
	ok = provider_sign_ops->sign(r, &k->key, by, statement) &&
	    wait_for(r) && r->len <= max;
	if (ok) {
		memcpy(sig, r->sig, r->len);
		*len = r->len;
	}
	(void)ASYNC_WAIT_CTX_clear_fd(r->ctx, r);
	OPENSSL_free(r);
	return ok || fail("the key's keeper did not sign");
}

/* ---- OpenSSL's side ------------------------------------------------------ */

static void *
sign_new(void *provctx, const char *propq)
{
	(void)provctx;
	(void)propq;
	return OPENSSL_zalloc(sizeof(struct sign_ctx));
}

static void
sign_free(void *ctx)
{
	OPENSSL_free(ctx);
}

/* libssl's two ways to name PSS, RSA_PKCS1_PSS_PADDING and "pss". Its salt is
 * always as long as the digest; another one could not be asked for. */
static int
set_params(void *vctx, const OSSL_PARAM params[])
{
	struct sign_ctx		*ctx = vctx;
	const OSSL_PARAM	*p;
	const char		*s;
	int			 mode = 0;

	if (params == NULL)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL && p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (OSSL_PARAM_get_utf8_string_ptr(p, &s) != 1)
			return 0;
		mode = strcmp(s, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 ?
		    RSA_PKCS1_PSS_PADDING : strcmp(s,
		    OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING :
		    0;
	} else if (p != NULL && OSSL_PARAM_get_int(p, &mode) != 1)
		return 0;
	if (p != NULL && mode != RSA_PKCS1_PSS_PADDING &&
	    mode != RSA_PKCS1_PADDING)
		return 0;
	if (p != NULL)
		ctx->pss = mode == RSA_PKCS1_PSS_PADDING;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	if (p == NULL)
		return 1;
	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_utf8_string_ptr(p, &s) == 1 &&
		    strcmp(s, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
	return OSSL_PARAM_get_int(p, &mode) == 1 &&
	    mode == RSA_PSS_SALTLEN_DIGEST;
}

static const OSSL_PARAM *
settable_params(void *ctx, void *provctx)
{
	static const OSSL_PARAM	 t[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL,
		    0),
		OSSL_PARAM_END
	};

	(void)ctx;
	(void)provctx;
	return t;
}

static int
sign_init(void *vctx, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct sign_ctx	*ctx = vctx;

	ctx->key = key;
	ctx->pss = false;
	return span_cstr(span_str(digest), ctx->digest, sizeof(ctx->digest)) &&
	    set_params(ctx, params);
}

static int
sign(void *vctx, uint8_t *sig, size_t *len, size_t max, const uint8_t *text,
    size_t n)
{
	struct sign_ctx		*ctx = vctx;
	const struct scheme	*by;

	if (sig == NULL) {
		*len = (size_t)EVP_PKEY_get_size(ctx->key->pub);
		return 1;
	}
	by = scheme_of(ctx->key->key.kind, ctx->digest, ctx->pss);
	if (by == NULL || n > STATEMENT_MAX)
		return fail("nothing that is signed here");
	return ask(ctx->key, by, span(text, n), sig, max, len);
}

#define F(f)	((void (*)(void))(f))
const OSSL_DISPATCH	provider_signature[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, F(sign_new) },
	{ OSSL_FUNC_SIGNATURE_FREECTX, F(sign_free) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, F(sign_init) },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, F(sign) },
	{ OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, F(set_params) },
	{ OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, F(settable_params) },
	{ 0, NULL }
};
