/*
 * Keys that are elsewhere: handshakes of TLS 1.2 and 1.3 with each kind of key,
 * whose server pauses until the test has signed for it; and where that goes
 * wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "common/tls/provider.h"
#include "regress/lib/certhelp.h"

#define KINDS	4

static struct ident	 ids[KINDS];

/* ---- who signs ----------------------------------------------------------- */

static struct provider_request	*waiting;
static enum tls_key		 asked_kind;
static uint16_t			 asked_scheme;
static uint8_t			 asked[STATEMENT_MAX];
static size_t			 asked_len;
static uint8_t			 asked_id[PUBKEY_HASH_LEN];
static int			 signs, cancels, wakes;
static bool			 refuse, at_once;

static void	answer(bool good);

static bool
on_sign(struct provider_request *r, const struct provider_key *k,
    const struct scheme *by, struct span statement)
{
	const char	*why;

	signs++;
	assert_string_equal(k->name, "mx");
	assert_int_not_equal(statement_is(statement, &why), STATEMENT_NONE);
	assert_true(scheme_fits(by, k->kind, statement_is(statement, &why)));
	if (refuse)
		return false;
	assert_null(waiting);
	waiting = r;
	provider_set_arg(r, ids);
	asked_kind = k->kind;
	memcpy(asked_id, k->id, sizeof(asked_id));
	asked_scheme = by->code;
	asked_len = statement.len;
	memcpy(asked, statement.p, statement.len);
	if (at_once)
		answer(true);
	return true;
}

static void
on_cancel(struct provider_request *r)
{
	assert_ptr_equal(r, waiting);
	cancels++;
	waiting = NULL;
}

static const struct provider_ops	ops = { on_sign, on_cancel };

/* As keyd does; or a signature of something else. */
static void
answer(bool good)
{
	const struct scheme	*by = scheme_find(asked_scheme);
	struct provider_request	*r = waiting;
	EVP_MD_CTX		*md = EVP_MD_CTX_new();
	EVP_PKEY_CTX		*ctx;
	uint8_t			 sig[SIGNATURE_MAX];
	size_t			 len = sizeof(sig);

	assert_non_null(r);
	assert_ptr_equal(provider_arg(r), ids);
	if (!good)
		asked[asked_len - 1] ^= 1;
	assert_int_equal(EVP_DigestSignInit_ex(md, &ctx, by->digest, NULL,
	    NULL, ids[asked_kind].key, NULL), 1);
	if (by->pss) {
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(md, sig, &len, asked, asked_len), 1);
	EVP_MD_CTX_free(md);
	waiting = NULL;
	provider_answer(r, span(sig, len));
}

/* ---- a handshake --------------------------------------------------------- */

static SSL_CTX	*server_ctx, *client_ctx;
static SSL	*server, *client;

static int
on_wake(SSL *s, void *arg)
{
	assert_ptr_equal(s, server);
	assert_ptr_equal(arg, &wakes);
	wakes++;
	return 1;
}

static SSL_CTX *
server_with(unsigned kinds)
{
	SSL_CTX		*c = SSL_CTX_new(TLS_server_method());
	const char	*why;
	EVP_PKEY	*k;

	for (int i = 0; i < KINDS; i++) {
		if ((kinds & 1u << i) == 0)
			continue;
		k = provider_key(ids[i].cert, "mx", &why);
		assert_non_null(k);
		assert_int_equal(SSL_CTX_use_certificate(c, ids[i].cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(c, k), 1);
		assert_int_equal(SSL_CTX_check_private_key(c), 1);
		EVP_PKEY_free(k);
	}
	SSL_CTX_set_mode(c, SSL_MODE_ASYNC);
	return c;
}

static void
begin(unsigned kinds, int version, const char *sigalgs)
{
	BIO	*a, *b;

	signs = cancels = wakes = 0;
	refuse = at_once = false;
	server_ctx = server_with(kinds);
	client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(client_ctx, version);
	if (sigalgs != NULL)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(client_ctx,
		    (char *)(uintptr_t)sigalgs), 1);
	server = SSL_new(server_ctx);
	client = SSL_new(client_ctx);
	SSL_set_async_callback(server, on_wake);
	SSL_set_async_callback_arg(server, &wakes);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
}

