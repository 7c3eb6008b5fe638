/*
 * Which of the fields that a message must have, or should, stand in its header
 * (RFC 5322, 3.6): watched as the content passes, in any pieces. Pure.
 */
#ifndef MIME_SEEN_H
#define MIME_SEEN_H

#include "common/base/span.h"

struct header_seen {
	bool		 date, from, message_id;
	bool		 bare;		/* the first line begins the body: there
					 * is no header, nor a line that ends it */
	bool		 over;		/* the header is */
	/* private */
	bool		 any, mid, value, blank;
	uint8_t		 len;
	char		 name[12];
};

void	 header_seen_feed(struct header_seen *, struct span);	/* begins zeroed */

#endif
