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
/* A channel to keyd; the one before is dead. fd is taken. What waits is asked
 * again. */
void	 sender_peer(struct sender *, uint16_t worker, int fd);
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
/*
 * In deliverd keyd answers other questions over the same channel (k_auth):
 * joined gets each new one and NULL when it is gone, answered what comes.
 */
void	 sender_share(struct sender *, void (*joined)(struct chan *),
	    void (*answered)(const struct ipc_k_auth_answer *));
void	 sender_cancel(struct sender *, uint32_t number);

#endif
