/*
 * Certificates and keys with OpenSSL: read, checked, described. The private
 * parts lie in OpenSSL's secure heap (no swap, no core, guard pages).
 */
#include <sys/resource.h>
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

#include "common/base/log.h"
#include "keyd/key.h"

/*
 * 100 keys of RSA 4096 are 179,200 bytes here, and up to three sets of them lie
 * side by side around a reload, one of them with its texts (4 KiB each): 1 MiB.
 * Below the usual limit of locked memory, 8 MiB; pages are locked as they come
 * to be used.
 */
#define SECURE_HEAP	(4 << 20)
#define SECURE_MIN	64		/* smallest piece */

struct der {
	uint8_t		*p;
	int		 len;
};
struct pki {
	X509		*cert;
	STACK_OF(X509)	*chain;
	EVP_PKEY	*key;
	enum tls_key	 kind;
	uint8_t		 id[PUBKEY_HASH_LEN];
	struct der	 der[1 + KEY_CHAIN_MAX];
	struct ocsp_info ocsp;
	uint8_t		*ocsp_der;	/* NULL: none */
	size_t		 ocsp_len;
};

bool
key_setup(void)
{
	struct rlimit	 l;
	uint8_t		 seed[32];
	int		 r;

	if (getrlimit(RLIMIT_MEMLOCK, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &l);
	}
	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL))
		return false;
	/* Locked, between guard pages and in no core. MADV_DONTFORK would be
	 * for nothing, and OpenSSL does not tell where it is: once there is a
	 * secret this process can't fork (its seccomp profile has no clone;
	 * `passwd` makes its workers before). */
	if ((r = CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN)) == 0)
		return false;
	/* The heap is there, but the kernel locks less than it asked. */
	if (r == 2)
		log_warnx("event=memlock why=\"keys can be swapped: the limit of "
		    "locked memory is below %u KiB\"", SECURE_HEAP >> 10);
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
check_key(struct pki *p, const char **why)
{
	int	 bits = EVP_PKEY_get_bits(p->key);

	if (!pubkey_kind(p->key, &p->kind))
		*why = EVP_PKEY_is_a(p->key, "EC") ? "the curve of the key is "
		    "neither P-256 nor P-384" :
		    "the key is neither RSA, EC nor Ed25519";
	else if (p->kind == TLS_RSA && bits < KEY_RSA_BITS_MIN)
		*why = "the RSA key is shorter than 2048 bits";
	else if (p->kind == TLS_RSA && bits > KEY_RSA_BITS_MAX)
		*why = "the RSA key is longer than 4096 bits";
	else if (X509_check_private_key(p->cert, p->key) != 1)
		*why = "the certificate is not this key's";
	else
		return true;
	ERR_clear_error();
	return false;
}

/* What smtpd gets, and the name by which it asks for a signature. */
static bool
encode(struct pki *p, const char **why)
{
	*why = "a certificate cannot be encoded";
	if (!pubkey_hash(p->cert, p->id))
		return false;
	for (int i = 0; i <= sk_X509_num(p->chain); i++) {
		p->der[i].len = i2d_X509(i == 0 ? p->cert :
		    sk_X509_value(p->chain, i - 1), &p->der[i].p);
		if (p->der[i].len <= 0)
			return false;
		if (p->der[i].len > KEY_DER_MAX) {
			*why = "a certificate is longer than 16 KiB";
			return false;
		}
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
	    !check_key(p, why) || !encode(p, why)) {
		ERR_clear_error();
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
	for (size_t i = 0; i < 1 + KEY_CHAIN_MAX; i++)
		OPENSSL_free(p->der[i].p);
	free(p->ocsp_der);
	free(p);
}

enum tls_key
pki_kind(const struct pki *p)
{
	return p->kind;
}

const uint8_t *
pki_id(const struct pki *p)
{
	return p->id;
}

EVP_PKEY *
pki_key(const struct pki *p)
{
	return p->key;
}

struct span
pki_cert(const struct pki *p, unsigned n)
{
	return n > KEY_CHAIN_MAX || p->der[n].p == NULL ? span(NULL, 0) :
	    span(p->der[n].p, (size_t)p->der[n].len);
}

bool
pki_set_ocsp(struct pki *p, struct span der, const char **why)
{
	if (!ocsp_read(der, p->cert, sk_X509_value(p->chain, 0), &p->ocsp,
	    why))
		return false;
	if ((p->ocsp_der = malloc(der.len)) == NULL) {
		*why = "out of memory";
		return false;
	}
	memcpy(p->ocsp_der, der.p, der.len);
	p->ocsp_len = der.len;
	return true;
}

const struct ocsp_info *
pki_ocsp(const struct pki *p)
{
	return p->ocsp_der == NULL ? NULL : &p->ocsp;
}

struct span
pki_ocsp_der(const struct pki *p)
{
	return span(p->ocsp_der, p->ocsp_len);
}

void
pki_info(const struct pki *p, struct key_info *info)
{
	BIO	*bio;
	int	 n = 0;

	*info = (struct key_info){ 0 };
	if ((bio = BIO_new(BIO_s_mem())) != NULL) {
		if (X509_NAME_print_ex(bio, X509_get_subject_name(p->cert), 0,
		    XN_FLAG_RFC2253) >= 0)
			n = BIO_read(bio, info->subject,
			    sizeof(info->subject) - 1);
		info->subject[n > 0 ? n : 0] = '\0';
		BIO_free(bio);
	}
	if (p->kind == TLS_RSA)
		snprintf(info->type, sizeof(info->type), "RSA %d",
		    EVP_PKEY_get_bits(p->key));
	else
		snprintf(info->type, sizeof(info->type), "%s",
		    p->kind == TLS_P256 ? "EC P-256" : p->kind == TLS_P384 ?
		    "EC P-384" : "Ed25519");
	info->not_before = asn1_wall(X509_get0_notBefore(p->cert));
	info->not_after = asn1_wall(X509_get0_notAfter(p->cert));
	info->chain = (unsigned)sk_X509_num(p->chain);
	ERR_clear_error();
}
