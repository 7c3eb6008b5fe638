/*
 * EHLO keywords (RFC 5321, 4.1.1.1), both ways: what a server announces, read
 * line by line, and what we announce. One table has all keywords.
 */
#ifndef SMTP_EHLO_H
#define SMTP_EHLO_H

#include "common/base/buf.h"

enum smtp_cap {
	CAP_PIPELINING	= 1 << 0,
	CAP_SIZE	= 1 << 1,
	CAP_8BITMIME	= 1 << 2,
	CAP_DSN		= 1 << 3,
	CAP_SMTPUTF8	= 1 << 4,
	CAP_CHUNKING	= 1 << 5,
	CAP_ENHANCED	= 1 << 6,	/* ENHANCEDSTATUSCODES */
	CAP_AUTH	= 1 << 7,
	CAP_STARTTLS	= 1 << 8,
	CAP_XCLIENT	= 1 << 9,
	CAP_VRFY	= 1 << 10,
	CAP_EXPN	= 1 << 11,
	CAP_HELP	= 1 << 12,
	CAP_ESMTP	= 1 << 13,	/* EHLO was taken at all */
	CAP_PRDR	= 1 << 20,	/* draft-hall-prdr */
	CAP_REQUIRETLS	= 1 << 21
};
struct smtp_caps {
	uint32_t	 bits;		/* enum smtp_cap */
	uint64_t	 size;		/* SIZE's value; 0: none */
	char		 auth[512];	/* mechanisms, one space between */
	/* LIMITS (RFC 9422): transactions of a session, recipients and their
	 * domains in a transaction; 0: not said. */
	uint32_t	 mail_max, rcpt_max, rcpt_domain_max;
	uint32_t	 xclient;	/* enum xclient_attr, with CAP_XCLIENT */
};
/* One line behind the first of an EHLO reply, without code. Unknown keywords
 * and malformed lines are passed over; "AUTH=..." is read as AUTH. Of LIMITS
 * only the values are kept: what is announced to others has none. */
void	 smtp_caps_line(struct smtp_caps *, struct span line);
/* Of the text of a reply to EHLO those lines behind the first whose keywords are
 * not among ours, as they came, LF between, as far as `to` has room; malformed
 * ones are left out. */
void	 smtp_caps_others(struct span text, struct buf *to);
/* The text of the reply to EHLO, for reply.h: the host name, then a keyword on
 * each line, LF between. */
bool	 smtp_caps_text(struct buf *, const char *hostname,
	    const struct smtp_caps *);

#endif
