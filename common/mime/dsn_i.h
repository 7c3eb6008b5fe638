/*
 * What the parts of a delivery status notification share; for dsn*.c alone.
 */
#ifndef MIME_DSN_I_H
#define MIME_DSN_I_H

#include "common/mime/dsn.h"

#define DSN_VALUE_MAX	900	/* bytes of others on one line: RFC 5322, 2.1.1 */

/* Others' bytes as part of a line: control characters and, unless utf8 and
 * valid, all above ASCII become "?"; behind DSN_VALUE_MAX it is cut. */
void	 dsn_safe(struct buf *, struct span, bool utf8);
/* "Tue, 24 Nov 2026 08:15:26 +0000" in the zone of d. */
void	 dsn_date(struct buf *, const struct dsn *, uint64_t ms);
/* The name and the address of "name[address]:port"; the latter may be empty. */
void	 dsn_server(struct span server, struct span *name, struct span *addr);
/* Has one of the first n recipients this action? */
bool	 dsn_has(const struct dsn *, enum dsn_action, size_t n);

/*
 * ---- dsn_status.c: message/delivery-status ----
 * The fields of as many recipients as fit into the buffer, which is empty;
 * their number, at least one.
 */
size_t	 dsn_fields(struct buf *, const struct dsn *);

/* ---- dsn_text.c: text for people, about the first n recipients ---- */
/* What becomes of the message itself in the notification. */
enum dsn_returned { DSN_RETURNS_ALL, DSN_RETURNS_HEADER, DSN_TOO_LONG,
    DSN_RETURNS_NONE };
const char *dsn_subject(const struct dsn *, size_t n);
void	 dsn_text(struct buf *, const struct dsn *, size_t n,
	    enum dsn_returned);

#endif
