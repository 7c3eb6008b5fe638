/*
 * A link: one client session at smtpd and its session at the actual server.
 * It is named by smtpd's channel and the tid of p_open.
 *
 *	FIND ─▶ PLACE ─▶ CONNECT ─▶ GREETING ─(rule level: HELLO)─▶ UP ─▶ gone
 *	          ▲ └─ kept by idle.h: ─────────────────────────────▶┘
 *	          └─── next server ───┘
 *
 * With `tls`, secure.h's HELLO ─▶ STARTTLS ─▶ TLS comes behind GREETING, or TLS
 * alone before it. With `identity xclient`, at both levels: GREETING ─▶ HELLO ─▶ XCLIENT ─(rule
 * level: HELLO)─▶ UP, or straight on where the server does not have it.
 */
#ifndef PROXYD_LINK_H
#define PROXYD_LINK_H

#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/io/stream.h"
#include "common/lookup/find.h"
#include "common/lookup/srv.h"
#include "common/smtp/client.h"
#include "common/tls/client.h"
#include "proxyd/flow.h"
#include "proxyd/identity.h"

#define LINK_IN_MAX	(16 << 10)
#define LINK_OUT_MAX	(512 << 10)	/* pipelined commands, or the credit */
#define LINK_CONNECT_MS	5000		/* for one address */
#define LINK_GREETING_MS 10000		/* for one's words, if others follow */
#define LINK_TLS_MS	30000	/* for a handshake */
#define LINK_OPEN_MS	30000		/* for all of them */
#define LINK_DATA_MS	180000		/* RFC 5321, 4.5.3.2.5 */
#define LINK_CLOSE_MS	2000		/* for QUIT, and what comes of it */
#define LINK_LATE_MAX	(512 << 10)	/* commands that came behind content */

/* A channel to one smtpd worker and its links. */
struct smtpd;

enum link_phase { LINK_FIND, LINK_PLACE, LINK_CONNECT, LINK_GREETING,
    LINK_STARTTLS, LINK_TLS, LINK_HELLO, LINK_LEAVING, LINK_XCLIENT,
    LINK_UP };
struct link {
	LIST_ENTRY(link) entry;		/* of its smtpd */
	struct smtpd	*smtpd;
	struct chan	*chan;
	uint32_t	 tid;
	const struct conf_action *action;
	char		 session[17];
	char		*helo;		/* rule level: our EHLO; else NULL */
	struct identity	 who;		/* the client */
	enum link_phase	 phase;
	struct mono	 since;
	unsigned	 asked;		/* smtpd's commands not yet answered */
	struct flow	 flow;
	struct buf	 late;		/* messages that came behind p_end */
	/* the server */
	struct find	*find;
	struct place_want *want;
	struct hosts_cand *cands;	/* while connecting; the first nup … */
	size_t		 ncands, nup, next;	/* … are not down */
	char		*server;	/* "name[address]:port" */
	bool		 learned;	/* its keywords: caps.h */
	struct stream	*s;
	struct smtp_client *c;
	struct srv	*srv;
	struct addr	 at;		/* whose place it has; family 0: none */
	char		 host[DNS_NAME_MAX + 1];
	struct conf_tls	 tls;		/* what is asked of it */
	struct tls_facts secured;	/* what there is */
	bool		 hello_tls;	/* EHLO was said for STARTTLS */
	char		*welcome;	/* what it greeted with, until then */
	/* for idle.h */
	char		*greeting;	/* where it may be kept */
	unsigned	 uses, errors;	/* of the server's session */
	bool		 authed, mail_open;
	bool		 kept;		/* it was, and has not answered yet */
	bool		 greeted;	/* the client has its greeting */
	bool		 fresh;		/* only a new connection will do */
	struct buf	 again;		/* kept: what it has not answered */
};

/* The link that is looked at; NULL once it has been freed. */
extern struct link *link_alive;
extern const struct stream_ops link_stream_ops;

void	 link_init(struct proc *, const struct conf *, struct ask *);
/* A channel to a smtpd; one before of the same worker is dead. fd is taken. */
void	 link_peer(uint16_t worker, int fd);
/* The link of that tid on a channel, NULL if gone. */
struct link *link_get(struct chan *, uint32_t tid);
const struct conf *link_conf(void);
size_t	 link_count(void);
size_t	 link_count_smtpds(void);
uint64_t link_count_opened(void);
void	 link_each(void (*)(const struct link *, void *), void *arg);
/* All of them get this reply; for the end of a drain. */
void	 link_end_all(const char *text);

/* p_open's handler. */
void	 link_open(struct chan *, const void *msg, int fd);
/* One reply to smtpd, in pieces; it answers the oldest command. */
void	 link_reply(struct link *, uint16_t code, struct span text, bool own);
/* The session is of no use any more: answers the oldest command, if any, and
 * ends the link. text begins with an enhanced code. Frees. */
void	 link_fail(struct link *, uint16_t code, const char *text);
/* The same with what the server itself said. */
void	 link_refused(struct link *, uint16_t code, struct span text);
/* Tells smtpd that it is over, frees. */
void	 link_closed(struct link *, const char *why);
/* smtpd wants no more: QUIT if nothing is under way, else a cut. Frees. */
void	 link_drop(struct link *);
/* Time that the next thing may take, by what is waited for. */
void	 link_set_timer(struct link *);
void	 link_set_phase(struct link *, enum link_phase);
/* Closes the connection to the server, if there is one. */
void	 link_hang_up(struct link *);

#endif
