/*
 * See provider.h. Keys and their management; signatures are in
 * provider_sign.c.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include "common/tls/provider_i.h"

#define NAME		"postern"
#define PROPERTY	"provider=" NAME
#define PARAM_REF	"postern-ref"	/* struct ref, in import */

/* What a key is made of, for the time of EVP_PKEY_fromdata(). */
struct ref {
	X509		*cert;
	EVP_PKEY	*pub;
	const char	*name;
	enum tls_key	 kind;
};

static OSSL_PROVIDER	*ours, *defaults;

/* ---- keys ---------------------------------------------------------------- */

static void *
key_new(void *provctx)
{
	(void)provctx;
	return OPENSSL_zalloc(sizeof(struct held_key));
}

static void
key_free(void *keydata)
{
	struct held_key	*k = keydata;

	if (k == NULL)
		return;
	EVP_PKEY_free(k->pub);
	OPENSSL_free(k);
}

/* All that a key of ours has, if it is one: its private part by reference. */
static int
key_has(const void *keydata, int selection)
{
	const struct held_key	*k = keydata;

	(void)selection;
	return k != NULL && k->pub != NULL;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct held_key	*x = a, *y = b;

	(void)selection;
	return x->pub != NULL && y->pub != NULL &&
	    EVP_PKEY_eq(x->pub, y->pub) == 1;
}

/* From our own reference alone: other keys are not ours to manage. */
static int
key_import(void *keydata, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM	*p = OSSL_PARAM_locate_const(params, PARAM_REF);
	struct held_key		*k = keydata;
	const void		*v;
	const struct ref	*r;
	size_t			 len;

	(void)selection;
	if (k->pub != NULL || p == NULL ||
	    OSSL_PARAM_get_octet_ptr(p, &v, &len) != 1 || len != sizeof(*r))
		return 0;
	r = v;
	k->key.kind = r->kind;
	if (!span_cstr(span_str(r->name), k->key.name, sizeof(k->key.name)) ||
	    !pubkey_hash(r->cert, k->key.id) || EVP_PKEY_up_ref(r->pub) != 1)
		return 0;
	k->pub = r->pub;
	return 1;
}

/*
 * The public part goes wherever it is wanted: libssl compares it with the
 * certificate's. For the private part there is nothing to give, so that OpenSSL
 * comes to our own signature.
 */
static int
key_export(void *keydata, int selection, OSSL_CALLBACK *f, void *arg)
{
	struct held_key	*k = keydata;
	OSSL_PARAM	*params = NULL;
	int		 ok;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ||
	    EVP_PKEY_todata(k->pub, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	ok = f(params, arg);
	OSSL_PARAM_free(params);
	return ok;
}

static const OSSL_PARAM *
import_types(int selection)
{
	static const OSSL_PARAM	 t[] = {
		OSSL_PARAM_octet_ptr(PARAM_REF, NULL, 0), OSSL_PARAM_END
	};

	(void)selection;
	return t;
}

static const OSSL_PARAM *
export_types(int selection)
{
	static const OSSL_PARAM	 t[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END
	};

	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : t;
}

static int
key_get_params(void *keydata, OSSL_PARAM params[])
{
	return EVP_PKEY_get_params(((struct held_key *)keydata)->pub, params);
}

static const OSSL_PARAM *
gettable_params(void *provctx)
{
	static const OSSL_PARAM	 t[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END
	};

	(void)provctx;
	return t;
}

static const char *
ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define F(f)	((void (*)(void))(f))
#define KEYMGMT \
	{ OSSL_FUNC_KEYMGMT_NEW, F(key_new) }, \
	{ OSSL_FUNC_KEYMGMT_FREE, F(key_free) }, \
	{ OSSL_FUNC_KEYMGMT_HAS, F(key_has) }, \
	{ OSSL_FUNC_KEYMGMT_MATCH, F(key_match) }, \
	{ OSSL_FUNC_KEYMGMT_IMPORT, F(key_import) }, \
	{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, F(import_types) }, \
	{ OSSL_FUNC_KEYMGMT_EXPORT, F(key_export) }, \
	{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, F(export_types) }, \
	{ OSSL_FUNC_KEYMGMT_GET_PARAMS, F(key_get_params) }, \
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, F(gettable_params) }

static const OSSL_DISPATCH	plain_keymgmt[] = { KEYMGMT, { 0, NULL } };
static const OSSL_DISPATCH	ec_keymgmt[] = {
	KEYMGMT,
	{ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, F(ec_operation) },
	{ 0, NULL }
};

static const OSSL_ALGORITHM	keymgmts[] = {
	{ "RSA:rsaEncryption", PROPERTY, plain_keymgmt, NULL },
	{ "EC:id-ecPublicKey", PROPERTY, ec_keymgmt, NULL },
	{ "ED25519", PROPERTY, plain_keymgmt, NULL },
	{ NULL, NULL, NULL, NULL }
};
static const OSSL_ALGORITHM	signatures[] = {
	{ "RSA:rsaEncryption", PROPERTY, provider_signature, NULL },
	{ "ECDSA", PROPERTY, provider_signature, NULL },
	{ "ED25519", PROPERTY, provider_signature, NULL },
	{ NULL, NULL, NULL, NULL }
};

/* ---- the provider -------------------------------------------------------- */

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keymgmts :
	    operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int
init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH	 functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, F(query) },
		{ 0, NULL }
	};
	static char			 nothing;

	(void)handle;
	(void)in;
	*out = functions;
	*provctx = &nothing;
	return 1;
}

bool
provider_load(const struct provider_ops *ops)
{
	provider_sign_ops = ops;
	if (OSSL_PROVIDER_add_builtin(NULL, NAME, init) == 1 &&
	    (defaults = OSSL_PROVIDER_load(NULL, "default")) != NULL &&
	    (ours = OSSL_PROVIDER_load(NULL, NAME)) != NULL &&
	    EVP_set_default_properties(NULL, "?provider=default") == 1)
		return true;
	provider_unload();
	return false;
}

void
provider_unload(void)
{
	(void)EVP_set_default_properties(NULL, "");
	(void)OSSL_PROVIDER_unload(ours);
	(void)OSSL_PROVIDER_unload(defaults);
	ours = defaults = NULL;
	provider_sign_ops = NULL;
}

EVP_PKEY *
provider_key(X509 *cert, const char *name, const char **why)
{
	struct ref	 r = { cert, X509_get0_pubkey(cert), name, TLS_RSA }, *p = &r;
	OSSL_PARAM	 params[] = {
		OSSL_PARAM_octet_ptr(PARAM_REF, &p, sizeof(r)),
		OSSL_PARAM_END
	};
	static const char *const types[] = { [TLS_RSA] = "RSA",
	    [TLS_P256] = "EC", [TLS_P384] = "EC", [TLS_ED25519] = "ED25519" };
	EVP_PKEY_CTX	*ctx = NULL;
	EVP_PKEY	*key = NULL;

	*why = "not a kind of key that can sign here";
	if (r.pub != NULL && pubkey_kind(r.pub, &r.kind) &&
	    EVP_PKEY_get_size(r.pub) <= SIGNATURE_MAX) {
		*why = "OpenSSL made no key of it";
		ctx = EVP_PKEY_CTX_new_from_name(NULL, types[r.kind], PROPERTY);
	}
	if (ctx != NULL && (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1))
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return key;
}
