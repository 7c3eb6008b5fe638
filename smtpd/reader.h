/*
 * What is read of a client, and how long it may take: lines for dispatch.h,
 * content for content.h, nothing while it has to wait. Stops a client that sends
 * too fast, and ends one that is too slow.
 */
#ifndef SMTPD_READER_H
#define SMTPD_READER_H

#include "smtpd/session.h"

/* Of the session's stream. */
extern const struct stream_ops reader_ops;

/* Reads as far as the client's input and what is waited for allow. */
void	 reader_run(struct session *);
/* What the client, or we, may take so long for. */
void	 reader_timer(struct session *, enum session_timer, int64_t ms);
/* Eats n bytes of the client, then answers so (BDAT that is refused). */
void	 reader_swallow(struct cmd *, uint64_t n, uint16_t code,
	    struct span text);

#endif
