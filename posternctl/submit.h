/*
 * Handing a message to the gateway, as often as it takes within a time. Each
 * recipient is handed over at most once: where it cannot be known whether the
 * gateway has it, that is the end, and said.
 */
#ifndef POSTERNCTL_SUBMIT_H
#define POSTERNCTL_SUBMIT_H

#include "posternctl/link.h"
#include "posternctl/spill.h"

#include "common/smtp/param.h"

/*
 * state	what happened				next
 * WAITING	nothing yet, or 4xx, or no gateway	TAKEN, REFUSED
 * TAKEN	RCPT was answered 250			SENT, REFUSED, DOUBT,
 *						or WAITING
 * SENT		the content was answered 250		-
 * REFUSED	5xx, to it or to the content		-
 * DOUBT	the content was sent, the reply never came	-
 */
enum rcpt_state {
	RCPT_WAITING, RCPT_TAKEN, RCPT_SENT, RCPT_REFUSED, RCPT_DOUBT
};
struct submit_rcpt {
	char			*addr;		/* as in RCPT TO:<> */
	enum rcpt_state		 state;
	bool			 content;	/* refused with its content */
	uint16_t		 code;		/* of the refusal */
	char			*reply;		/* that reply, flat; NULL */
};
struct submission {
	struct link_place	 place;
	struct span		 from;		/* as in MAIL FROM:<> */
	struct smtp_mail_params	 mail;
	struct smtp_rcpt_params	 rcpt;
	struct submit_rcpt	*rcpts;
	size_t			 nrcpts;
	struct span		 head;		/* canonical, as the body */
	const struct spill	*body;
	int64_t			 retry_ms;
	bool			 verbose;
	char			 why[512];	/* of what waits or is in doubt */
};
/* Tries until no recipient waits or the time is over. */
void	 submit(struct submission *);
/* How many are in that state. */
size_t	 submit_count(const struct submission *, enum rcpt_state);
/* What refusal r is, in sysexits(3). */
int	 submit_status(const struct submit_rcpt *);
/* Frees the recipients' replies. */
void	 submit_clear(struct submission *);

#endif
