/*
 * What a server announces: told to smtpd, and remembered, so that a change of it
 * is noticed.
 */
#ifndef PROXYD_CAPS_H
#define PROXYD_CAPS_H

#include "proxyd/link.h"

#define CAPS_SERVERS	1000	/* remembered; what comes then is not */

/* The keywords of the link's server that hold for this session. */
uint32_t caps_of(const struct link *);
void	 caps_send(struct link *);
/*
 * Of the first EHLO of a session at this server ("name[address]:port"), as
 * later ones depend on what was said. What differs from the last time is logged
 * once (event=caps) by this worker. HELO, which announces nothing, is passed
 * over.
 */
void	 caps_learn(const char *server, const struct smtp_caps *);
void	 caps_forget(void);		/* all; for tests */
/* Appends to added and lost the keywords, with their values, that are only in
 * one of the two, comma between. */
void	 caps_differ(const struct smtp_caps *was, const struct smtp_caps *is,
	    struct buf *added, struct buf *lost);
/* The same with keywords that we do not know, out of the reply to EHLO. */
void	 caps_send_all(struct link *, struct span ehlo);

#endif
