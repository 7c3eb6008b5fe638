/*
 * Between fan.c, the ways and their recipients, and fan_content.c, the message.
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
	enum fan_state	 state;
	bool		 wanted;	/* it has recipients */
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

/* All recipients are decided: DATA goes to their servers. */
void	 fan_content(struct txn *);

#endif
