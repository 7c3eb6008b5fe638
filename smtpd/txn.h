/*
 * One mail transaction (RFC 5321, 3.3): sender, recipients, parameters, and the
 * way that its content goes. It lives from MAIL to the reply to its content, or
 * to RSET; all of its memory is its arena's.
 */
#ifndef SMTPD_TXN_H
#define SMTPD_TXN_H

#include "common/base/arena.h"
#include "common/smtp/param.h"
#include "smtpd/content.h"
#include "smtpd/quser.h"
#include "smtpd/session.h"

struct handoff;

/* What is sent for a recipient by one action. */
struct copy {
	struct span	 to;
	const struct conf_action *action;
	/* The first of the copies for the same `to`, counted from the
	 * recipient's own first. */
	unsigned	 group;
	/* Is taken only if a server of this one was seen to know the
	 * recipient; NULL: as `action` says. */
	const struct conf_action *proven;
	bool		 conflict;	/* else 452, not 450 */
	bool		 quiet;		/* nobody is notified of it */
	bool		 expanded;	/* `to` is whom the recipient stands for */
	bool		 all;		/* of its group: `accept all` */
};
enum rcpt_state { RCPT_ASKED, RCPT_TAKEN, RCPT_REFUSED };
struct rcpt {
	struct span	 to;		/* canonical, without <> */
	struct smtp_rcpt_params params;
	const struct conf_action *action;	/* NULL: a proxied listener */
	struct copy	*copies;	/* for the queue; none where others of
					 * the transaction have them all */
	size_t		 ncopies;
	enum rcpt_state	 state;
	uint8_t		 way;		/* 0 the transaction's; see fan.h */
	bool		 queued;	/* goes into the queue beside the
					 * transaction's live way */
};

/* What the way to the queue knows of it; see handoff_queue.c. */
struct txn_queue {
	struct quser	 u;
	uint64_t	 sent, credit;
	bool		 lost;		/* queued died with a part of it */
	bool		 known;		/* its digest went along */
};

/* The queue beside a live way; see tee.h. */
enum tee_state { TEE_NONE, TEE_OPEN, TEE_FAILED, TEE_COMMIT };
struct txn_tee {
	enum tee_state	 state;
	bool		 must;		/* without it nothing is taken */
	uint16_t	 code;		/* the server's reply to the content */
	char		*text;
	char		*said;		/* what of it the client gets */
};
/* Whether a message of the live way has come before; see window.h. */
struct txn_again {
	uint32_t	 tid;		/* 0: queued is not asked */
	struct event	*timer;
	bool		 known;		/* the digest is */
	uint8_t		 digest[DIGEST_LEN];
};

struct txn {
	struct session	*s;
	uint64_t	 id;
	char		 ids[ID_STRLEN];
	struct arena	*arena;
	struct span	 from;		/* canonical, without <> */
	struct smtp_mail_params mail;
	struct rcpt	*rcpts;
	size_t		 nrcpts, cap;
	unsigned	 asked, taken;	/* recipients in these states */
	unsigned	 verifying;	/* of those asked: content waits */
	unsigned	 ncopies;	/* of these */
	const struct handoff *way;	/* NULL: no recipient has one yet */
	const struct conf_action *action;	/* the way's, if it is a proxy */
	struct content	 content;
	bool		 committed;	/* the way has all of it; no way back */
	/* Rule level: MAIL went to the actual server; it refused it, so each
	 * RCPT. */
	bool		 at_server;
	bool		 blocked;	/* the server has lost what it had of
					 * the content */
	uint16_t	 mail_code;
	char		*mail_text;
	const struct conf_action *fallen;	/* the queue has taken over
					 * from its server; NULL: from none */
	bool		 sent;		/* the server has some of the content */
	struct txn_queue queue;
	struct txn_tee	 tee;
	struct fan	*fan;		/* NULL: it has but one way */
	struct txn_again again;
	struct mono	 since;
	uint64_t	 received_ms;	/* wall clock */
};

/* NULL: out of memory. */
struct txn *txn_new(struct session *);
/* Ends it: what a way has of it is taken back unless it was committed. Takes
 * NULL. The session has none then and is in READY if it was in the middle. */
void	 txn_end(struct session *);
/* Copies into the arena; false: no memory for so much. */
bool	 txn_mail(struct txn *, struct span from,
	    const struct smtp_mail_params *);
struct rcpt *txn_rcpt(struct txn *, struct span to,
	    const struct smtp_rcpt_params *);
/* Number of a recipient, stable while the transaction lives. */
size_t	 txn_rcpt_number(const struct txn *, const struct rcpt *);
/* The recipient has been decided; phases follow. */
void	 txn_rcpt_state(struct txn *, struct rcpt *, enum rcpt_state);
/* What is sent for it, v being the arena's; whatever its state. */
void	 txn_rcpt_copies(struct txn *, struct rcpt *, struct copy *v, size_t n);
/* The first recipient that was taken, for the log; empty if none. */
struct span txn_first(const struct txn *);

/* An address as a log value within <>; as log_quote(), but empty stays so. */
const char *txn_quote(struct span);

#endif