static void
end(void)
{
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	ERR_clear_error();
}

/* Goes on until both are done, one has failed, or the server waits for its
 * signature. Gives SSL_get_error() of the one that stopped it. */
static int
go(void)
{
	int	 r, e;

	for (int n = 0; n < 50; n++) {
		r = SSL_do_handshake(client);
		e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(client, r);
		if (e != SSL_ERROR_NONE && e != SSL_ERROR_WANT_READ)
			return e;
		r = SSL_do_handshake(server);
		e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(server, r);
		if (e == SSL_ERROR_NONE && SSL_is_init_finished(client))
			return e;
		if (e != SSL_ERROR_NONE && e != SSL_ERROR_WANT_READ)
			return e;
	}
	fail();
	return 0;
}

static int
group_setup(void **state)
{
	EVP_PKEY	*k;

	(void)state;
	if (!provider_load(&ops))
		return -1;
	for (int i = 0; i < KINDS; i++) {
		k = key_make((enum tls_key)i);
		ids[i] = IDENT(.key = k, .cn = "mx");
		EVP_PKEY_free(k);
	}
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		ident_free(&ids[i]);
	provider_unload();
	ASYNC_cleanup_thread();
	return 0;
}

static void
handshakes(void **state)
{
	static const int	versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int kind = 0; kind < KINDS; kind++)
		for (int v = 0; v < 2; v++) {
			begin(1u << kind, versions[v], NULL);
			assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
			assert_int_equal(signs, 1);
			assert_int_equal((int)asked_kind, kind);
			/* Looked after too early: it waits on. */
			assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
			assert_int_equal(signs, 1);
			assert_int_equal(wakes, 0);
			answer(true);
			assert_int_equal(wakes, 1);
			assert_int_equal(go(), SSL_ERROR_NONE);
			assert_int_equal(SSL_version(client), versions[v]);
			assert_int_equal(SSL_version(server), versions[v]);
			assert_int_equal(signs, 1);
			end();
			assert_int_equal(cancels, 0);
		}
}

/* A key is known by the bytes of its certificate, not as OpenSSL would write
 * them: RFC 3279, 2.3.1 wants a NULL there that some leave out. */
static void
other_bytes(void **state)
{
	struct ident	 usual = ids[TLS_RSA];
	struct ident	 x = { X509_dup(usual.cert), usual.key };
	X509_PUBKEY	*pk = X509_get_X509_PUBKEY(x.cert);
	const uint8_t	*bits;
	uint8_t		*copy, id[PUBKEY_HASH_LEN], id_usual[PUBKEY_HASH_LEN];
	int		 len;

	(void)state;
	assert_int_equal(X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, pk), 1);
	assert_non_null(copy = OPENSSL_memdup(bits, (size_t)len));
	assert_int_equal(X509_PUBKEY_set0_param(pk, OBJ_nid2obj(
	    NID_rsaEncryption), V_ASN1_UNDEF, NULL, copy, len), 1);
	assert_true(X509_sign(x.cert, x.key, EVP_sha256()) > 0);
	assert_true(pubkey_hash(x.cert, id) &&
	    pubkey_hash(usual.cert, id_usual));
	assert_memory_not_equal(id, id_usual, sizeof(id));
	ids[TLS_RSA] = x;
	begin(1u << TLS_RSA, TLS1_3_VERSION, NULL);
	assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
	assert_memory_equal(asked_id, id, sizeof(id));
	answer(true);
	assert_int_equal(go(), SSL_ERROR_NONE);
	end();
	ids[TLS_RSA] = usual;
	X509_free(x.cert);
}

