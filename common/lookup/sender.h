/*
 * Rewritten senders (SRS), asked of keyd, which alone has their secret: by
 * deliverd for the address that goes out, by smtpd for the one that came back.
 */
#ifndef LOOKUP_SENDER_H
#define LOOKUP_SENDER_H

#include "common/proc/start.h"

#define SENDER_MAX		4096	/* questions at a time */
#define SENDER_TIMEOUT_MS	10000

struct sender;

/* role: the caller's, IPC_DELIVERD or IPC_SMTPD. */
struct sender *sender_new(struct proc *, enum ipc_role);
/* The channel to keyd, which is the caller's; NULL: it is gone. What waits is
 * asked again. */
void	 sender_join(struct sender *, struct chan *);
enum sender_answer {
	SENDER_OK,		/* address has it */
	SENDER_NO,		/* there is none; why says why */
	SENDER_LATER		/* keyd did not answer in time */
};
/*
 * Asks for the address that stands for the sender `what` (deliverd), or that
 * the local part `what` stands for (smtpd). done is called once, never from
 * within; address and why are borrowed. 0: too many questions, or too long;
 * else a number for sender_cancel().
 */
uint32_t sender_ask(struct sender *, struct span what,
	    void (*done)(void *arg, enum sender_answer, struct span address,
	    struct span why), void *arg);
/* What came over the channel: in deliverd, in smtpd. */
void	 sender_made(struct sender *, const struct ipc_k_srs_made *);
void	 sender_answered(struct sender *, const struct ipc_k_srs_sender *);
void	 sender_cancel(struct sender *, uint32_t number);

#endif
