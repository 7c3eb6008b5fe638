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
/* What the client gets of a reply that came over a link: as it was, or plain,
 * then in the buffer, which the caller clears. */
struct span proxy_said(const struct link *, uint16_t code, struct span text,
	    struct buf *);
/* Answers with it. */
void	 proxy_answer(const struct link *, struct cmd *, uint16_t code,
	    struct span text);
extern const struct link_ops proxy_link_ops;
/* XCLIENT tells the client's name, once and for all, so it is waited for. True:
 * done is called, with the session, when it is there. */
bool	 proxy_name_first(struct session *, const struct conf_action *,
	    void (*done)(void *));

/* ---- proxy_listen.c ---- */
/* The reply to p_open on a proxied listener. */
void	 proxy_greeted(struct session *, uint16_t code, struct span text);
/* The reply to the EHLO or HELO of proxy_renew(). */
void	 proxy_renewed(struct session *, uint16_t code, struct span text);
/* The command that waits for another server session runs. */
void	 proxy_go_on(struct session *);

/* ---- proxy_rule.c ---- */
/* Answers a recipient that waits; l: the link that said so, NULL: we do. */
void	 proxy_refuse(struct txn *, struct rcpt *, struct cmd *,
	    uint16_t code, struct span text, const struct link *l);
/* The same with what the server, which is no use now, said at its greeting or
 * to EHLO: whatever it was, the client keeps the message. */
void	 proxy_no_server(struct txn *, struct rcpt *, struct cmd *,
	    uint16_t code, struct span text, const struct link *);
/* What the server can't do of what MAIL and RCPT ask for; NULL if nothing. */
const char *proxy_lacking(const struct link *, const struct txn *,
	    const struct rcpt *, uint16_t *code);
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
/* Of a message that is whole: it was here before as `first`, or (0) was not. */
void	 proxy_again(struct txn *, uint64_t first);
/* The link has ended, and the server's answer to the dot is not known. */
void	 proxy_in_doubt(struct link *, struct txn *);

#endif
