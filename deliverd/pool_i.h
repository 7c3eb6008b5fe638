/*
 * What dests.c (destinations), cands.c (their servers), pool.c (jobs,
 * connections) and choose.c (which server is next) share; for them alone.
 */
#ifndef DELIVERD_POOL_I_H
#define DELIVERD_POOL_I_H

#include "deliverd/logins.h"
#include "deliverd/pool.h"
#include "deliverd/sts.h"

struct cand {				/* an address to try */
	struct hosts_cand id;
	struct srv	*srv;		/* a reference */
	/* Its TLS is not what this destination asks for: not asked again until
	 * then; why is "CODE TEXT" or NULL. */
	int64_t		 refused_ms;
	char		*refused;
	struct hosts_tls *demand;	/* what is asked of its TLS */
	struct logins	*login;		/* NULL: none */
};
struct dest {
	const struct conf_action *action;
	struct conf_pool *own;		/* parsed from domain, or NULL */
	const struct conf_pool *pool;	/* own, the action's, or NULL: by MX */
	char		 domain[256];
	enum demand_kind asks;		/* what its mail asks of TLS */
	struct health_times times;
	TAILQ_HEAD(, job) jobs;
	size_t		 nwaiting;
	TAILQ_HEAD(, conn) conns;
	size_t		 nconns, limit;	/* probes are not in nconns */
	size_t		 nprobes;
	struct sts_find	*sts;		/* its policy is being asked for, then */
	struct find	*find;		/* its servers are */
	bool		 by_sts;	/* what sts_holds() tells is followed */
	bool		 reported;	/* TLS with them is (report.h) */
	bool		 starting;	/* inside find_start() */
	struct cand	*cands;		/* NULL: not known */
	size_t		 ncands;
	struct mono	 expires, used;
	/* Messages that each group got, over its weight. */
	double		 given[HOSTS_MAX];
	bool		 told_down;	/* queued was told so */
};

/* ---- dests.c ---- */
void	 dests_init(struct proc *, const struct conf *, struct ask *);
/* Made if need be. NULL with a whole reply in *why: none can be made. */
struct dest *dest_get(const struct conf_action *, const char *domain,
	    enum demand_kind, const char **why);
/* The first job that may go over this connection (NULL: over any). */
struct job *dest_take(struct dest *, const struct conn *);
/* The same for all that waits. */
void	 dest_fail(struct dest *, enum d_status, const char *reply,
	    enum d_dest);
/* Servers that the configuration names are probed without mail for them too. */
bool	 dest_wants_probe(const struct dest *);
void	 dests_each(bool (*)(struct span key, void *dest, void *arg), void *arg);

/* ---- cands.c ---- */
void	 cands_init(const struct conf *, struct ask *);
/* True when a list of servers is there that may be used; else it is asked for,
 * and pool_run() follows. */
bool	 dest_have_cands(struct dest *);
/* Is it passed over for its TLS? */
bool	 dest_refuses(const struct cand *);
/* There is no list any more. */
void	 cands_forget(struct dest *);

/* ---- pool.c ---- */
/* Jobs to idle connections, then as many new connections as are of use. */
void	 pool_run(struct dest *);

/* ---- choose.c ---- */
enum choice {
	CHOICE_ONE,		/* that one */
	CHOICE_FULL,		/* they answer, but may get no more now */
	CHOICE_DEAD		/* none is known to answer */
};
/* The server for a new connection; avoid (may be NULL) is passed over. */
enum choice choose(const struct dest *, const struct addr *avoid,
	    size_t *cand);
/* Does any answer, of the standbys or of the others, beside this one? */
bool	 choose_any(const struct dest *, bool standby,
	    const struct addr *avoid);
/* The idle connection for the next job; NULL: none. choose_outdated() tells
 * those that should not be there while better servers answer. */
struct conn *choose_idle(const struct dest *);
bool	 choose_outdated(const struct dest *, const struct conn *);
/* A job goes over this connection. */
void	 choose_given(struct dest *, const struct conn *);
/* A server that gets less than its share and has no connection: one is opened
 * beside what is there. False: none. */
bool	 choose_owed(const struct dest *, size_t *cand);
/* One that is down and whose probe is due now. False: none. */
bool	 choose_probe(const struct dest *, size_t *cand);
/* Is one being probed, by whoever? */
bool	 choose_probed(const struct dest *);

#endif
