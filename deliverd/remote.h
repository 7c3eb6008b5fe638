/*
 * One connection to a server and the transaction on it: drives the client
 * machine of common/smtp over a stream. It knows nothing of other connections;
 * pool.h decides who connects where and who gets which job.
 *
 *	CONNECT ─▶ GREETING ─▶ EHLO ─▶ (AUTH) ─▶ IDLE ◀─▶ BUSY
 *	                       ▲ └─▶ STARTTLS ─▶ TLS ─▶┐   (secure.c)
 *	                       └──────────────────────┘
 *	any ─▶ QUIT ─▶ gone
 */
#ifndef DELIVERD_REMOTE_H
#define DELIVERD_REMOTE_H

#include "common/base/clock.h"
#include "common/dns/answer.h"
#include "common/io/stream.h"
#include "common/lookup/hosts.h"
#include "common/lookup/srv.h"
#include "common/smtp/client.h"
#include "common/tls/client.h"
#include "deliverd/demand.h"
#include "deliverd/job.h"
#include "deliverd/send.h"

#define REMOTE_RCPTS_MAX	100	/* a transaction; RFC 5321, 4.5.3.1.8 */
#define REMOTE_IN_MAX		(16 << 10)
#define REMOTE_OUT_MAX		(256 << 10)
#define REMOTE_OUT_MARK		(160 << 10)	/* content, until it waits */
#define REMOTE_EARLY_MAX	(64 << 10)	/* BDAT before RCPT's reply */
#define REMOTE_CONNECT_MS	30000
#define REMOTE_IDLE_MS		10000
#define REMOTE_DATA_MS		180000	/* RFC 5321, 4.5.3.2.5 */
#define REMOTE_QUIT_MS		5000
#define REMOTE_TLS_MS		30000	/* a handshake */

struct dest;
struct login;
struct logins;

/* CONN_TLS is behind CONN_STARTTLS or, with smtps, before CONN_GREETING; EHLO is
 * said again behind it. */
enum conn_phase { CONN_CONNECT, CONN_GREETING, CONN_EHLO, CONN_STARTTLS,
    CONN_TLS, CONN_AUTH, CONN_IDLE, CONN_BUSY, CONN_QUIT };
enum conn_content {
	CONTENT_NONE,		/* not begun */
	CONTENT_ASKED,		/* DATA sent with the envelope */
	CONTENT_SENDING,
	CONTENT_SENT		/* dot or last chunk is in the output buffer */
};
struct conn {
	TAILQ_ENTRY(conn) entry;	/* in its destination */
	struct dest	*dest;
	struct srv	*srv;
	struct stream	*s;
	struct smtp_client *c;
	struct span	 helo;
	enum conn_phase	 phase;
	struct mono	 since;		/* of this phase */
	struct mono	 begun;		/* of the connection */
	bool		 probe;		/* of a server that is down */
	struct logins	*as;		/* to log in as; NULL: no login */
	bool		 plaintext;	/* over any connection */
	struct login	*login;		/* under way */
	unsigned	 jobs;		/* finished on it */
	unsigned	 mails;		/* transactions begun on it */
	size_t		 rcpt_max;	/* as it turned out; 0: not yet */
	bool		 rset;		/* the server has one open */
	char		 server[DNS_NAME_MAX + ADDR_STRLEN + 16];
	char		 host[DNS_NAME_MAX + 1];	/* its name, or address */
	struct hosts_tls *demand;	/* what is asked of its TLS … */
	struct conf_tls	 tls;		/* … as one */
	struct tls_facts secured;	/* what there is */
	bool		 passing;	/* there is none, for what may pass */
	/* the transaction */
	struct job	*job;
	size_t		 first, end;	/* its recipients are among these */
	size_t		 asked;		/* RCPTs without reply */
	size_t		 taken;
	size_t		 slow;		/* refused with 421, 450, 451 */
	struct mono	 asked_at;	/* what is waited for */
	bool		 answered;	/* the server said something in it */
	bool		 mail_ok;
	enum conn_content content;
	struct send_state send;
};

void	 remote_init(struct event_base *, const struct conf *);
/* source: any if it has no family. NULL with errno: could not begin. */
struct conn *remote_connect(struct dest *, struct srv *,
	    const struct hosts_cand *, const struct addr *source,
	    const struct hosts_tls *, const char *helo);
/* The job is this connection's until job_done(), pool_retry(), pool_elsewhere()
 * or pool_more(). Only on an idle one. May end the connection. */
void	 remote_begin(struct conn *, struct job *);
/* Says QUIT on an idle one; pool_lost() follows later. */
void	 remote_quit(struct conn *);
/* Cuts it; a job on it gets this temporary reply. pool_lost() is called. */
void	 remote_cut(struct conn *, const char *reply);
/* Only from pool_lost() and pool_unreachable(). */
void	 remote_free(struct conn *);
/* It has had as many transactions as the server takes (RFC 9422). */
bool	 remote_spent(const struct conn *);
const char *remote_phase_name(const struct conn *);

#endif