/* RSA's schemes, as the client has it. */
static void
schemes(void **state)
{
	static const struct { const char *list; int version; uint16_t code; }
	t[] = {
		{ "rsa_pss_rsae_sha256", TLS1_3_VERSION, 0x0804 },
		{ "rsa_pss_rsae_sha384", TLS1_3_VERSION, 0x0805 },
		{ "rsa_pss_rsae_sha512", TLS1_3_VERSION, 0x0806 },
		{ "rsa_pss_rsae_sha256", TLS1_2_VERSION, 0x0804 },
		{ "rsa_pkcs1_sha256", TLS1_2_VERSION, 0x0401 },
		{ "rsa_pkcs1_sha384", TLS1_2_VERSION, 0x0501 },
		{ "rsa_pkcs1_sha512", TLS1_2_VERSION, 0x0601 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		begin(1 << TLS_RSA, t[i].version, t[i].list);
		assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
		assert_int_equal(asked_scheme, t[i].code);
		answer(true);
		assert_int_equal(go(), SSL_ERROR_NONE);
		end();
	}
	/* One that is not in our table: no question, no handshake. */
	begin(1 << TLS_RSA, TLS1_2_VERSION, "RSA+SHA224");
	assert_int_equal(go(), SSL_ERROR_SSL);
	assert_int_equal(signs, 0);
	end();
}

static void
side_by_side(void **state)
{
	static const struct { const char *list; enum tls_key kind; } t[] = {
		{ "ecdsa_secp256r1_sha256", TLS_P256 },
		{ "rsa_pss_rsae_sha256", TLS_RSA },
		{ "ed25519", TLS_ED25519 },
	};
	X509	*x;

	(void)state;
	for (int v = 0; v < 2; v++)
		for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			begin(1 << TLS_RSA | 1 << TLS_P256 | 1 << TLS_ED25519,
			    v == 0 ? TLS1_2_VERSION : TLS1_3_VERSION,
			    t[i].list);
			assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
			assert_int_equal(asked_kind, t[i].kind);
			answer(true);
			assert_int_equal(go(), SSL_ERROR_NONE);
			x = SSL_get1_peer_certificate(client);
			assert_int_equal(X509_cmp(x, ids[t[i].kind].cert), 0);
			X509_free(x);
			end();
		}
}

static void
no_signature(void **state)
{
	(void)state;
	for (int v = 0; v < 2; v++) {
		int	 version = v == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

		/* The keeper says no. */
		begin(1 << TLS_P256, version, NULL);
		assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
		provider_answer(waiting, span(NULL, 0));
		waiting = NULL;
		assert_int_equal(wakes, 1);
		assert_int_equal(go(), SSL_ERROR_SSL);
		end();
		/* There is none. */
		begin(1 << TLS_P256, version, NULL);
		refuse = true;
		assert_int_equal(go(), SSL_ERROR_SSL);
		assert_int_equal(signs, 1);
		assert_int_equal(cancels, 0);
		end();
		/* He signs something else, as a thief of names would. */
		begin(1 << TLS_RSA, version, NULL);
		assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
		answer(false);
		assert_int_equal(go(), SSL_ERROR_SSL);
		end();
		/* More than any signature. */
		begin(1 << TLS_P256, version, NULL);
		assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
		provider_answer(waiting, span(asked, SIGNATURE_MAX + 1));
		waiting = NULL;
		assert_int_equal(go(), SSL_ERROR_SSL);
		end();
		/* Longer than this key's. */
		begin(1 << TLS_P256, version, NULL);
		assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
		provider_answer(waiting, span(asked, 200));
		waiting = NULL;
		assert_int_equal(go(), SSL_ERROR_SSL);
		end();
		/* Nobody could go on with it outside of a job. */
		begin(1 << TLS_P256, version, NULL);
		SSL_clear_mode(server, SSL_MODE_ASYNC);
		assert_int_equal(go(), SSL_ERROR_SSL);
		assert_int_equal(signs, 0);
		end();
		/* An answer before the pause. */
		begin(1 << TLS_P256, version, NULL);
		at_once = true;
		assert_int_equal(go(), SSL_ERROR_NONE);
		assert_int_equal(wakes, 1);
		end();
	}
}

