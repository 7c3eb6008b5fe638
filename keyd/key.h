/*
 * One `pki` of the configuration: a certificate with its chain and the private
 * key that belongs to it. Made from two texts in PEM; signing follows when TLS
 * does. Nothing here reads a file.
 */
#ifndef KEYD_KEY_H
#define KEYD_KEY_H

#include "common/base/buf.h"
#include "common/base/clock.h"

#define KEY_RSA_BITS_MIN	2048
#define KEY_CHAIN_MAX		16	/* certificates behind the first */
#define KEY_NAME_MAX		256

struct pki;

/* What "check" tells. */
struct key_info {
	char		 subject[KEY_NAME_MAX];	/* RFC 2253 form, cut */
	char		 type[32];		/* "RSA 2048", "EC P-256" */
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

#endif
