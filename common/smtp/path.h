/*
 * Reverse-path, forward-path and Mailbox (RFC 5321, 4.1.2; 6531): quoted local
 * parts, address literals, IDN. A source route is parsed and ignored; "%" and
 * "!" have no meaning here. Pure.
 */
#ifndef SMTP_PATH_H
#define SMTP_PATH_H

#include "common/base/buf.h"

/* Octets. RFC 5321, 4.5.3.1.1, has 64 of what anyone must take; senders with a
 * recipient in them (VERP) or another sender (SRS) are longer. */
#define SMTP_LOCAL_MAX	255
#define SMTP_DOMAIN_MAX	255
#define SMTP_PATH_MAX	511	/* without <>: local @ domain */

/* Borrowed from the input. */
struct smtp_path {
	struct span	 text;		/* local@domain as it came, no route */
	struct span	 local;		/* with its quotes if it has them */
	struct span	 domain;	/* as it came; a literal with []; empty
					 * for <> and <postmaster> */
	bool		 utf8;		/* has a byte above 127 */
	bool		 literal;
};

/*
 * "<...>" at the front of in; in moves behind. utf8: SMTPUTF8 was given. null:
 * "<>" is allowed (reverse-path), otherwise "<Postmaster>" without domain is.
 */
enum parse smtp_path_parse(struct span *in, bool utf8, bool null,
	    struct smtp_path *, const char **why);
/* The same without brackets, whole input. */
enum parse smtp_mailbox_parse(struct span in, bool utf8, struct smtp_path *,
	    const char **why);
/* Domain or [literal], whole input (EHLO, tables). */
enum parse smtp_domain_parse(struct span in, bool utf8, const char **why);
/* "local@domain": quotes only where needed, domain in lower case A-labels
 * (ASCII) unless the local part is UTF-8. False if it doesn't fit. */
bool	 smtp_path_write(struct buf *, const struct smtp_path *);
/* The domain in lower case A-labels, for look-ups; dst 256 bytes. */
bool	 smtp_path_domain(const struct smtp_path *, char *dst, size_t size);

#endif
