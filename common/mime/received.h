/*
 * The Received field (RFC 5321, 4.4) and counting it for loops; in the same pass
 * the field TLS-Required (RFC 8689, 3).
 */
#ifndef MIME_RECEIVED_H
#define MIME_RECEIVED_H

#include <time.h>

#include "common/base/addr.h"
#include "common/base/buf.h"

struct received {
	struct span	 helo;		/* what the client said; may be empty */
	struct span	 rdns;		/* confirmed reverse name, or empty */
	struct addr	 client;	/* family 0: local socket */
	struct span	 by;		/* our host name */
	const char	*with;		/* "ESMTP", "UTF8SMTP", … (RFC 3848) */
	const char	*tls, *cipher;	/* NULL: none was there */
	struct span	 id;
	struct span	 rcpt;		/* for <…>; empty: left out */
	struct tm	 tm;		/* local time */
	int		 gmtoff_min;	/* minutes east of UTC */
};
/* The field folded in lines, with CRLF. False if it does not fit. */
bool	 received_write(struct buf *, const struct received *);

/* Watches the header pass by and counts fields; may be cut at every byte. */
struct received_count {
	unsigned	 received;	/* Received fields */
	unsigned	 fields;	/* fields in all */
	size_t		 header_bytes;	/* up to the empty line */
	bool		 over;		/* the empty line, or a line that is no
					 * field, is reached */
	/* private */
	const char	*name;		/* that this field's may be */
	uint8_t		 pos;
	bool		 bol, in_name, blank, match;
	bool		 in_value;	/* of TLS-Required */
	uint8_t		 tls_fields, no;
};
void	 received_count_begin(struct received_count *);
/* Canonical content in any pieces. */
void	 received_count_feed(struct received_count *, struct span);
/* Does the header so far say "TLS-Required: No"? More than one such field may
 * not be there (RFC 8689, 3): they say nothing. */
bool	 received_tls_optional(const struct received_count *);

#endif
