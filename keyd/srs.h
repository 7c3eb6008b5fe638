/*
 * The Sender Rewriting Scheme: the address of a sender within one of ours, so
 * that what is forwarded passes SPF and what is returned finds its way back.
 *
 *	SRS0=hash=day=domain=local@ours		of local@domain
 *	SRS1=hash=domain==...@ours		of SRS0=...@domain, whoever's
 *
 * The hash is of all behind it without regard to case, as local parts are
 * folded on the way now and then: nobody else can make such an address, so this
 * opens no relay. Pure functions.
 */
#ifndef KEYD_SRS_H
#define KEYD_SRS_H

#include "common/base/buf.h"

#define SRS_KEY_MIN	16		/* bytes of a secret */
#define SRS_DAYS	21		/* an address is good for so long */

enum srs {
	SRS_OK,
	SRS_NOT,			/* not such an address */
	SRS_FORGED,			/* its hash is not ours */
	SRS_OLD				/* made too long ago */
};

/* Appends the address for `from` (canonical, without <>), made on this day
 * (since 1970). False: from has no domain, or no room. */
bool	 srs_make(struct span key, int64_t day, struct span from,
	    const char *domain, struct buf *out);
/* Appends the address that the local part stands for. */
enum srs srs_back(struct span key, int64_t day, struct span local,
	    struct buf *out);

#endif
