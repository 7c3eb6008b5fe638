/*
 * The bytes of a message on their way into a connection's output buffer: prefix
 * and content, dot-stuffed for DATA or as they are for BDAT.
 */
#ifndef DELIVERD_SEND_H
#define DELIVERD_SEND_H

#include "common/smtp/content.h"
#include "deliverd/job.h"

enum send {
	SEND_MORE,		/* out is full to the mark; call again */
	SEND_DONE,		/* all is in out, the final dot too */
	SEND_FAILED		/* the content can't be read */
};
struct send_state {
	const struct job *job;
	uint64_t	 pos;		/* of prefix and content */
	bool		 stuff;		/* DATA */
	struct smtp_content_out so;
};

void	 send_begin(struct send_state *, const struct job *, bool stuff);
/* Fills out up to mark bytes (which leaves room for the dot below its max). */
enum send send_fill(struct send_state *, struct buf *out, size_t mark);
/* Is a byte above 127 in the header of the message? */
bool	 send_header_is_8bit(const struct job *);

#endif
