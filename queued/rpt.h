/*
 * What deliverds tell of TLS with the servers of domains that want reports of
 * it (RFC 8460): summed up a domain and UTC day in tlsrpt.db beside the index
 * (side.h), until the day's report has been made, which is a message of the
 * queue. A crash of the machine may take the last seconds of the sums, nothing
 * else loses them but a rebuild of the index.
 *
 *	none ─ first session ─▶ collecting ─ end of day, and a delay ─▶ report
 *	in the queue, or waiting for its POST ─▶ none
 *
 * Rows, DAY being days since 1970:
 *	DAY			how many domains it has
 *	DAY DOMAIN 0		where its report goes, when
 *	the same, POLICY	a policy, and its sessions
 *	the same, DETAIL	what was wrong with some of them
 *	UINT32_MAX DOMAIN 0 N	a report that a deliverd is to POST, until it
 *				was taken
 */
#ifndef QUEUED_RPT_H
#define QUEUED_RPT_H

#include "common/ipc/codec.h"
#include "common/tls/rpt.h"

#define RPT_DOMAINS_MAX	10000	/* a day; others are not reported */
#define RPT_POLICIES_MAX 16	/* of a domain's day */
#define RPT_DETAILS_MAX	50	/* the same; others only count in sums */
#define RPT_ROWS_MAX	200000	/* of all days; then no new ones */
#define RPT_DELAY_MAX_S	14400	/* behind the day's end: RFC 8460, 4.1 */
#define RPT_KEEP_DAYS	3	/* a report that can't be made */
#define RPT_AGAIN_MS	60000	/* until it is tried again */
#define RPT_POST_MS	900000	/* between two tries, then more … */
#define RPT_POST_DOUBLE	4	/* … this often twice as long */
#define RPT_TTL_MS	86400000	/* RFC 8460, 5.5: a day, or like bounces
					 * if that is less */

struct queue;
struct side;
struct side_kind;
struct store;

/* What is collected of a domain. Spans are borrowed. */
struct rpt_domain {
	int64_t		 begin_s, end_s;	/* unix time: of the report */
	int64_t		 due_ms;		/* unix time: when it is made */
	struct span	 domain, rua;
	uint64_t	 ok, failed;	/* sessions */
	uint16_t	 policies, details;
};

extern const struct side_kind rpt_side_kind;
struct side *store_rpt(struct store *);

/* ---- rpt.c ---- */
/* False: it makes no sense. */
bool	 rpt_add(struct queue *, const struct ipc_d_tls *);
/* f must not call the store. */
void	 rpt_each(struct queue *, void (*f)(const struct rpt_domain *, void *),
	    void *arg);

/* ---- rpt_post.c ---- */
/* What came of a POST whose key is this; why is empty: it was taken. */
void	 rpt_posted(struct queue *, struct span key, struct span why);

/* ---- rpt_send.c ---- */
/* Makes a report that is due, if there is one; true: call again soon. */
bool	 rpt_step(struct queue *);
/* Makes all of them now, of what there is so far. How many domains were told;
 * -1: the queue takes no mail. */
int	 rpt_send_all(struct queue *);

#endif
