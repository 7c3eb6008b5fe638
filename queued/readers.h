/*
 * Where mail of our own goes, and mail that is sent again: by the rules, through
 * aliases, and with postmaster's reader, as mail that comes in (smtpd/expand.h)
 * but without a session. Asks nobody.
 */
#ifndef QUEUED_READERS_H
#define QUEUED_READERS_H

#include "common/conf/alias.h"
#include "queued/record.h"

#define READERS_MAX	100	/* that one may stand for, in mail of ours */

struct reader {			/* one recipient's copy for one action */
	char		 to[ALIAS_ADDR_MAX];
	const struct conf_action *action;
	uint32_t	 group;	/* place of the recipient's first copy */
	bool		 expanded;	/* by an alias */
};
struct readers {
	struct reader	*v;	/* free with readers_clear() */
	size_t		 n;
	const char	*why;	/* of n == 0, static or the configuration's */
};

/* The readers of `to`. expanded: rules `from expanded` hold for it, too. */
void	 readers_find(const struct conf *, struct span to, bool expanded,
	    struct readers *);
/* Those of a recipient of m with these flags (enum rcpt_flag), as its client
 * would have them now; by actions alone that the queue delivers by. */
void	 readers_again(const struct conf *, const struct rec_msg *m,
	    struct span to, uint8_t flags, struct readers *);
void	 readers_clear(struct readers *);

#endif
