/*
 * Certificates and keys with OpenSSL: read, checked, described. The private
 * parts lie in OpenSSL's secure heap (no swap, no core, guard pages).
 */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "keyd/key.h"

#define SECURE_HEAP	(512 << 10)	/* below the limit of locked memory */
#define SECURE_MIN	64		/* smallest piece */

struct pki {
	X509		*cert;
	STACK_OF(X509)	*chain;
	EVP_PKEY	*key;
};

bool
key_setup(void)
{
	uint8_t	seed[32];

	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL))
		return false;
	/* 2: the heap is there, but the kernel locks less than it asked. */
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN) == 0)
		return false;
	return RAND_bytes(seed, sizeof(seed)) == 1;
}

/* There is nobody who could be asked for a passphrase. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)arg = true;
	return -1;
}

static bool
read_key(struct pki *p, struct span text, const char **why)
{
	bool	 asked = false;
	BIO	*bio;

	if ((bio = BIO_new_mem_buf(text.p, (int)text.len)) == NULL) {
		*why = "out of memory";
		return false;
	}
	p->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (p->key == NULL)
		*why = asked ? "the key is protected by a passphrase" :
		    "no private key in PEM";
	return p->key != NULL;
}

/* The first certificate is the server's, the others lead to its issuer. */
static bool
read_certs(struct pki *p, struct span text, const char **why)
{
	BIO	*bio;
	X509	*x;
	bool	 ok = false, asked;

	if ((bio = BIO_new_mem_buf(text.p, (int)text.len)) == NULL ||
	    (p->chain = sk_X509_new_null()) == NULL) {
		*why = "out of memory";
		goto out;
	}
	if ((p->cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase,
	    &asked)) == NULL) {
		*why = "no certificate in PEM";
		goto out;
	}
	while ((x = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked)) !=
	    NULL) {
		if (sk_X509_num(p->chain) >= KEY_CHAIN_MAX ||
		    sk_X509_push(p->chain, x) == 0) {
			X509_free(x);
			*why = "the chain of certificates is too long";
			goto out;
		}
	}
	/* The end is "no start line"; all else is a broken certificate. */
	ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (!ok)
		*why = "a certificate of the chain is malformed";
out:
	ERR_clear_error();
	BIO_free(bio);
	return ok;
}

static bool
check_key(const struct pki *p, const char **why)
{
	if (!EVP_PKEY_is_a(p->key, "RSA") && !EVP_PKEY_is_a(p->key, "EC")) {
		*why = "the key is neither RSA nor EC";
		return false;
	}
	if (EVP_PKEY_is_a(p->key, "RSA") &&
	    EVP_PKEY_get_bits(p->key) < KEY_RSA_BITS_MIN) {
		*why = "the RSA key is shorter than 2048 bits";
		return false;
	}
	if (X509_check_private_key(p->cert, p->key) != 1) {
		ERR_clear_error();
		*why = "the certificate is not this key's";
		return false;
	}
	return true;
}

struct pki *
pki_new(struct span cert, struct span key, const char **why)
{
	struct pki	*p;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		*why = "out of memory";
		return NULL;
	}
	if (!read_certs(p, cert, why) || !read_key(p, key, why) ||
	    !check_key(p, why)) {
		pki_free(p);
		return NULL;
	}
	return p;
}

void
pki_free(struct pki *p)
{
	if (p == NULL)
		return;
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
	sk_X509_pop_free(p->chain, X509_free);
	free(p);
}

static struct wall
asn1_wall(const ASN1_TIME *t)
{
	struct tm	tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return (struct wall){ 0 };
	return (struct wall){ (int64_t)timegm(&tm) * 1000 };
}

void
pki_info(const struct pki *p, struct key_info *info)
{
	char		 group[24] = "";
	BIO		*bio;
	int		 n = 0;

	*info = (struct key_info){ 0 };
	if ((bio = BIO_new(BIO_s_mem())) != NULL) {
		if (X509_NAME_print_ex(bio, X509_get_subject_name(p->cert), 0,
		    XN_FLAG_RFC2253) >= 0)
			n = BIO_read(bio, info->subject,
			    sizeof(info->subject) - 1);
		info->subject[n > 0 ? n : 0] = '\0';
		BIO_free(bio);
	}
	if (EVP_PKEY_is_a(p->key, "EC")) {
		(void)EVP_PKEY_get_utf8_string_param(p->key,
		    OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
		snprintf(info->type, sizeof(info->type), "EC %s", group);
	} else
		snprintf(info->type, sizeof(info->type), "RSA %d",
		    EVP_PKEY_get_bits(p->key));
	info->not_before = asn1_wall(X509_get0_notBefore(p->cert));
	info->not_after = asn1_wall(X509_get0_notAfter(p->cert));
	info->chain = (unsigned)sk_X509_num(p->chain);
	ERR_clear_error();
}
