/*
 * A bounded map by address and port. See hosts.h.
 */
#include "queued/hosts.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"

static struct map	*hosts;
static struct chan	*agents[HOSTS_AGENTS];

static bool
quieter(struct span key, void *v, void *arg)
{
	struct host	**best = arg, *h = v;

	(void)key;
	if (h->conns == 0 && h->failures == 0 &&
	    (*best == NULL || h->heard_ms < (*best)->heard_ms))
		*best = h;
	return true;
}

static struct host *
make(const struct addr *a)
{
	struct host	*h = NULL;
	uint8_t		 k[ADDR_KEY_LEN];

	if (hosts == NULL && (hosts = map_new(HOSTS_KNOWN_MAX)) == NULL)
		fatal("hosts");
	if (map_count(hosts) == HOSTS_KNOWN_MAX) {
		map_each(hosts, quieter, &h);
		if (h == NULL)
			return NULL;
		map_del(hosts, addr_key(&h->addr, k));
		free(h);
	}
	if ((h = calloc(1, sizeof(*h))) == NULL)
		fatal("hosts");
	h->addr = *a;
	if (!map_set(hosts, addr_key(a, k), h)) {
		free(h);
		return NULL;
	}
	return h;
}

static struct host *
find(const struct addr *a)
{
	uint8_t		 k[ADDR_KEY_LEN];

	return hosts == NULL ? NULL : map_get(hosts, addr_key(a, k));
}

/* A duration from now that an agent told; nothing reasonable is longer. */
static int64_t
duration(uint64_t ms)
{
	return ms < (UINT64_C(1) << 40) ? (int64_t)ms : INT64_C(1) << 40;
}

bool
hosts_report(unsigned agent, const struct ipc_d_server *m)
{
	struct host	*h = find(&m->addr);
	int64_t		 now = clock_mono().ms;
	bool		 news;

	if (m->addr.family == 0 || agent >= HOSTS_AGENTS ||
	    (h == NULL && (h = make(&m->addr)) == NULL))
		return false;
	if (m->name.len > 0)
		span_cstr(m->name, h->name, sizeof(h->name));
	if (m->label.len > 0)
		span_cstr(m->label, h->label, sizeof(h->label));
	if (m->tls.len > 0)
		span_cstr(m->tls, h->tls, sizeof(h->tls));
	h->heard_ms = now;
	h->delivered += m->delivered;
	h->failed += m->failed;
	h->conns -= h->agent_conns[agent];
	h->agent_conns[agent] = (uint16_t)(m->conns < UINT16_MAX ? m->conns :
	    UINT16_MAX);
	h->conns += h->agent_conns[agent];
	news = h->failures != m->failures ||
	    (m->failures > 0 && h->probe_ms < now + duration(m->probe_ms));
	h->failures = m->failures;
	h->since_ms = now - duration(m->since_ms);
	h->probe_ms = now + duration(m->probe_ms);
	span_cstr(m->why, h->why, sizeof(h->why));
	return news;
}

void
hosts_login(const struct ipc_d_login *m)
{
	struct host	*h = m->addr.family == 0 ? NULL : find(&m->addr);

	/* What another label is refused for stays. */
	if (h == NULL || (m->why.len == 0 && h->login_why[0] != '\0' &&
	    !span_is(m->label, h->login)))
		return;
	span_cstr(m->label, h->login, sizeof(h->login));
	span_cstr(m->why, h->login_why, sizeof(h->login_why));
}

static bool
gone_one(struct span key, void *v, void *arg)
{
	struct host	*h = v;
	unsigned	 agent = *(unsigned *)arg;

	(void)key;
	h->conns -= h->agent_conns[agent];
	h->agent_conns[agent] = 0;
	return true;
}

void
hosts_gone(unsigned agent)
{
	if (agent >= HOSTS_AGENTS)
		return;
	agents[agent] = NULL;
	if (hosts != NULL)
		map_each(hosts, gone_one, &agent);
}

static struct ipc_d_server_state
state_of(const struct host *h)
{
	int64_t	 now = clock_mono().ms;

	return (struct ipc_d_server_state){ .addr = h->addr,
	    .failures = h->failures,
	    .since_ms = (uint64_t)(now - h->since_ms),
	    .probe_ms = h->probe_ms > now ? (uint64_t)(h->probe_ms - now) : 0,
	    .why = span_str(h->why) };
}

bool
hosts_state(const struct addr *a, struct ipc_d_server_state *st)
{
	const struct host	*h = find(a);

	if (h == NULL)
		return false;
	*st = state_of(h);
	return true;
}

static bool
down_one(struct span key, void *v, void *arg)
{
	struct ipc_d_server_state st = state_of(v);

	(void)key;
	if (st.failures > 0)
		chan_send(arg, IPC_T_d_server_state, &st, -1);
	return true;
}

void
hosts_join(unsigned agent, struct chan *c)
{
	if (agent >= HOSTS_AGENTS)
		return;
	agents[agent] = c;
	if (hosts != NULL)
		map_each(hosts, down_one, c);
}

void
hosts_heard(unsigned agent, const struct ipc_d_server *m)
{
	struct ipc_d_server_state st;

	if (!hosts_report(agent, m) || !hosts_state(&m->addr, &st))
		return;
	for (size_t i = 0; i < HOSTS_AGENTS; i++)
		if (agents[i] != NULL && i != agent)
			chan_send(agents[i], IPC_T_d_server_state, &st, -1);
}

struct each {
	void	(*f)(const struct host *, void *);
	void	*arg;
};

static bool
each_one(struct span key, void *v, void *arg)
{
	struct each	*e = arg;

	(void)key;
	e->f(v, e->arg);
	return true;
}

void
hosts_each(void (*f)(const struct host *, void *), void *arg)
{
	if (hosts != NULL)
		map_each(hosts, each_one, &(struct each){ f, arg });
}

size_t
hosts_count(void)
{
	return hosts == NULL ? 0 : map_count(hosts);
}

static bool
forget_one(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	free(v);
	return true;
}

void
hosts_forget(void)
{
	if (hosts == NULL)
		return;
	map_each(hosts, forget_one, NULL);
	map_free(hosts);
	hosts = NULL;
}
