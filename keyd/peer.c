/*
 * Channels of deliverd and smtpd. See peer.h.
 */
#include "keyd/peer.h"

#include <sys/queue.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "keyd/login.h"
#include "keyd/push.h"
#include "keyd/sign.h"
#include "keyd/srs.h"

#define DAY_MS		86400000

struct peer {
	LIST_ENTRY(peer) entry;
	struct proc	*p;
	struct chan	*chan;
	enum ipc_role	 role;
	uint16_t	 worker;
};

static const struct set		*set, *before;
static struct peer_counts	 counts;
static LIST_HEAD(, peer)	 peers = LIST_HEAD_INITIALIZER(peers);

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

/* The label's user and secret, and the mechanism: that which was chosen, or the
 * best of those that the server offers. */
static enum k_auth_status
find_login(const struct ipc_k_auth *m, struct login *l)
{
	bool	token;

	if (set == NULL || !set_login(set, m->label, &l->user, &l->secret,
	    &token))
		return K_AUTH_NO_LABEL;
	l->mech = sasl_mech_choose(m->mechs, token);
	l->step = m->step;
	l->first = m->first;
	l->challenge = m->challenge;
	return l->mech == MECH_NONE ? K_AUTH_NO_MECH : K_AUTH_OK;
}

static void
on_auth(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_auth	*m = msg;
	const char		*why = "";
	struct login		 l = { .mech = MECH_NONE };
	enum k_auth_status	 st = find_login(m, &l);
	uint8_t			 nonce[LOGIN_NONCE];
	struct buf		 response, expect;
	bool			 says = false;

	(void)fd;
	buf_init(&response, LOGIN_RESPONSE_MAX);
	buf_init(&expect, SASL_EXPECT_MAX);
	response.secret = expect.secret = true;
	if (st == K_AUTH_OK && (RAND_bytes(nonce, sizeof(nonce)) != 1 ||
	    !login_next(&l, nonce, &response, &says, &expect, &why)))
		st = K_AUTH_BAD;
	if (st != K_AUTH_OK) {
		buf_reset(&response);
		buf_reset(&expect);
	}
	counts.logins += st == K_AUTH_OK && m->step == 0;
	chan_send_secret(c, IPC_T_k_auth_answer, &(struct ipc_k_auth_answer){
	    .tid = m->tid, .status = (uint8_t)st,
	    .mech = span_str(sasl_mech_name(l.mech)), .says = says,
	    .response = buf_content(&response),
	    .expect = buf_content(&expect), .why = span_str(why) });
	buf_clear(&response);
	buf_clear(&expect);
}

static const struct chan_row deliverd_rows[] = {
	{ IPC_T_k_srs, on_srs },
	{ IPC_T_k_auth, on_auth, true },
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
	LIST_REMOVE(p, entry);
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
	*p = (struct peer){ .p = proc, .role = role, .worker = worker };
	if ((role != IPC_DELIVERD && role != IPC_SMTPD) || (p->chan =
	    chan_new(proc_base(proc), fd, IPC_KEYD, role, role == IPC_SMTPD ?
	    smtpd_rows : deliverd_rows, closed, p)) == NULL)
		fatalx("no peer of keyd");
	LIST_INSERT_HEAD(&peers, p, entry);
	if (role == IPC_SMTPD && set != NULL)
		push_set(p->chan, set);
}

void
peer_set(const struct set *now, const struct set *old)
{
	struct peer	*p;
	bool		 changed = now != set;

	set = now;
	before = old;
	if (!changed)
		return;
	login_forget();
	if (now == NULL)
		return;
	LIST_FOREACH(p, &peers, entry)
		if (p->role == IPC_SMTPD)
			push_set(p->chan, now);
}

const struct peer_counts *
peer_counts(void)
{
	return &counts;
}
