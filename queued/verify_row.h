/*
 * The bytes of verify.db's keys and rows (store_verify.h), written and read.
 * Pure: what is read may be any bytes.
 */
#ifndef QUEUED_VERIFY_ROW_H
#define QUEUED_VERIFY_ROW_H

#include "common/base/buf.h"
#include "queued/store_verify.h"

#define VERIFY_KEY_MAX	1024	/* bytes */
#define VERIFY_ROW_MAX	1024

/* False: it is too long. */
bool	 verify_put_key(struct buf *, const struct verify_key *);
/* Its parts, borrowed. False: these bytes are none. */
bool	 verify_get_key(struct span, struct verify_key *);
/* Reply and server are cut to what a row may have. */
void	 verify_put_row(struct buf *, const struct verify_row *);
/* Spans are borrowed. False: of another version, or damaged. */
bool	 verify_get_row(struct span, struct verify_row *);

#endif
