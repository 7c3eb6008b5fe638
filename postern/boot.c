/*
 * What each daemon gets: how many workers, how many descriptors, how much
 * memory, from the limits of the configuration. Pure, so that a configuration
 * that can't be held is refused before anything starts.
 */
#include <string.h>

#include "common/conf/known.h"
#include "postern/postern.h"

#define MIB		(1ULL << 20)
#define SESSION_BYTES	(64ULL << 10)	/* a busy session in smtpd */
#define LINK_BYTES	(160ULL << 10)	/* server side: credit, buffers */
#define DELIVERY_BYTES	(192ULL << 10)	/* a delivery with its message */
#define QUEUE_BYTES	(512 * MIB)	/* cache, pool, index of queued */
#define SPARE_FDS	64		/* channels to all of the others, log,
					 * epoll, sessions that say QUIT */
#define VERIFY_FDS	64		/* connections that ask for recipients */

static const char *const names[NROLES] = { "postern", "smtpd", "queued",
    "deliverd", "proxyd", "lookupd", "keyd", "passwd" };

unsigned
role_index(enum ipc_role role)
{
	return (unsigned)__builtin_ctz((unsigned)role);
}

const char *
role_name(enum ipc_role role)
{
	return names[role_index(role)];
}

int64_t
backoff_ms(unsigned fails)
{
	int64_t	 ms = 100;

	if (fails == 0)
		return 0;
	while (--fails > 0 && ms < 5000)
		ms *= 2;
	return ms > 5000 ? 5000 : ms;
}

static struct plan_role *
role_plan(struct plan *p, enum ipc_role role)
{
	return &p->role[role_index(role)];
}

static bool
has_proxy(const struct conf *c)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i]->type == ACT_PROXY)
			return true;
	return false;
}

/* proxyd asks servers for recipients, too. */
static bool
has_verify(const struct conf *c)
{
	for (size_t i = 0; i < c->nactions; i++)
		if (conf_asks_server(c->actions[i]))
			return true;
	return false;
}

/* Sessions at servers that each proxyd keeps without a client. */
static unsigned
idle_of(const struct conf *c)
{
	unsigned	 n = 0;

	for (size_t i = 0; i < c->nactions; i++)
		if (c->actions[i]->type == ACT_PROXY)
			n += c->actions[i]->idle_connections;
	return n;
}

static unsigned
clamp(unsigned n, unsigned min, unsigned max)
{
	return n < min ? min : n > max ? max : n;
}

bool
plan_make(struct plan *p, const struct conf *c, unsigned ncpu,
    uint64_t nofile_max, uint64_t memory, struct buf *msgs)
{
	unsigned	 front = clamp(ncpu, 1, WORKERS_MAX), need;
	unsigned	 back = clamp(ncpu / 2, 1, 4);
	bool		 verify = has_verify(c);
	unsigned	 links = 0;	/* of a session, at most */
	uint64_t	 each;

	memset(p, 0, sizeof(*p));
	p->classes = 1;
	for (size_t i = 0; i < c->nlistens; i++)
		if (c->listens[i]->takes_passwords)
			p->classes = 2;
	p->proxies = has_proxy(c);
	if (p->proxies)
		links = conf_mirrors(c) ? 2 : 1;
	p->sessions = (c->limits.sessions + front - 1) / front;
	*role_plan(p, IPC_SMTPD) = (struct plan_role){ front,
	    p->sessions * 2 + SPARE_FDS, 0, 1024 * MIB, 0 };
	*role_plan(p, IPC_PROXYD) = (struct plan_role){ p->proxies || verify ?
	    front : 0, links * p->sessions + idle_of(c) + (verify ?
	    VERIFY_FDS : 0) + SPARE_FDS, 0, 512 * MIB, 0 };
	*role_plan(p, IPC_DELIVERD) = (struct plan_role){ back,
	    c->limits.deliveries * 2 + SPARE_FDS + 256, 0, 512 * MIB, 0 };
	*role_plan(p, IPC_LOOKUPD) = (struct plan_role){ 1, 512, 0, 256 * MIB,
	    0 };
	*role_plan(p, IPC_QUEUED) = (struct plan_role){ 1, 1024 + 256,
	    UINT64_MAX, QUEUE_BYTES * 2, 0 };
	*role_plan(p, IPC_KEYD) = (struct plan_role){ 1, SPARE_FDS, 0,
	    64 * MIB, 5 * MIB };
	/* Of each of its processes; one check takes 17 MiB and more, and a
	 * reload has the users of both configurations. */
	*role_plan(p, IPC_PASSWD) = (struct plan_role){ 1, SPARE_FDS, 0,
	    768 * MIB, 1 * MIB };
	p->memory = c->limits.sessions * SESSION_BYTES * p->classes +
	    c->limits.sessions * links * LINK_BYTES * p->classes +
	    c->limits.deliveries * DELIVERY_BYTES + QUEUE_BYTES;
	for (unsigned i = 0; i < NROLES; i++) {
		need = p->role[i].count > 0 ? p->role[i].nofile : 0;
		if (need > p->nofile)
			p->nofile = need;
		if (need <= nofile_max)
			continue;
		buf_fmt(msgs, "the limits can't be held: each %s needs %u "
		    "descriptors (limit sessions %u over %u workers, limit "
		    "deliveries %u, idle-connections %u), the hard limit is "
		    "%llu\n", names[i], need, c->limits.sessions, front,
		    c->limits.deliveries, idle_of(c),
		    (unsigned long long)nofile_max);
		return false;
	}
	if (p->memory > memory) {
		each = SESSION_BYTES + links * LINK_BYTES;
		buf_fmt(msgs, "the limits can't be held: %u sessions of %llu "
		    "KiB%s, %u deliveries of %llu KiB and %llu MiB for the "
		    "queue are %llu MiB, the machine has %llu MiB\n",
		    c->limits.sessions, (unsigned long long)(each >> 10),
		    p->classes == 2 ? " twice (a listener takes passwords)" :
		    "", c->limits.deliveries,
		    (unsigned long long)(DELIVERY_BYTES >> 10),
		    (unsigned long long)(QUEUE_BYTES / MIB),
		    (unsigned long long)(p->memory / MIB),
		    (unsigned long long)(memory / MIB));
		return false;
	}
	return true;
}
