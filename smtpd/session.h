/*
 * A session: one client's connection from its greeting to its end (RFC 5321,
 * 3.1). Here are its phases, the queue of its commands and the one place that
 * writes replies. What is read, and when, is reader.h's; whose turn it is,
 * dispatch.h's; what each command means is in the cmd_*.c files.
 *
 *	CONNECT ─▶ GREETED ─EHLO─▶ READY ─MAIL─▶ MAIL ─RCPT─▶ RCPT ─┬─▶ DATA
 *	                             ▲  ▲                            └─▶ BDAT
 *	                  AUTH ◀─────┘  └──── end of the transaction ────┘
 *	GREETED, READY ─XCLIENT─▶ CONNECT	any ─▶ CLOSING
 *	READY ─STARTTLS─▶ TLS ─▶ GREETED	`smtps`: TLS ─▶ CONNECT
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "common/conf/conf.h"
#include "common/io/stream.h"
#include "common/smtp/command.h"
#include "common/smtp/ehlo.h"
#include "common/smtp/line.h"
#include "smtpd/peer.h"

#define SESSION_IN_MAX	(32 << 10)	/* bytes read ahead of a client */
#define SESSION_OUT_MAX	(256 << 10)	/* replies that a client has not read */
#define SESSION_OUT_MARK (8 << 10)	/* more of them: it is not read */
#define SESSION_CMDS_MAX 64		/* commands in work at a time */
#define SESSION_BARE_MAX 3		/* lines with bare CR, LF or NUL */
#define SESSION_VAIN_MAX 20		/* NOOP, RSET, … without a message */
#define SESSION_IDLE_MS	300000		/* RFC 5321, 4.5.3.2.7 */
#define SESSION_LINE_MS	60000		/* from its first byte to its CR LF */
#define SESSION_TXN_MS	1800000		/* a transaction */
#define SESSION_WAIT_MS	1200000		/* for another process, whatever it does */
#define SESSION_RATE_MS	60000		/* content: in each such window … */
#define SESSION_RATE_BYTES 6000		/* … at least so much: 100 bytes/s */
#define SESSION_LINGER_MS 2000		/* to get the last reply out */

enum phase { PH_CONNECT, PH_TLS, PH_GREETED, PH_READY, PH_AUTH, PH_MAIL,
    PH_RCPT, PH_DATA, PH_BDAT, PH_CLOSING, PH_MAX };

struct txn;
struct link;
struct known_wait;
struct auth;
struct own;
struct dove;
struct session;

/* Where a connection comes from. */
struct origin {
	struct addr	 local;		/* the listening socket */
	struct addr	 client;	/* family 0: the submission socket */
	/* Family 0, but if someone who may has announced the client: who that
	 * was, and what the client had connected to, if that was said. */
	struct addr	 via, dest;
	bool		 nameless;	/* nobody was announced: client is via */
};

/* A command that waits for its reply, in the order they came. */
struct cmd {
	STAILQ_ENTRY(cmd) entry;
	struct session	*s;
	enum smtp_verb	 verb;
	uint16_t	 code;		/* 0: not answered yet */
	char		*text;		/* its reply, until it is its turn */
};

enum session_timer { TIMER_NONE, TIMER_GREET, TIMER_TLS, TIMER_IDLE,
    TIMER_LINE, TIMER_CONTENT, TIMER_WAIT };

#define SESSION_BINDING	32

struct session {
	LIST_ENTRY(session) entry;
	STAILQ_ENTRY(session) soon;	/* to be run or freed in this pass */
	bool		 soon_set;
	const struct conf_listen *listen;
	struct addr	 local;		/* the listening socket */
	struct addr	 client;	/* family 0: the submission socket */
	struct addr	 via, dest;	/* see struct origin */
	bool		 nameless;
	bool		 xclient;	/* XCLIENT was used */
	char		 id[ID_STRLEN];
	enum phase	 phase;
	struct stream	*stream;	/* NULL: the client is gone */
	/* Version and cipher once TLS stands, static; NULL: it does not. */
	const char	*tls, *cipher;
	/* RFC 9266's name of its TLS, to bind a login to; length 0: none. */
	uint8_t		 binding[SESSION_BINDING];
	size_t		 binding_len;
	char		*cert;		/* SHA-256 of the client's certificate in
					 * hex; NULL: it has shown none */
	struct smtp_line_state line;
	STAILQ_HEAD(cmds, cmd) cmds;
	unsigned	 ncmds;
	struct cmd	*greet;		/* XCLIENT, answered by a greeting */
	struct cmd	*barrier;	/* nothing is read until it is answered */
	struct txn	*txn;
	LIST_HEAD(, known_wait) known;	/* recipients being verified */
	uint32_t	 question;	/* to keyd, of the last command; or 0 */
	/* A proxied listener: the session at the actual server. Else: the one
	 * of the rule that this transaction, or the last one, went by. */
	struct link	*link;
	/* The command that waits for a new session at the actual server, behind
	 * one that was cut (proxy_listen.c). */
	struct {
		struct cmd	*cmd;	/* NULL: none */
		char		*arg;
	} renew;
	struct link	*auth_link;	/* to the server of `auth via`; or NULL */
	/* A proxied listener without its server: regular for the rest, for
	 * who is known (failover.h). */
	bool		 fallen;
	struct peer	 peer;
	char		*helo;		/* NULL: none yet */
	bool		 esmtp;		/* said with EHLO */
	uint32_t	 caps;		/* enum smtp_cap, as announced */
	uint64_t	 size_max;	/* as announced */
	char		*auth_told;	/* mechanisms, as announced; or NULL */
	struct auth	*auth;		/* the exchange in work; or NULL */
	struct own	*own;		/* and its part that is ours; or NULL */
	struct dove	*dove;		/* or Dovecot's; or NULL */
	char		*user;		/* as authenticated; NULL: unknown */
	unsigned	 auth_failures;
	bool		 authed;	/* an actual server has said 235 */
	bool		 layer;		/* what follows may be no SMTP */
	/* A chunk of BDAT that is refused: its bytes, then its reply. */
	struct {
		uint64_t	 left;
		struct cmd	*cmd;	/* NULL: none */
		uint16_t	 code;
		char		*text;
		struct mono	 since;
	} swallow;
	unsigned	 errors, bare, vain;
	unsigned	 commands, messages;
	unsigned	 mails;		/* MAIL commands, taken or not */
	struct mono	 since, last;	/* began; last command */
	enum session_timer timer;
	uint64_t	 window;	/* content bytes since the timer began */
	bool		 window_held;	/* reading stood still in it */
	/* The message that the last reply said 250 for, and nothing came since;
	 * 0: none, or it is nobody's concern (`recognise-retry`). */
	uint64_t	 told;
	bool		 told_live;	/* by an actual server: window.h */
	uint8_t		*told_digest;	/* of that one; NULL: none */
	bool		 lost;		/* ended by the client's silence */
	bool		 paused, running, eof, dead;
	bool		 auth_said;	/* what follows may be a secret */
	/* Static; nothing is read any more, and this is why it ends once all
	 * commands have been answered. */
	const char	*bye;
	const char	*why;		/* of its end, static */
};

