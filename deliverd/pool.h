/*
 * Destinations, their waiting jobs in order, and their connections: how many,
 * to which server, and who takes the next job.
 */
#ifndef DELIVERD_POOL_H
#define DELIVERD_POOL_H

#include "common/lookup/find.h"
#include "deliverd/remote.h"

#define POOL_DESTS_MAX	10000
#define POOL_PROBE_MIN_MS	10000	/* where no pool says another */
#define POOL_PROBE_MAX_MS	300000
/* Not connected, not ready by then: others are tried beside it. */
#define POOL_SLOW_MS	3000
#define POOL_LATE_MS	10000
/* Who does not offer the TLS that is asked for is asked again after that. */
#define POOL_REFUSED_MS	30000
#define POOL_TRIES_MAX	4	/* connections that one attempt may lose */

void	 pool_init(struct proc *, const struct conf *, struct ask *);
/* The destinations that the configuration names, for probes of servers that an
 * earlier deliverd found down. */
void	 pool_warm(void);
/* A complete job; it is the pool's until it is done. */
void	 pool_add(struct job *);
/* Gives all that is not finished a temporary result and cuts connections. */
void	 pool_abort(const char *reply);

/* From remote.c: the connection may take a job; could not be used at all
 * ("CODE TEXT"), or for its login; is over; its job is to be tried once more at once; the job has
 * recipients left that this connection can't have, and ends. The first may
 * begin a job, the others but the last free the connection. */
void	 pool_ready(struct conn *);
void	 pool_unreachable(struct conn *, const char *reply);
void	 pool_refused(struct conn *, const char *reply);
/* It answers, but its TLS is not what is asked for: others may get the mail,
 * and all of it waits for its next attempt where there are none. */
void	 pool_insecure(struct conn *, const char *reply);
/* It answers; a new connection without TLS is to be made. */
void	 pool_plain(struct conn *);
void	 pool_lost(struct conn *);
void	 pool_retry(struct conn *, struct job *);
void	 pool_more(struct conn *, struct job *);
/* Its job was lost with it: if another server of the destination answers, that
 * one gets the job at once, and the connection is freed. */
bool	 pool_elsewhere(struct conn *, struct job *, const char *reply);

/* For ctl.c. */
struct dest_info {
	const char	*action, *domain;
	enum demand_kind asks;
	size_t		 waiting, conns, limit;
};
void	 pool_each_conn(void (*)(const struct conn *, void *arg), void *arg);
void	 pool_each_dest(void (*)(const struct dest_info *, void *arg),
	    void *arg);
size_t	 pool_count_conns(void);
const char *pool_action(const struct dest *);

#endif
