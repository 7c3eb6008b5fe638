/*
 * Between verify.c, which has the destinations and their questions, and
 * verify_conn.c, which has their connections.
 */
#ifndef PROXYD_VERIFY_I_H
#define PROXYD_VERIFY_I_H

#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/io/stream.h"
#include "common/smtp/client.h"
#include "common/tls/client.h"
#include "proxyd/verify.h"

typedef void vtold(void *arg, uint8_t state, const char *reply,
	    const char *server);

struct vquestion {
	TAILQ_ENTRY(vquestion) entry;
	struct vdest	*dest;
	struct chan	*chan;		/* NULL: nobody wants to know */
	vtold		*told;		/* instead of it; or NULL */
	void		*arg;
	uint32_t	 tid;
	char		*to;		/* "": only whether it is there */
	bool		 probe;
	bool		 said;		/* in a batch: RCPT is answered; state … */
	uint8_t		 state, any;
	char		 reply[301];
	unsigned	 tries;
	struct mono	 since;
};
TAILQ_HEAD(vquestions, vquestion);

enum vphase { V_CONNECT, V_GREETING, V_HELLO, V_STARTTLS, V_TLS, V_IDLE, V_BATCH, V_RESET };
struct vconn {
	LIST_ENTRY(vconn) entry;
	struct vdest	*dest;
	enum vphase	 phase;
	struct mono	 since;		/* of the first connect, or of IDLE */
	struct hosts_cand *cands;	/* while connecting */
	size_t		 ncands, next;
	char		*server;	/* "name[address]:port" */
	struct conf_tls	 tls;		/* what is asked of it */
	struct tls_facts secured;
	struct stream	*s;
	struct smtp_client *c;
	struct vquestion *batch[VERIFY_BATCH];
	size_t		 nbatch;
	unsigned	 left;		/* replies that the batch waits for */
	bool		 mail_ok;
	unsigned	 refused;
};

struct vdest {
	LIST_ENTRY(vdest) entry;
	const struct conf_action *action;
	char		*target;
	struct conf_action to;		/* the action with the target's servers */
	struct conf_pool *list;		/* of a table's value, or NULL */
	/* No connection is kept: a session has the rules of its beginning. */
	bool		 fresh;
	struct vquestions waiting;
	size_t		 nwaiting;
	LIST_HEAD(, vconn) conns;
	size_t		 nconns;
	struct find	*find;
	bool		 finding;
	struct hosts_cand *cands;
	size_t		 ncands;
	struct mono	 cands_until, up_until, down_until, used;
	char		 down_why[301];
};

/* ---- verify.c ---- */
/* Asks one server of an action for a recipient; told is called once, perhaps
 * from within, and outlives it. False: there are too many questions. */
bool	 verify_at(const struct conf_action *, const struct hosts_cand *,
	    const char *to, vtold *told, void *arg);
struct event_base *verify_base(void);
const struct conf *verify_conf(void);
/* Answers and frees; reply may be NULL. */
void	 verify_answer(struct vquestion *, uint8_t state, const char *reply,
	    const char *server);
/* Takes the first one that waits; NULL: none. */
struct vquestion *verify_take(struct vdest *);
/* Puts it back in front: its connection was lost. */
void	 verify_again(struct vquestion *, const char *why);
/* It has answered, just now. */
void	 verify_up(struct vdest *);
/* No server of it can be used: all who wait hear it. */
void	 verify_down(struct vdest *, const char *why);
/* Gives work to its connections, opens one if it takes another one. */
void	 verify_go(struct vdest *);

/* ---- verify_conn.c ---- */
/* verify_tls.c calls these: the next server, for a reason; all is well. */
void	 vconn_next(struct vconn *, const char *why);
void	 vconn_unusable(struct vconn *, const char *why);
bool	 vconn_hello(struct vconn *);
void	 vconn_new(struct vdest *);	/* with the destination's addresses */
void	 vconn_batch(struct vconn *);	/* of what waits; it was idle */
void	 vconn_quit(struct vconn *);	/* an idle one; frees */
size_t	 vconn_count(void);

/* ---- verify_tls.c: its TLS; each may free the connection ---- */
/* EHLO has been answered in plain. True: the rest is done here. */
bool	 vtls_helloed(struct vconn *);
void	 vtls_replied(struct vconn *, const struct smtp_client_event *);
void	 vtls_begin(struct vconn *);
/* True: go on with the session that there is now. */
bool	 vtls_done(struct vconn *);
void	 vtls_failed(struct vconn *, const char *what);

#endif
