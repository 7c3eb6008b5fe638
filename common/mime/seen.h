/*
 * Which of the fields that a message must have, or should, stand in its header
 * (RFC 5322, 3.6): watched as the content passes, in any pieces. Who wants to
 * see some of them whole is told as they pass. Pure.
 */
#ifndef MIME_SEEN_H
#define MIME_SEEN_H

#include "common/base/span.h"

struct header_seen {
	bool		 date, from, message_id;
	bool		 bare;		/* the first line begins the body: no
					 * header, nor a line that ends it */
	bool		 over;		/* the header is */
	bool		 broken;	/* by a line that is no field */
	/* Set after the zeros, or NULL: a field has begun, one with a name of
	 * more than 12 bytes by another that no field has; some more of its
	 * body, with its folds and the CR LF behind it. */
	void		(*begins)(struct span name, void *arg);
	void		(*body)(struct span, void *arg);
	void		*arg;
	/* private */
	bool		 any, mid, value, blank;
	uint8_t		 len;
	char		 name[12];
};

/* Begins zeroed. */
void	 header_seen_feed(struct header_seen *, struct span);

#endif
