/*
 * Content on its way through: from smtpd's chunks, on credit, to the server, by
 * DATA or by BDAT, without being stored. What is on the way is bounded by the
 * credit; nothing but smtpd's p_end makes a message of it.
 *
 *	NONE ─▶ ASKED (DATA sent) ─354─▶ DATA ────────────┐
 *	  │         └─354, nobody to take it─▶ EMPTY       ├─p_end─▶ END ─▶ NONE
 *	  └─▶ WAIT (BDAT: earlier replies first) ─▶ BDAT ──┘
 *	                                 refused: SWALLOW ─┘
 *	BDAT, SWALLOW ─p_abort─▶ NONE
 */
#ifndef PROXYD_FLOW_H
#define PROXYD_FLOW_H

#include "common/smtp/client.h"
#include "common/smtp/content.h"

#define FLOW_CREDIT	(128 << 10)	/* bytes that smtpd may be ahead */
#define FLOW_CREDIT_STEP (32 << 10)	/* given back in pieces of this */
#define FLOW_HELD_MAX	(FLOW_CREDIT + (64 << 10))

struct link;

enum flow_mode { FLOW_NONE, FLOW_ASKED, FLOW_DATA, FLOW_EMPTY, FLOW_WAIT,
    FLOW_BDAT, FLOW_SWALLOW, FLOW_END };
struct flow {
	enum flow_mode	 mode;
	bool		 ended;		/* p_end has come */
	unsigned	 taken;		/* recipients that the server took */
	unsigned	 resets;	/* RSETs of ours on the way */
	unsigned	 stale;		/* chunks of aborted content, unanswered */
	uint64_t	 in, credited;	/* bytes of this content */
	struct smtp_content_out so;
	struct buf	 held;		/* BDAT: till the last one's reply */
	uint16_t	 code;		/* SWALLOW: the refusal */
	char		*text;
};

void	 flow_init(struct flow *);
void	 flow_clear(struct flow *);
/* Commands of smtpd. False: smtpd broke the order or its credit. All may end
 * the link. */
bool	 flow_begin(struct link *);
bool	 flow_chunk(struct link *, struct span);
bool	 flow_end(struct link *, struct span);
/* Between chunks: the server's transaction is reset. */
bool	 flow_abort(struct link *);
/* The server's replies to DATA, dot and BDAT. May end the link. */
void	 flow_reply(struct link *, const struct smtp_client_event *);
/* After any reply: may BDAT begin now? */
void	 flow_go_on(struct link *);
/* Bytes have left for the server. */
void	 flow_credit(struct link *);
/* Is part of a message at the server, or under way to it? */
bool	 flow_open(const struct flow *);
bool	 flow_wants_chunks(const struct flow *);

#endif
