/*
 * What a way must offer: the queue (handoff_queue.c) or a live session to the
 * actual server (handoff_proxy.c). Content goes to one way as a whole; what is
 * decided later comes back through content.h.
 */
#ifndef SMTPD_HANDOFF_H
#define SMTPD_HANDOFF_H

#include "common/proc/start.h"
#include "smtpd/txn.h"

struct handoff {
	const char	*name;		/* in the log: way= */
	bool		 streams;	/* content goes on as it comes, with our
					 * fields at its front */
	/* Takes or refuses a recipient: answers the command, now or later. */
	void		(*rcpt)(struct txn *, struct rcpt *, struct cmd *);
	/* Content is to come: content_ready() or content_refuse(), now or
	 * later. */
	void		(*begin)(struct txn *);
	/* Takes from buf what it has room for; content_go() when there is room
	 * again. */
	void		(*write)(struct txn *, struct buf *);
	/* The rest, and the end of it: from here on it is the way's decision.
	 * content_done() later. */
	void		(*end)(struct txn *, struct buf *);
	/* Nothing of it may stay. */
	void		(*abort)(struct txn *);
};

extern const struct handoff handoff_queue, handoff_proxy, handoff_fan;

/* A session of a proxied listener begins: its server is asked for; the greeting
 * comes when the server has greeted. */
void	 proxy_begin(struct session *);
/* A command that needs the actual server, whose session was cut: it runs once a
 * new one is there, which can do all that the client has been told; else 421. */
void	 proxy_renew(struct cmd *, struct span arg);
/* The channel to queued; one before is dead. fd is taken. */
void	 queue_init(struct proc *);
void	 queue_peer(int fd);
/* Would the queue take a message now? Else the reply, text static. */
bool	 queue_takes(uint16_t *code, const char **text);
/* The queue beside a live way (tee.h): bytes that it has credit for; its last
 * ones and the commit; false: it is away. */
bool	 queue_beside(struct txn *, struct span);
bool	 queue_commit(struct txn *, struct buf *rest);
/* What it has is taken back, or it is past that. */
void	 queue_leave(struct txn *);
/* Nobody knows whether it is ours: the client gets no reply. */
void	 queue_silent(struct session *);
/* The session ended with nothing behind the 250 for this message. */
void	 queue_fate(uint64_t id);

#endif
