/*
 * What rpt.c (sums) and rpt_send.c (reports) share; for them alone.
 */
#ifndef QUEUED_RPT_I_H
#define QUEUED_RPT_I_H

#include "common/base/buf.h"
#include "queued/rpt.h"

#define RPT_DAY_S	86400
#define RPT_KEY_MAX	280

enum rpt_row { RPT_ROW_DAY = 1, RPT_ROW_DOMAIN, RPT_ROW_POLICY,
    RPT_ROW_DETAIL, RPT_ROW_POST };
struct rpt_post {
	int64_t		 created_ms;	/* unix time */
	uint8_t		 tries;
	struct span	 domain, url, json;
};
/* Any row, decoded; spans are borrowed. */
struct rpt_any {
	enum rpt_row	 row;
	int64_t		 end_ms;	/* of no use then; a domain's: due */
	uint32_t	 domains;	/* of a day */
	struct rpt_domain domain;
	struct rpt_policy policy;
	struct rpt_detail detail;
	struct rpt_post	 post;		/* its end: the next try */
};

bool	 rpt_row_get(struct span, struct rpt_any *);
/* Into a new buffer. */
void	 rpt_domain_put(struct buf *, const struct rpt_domain *);
/* The key of a domain's day; the front of all its rows' keys. */
void	 rpt_key(struct buf *, uint32_t day, struct span domain);
/* Its parts. False: another row's key. */
bool	 rpt_key_get(struct span, uint32_t *day, struct span *domain);
/* A buffer for a row, with what all rows begin with. */
struct buf *rpt_row_begin(struct buf *, enum rpt_row, int64_t end_ms);
/* ---- rpt_post.c ---- */
/* A report for this URL, tried at once. False: there is no room. */
bool	 rpt_post_add(struct queue *, struct span domain, struct span url,
	    struct span json);
/* The row is due: it is tried, or given up. False: it is none of these. */
bool	 rpt_post_step(struct queue *, struct span key);

/* NULL: the queue can't be used. */
struct side *rpt_side(const struct queue *);

#endif
