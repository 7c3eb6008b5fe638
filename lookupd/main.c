/*
 * lookupd: names for all other daemons. The table of its messages, its control
 * verbs, and start-up; what happens to a question is in resolve.c.
 */
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "lookupd/resolve.h"
#include "lookupd/verbs.h"

/* Who asks: another daemon over its channel. */
struct asker {
	struct proc	*proc;
	struct resolver	*resolver;
	struct chan	*chan;
	enum ipc_role	 role;
	uint16_t	 worker;
};

static const struct seccomp_group *const groups[] = {
	&seccomp_base, &seccomp_loop, &seccomp_sock_use, &seccomp_sock_dns,
	NULL
};
static const struct confine_profile profile = { .groups = groups };

static void
asker_answer(struct asker *a, uint32_t tid, const struct answer *ans,
    uint32_t ttl)
{
	struct answer_rr	r;
	size_t			pos = 0;

	while (answer_next(ans, &pos, &r))
		CHAN_SEND(a->chan, lookup_rr, .tid = tid, .type = r.type,
		    .pref = r.pref, .addr = r.addr, .name = r.name,
		    .text = r.text);
	CHAN_SEND(a->chan, lookup_end, .tid = tid,
	    .status = (uint8_t)ans->status, .ttl = ttl, .ad = ans->ad,
	    .canon = answer_canon(ans));
}

/* Owners are askers, or requests of posternctl, which have tid 0 and say so. */
static void
done(void *owner, uint32_t tid, const struct answer *ans, uint32_t ttl)
{
	if (verbs_answer(owner, ans, ttl))
		return;
	asker_answer(owner, tid, ans, ttl);
}

static void
on_lookup(struct chan *c, const void *msg, int fd)
{
	const struct ipc_lookup	*m = msg;
	struct asker		*a = chan_arg(c);

	(void)fd;
	switch (m->type) {
	case DNS_A:
	case DNS_AAAA:
	case DNS_MX:
	case DNS_PTR:
	case DNS_TXT:
	case DNS_CNAME:
	case DNS_TLSA:
		resolve_ask(a->resolver, (enum dns_type)m->type, m->name, a,
		    m->tid);
		break;
	default:
		chan_reject(c, "a type of record that nobody may ask for");
	}
}

static const struct chan_row table[] = {
	{ IPC_T_lookup, on_lookup },
	{ 0, NULL }
};

static void
asker_closed(struct chan *c, const char *why)
{
	struct asker	*a = chan_arg(c);

	resolve_forget(a->resolver, a);
	if (why != NULL)
		proc_report(a->proc, a->role, a->worker, why);
	chan_free(c);
	free(a);
}

static void
on_peer(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *title, int fd)
{
	struct asker	*a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal("peer");
	a->proc = p;
	a->resolver = proc_arg(p);
	a->role = role;
	a->worker = worker;
	a->chan = chan_new(proc_base(p), fd, IPC_LOOKUPD, role, table,
	    asker_closed, a);
	if (a->chan == NULL)
		fatal("peer");
	log_debug("event=peer title=%s", log_quote(span_str(title)));
}

/* Only the servers are of interest here. */
static bool
use_conf(struct resolver *r, struct span bundle, bool check,
    const char **why)
{
	struct conf	*c;
	bool		 ok;

	if ((c = conf_accept(bundle, why)) == NULL)
		return false;
	ok = check || resolve_servers(r, c->resolvers, c->nresolvers,
	    c->resolver_trust_ad);
	if (!ok)
		*why = "the resolver library refuses these servers";
	else if (!check && c->nresolvers == 0)
		log_warnx("no resolver is configured, nor in resolv.conf");
	conf_free(c);
	return ok;
}

static bool
on_reload(struct proc *p, struct span bundle, bool check, const char **why)
{
	return use_conf(proc_arg(p), bundle, check, why);
}

int
main(int argc, char **argv)
{
	static struct proc_ops	 ops = { .peer = on_peer,
				    .reload = on_reload };
	struct resolver		*r;
	struct proc		*p;
	const char		*why;

	p = proc_start(IPC_LOOKUPD, argc, argv);
	/* R4: c-ares reads files and seeds itself here, once. */
	if ((r = resolve_new(proc_base(p), done)) == NULL)
		fatal("resolver");
	proc_confine(p, &profile);
	if (!use_conf(r, proc_conf(p), false, &why))
		fatalx("%s", why);
	ops.verbs = verbs_init(r);
	return proc_run(p, &ops, r);
}