/* The client goes away meanwhile: nothing of the SSL is touched afterwards. (The
 * job's own stack is OpenSSL's loss: a stream finishes it first.) */
static void
freed(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();				/* it would tell of that stack */
#endif
	begin(1 << TLS_P256, TLS1_3_VERSION, NULL);
	assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
	end();
	assert_int_equal(cancels, 1);
	assert_null(waiting);
	/* Answered, but nobody came to see. */
	begin(1 << TLS_P256, TLS1_3_VERSION, NULL);
	assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
	answer(true);
	end();
	assert_int_equal(cancels, 0);
}

/* As a stream does it: the job ends, then the SSL. */
static void
finished(void **state)
{
	(void)state;
	begin(1 << TLS_P256, TLS1_3_VERSION, NULL);
	assert_int_equal(go(), SSL_ERROR_WANT_ASYNC);
	provider_answer(waiting, span(NULL, 0));
	waiting = NULL;
	assert_true(SSL_do_handshake(server) <= 0);
	end();
	assert_int_equal(cancels, 0);
}

static void
the_key(void **state)
{
	OSSL_PARAM	*params = NULL;
	const char	*why;
	EVP_PKEY	*k, *odd;
	struct ident	 x;
	BIO		*bio = BIO_new(BIO_s_mem());

	(void)state;
	for (int i = 0; i < KINDS; i++) {
		k = provider_key(ids[i].cert, "mx", &why);
		assert_non_null(k);
		assert_int_equal(EVP_PKEY_eq(k, ids[i].key), 1);
		assert_int_equal(X509_check_private_key(ids[i].cert, k), 1);
		assert_int_equal(X509_check_private_key(
		    ids[(i + 1) % KINDS].cert, k), 0);
		assert_int_equal(EVP_PKEY_get_size(k),
		    EVP_PKEY_get_size(ids[i].key));
		/* There is no private part to be had. */
		assert_int_equal(EVP_PKEY_todata(k, EVP_PKEY_KEYPAIR, &params),
		    0);
		assert_null(params);
		assert_int_equal(EVP_PKEY_todata(k, EVP_PKEY_PUBLIC_KEY,
		    &params), 1);
		OSSL_PARAM_free(params);
		params = NULL;
		assert_int_equal(PEM_write_bio_PrivateKey(bio, k, NULL, NULL,
		    0, NULL, NULL), 0);
		EVP_PKEY_free(k);
	}
	BIO_free(bio);
	odd = EVP_EC_gen("P-521");
	x = IDENT(.key = odd, .cn = "odd");
	assert_null(provider_key(x.cert, "mx", &why));
	assert_string_equal(why, "not a kind of key that can sign here");
	ident_free(&x);
	EVP_PKEY_free(odd);
	ERR_clear_error();
}

/* All else is done as if we were not there: keys are made, sign, decrypt. */
static void
others(void **state)
{
	static const char *const names[KINDS] = { "RSA", "EC", "EC",
	    "ED25519" };
	EVP_PKEY_CTX	*ctx;

	(void)state;
	for (int i = 0; i < KINDS; i++) {
		ctx = EVP_PKEY_CTX_new_from_name(NULL, names[i], NULL);
		assert_non_null(ctx);
		assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
		EVP_PKEY_CTX_free(ctx);
		assert_string_equal(OSSL_PROVIDER_get0_name(
		    EVP_PKEY_get0_provider(ids[i].key)), "default");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes),
		cmocka_unit_test(other_bytes),
		cmocka_unit_test(schemes),
		cmocka_unit_test(side_by_side),
		cmocka_unit_test(no_signature),
		cmocka_unit_test(freed),
		cmocka_unit_test(finished),
		cmocka_unit_test(the_key),
		cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
