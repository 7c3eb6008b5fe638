/*
 * Places at servers: how many sessions there may be at a time, by action and by
 * server, and who is next when there are no more. A machine without I/O: queued
 * has one for all proxyds, each proxyd one of its own for when queued is away.
 *
 * A server that refuses a session for there being too many has its limit
 * lowered to those that it has; that limit is raised by one for each minute
 * without such a refusal, and forgotten when it has reached what is configured,
 * or after an hour.
 */
#ifndef LOOKUP_PLACES_H
#define LOOKUP_PLACES_H

#include "common/base/addr.h"

#define PLACES_OWNERS	64
#define PLACES_MAX	20000		/* actions, servers, and both */
#define PLACES_WAITING	10000		/* of one owner */
#define PLACES_ADDRS	64		/* of one question */
#define PLACES_RAISE_MS	60000
#define PLACES_FORGET_MS 3600000

struct places;

/* A question: one place at any of these servers, the first one that has one. */
struct places_want {
	unsigned	 owner;		/* below PLACES_OWNERS */
	uint32_t	 tid;		/* the owner's own number */
	struct span	 action;	/* its name, at most 64 bytes */
	unsigned	 action_max;	/* 0: no limit */
	unsigned	 server_max;	/* of each of them; 0: no limit */
	const struct addr *addrs;	/* with ports */
	size_t		 n;		/* 1 .. PLACES_ADDRS */
};

/* granted is called from places_scan() for one that waited; it calls nothing of
 * this machine back. NULL: no memory. */
struct places *places_new(void (*granted)(void *arg, unsigned owner,
	    uint32_t tid, struct span action, const struct addr *), void *arg);
void	 places_free(struct places *);

/* Would such a question be bounded at all? */
bool	 places_bounded(const struct places *, const struct places_want *,
	    int64_t now_ms);
/* True: *got is taken. False: it waits, behind those that came before; or, if
 * `wait` is not set or too many wait, it is not known here any more. */
bool	 places_take(struct places *, const struct places_want *, bool wait,
	    int64_t now_ms, struct addr *got);
/* Waits no longer. */
void	 places_leave(struct places *, unsigned owner, uint32_t tid);
/* Takes so many without asking. */
void	 places_hold(struct places *, unsigned owner, struct span action,
	    const struct addr *, unsigned n);
/* Gives one back. False: the owner had none. places_scan() is the caller's. */
bool	 places_give(struct places *, unsigned owner, struct span action,
	    const struct addr *);
/* The owner is gone with all that it had and asked for. */
void	 places_gone(struct places *, unsigned owner);
/* Who waits gets what is free now. */
void	 places_scan(struct places *, int64_t now_ms);
size_t	 places_waiting(const struct places *);

/* A server refused one more than it has: the limit that it has now, 0 if none
 * was learned because it has no session at all. */
unsigned places_full(struct places *, const struct addr *, int64_t now_ms);
/* Learned elsewhere; 0: forgotten. */
void	 places_limit_set(struct places *, const struct addr *, unsigned limit,
	    int64_t now_ms);
/* What was learned; 0: nothing. */
unsigned places_limit(const struct places *, const struct addr *,
	    int64_t now_ms);
unsigned places_at(const struct places *, const struct addr *);
unsigned places_of(const struct places *, struct span action);
/* Each that this owner holds. */
void	 places_each(struct places *, unsigned owner,
	    void (*f)(void *arg, struct span action, const struct addr *,
	    unsigned n), void *arg);

#endif
