/*
 * The second server of a session at an actual server (`mirror`): it gets the
 * same commands, of its own accord and in its own time, and what it answers is
 * compared and never seen by the client. Nothing of the session waits for it:
 * what it has not taken yet is queued up to a bound, and beyond that it is
 * given up. It outlives the session for as long as it needs to answer.
 *
 * Content goes there only if the action says so, and its end only when the
 * actual server has taken the message. AUTH never goes there.
 *
 *	OPENING ─220─▶ READY ─DATA─▶ ASKED ─354─▶ FLOW ─taken─▶ READY
 *	   ▲            │ ▲             └─else─▶ SKIP ─end─▶ READY
 *	   │          EHLO reply
 *	   │            ▼ │
 *	   │           HELLO
 *	   └─ the next MAIL ── CUT ◀─refused─ FLOW
 */
#ifndef SMTPD_MIRROR_H
#define SMTPD_MIRROR_H

#include "smtpd/link.h"

#define MIRROR_COMMANDS_MAX 100		/* behind the session's: given up */
#define MIRROR_CONTENT_MAX (256 << 10)	/* bytes behind it: the same */
#define MIRROR_LINGER_MS 30000		/* behind the session's end */

struct twin;				/* a command of both */

void	 mirror_init(struct proc *, const struct conf *);
/* A link has been opened; if its action has a mirror, and the session is one
 * of the sample, so is the mirror's. helo as in link_open(). */
void	 mirror_open(struct link *, struct span helo);
/* What was sent by the link. w: the reply that it waits for, or NULL. */
void	 mirror_sent(struct link *, struct link_wait *w, uint16_t type,
	    const void *msg);
/* The actual server's reply; before the link's owner has it. own: as there. */
void	 mirror_replied(struct link *, struct link_wait *w, uint16_t code,
	    struct span text, bool own);
/* The link is about to be freed. */
void	 mirror_alone(struct link *);

#endif
