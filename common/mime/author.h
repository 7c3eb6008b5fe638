/*
 * Whom a message says it is from (RFC 5322, 3.6.2): each mailbox of From and of
 * Sender, as its header passes. What leaves room for two opinions says nothing:
 * a field that stands twice, is no list of addresses, or is too long; a line
 * amid the header that is no field, behind which some go on reading. Pure.
 */
#ifndef MIME_AUTHOR_H
#define MIME_AUTHOR_H

#include "common/base/buf.h"
#include "common/mime/seen.h"

#define AUTHOR_FIELD_MAX	8192	/* bytes of a field, unfolded or not */

/* An addr-spec, borrowed; false: it is enough to know this one. */
typedef bool author_addr(struct span, void *arg);

struct author {
	author_addr	*each;
	void		*arg;
	const char	*why;		/* it can't be told; static, or NULL */
	bool		 stopped;	/* each() has said so */
	/* private */
	unsigned	 from_fields, sender_fields;
	bool		 in_from, in_sender, over;
	struct buf	 field;
};

/* Before the first byte is fed to it, which each() is then called from. */
void	 author_begin(struct author *, struct header_seen *, author_addr *each,
	    void *arg);
/* The header is over, or no more of it comes. Once or more often. */
void	 author_end(struct author *, const struct header_seen *);
void	 author_clear(struct author *);

#endif
