/*
 * SHA-256 of what a message is known by when it comes again. OpenSSL does it;
 * this is all that smtpd has of it.
 */
#ifndef SMTPD_DIGEST_H
#define SMTPD_DIGEST_H

#include "common/base/span.h"

#define DIGEST_LEN	32

struct digest;

/* Once, before confinement; fatal if there is no SHA-256. */
void	 digest_init(void);
struct digest *digest_new(void);	/* NULL: out of memory */
void	 digest_add(struct digest *, struct span);
/* The same with its length before it, so that two fields are never one. */
void	 digest_field(struct digest *, struct span);
/* False: it failed. No more may be added. */
bool	 digest_end(struct digest *, uint8_t out[DIGEST_LEN]);
void	 digest_free(struct digest *);	/* takes NULL */

#endif
