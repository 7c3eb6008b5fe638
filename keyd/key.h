/*
 * One `pki` of the configuration: a certificate with its chain and the private
 * key that belongs to it. Made from two texts in PEM. Nothing here reads a
 * file, and nothing signs.
 */
#ifndef KEYD_KEY_H
#define KEYD_KEY_H

#include <openssl/types.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/tls/pubkey.h"
#include "keyd/ocsp.h"

#define KEY_RSA_BITS_MIN	2048
#define KEY_RSA_BITS_MAX	4096	/* signatures of SIGNATURE_MAX */
#define KEY_DER_MAX		16384	/* bytes of a certificate; as msg.def */
#define KEY_CHAIN_MAX		16	/* certificates behind the first */
#define KEY_NAME_MAX		256

struct pki;

/* What "check" tells. */
struct key_info {
	char		 subject[KEY_NAME_MAX];	/* RFC 2253 form, cut */
	char		 type[32];		/* "RSA 2048", "EC P-256", "Ed25519" */
	struct wall	 not_before, not_after;
	unsigned	 chain;		/* certificates behind the first */
};

/* What has to happen before confinement: no configuration file is read, the
 * secure heap is set up, the random generator seeded. False: no memory. */
bool	 key_setup(void);

/*
 * Gives the pki if the first certificate is the key's. NULL: *why is a static
 * string. The texts stay the caller's, who clears the key's.
 */
struct pki *pki_new(struct span cert, struct span key, const char **why);
void	 pki_free(struct pki *);
void	 pki_info(const struct pki *, struct key_info *);


enum tls_key pki_kind(const struct pki *);
const uint8_t *pki_id(const struct pki *);	/* its pubkey_hash() */
EVP_PKEY *pki_key(const struct pki *);		/* borrowed */
/* The n-th certificate in DER, borrowed; 0 is the server's own. Empty: there are
 * no more. */
struct span pki_cert(const struct pki *, unsigned n);

/* An OCSP response of the certificate; copied. False: *why is static. */
bool	 pki_set_ocsp(struct pki *, struct span der, const char **why);
const struct ocsp_info *pki_ocsp(const struct pki *);	/* NULL: none */
struct span pki_ocsp_der(const struct pki *);		/* empty: none */

#endif
