/*
 * Between fan.c, the ways and their recipients, fan_content.c, the message, and
 * fan_commit.c, what becomes of it.
 */
#ifndef SMTPD_FAN_I_H
#define SMTPD_FAN_I_H

#include "smtpd/fan.h"
#include "smtpd/prepare.h"

enum fan_state { FAN_IDLE, FAN_DATA, FAN_FLOWS, FAN_DOT, FAN_OVER };
struct fan_way {
	const struct conf_action *action;
	struct link	*link;		/* NULL: none, or lost */
	bool		 at_server;	/* MAIL went there */
	uint16_t	 mail_code;	/* MAIL was refused */
	const char	*mail_text;
	bool		 fallen;	/* the queue has taken over */
	enum fan_state	 state;
	bool		 wanted;	/* it has recipients */
	/* What the client is told of them, if they have replies of their own
	 * (PRDR); the arena's. 0: that the queue has them. */
	uint16_t	 code;
	const char	*said;
};
/* Number i is way i + 1 of the prepared message; its way 0 is the queue. */
struct fan {
	struct event	*go;
	bool		 waits;		/* content, for recipients */
	unsigned	 n;
	struct fan_way	 ways[FAN_WAYS];
	struct prepare	*prep;
	bool		 queue;		/* some are the queue's */
	bool		 alone;		/* one server has all recipients: its
					 * reply is the client's */
	const char	*text, *said;	/* that reply; the arena's */
	uint16_t	 code;
	bool		 known;		/* its digest went along */
	bool		 taken;		/* the first server has it */
	uint64_t	 sent;		/* bytes to queued */
};

/* ---- fan.c ---- */
/* Its server is gone, and nobody has had the message: true, the queue takes
 * over, and it has no link any more. */
bool	 fan_falls(struct txn *, struct fan_way *, const char *why);

/* ---- fan_content.c ---- */
/* All recipients are decided: DATA goes to their servers. */
void	 fan_content(struct txn *);
/* Is it the queue's, not a server's? */
bool	 fan_is_queue(const struct txn *, const struct rcpt *);
/* Nothing of it may stay at any server that has had DATA; nor in queued. */
void	 fan_cut_all(struct txn *);
void	 fan_void(struct txn *);
void	 fan_log(const struct txn *, const struct link *, const char *result,
	    uint16_t code, struct span text);

/* ---- fan_commit.c ---- */
extern const struct prepare_ops fan_prepare_ops;
/* What a server said to the dot; or it, or the way to it, is gone. */
void	 fan_answer(struct txn *, struct fan_way *, uint16_t code,
	    struct span text);
void	 fan_no_answer(struct txn *, struct fan_way *, const char *server);

#endif
