/*
 * Whether a recipient is known to an action: its tables, and its server, whom
 * queued remembers and proxyd asks. It knows no session. The same question of
 * several sessions is one; it goes on when nobody waits for it any more, so
 * that its answer is remembered.
 *
 *	KNOWN (queued is asked) ─▶ SERVER (proxyd is asked) ─▶ over
 *	   └─ what it knows holds ─────────────────────────────▶ over
 * Of backup-mx the server is always asked, or at least whether it is there.
 */
#ifndef SMTPD_VERIFY_H
#define SMTPD_VERIFY_H

#include "common/conf/conf.h"
#include "common/ipc/chan.h"
#include "common/proc/start.h"

#define VERIFY_QUESTIONS 4000	/* of a worker at a time */
#define VERIFY_WAIT_MS	20000	/* a client waits no longer */

enum verify_kind { VERIFY_KNOWN, VERIFY_UNKNOWN, VERIFY_LATER };
/* Borrowed until the callback returns. */
struct verify_verdict {
	enum verify_kind kind;
	/* If not known: the reply to RCPT, text with its enhanced code. */
	uint16_t	 code;
	const char	*text;
	/* For the log: the server and what it said; may be empty. */
	const char	*server, *reply;
};
typedef void verify_done(void *arg, const struct verify_verdict *);

struct verify;

void	 verify_init(struct proc *, const struct conf *);
/*
 * Judges one recipient (without <>) of an action for which conf_verifies()
 * holds; target is conf_target()'s. done is called once: from within, then NULL
 * is given back, or later. The verdicts of a list of actions are for the caller
 * to combine.
 */
struct verify *verify_start(const struct conf_action *, struct span to,
	    struct span target, verify_done *done, void *arg);
/* The same of a proxied action from memory alone: known is who was seen to be
 * known to its server (learn.h) within known-good, all others are "later". */
struct verify *verify_remembered(const struct conf_action *, struct span to,
	    struct span target, verify_done *done, void *arg);
/* Would the server of a proxied action take the recipient from a stranger: not
 * from us, nor from a client that it knows? done is called once, perhaps from
 * within. False: nobody can be asked. */
bool	 verify_stranger(const struct conf_action *, struct span to,
	    struct span target, verify_done *done, void *arg);
/* The verdict is not wanted any more; done is not called. Takes NULL. */
void	 verify_cancel(struct verify *);
size_t	 verify_count(void);	/* questions at this time */

/* The channel to queued, NULL while it is away. */
void	 verify_queue(struct chan *);
/* The channel to a proxyd is gone. */
void	 verify_proxy_gone(const struct chan *);
/* Handlers: v_answer of queued, p_verified of proxyd. */
chan_handler verify_known, verify_verified;

#endif
