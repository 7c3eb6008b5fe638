/*
 * The header of a message (RFC 5322, 2.2 and 3.6): its fields one by one, the
 * recipients that it names, and what the agent that hands a message in adds to
 * it and takes out of it (RFC 6409, 8). Lines end in CR LF. Pure.
 */
#ifndef MIME_HEADER_H
#define MIME_HEADER_H

#include "common/base/buf.h"

/* Borrowed from the header. */
struct header_field {
	struct span	 name;		/* without blanks before the colon */
	struct span	 body;		/* behind the colon, with its folds,
					 * without the last CR LF */
	struct span	 all;		/* whole lines */
};
/* The field at the front of in, which moves behind it. False at the end, and
 * where no field stands. */
bool	 header_next(struct span *in, struct header_field *);
/* Does this line begin a field? ftext 1*, blanks, ":" (RFC 5322, 4.5). */
bool	 header_begins(struct span line);

/*
 * Calls f for each address that the header sends to: of To, Cc and Bcc, or, if
 * there are any, of the Resent-To, Resent-Cc and Resent-Bcc of the last
 * resending, which stands on top (3.6.6). An address has no domain if it was
 * written without. False where a list is none: *field is it and *why says more.
 */
bool	 header_recipients(struct span header, void (*f)(struct span addr,
	    void *arg), void *arg, struct header_field *field,
	    const char **why);

/* What is added where it is missing, each the body of a field; empty: not
 * added. In a resent message the Resent- fields are completed too. */
struct header_missing {
	struct span	 from, date, message_id;
	struct span	 domain;	/* behind addresses without one */
};
/*
 * Writes the header anew: Bcc, Resent-Bcc and Return-Path are left out, what is
 * missing goes on top, addresses without a domain get one. What is no list of
 * addresses stays as it is. False if it does not fit.
 */
bool	 header_complete(struct span header, const struct header_missing *,
	    struct buf *out);

#endif
