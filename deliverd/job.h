/*
 * Jobs: one message for recipients of one destination, as queued hands it over,
 * and what came of it for each. A result is kept until queued says that it has
 * recorded it.
 *
 *	d_job ─▶ collecting ─ d_go ─▶ waiting in its destination (pool.h)
 *	      ─▶ on a connection (remote.h) ─▶ every recipient has a result
 *	      ─▶ d_done, gone; the results stay until d_recorded
 */
#ifndef DELIVERD_JOB_H
#define DELIVERD_JOB_H

#include <sys/queue.h>

#include "common/base/arena.h"
#include "common/base/rand.h"
#include "common/conf/conf.h"
#include "common/proc/start.h"
#include "common/smtp/param.h"
#include "common/tls/client.h"
#include "deliverd/demand.h"

#define JOBS_MAX	2000		/* queued keeps below 500 */
#define JOB_RCPTS_MAX	1000
#define JOB_STRINGS_MAX	(2 << 20)	/* bytes of envelope and prefix */
#define JOB_CONTENT_MAX	(64 << 10)	/* bytes; longer ones are a file */
#define JOB_FRONT_MAX	(9 << 20)	/* bytes in front of an archive's copy */
#define JOB_SUFFIX_MAX	6000
#define RESULTS_MAX	200000		/* not yet recorded */

enum rcpt_state {
	RCPT_WAITS,		/* not tried in this job yet */
	RCPT_ASKED,		/* RCPT sent, or about to be */
	RCPT_TAKEN,		/* the server took it, content is to follow */
	RCPT_DONE		/* has its result */
};
struct rcpt {
	uint32_t	 n, attempt;	/* queued's numbers */
	struct span	 to;
	struct smtp_rcpt_params params;
	enum rcpt_state	 state;
};
struct job {
	TAILQ_ENTRY(job) entry;		/* in its destination, while waiting */
	LIST_ENTRY(job)	 all;
	uint32_t	 tid;
	uint64_t	 id;
	char		 ids[ID_STRLEN];
	char		 domain[256];
	const struct conf_action *action;	/* NULL: we have none such */
	struct arena	*arena;		/* all spans below */
	struct span	 from, prefix;
	struct span	 sender;	/* sender_of() has made it */
	bool		 has_sender;
	struct buf	 front, suffix;	/* of an archive's copy; front has the
					 * prefix in it once all is there */
	struct smtp_mail_params params;	/* SIZE: all of these */
	enum demand_kind asks;		/* of TLS */
	struct buf	 content;	/* what came as d_data */
	int		 fd;		/* or a file that holds it, or -1 */
	uint64_t	 offset;
	struct rcpt	*rcpts;
	size_t		 nrcpts, left;	/* left: without result */
	enum d_dest	 dest;		/* for d_done */
	uint32_t	 ms;		/* the slowest reply */
	bool		 broken;	/* no memory, no descriptor */
	bool		 going;		/* d_go has come */
	bool		 orphan;	/* queued has gone: no d_done */
	bool		 retried;	/* once more after a stale connection */
	char		 tls[TLS_TEXT_MAX];	/* of the session it is in */
	bool		 dsn;		/* its server knows DSN (RFC 3461) */
	/* It was lost on this server: another one is to have it. */
	struct addr	 avoid;		/* family 0: none */
	unsigned	 tries;		/* lost so often */
};

/* deliver gets each complete job. */
void	 job_init(struct proc *, const struct conf *,
	    void (*deliver)(struct job *));
/* A channel to a queued; the one before is dead. fd is taken. */
void	 job_peer(uint16_t worker, int fd);
/* From now on new jobs are given back at once. */
void	 job_drain(void);
/* The result for one recipient; reply is "CODE TEXT" on one line. server may be
 * "". A second result for the same is passed over. */
void	 job_result(struct job *, struct rcpt *, enum d_status,
	    struct span reply, bool remote, const char *server);
/* The same for all that have none, with a reply of ours. */
void	 job_fail(struct job *, enum d_status, const char *reply,
	    const char *server);
/* Frees the job; what has no result yet gets a temporary one. */
void	 job_done(struct job *);
/* Bytes of prefix, content and suffix from byte pos, as the next. */
struct span job_bytes(const struct job *, uint64_t pos, size_t n);
/* A span of n bytes at most of the content behind the prefix, from byte pos; in
 * static storage or the job's. Empty: the end, or it can't be read. */
struct span job_content(const struct job *, uint64_t pos, size_t n);
uint64_t job_content_size(const struct job *);
/* Tells queued that a destination has a server that answers again. */
void	 job_back_up(const char *action, const char *domain);
/* Sends a message to queued. False: there is none at the moment. */
bool	 job_tell(uint16_t type, const void *msg);
size_t	 job_count(void);
size_t	 job_unrecorded(void);
uint64_t job_count_results(enum d_status);

#endif
