/*
 * Between the files of the way to the actual server: handoff_proxy.c, which
 * hands on what a link says; proxy_listen.c, the session of a proxied listener;
 * proxy_rule.c, the one of a rule; proxy_content.c, the message.
 */
#ifndef SMTPD_PROXY_H
#define SMTPD_PROXY_H

#include "smtpd/handoff.h"
#include "smtpd/link.h"

#define NO_SERVER	"4.4.1 The server cannot be reached now"

/* ---- handoff_proxy.c ---- */
extern const struct link_ops proxy_link_ops;

/* ---- proxy_listen.c ---- */
/* The reply to p_open on a proxied listener. */
void	 proxy_greeted(struct session *, uint16_t code, struct span text);
/* The reply to the EHLO or HELO of proxy_renew(). */
void	 proxy_renewed(struct session *, uint16_t code, struct span text);

/* The command that waits for another server session runs. */
void	 proxy_go_on(struct session *);

/* ---- proxy_rule.c ---- */
/* Answers a recipient that waits. */
void	 proxy_refuse(struct txn *, struct rcpt *, struct cmd *,
	    uint16_t code, struct span text, const char *server);
/* A recipient of either level: the way's `rcpt`. */
void	 proxy_rcpt(struct txn *, struct rcpt *, struct cmd *);
/* The reply to p_open; the recipient that waits is the last one. */
void	 proxy_rule_opened(struct link *, struct cmd *, uint16_t code,
	    struct span text);

/* ---- proxy_content.c: what struct handoff says ---- */
void	 proxy_content(struct txn *);
void	 proxy_alone(struct txn *);	/* only the queue has recipients left */
void	 proxy_write(struct txn *, struct buf *);
void	 proxy_end(struct txn *, struct buf *);
void	 proxy_abort(struct txn *);

#endif