/* What a session's number of sockets and such is worked out from. */
void	 session_init(struct event_base *, const struct conf *);
const struct conf *session_conf(void);
struct event_base *session_base(void);
/* Takes fd. */
void	 session_new(const struct conf_listen *, const struct origin *, int fd);
size_t	 session_count(void);
/* Since this worker began. */
struct session_stats {
	uint64_t	 connections, commands, accepted, proxied, refused;
	uint64_t	 copies, copies_failed;	/* of what went live (tee.h) */
	uint64_t	 failovers;	/* sessions and transactions */
	uint64_t	 tls, tls_failed;	/* handshakes */
	uint64_t	 tls_injected;	/* plain text behind STARTTLS */
	/* Times that one side of the live way could not know (window.h). */
	uint64_t	 window_client, window_server;
};
struct session_stats *session_stats(void);
void	 session_each(void (*)(struct session *, void *), void *arg);
/* Is it, as a whole, the actual server's? */
bool	 session_proxied(const struct session *);
/* Whom others may be told that it is; family 0: nobody. */
struct addr session_named(const struct session *);
/* Submission socket or loopback: what `from local` means. Not whom a balancer on
 * loopback does not name. */
bool	 session_local(const struct session *);
/* May passwords be said: over TLS, or because the listener says so? */
bool	 session_secure(const struct session *);
const char *session_phase_name(enum phase);

/* The only place that changes the phase. */
void	 session_phase(struct session *, enum phase);
/*
 * Answers a command; text begins with the enhanced code, lines are divided by
 * LF. The reply goes out when those before it have. The command is gone then.
 * What else the caller does with the session has been done before.
 */
void	 session_answer(struct cmd *, uint16_t code, struct span text);
/* The same from us: a 5xx counts towards `limit errors`. A refusal on a proxied
 * listener carries our name behind its enhanced code, so that one sees who said
 * it. */
void	 session_reply(struct cmd *, uint16_t code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* Nothing of the client is read until this command has been answered, or let
 * go. */
void	 session_hold(struct cmd *);
void	 session_unhold(struct cmd *);
/* A command without a line of its own: the end of content. */
struct cmd *session_cmd(struct session *, enum smtp_verb);
/* What comes first, at once or after TLS: a delay, or the greeting. */
void	 session_first(struct session *);
/* Greets, or asks for the actual server's greeting. */
void	 session_begin(struct session *);
/* The first line of all. */
void	 session_greet(struct session *, uint16_t code, struct span text);
/* Something waited for has come: goes on reading, later in this pass. */
void	 session_go(struct session *);
/* No further command is read; the end comes behind the last reply. Called
 * before that one is given. why as in session_end(). */
void	 session_last(struct session *, const char *why);
/* 421 (or the like) and the end, without waiting for what has not been answered
 * (RFC 5321, 3.8); text as in session_answer(). */
void	 session_fail(struct session *, uint16_t code, struct span text,
	    const char *why);
/* The same with the actual server's words, which stay as they are; logged is
 * what the log says. */
void	 session_cut(struct session *, uint16_t code, struct span text,
	    struct span logged, const char *why);
/* Sends what is buffered and ends. why is static, for the log. It is freed at
 * the end of this pass, or when a commit on its way has ended. */
void	 session_end(struct session *, const char *why);
/* May it be ended while nobody notices? No transaction, no command. */
bool	 session_idle(const struct session *);
/* Nothing came behind the 250 that was `told`: whom it concerns hears of it. */
void	 session_unheard(struct session *);
/* Nothing is held of it by anybody any more: called when a commit ended. */
void	 session_release(struct session *);

#endif
