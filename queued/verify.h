/*
 * Questions of smtpd workers whether a recipient is known: answered from what
 * is known (known.h), or by one of those who ask, who is told to ask the server
 * while the others wait for what he tells.
 *
 *	(none) ─v_ask─▶ ASKED ─v_tell─▶ (none), all who wait are answered
 *	                  │ the asker is gone: the next one who waits asks
 */
#ifndef QUEUED_VERIFY_H
#define QUEUED_VERIFY_H

#include "common/ipc/chan.h"
#include "queued/known.h"

#define VERIFY_ASKED_MAX 2000	/* questions at servers at a time */
#define VERIFY_AGAIN_MAX 500	/* of which there may be when what still holds
				 * is asked for anew */
#define VERIFY_WAIT_MAX	256	/* who wait for one of them */
#define VERIFY_TELL_MS	90000	/* within that it is told */

struct verify;

struct verify *verify_new(void);
void	 verify_free(struct verify *);
/* v_ask and v_tell of this channel to a smtpd. */
void	 verify_ask(struct verify *, struct queue *, struct chan *,
	    const struct ipc_v_ask *);
void	 verify_tell(struct verify *, struct queue *, struct chan *,
	    const struct ipc_v_tell *);
/* v_learn: what a live session has shown. */
void	 verify_learn(struct queue *, const struct ipc_v_learn *);
/* The channel is gone with its questions. */
void	 verify_gone(struct verify *, struct queue *, const struct chan *);
/* Each second: gives up old questions, drops old rows; true: again soon. */
bool	 verify_house(struct verify *, struct queue *);
size_t	 verify_count(const struct verify *);
/* Is this asked for now? */
bool	 verify_asked(const struct verify *, const struct verify_key *);

#endif
