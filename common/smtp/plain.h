/*
 * Replies without the words of whoever gave them (`replies plain`): codes stay,
 * the text is the standard's meaning of them.
 */
#ifndef SMTP_PLAIN_H
#define SMTP_PLAIN_H

#include "common/base/buf.h"

#define SMTP_PLAIN_MAX	100	/* octets of what smtp_plain() writes */

/*
 * Appends one line: the enhanced code at the front of text, if it is one of this
 * reply, and what it means (RFC 3463, 3; the IANA registry of RFC 5248), else
 * what the code means (RFC 5321, 4.2.2). Nothing else of text is in it. False:
 * to is full.
 */
bool	 smtp_plain(struct buf *to, uint16_t code, struct span text);

#endif
