/*
 * "hosts": the servers that deliverds and proxyds have told of, what is paused,
 * and domains' MTA-STS policies.
 */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/lookup/paused.h"
#include "queued/ctl_i.h"
#include "queued/hosts.h"
#include "queued/policies.h"

static const struct proxies	*proxies;
static struct queue		**queue_at;

void
hosts_ctl_init(struct queue **q, const struct proxies *p)
{
	queue_at = q;
	proxies = p;
}

static bool
is_paused(const struct host *h)
{
	return !(*queue_at)->down && paused_has((*queue_at)->paused, h->label,
	    h->name, &h->addr);
}

static void
host_row(const struct host *h, void *arg)
{
	struct ctl	*c = arg;
	int64_t		 now = clock_mono().ms, wall = clock_wall().ms;
	char		 server[400], ip[ADDR_STRLEN];
	unsigned	 limit = places_limit(proxies_places(proxies), &h->addr,
			    now);

	snprintf(server, sizeof(server), "%s[%s]:%u", h->name,
	    addr_str(&h->addr, ip), h->addr.port);
	ctl_row(c, "host");
	ctl_str(c, "server", server);
	ctl_str(c, "pool", h->label);
	ctl_str(c, "state", is_paused(h) ? "paused" : h->failures > 0 ?
	    "down" : h->login_why[0] != '\0' ? "no login" : "up");
	ctl_num(c, "failures", h->failures);
	ctl_num(c, "since_ms", wall - (now - h->since_ms));
	if (h->failures > 0)
		ctl_num(c, "probe_ms", wall + (h->probe_ms - now));
	ctl_num(c, "connections", h->conns);
	if (limit > 0)
		ctl_num(c, "limit", limit);
	ctl_num(c, "delivered", (int64_t)h->delivered);
	ctl_num(c, "failed", (int64_t)h->failed);
	if (h->tls[0] != '\0')
		ctl_str(c, "tls", h->tls);
	if (h->login[0] != '\0')
		ctl_str(c, "login", h->login);
	ctl_str(c, "reason", h->failures == 0 && h->login_why[0] != '\0' ?
	    h->login_why : h->why);
	ctl_row_end(c);
}

struct shown {
	const char	*name;
	struct map	*names;
	bool		 is;
};

/* Is the name one of this server's? */
static void
shows(const struct host *h, void *arg)
{
	struct shown	*s = arg;

	s->is = s->is || paused_has(s->names, h->label, h->name, &h->addr);
}

/* What is paused and no server's that is known: a row of its own. */
static bool
paused_row(struct span name, void *v, void *arg)
{
	struct shown	 s = { .names = map_new(1) };
	char		 text[256];

	if (s.names == NULL || !map_set(s.names, name, v) ||
	    !span_cstr(name, text, sizeof(text)))
		goto done;
	hosts_each(shows, &s);
	if (!s.is) {
		ctl_row(arg, "host");
		ctl_str(arg, "server", text);
		ctl_str(arg, "state", "paused");
		ctl_row_end(arg);
	}
done:
	map_free(s.names);
	return true;
}

static void
policy_row(const struct policy *p, void *arg)
{
	struct sts_policy	 sts;
	const char		*why;
	char			 domain[256], id[STS_ID_MAX + 1];

	if (sts_policy_parse(p->text, &sts, &why) != PARSE_OK ||
	    !span_cstr(p->domain, domain, sizeof(domain)) ||
	    !span_cstr(p->id, id, sizeof(id)))
		return;
	ctl_row(arg, "policy");
	ctl_str(arg, "domain", domain);
	ctl_str(arg, "mode", sts_mode_name(sts.mode));
	ctl_str(arg, "policy", id);
	ctl_num(arg, "until_ms", p->expires_ms);
	ctl_row_end(arg);
}

void
verb_hosts(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	hosts_each(host_row, c);
	if (!(*queue_at)->down)
		map_each((*queue_at)->paused, paused_row, c);
	policies_each(*queue_at, policy_row, c);
	ctl_end(c, 0, NULL);
}
