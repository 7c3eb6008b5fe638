/*
 * From one RCPT to what is sent for it: the copies that a list of actions makes,
 * the recipients that aliases stand for, each matched again, and who reads
 * postmaster's mail (RFC 5321, 4.5.1; RFC 2142). Asks nobody: the rules and
 * tables say it all. Unknown to it is whether a server knows a recipient.
 */
#ifndef SMTPD_EXPAND_H
#define SMTPD_EXPAND_H

#include "smtpd/txn.h"

#define EXPAND_REFUSED_MAX 1000	/* of one RCPT, beside those that are taken */

enum expand_kind {
	EXPAND_COPIES,		/* for the queue */
	EXPAND_LIVE,		/* by `action`, which is a proxy */
	EXPAND_REFUSED,
	EXPAND_NEED_RDNS	/* ask again when the peer is known */
};
struct expand {
	enum expand_kind kind;
	struct copy	*copies;	/* the transaction's arena's */
	size_t		 ncopies;	/* 0: other recipients have them all */
	const struct conf_action *action;	/* the first one's */
	uint16_t	 code;		/* the reply, if refused */
	const char	*text;		/* static, or the configuration's */
	const struct conf_pos *rule;	/* NULL: none said so */
};
/*
 * The way of a recipient. Of many that an alias stands for, those that are
 * refused are told in the log; if all are, the recipient is. If one is refused
 * for now, so is the recipient, as that one would be lost else.
 */
void	 expand(struct txn *, struct span to, struct expand *);
/* The same for one that stands for this address by another's word than that of
 * a table: matched as `from expanded`. */
void	 expand_as(struct txn *, struct span to, struct span address,
	    struct expand *);
/*
 * The same for a recipient that nobody knows, though the rules have a way for
 * him: postmaster's and abuse's mail has a reader. False: it is not such.
 */
bool	 expand_unknown(struct txn *, struct span to, struct expand *);

#endif
