/*
 * Who waits for queued's answers about a message: a transaction for the queue
 * (handoff_queue.c) or one of several ways (prepare.c). quser.c has the channel.
 */
#ifndef SMTPD_QUSER_H
#define SMTPD_QUSER_H

#include "common/ipc/chan.h"

struct quser;
struct quser_ops {
	void	(*credit)(struct quser *, uint32_t bytes);
	void	(*result)(struct quser *, const struct ipc_q_result *);
	/* To a q_ask, in doubt; forgotten before. */
	void	(*have)(struct quser *, bool have);
	/* NULL: it is never prepared. */
	void	(*finished)(struct quser *, enum q_status);
	/* queued is lost: quser_doubt() if an answer is waited for, or
	 * quser_forget(). */
	void	(*lost)(struct quser *);
	/* Another queued is there, for one in doubt. */
	void	(*back)(struct quser *);
	/* None was for DOUBT_S; forgotten before. */
	void	(*over)(struct quser *);
};
/* Embedded in its owner; zeroed but for ops, arg and id. */
struct quser {
	const struct quser_ops *ops;
	void		*arg;
	uint64_t	 id;		/* of the message */
	uint32_t	 tid;		/* 0: queued has not heard of it */
	struct event	*doubt;		/* until queued says what it has */
};

/* The channel to queued, NULL while it is away. */
struct chan *quser_chan(void);
/* Does the queue take mail now? Why not, or NULL. */
bool	 quser_open(const char **why);
/* A number for it. False: queued is away, or there are too many. */
bool	 quser_add(struct quser *);
/* Nothing is waited for any more. */
void	 quser_forget(struct quser *);
void	 quser_doubt(struct quser *);

#endif
