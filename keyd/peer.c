/*
 * Channels of deliverd and smtpd. See peer.h.
 */
#include "keyd/peer.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "keyd/sign.h"
#include "keyd/srs.h"

#define DAY_MS		86400000

struct peer {
	struct proc	*p;
	enum ipc_role	 role;
	uint16_t	 worker;
};

static const struct set		*set, *before;
static struct peer_counts	 counts;

static int64_t
today(void)
{
	return clock_wall().ms / DAY_MS;
}

static void
on_srs(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_srs	*m = msg;
	const char		*domain;
	struct span		 key = set == NULL ? span(NULL, 0) :
				    set_srs(set, &domain);
	struct buf		 b;
	bool			 ok;

	(void)fd;
	buf_init(&b, 1300);
	ok = key.len > 0 && srs_make(key, today(), m->from, domain, &b);
	counts.senders += ok;
	CHAN_SEND(c, k_srs_made, .tid = m->tid, .ok = ok,
	    .address = ok ? buf_content(&b) : span(NULL, 0));
	buf_clear(&b);
}

static void
on_back(struct chan *c, const void *msg, int fd)
{
	static const char *const whys[] = { "", "not a rewritten address",
	    "not made here", "too old" };
	const struct ipc_k_srs_back	*m = msg;
	const char			*domain;
	struct span			 key = set == NULL ? span(NULL, 0) :
					    set_srs(set, &domain);
	enum srs			 r = SRS_NOT;
	struct buf			 b;

	(void)fd;
	buf_init(&b, 1300);
	if (key.len > 0)
		r = srs_back(key, today(), m->local, &b);
	counts.senders += r == SRS_OK;
	CHAN_SEND(c, k_srs_sender, .tid = m->tid, .ok = r == SRS_OK,
	    .address = r == SRS_OK ? buf_content(&b) : span(NULL, 0),
	    .why = span_str(whys[r]));
	buf_clear(&b);
}

static const struct pki *
find_key(const struct ipc_k_sign *m)
{
	const struct pki	*k = NULL;

	if (set != NULL)
		k = set_key(set, m->pki, m->key);
	if (k == NULL && before != NULL)
		k = set_key(before, m->pki, m->key);
	return k;
}

static void
on_sign(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_sign	*m = msg;
	const struct pki	*k = find_key(m);
	const char		*why = "no such key";
	uint8_t			 sig[SIGNATURE_MAX];
	size_t			 len = 0;
	bool			 ok;

	(void)fd;
	ok = k != NULL && sign_statement(pki_key(k), pki_kind(k), m->scheme,
	    m->statement, sig, &len, &why);
	if (ok) {
		counts.signatures++;
	} else {
		counts.refusals++;
		log_warnx("event=signature pki=%s scheme=0x%04x why=%s",
		    log_quote(m->pki), m->scheme, log_quote(span_str(why)));
	}
	CHAN_SEND(c, k_signed, .tid = m->tid, .ok = ok,
	    .signature = ok ? span(sig, len) : span(NULL, 0));
}

static const struct chan_row deliverd_rows[] = {
	{ IPC_T_k_srs, on_srs },
	{ 0, NULL }
};
static const struct chan_row smtpd_rows[] = {
	{ IPC_T_k_srs_back, on_back },
	{ IPC_T_k_sign, on_sign },
	{ 0, NULL }
};

static void
closed(struct chan *c, const char *why)
{
	struct peer	*p = chan_arg(c);

	if (why != NULL)
		proc_report(p->p, p->role, p->worker, why);
	chan_free(c);
	free(p);
}

void
peer_add(struct proc *proc, enum ipc_role role, uint16_t worker,
    const char *title, int fd)
{
	struct peer	*p = calloc(1, sizeof(*p));

	(void)title;
	if (p == NULL)
		fatal("peer");
	*p = (struct peer){ proc, role, worker };
	if ((role != IPC_DELIVERD && role != IPC_SMTPD) ||
	    chan_new(proc_base(proc), fd, IPC_KEYD, role, role == IPC_SMTPD ?
	    smtpd_rows : deliverd_rows, closed, p) == NULL)
		fatalx("no peer of keyd");
}

void
peer_set(const struct set *now, const struct set *old)
{
	set = now;
	before = old;
}

const struct peer_counts *
peer_counts(void)
{
	return &counts;
}
