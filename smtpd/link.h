/*
 * A live session at an actual server, seen from the client's side: a number on
 * the channel to a proxyd. Commands go over typed, replies come back in their
 * order, content on credit. What the replies mean is for its owner's link_ops;
 * a session may have several links.
 */
#ifndef SMTPD_LINK_H
#define SMTPD_LINK_H

#include "common/proc/start.h"
#include "common/smtp/param.h"
#include "smtpd/session.h"

#define LINK_CREDIT	(128 << 10)	/* bytes that are granted at first */
#define LINK_REPLY_MAX	(40 << 10)	/* 64 lines of 512 octets, joined */

enum link_ask { ASK_OPEN, ASK_EHLO, ASK_MAIL, ASK_RCPT, ASK_DATA, ASK_END,
    ASK_AUTH, ASK_QUIT, ASK_PLAIN /* the reply is passed on, no more */ };

/* A command that proxyd has not answered yet. */
struct link_wait {
	STAILQ_ENTRY(link_wait) entry;
	enum link_ask	 what;
	struct cmd	*cmd;		/* NULL: nobody waits for the reply */
	uint64_t	 txn;		/* its transaction */
	size_t		 rcpt;		/* RCPT: its number */
	struct twin	*twin;		/* mirror.c's; NULL: none */
};

/* What came back. The owner may close the link in `reply` and `credit`. */
struct link;
struct link_ops {
	void	(*reply)(struct link *, const struct link_wait *, uint16_t code,
		    struct span text, bool own);
	/* There is room for content again. */
	void	(*credit)(struct link *);
	/* It is over, and freed after this: the owner forgets it here.
	 * Unanswered commands are still in waits. */
	void	(*closed)(struct link *, const char *why);
};

struct proxy;				/* a channel to one proxyd */
struct link {
	const struct link_ops *ops;
	void		*arg;		/* the owner's */
	LIST_ENTRY(link) entry;
	struct proxy	*proxy;
	uint32_t	 tid;
	struct session	*s;		/* of the client */
	const struct conf_action *action;
	bool		 up;		/* the server has greeted */
	struct smtp_caps caps;
	char		*others;	/* keywords that we do not know, LF
					 * between; gone once they were told */
	char		*server;
	STAILQ_HEAD(link_waits, link_wait) waits;
	struct buf	 text;		/* pieces of a reply */
	uint64_t	 credit;
	struct mirror	*mirror;	/* NULL: it has none */
};

void	 link_init(struct proc *, const struct conf *);
/* A channel to a proxyd; one before of the same worker is dead. fd is taken. */
void	 link_peer(uint16_t worker, int fd);
/* The channel to the proxyd with the fewest links; NULL: there is none. */
struct chan *link_proxy(void);
/* Opens one for the session, by the action, which outlives it; so does arg.
 * helo: rule level, our side says EHLO with it; empty: the client's own
 * commands go over. NULL: no proxyd. */
struct link *link_open(const struct link_ops *, void *arg, struct session *,
	    const struct conf_action *, struct span helo, struct cmd *);
/* Ends it: QUIT to the server, or a cut if content is under way. Takes NULL. */
void	 link_close(struct link *);

/* Each sends one command; cmd, or NULL, waits for its reply. */
void	 link_ehlo(struct link *, struct cmd *, bool ehlo, struct span name);
void	 link_mail(struct link *, struct cmd *, const struct txn *);
void	 link_rcpt(struct link *, struct cmd *, const struct txn *, size_t n);
void	 link_data(struct link *, struct cmd *, const struct txn *);
void	 link_rset(struct link *, struct cmd *);
void	 link_noop(struct link *, struct cmd *);
void	 link_ask(struct link *, struct cmd *, enum smtp_verb, struct span arg);
void	 link_auth(struct link *, struct cmd *, struct span mech,
	    bool has_initial, struct span initial);
void	 link_auth_line(struct link *, struct cmd *, struct span line);
void	 link_quit(struct link *, struct cmd *);
/* Content: as much of buf as there is credit for; the rest and the end. */
void	 link_write(struct link *, struct buf *);
void	 link_put(struct link *, struct span);	/* within the credit */
void	 link_end(struct link *, struct buf *, const struct txn *);
/* Nothing of the content may stay. True: the server's transaction is reset, the
 * link goes on. False: it can't be without a cut, link_close() is left. */
bool	 link_abort(struct link *);
/* What another link was sent, for this one; its tid is set here. */
void	 link_pass(struct link *, enum link_ask, struct twin *, uint16_t type,
	    void *msg);

#endif
