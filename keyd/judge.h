/*
 * The logins that smtpd's workers ask about. A password is held against the
 * hash on file by a process beside this one (check.h), or against what was right
 * a few minutes ago (lately.h); what is quick is done here (SCRAM, CRAM-MD5). A
 * user who is not there, or can't log in, takes the time of one who is.
 */
#ifndef KEYD_JUDGE_H
#define KEYD_JUDGE_H

#include "common/proc/start.h"
#include "keyd/tables.h"

#define JUDGE_BURST	100	/* checks that one worker of smtpd may ask for … */
#define JUDGE_RATE	50	/* … and so many more a second */
#define JUDGE_SCRAMS_MAX 1024	/* exchanges under way; beyond it the oldest go */
#define JUDGE_SCRAM_MS	60000	/* for the client's last message */

struct judge_stats {
	uint64_t	good, bad, lately, later, malformed;
};

/* Before confinement. False: no randomness, no memory. */
bool	 judge_init(void);
/* Of proc_ops: a channel; fd is taken. */
void	 judge_peer(struct proc *, enum ipc_role, uint16_t worker,
	    const char *title, int fd);
/* The tables in force, borrowed until the next call; all peers hear of them.
 * NULL: none. */
void	 judge_tables(const struct tables *);
const struct judge_stats *judge_stats(void);
/* Everything goes, wiped. */
void	 judge_stop(void);

#endif
