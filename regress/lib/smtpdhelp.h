/*
 * For tests of smtpd's sessions: one worker's real objects in this process, and
 * around them clients over socket pairs, a queued, a proxyd and a lookupd that
 * do what a test says, all on one event base. The stand-ins hold what they get
 * against the protocol (msg.def) and abort(3) on a breach.
 */
#ifndef REGRESS_SMTPDHELP_H
#define REGRESS_SMTPDHELP_H

#include <openssl/ssl.h>

#include "common/conf/conf.h"
#include "common/ipc/chan.h"
#include "common/smtp/ehlo.h"
#include "smtpd/session.h"

#define WORLD_REPLY_MAX	(64 << 10)
#define WORLD_LOG_MAX	(32 << 10)	/* what a stand-in has heard */
#define WORLD_CONTENT_MAX (2 << 20)	/* bytes of a message kept */
#define WORLD_SOURCE	"192.0.2.7"	/* of clients, unless it is named */

extern struct event_base	*world_base;
extern struct conf		*world_conf;	/* a test may turn its limits */
extern uint16_t			 world_sessions; /* before world_init() */
extern unsigned			 world_auth_sockets;	/* asked for */
extern unsigned			 world_reports;	/* of peers, to the parent */

/* Once a program. smtpd has its peers then, but for lookupd. */
void	 world_init(const char *conf_text);
/* Passes of the loop that do not wait. */
void	 world_pass(int n);
void	 world_run(void);	/* as many as any one exchange takes */
/* All clocks, libevent's too, jump ahead; what is due then runs. */
void	 world_skip_ms(int64_t ms);
/* NULL if nothing is left of any session, link or transaction. */
const char *world_leak(void);
/* Whatever a test that failed has left: all anew. */
void	 world_reset(void);

/* ---- clients ---- */
struct client {
	LIST_ENTRY(client) entry;
	int		 fd;
	struct session	*s;		/* valid while it lives */
	char		 in[WORLD_REPLY_MAX];
	size_t		 len;
	bool		 closed;
	SSL		*ssl;		/* NULL: in clear */
	char		 reply[WORLD_REPLY_MAX];
};
struct client *client_new(unsigned listen, const char *from);
/* Goes on as TLS with a client's SSL, which it takes; did that succeed? */
bool	 client_tls(struct client *, SSL *);
void	 client_free(struct client *);
/* Sends all that the socket takes; how much that was. */
size_t	 client_write(struct client *, const void *, size_t);
/* Sends a line, adding CR LF, and runs. */
void	 client_say(struct client *, const char *line);
/* Sends these bytes and runs. */
void	 client_send(struct client *, const char *bytes);
/* The next reply, "250-one|250 two"; NULL: none is whole. Runs before. */
const char *client_reply(struct client *);
/* The same without a pass of the loop. */
const char *client_next(struct client *);
/* Has smtpd closed, with nothing left to read? */
bool	 client_closed(struct client *);

/* ---- queued ---- */
struct queued {
	struct chan	*chan;		/* NULL: away */
	char		 log[WORLD_LOG_MAX];	/* "env a@b;rcpt c@d x;commit 9;" */
	unsigned	 envs, commits, aborts, asks;
	unsigned	 open;		/* transactions */
	uint32_t	 tid;		/* the last one */
	uint64_t	 id;
	uint64_t	 lost;		/* of the last q_fate */
	unsigned	 fates;
	uint64_t	 live_lost;	/* of the last q_lost */
	unsigned	 asked_again;	/* q_agains */
	bool		 silent;	/* does not answer them */
	unsigned	 settles, finishes;	/* the last q_finish: tid, id */
	bool		 digested;	/* the last commit; and so: */
	uint8_t		 digest[32];
	uint64_t	 got;		/* content bytes, so far or in all */
	char		*content;	/* the last message with our fields */
	size_t		 content_len;
	/* What it does by itself. */
	bool		 hold;		/* no q_result until it is told */
	bool		 stingy;	/* no q_credit until it is told */
	uint8_t		 status;	/* enum q_status */
	uint32_t	 source_count;	/* the last q_source */
	char		 source[ADDR_STRLEN];
	unsigned	 guesses;	/* of all q_guess, and of the last: */
	uint8_t		 guess[IPC_GUESS_KEY];
	uint64_t	 guess_window;
	/* A test of verification answers; without it nobody may ask. */
	void		(*v_ask)(const struct ipc_v_ask *);
	void		(*v_tell)(const struct ipc_v_tell *);
};
extern struct queued	 queued;
void	 queued_start(void);
void	 queued_die(void);
void	 queued_result(uint8_t status);
void	 queued_credit(uint32_t bytes);
void	 queued_have(bool);
void	 queued_finished(uint8_t status);
void	 queued_state(bool open, const char *why);
void	 queued_source_total(const char *source, uint32_t count);
void	 queued_guess_total(uint32_t failed);	/* of the name told last */
void	 queued_reset(void);	/* forgets what it heard, does as by default */

/* ---- proxyd ---- */
enum asked { ASKED_OPEN, ASKED_EHLO, ASKED_MAIL, ASKED_RCPT, ASKED_DATA,
    ASKED_END, ASKED_RSET, ASKED_NOOP, ASKED_ASK, ASKED_AUTH, ASKED_AUTH_LINE,
    ASKED_QUIT, ASKED_MAX };
struct proxyd {
	struct chan	*chan;		/* NULL: away */
	char		 log[WORLD_LOG_MAX];	/* "open live;mail a@b;…" */
	unsigned	 links;		/* open ones */
	/* Of the link opened last: "client local rdns helo", "-" for none, "?"
	 * for a name that may be known later. */
	char		 who[1024];
	uint32_t	 tid;		/* of the link opened last */
	uint32_t	 before;	/* of the one before it */
	uint64_t	 got;		/* content bytes */
	char		*content;
	size_t		 content_len;
	bool		 hold;		/* answers when it is told */
	bool		 stingy;	/* no p_credit until it is told */
	struct smtp_caps caps;
	const char	*others;	/* keywords, LF between; NULL: none */
	/* The reply to each; code 0: the usual one. */
	struct { uint16_t code; const char *text; } on[ASKED_MAX];
	/* Instead of all of the above; may answer. */
	void		(*asked)(uint32_t tid, enum asked);
	void		(*verify)(const struct ipc_p_verify *);	/* as v_ask */
	unsigned	 proofs;	/* strangers that were asked for … */
	uint8_t		 strange;	/* … and the answer, enum v_state */
	void		(*relay)(const struct ipc_p_relay *);	/* or: closed */
};
extern struct proxyd	 proxyd;
void	 proxyd_start(void);
void	 proxyd_die(void);
/* Answers the first command of the link that waits; code 0: as usual. False:
 * none waits. */
bool	 proxyd_answer(uint32_t tid, uint16_t code, const char *text);
unsigned proxyd_waiting(uint32_t tid);
void	 proxyd_credit(uint32_t tid, uint32_t bytes);
void	 proxyd_close(uint32_t tid, const char *why);
void	 proxyd_reset(void);

/* ---- lookupd ---- */
struct lookupd {
	struct chan	*chan;		/* NULL: away */
	unsigned	 asked;
	uint32_t	 tid;		/* the last question */
	uint8_t		 type;
	char		 name[256];
};
extern struct lookupd	 lookupd;
void	 lookupd_start(void);
/* Answers the last question with a record: name or address; NULL: none. */
void	 lookupd_answer(uint8_t status, const char *record);

#endif
