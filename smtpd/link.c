/*
 * Channels to the proxyds, links on them, requests in order. See link.h.
 */
#include "smtpd/link.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/ipc/wait.h"
#include "smtpd/mirror.h"
#include "smtpd/relay.h"
#include "smtpd/txn.h"
#include "smtpd/verify.h"

#define LINKS_MAX	65536
#define PIECE_MAX	32000	/* of a p_chunk */

struct proxy {
	LIST_ENTRY(proxy) entry;
	uint16_t	 worker;
	struct chan	*chan;
	LIST_HEAD(links, link) links;
	size_t		 nlinks;
};

static struct proc		*proc;
static struct wait		*links;		/* by tid, of all proxies */
static LIST_HEAD(proxies, proxy) proxies = LIST_HEAD_INITIALIZER(proxies);

static const struct chan_row	 rows[];

/* ---- channels -------------------------------------------------------------- */

void
link_init(struct proc *p, const struct conf *c)
{
	proc = p;
	mirror_init(p, c);
	if ((links = wait_new(LINKS_MAX)) == NULL)
		fatal("wait_new");
}

static void
link_free(struct link *l)
{
	struct link_wait	*w;

	if (l->mirror != NULL)
		mirror_alone(l);
	while ((w = STAILQ_FIRST(&l->waits)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->waits, entry);
		free(w);
	}
	wait_take(links, l->tid);
	LIST_REMOVE(l, entry);
	l->proxy->nlinks--;
	buf_clear(&l->text);
	free(l->others);
	free(l->server);
	free(l);
}

static void
over(struct link *l, const char *why)
{
	l->ops->closed(l, why);
	link_free(l);
}

static struct proxy *
least(void)
{
	struct proxy	*p, *best = NULL;

	LIST_FOREACH(p, &proxies, entry)
		if (best == NULL || p->nlinks < best->nlinks)
			best = p;
	return best;
}

struct chan *
link_proxy(void)
{
	struct proxy	*p = least();

	return p == NULL ? NULL : p->chan;
}

static void
proxy_lost(struct proxy *p)
{
	struct link	*l;

	while ((l = LIST_FIRST(&p->links)) != NULL)
		over(l, "4.3.2 The proxy was restarted");
	LIST_REMOVE(p, entry);
	verify_proxy_gone(p->chan);
	chan_free(p->chan);
	free(p);
	relay_proxy_gone();
}

static void
on_lost(struct chan *c, const char *why)
{
	struct proxy	*p = chan_arg(c);

	if (why != NULL)
		proc_report(proc, IPC_PROXYD, p->worker, why);
	proxy_lost(p);
}

void
link_peer(uint16_t worker, int fd)
{
	struct proxy	*p, *next;

	LIST_FOREACH_SAFE(p, &proxies, entry, next)
		if (p->worker == worker)
			proxy_lost(p);
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal("proxy");
	p->worker = worker;
	LIST_INIT(&p->links);
	p->chan = chan_new(proc_base(proc), fd, IPC_SMTPD, IPC_PROXYD, rows,
	    on_lost, p);
	if (p->chan == NULL)
		fatal("chan_new");
	chan_one_a_turn(p->chan);
	LIST_INSERT_HEAD(&proxies, p, entry);
	relay_proxy();
}

/* ---- commands -------------------------------------------------------------- */

static struct link_wait *
expect(struct link *l, enum link_ask what, struct cmd *c, uint64_t txn,
    size_t rcpt)
{
	struct link_wait	*w = calloc(1, sizeof(*w));

	if (w == NULL)
		fatal("link");
	w->what = what;
	w->cmd = c;
	w->txn = txn;
	w->rcpt = rcpt;
	STAILQ_INSERT_TAIL(&l->waits, w, entry);
	return w;
}

/* To the server, and to its mirror. w: the reply that is expected, or NULL. */
static void
tell(struct link *l, struct link_wait *w, uint16_t type, const void *msg)
{
	chan_send(l->proxy->chan, type, msg, -1);
	if (l->mirror != NULL)
		mirror_sent(l, w, type, msg);
}

#define TELL(l, w, name, ...)	tell((l), (w), IPC_T_##name, \
	    &(struct ipc_##name){ .tid = (l)->tid, __VA_ARGS__ })

/* What the client has connected to: of a socket for all addresses, the one. */
static struct addr
dest_of(const struct session *s)
{
	static const uint8_t	 any[16];
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	struct addr		 a = s->local;

	if (s->dest.family != 0)
		return s->dest;
	if (a.family != 0 && memcmp(a.ip, any, sizeof(any)) == 0 &&
	    getsockname(stream_fd(s->stream), (struct sockaddr *)&ss,
	    &len) == 0)
		addr_from_sockaddr(&a, (struct sockaddr *)&ss);
	return a;
}

struct link *
link_open(const struct link_ops *ops, void *arg, struct session *s,
    const struct conf_action *a, struct span helo, struct cmd *c)
{
	struct proxy	*p = least();
	struct link	*l;

	if (p == NULL || (l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	if ((l->tid = wait_add(links, l)) == 0) {
		free(l);
		return NULL;
	}
	l->ops = ops;
	l->arg = arg;
	l->proxy = p;
	l->s = s;
	l->action = a;
	STAILQ_INIT(&l->waits);
	buf_init(&l->text, LINK_REPLY_MAX);
	LIST_INSERT_HEAD(&p->links, l, entry);
	p->nlinks++;
	CHAN_SEND(p->chan, p_open, .tid = l->tid, .action = span_str(a->name),
	    .session = span_str(s->id), .client = session_named(s),
	    .local = dest_of(s), .rdns = peer_name(&s->peer),
	    .rdns_known = peer_settled(&s->peer), .helo = helo,
	    .client_helo = helo.len > 0 ? span_str(s->helo) : span(NULL, 0),
	    .client_esmtp = s->esmtp);
	expect(l, ASK_OPEN, c, 0, 0);
	mirror_open(l, helo);
	return l;
}

void
link_close(struct link *l)
{
	if (l == NULL)
		return;
	CHAN_SEND(l->proxy->chan, p_close, .tid = l->tid);
	link_free(l);
}

void
link_ehlo(struct link *l, struct cmd *c, bool ehlo, struct span name)
{
	struct link_wait	*w = expect(l, ASK_EHLO, c, 0, 0);

	TELL(l, w, p_ehlo, .ehlo = ehlo, .name = name);
}

void
link_mail(struct link *l, struct cmd *c, const struct txn *t)
{
	struct link_wait	*w = expect(l, ASK_MAIL, c, t->id, 0);

	TELL(l, w, p_mail, .id = t->id,
	    .from = t->from, .size = t->mail.size,
	    .body = (uint8_t)t->mail.body, .utf8 = t->mail.utf8,
	    .ret = (uint8_t)t->mail.ret, .envid = t->mail.envid,
	    .auth = t->mail.auth, .requiretls = t->mail.requiretls);
}

void
link_rcpt(struct link *l, struct cmd *c, const struct txn *t, size_t n)
{
	const struct rcpt	*r = &t->rcpts[n];
	struct link_wait	*w = expect(l, ASK_RCPT, c, t->id, n);

	TELL(l, w, p_rcpt, .to = r->to,
	    .notify = r->params.notify, .orcpt = r->params.orcpt);
}

void
link_data(struct link *l, struct cmd *c, const struct txn *t)
{
	struct link_wait	*w = expect(l, ASK_DATA, c, t->id, 0);

	l->credit = LINK_CREDIT;
	TELL(l, w, p_data);
}

void
link_rset(struct link *l, struct cmd *c)
{
	struct link_wait	*w = expect(l, ASK_PLAIN, c, 0, 0);

	TELL(l, w, p_rset);
}

void
link_noop(struct link *l, struct cmd *c)
{
	struct link_wait	*w = expect(l, ASK_PLAIN, c, 0, 0);

	TELL(l, w, p_noop);
}

void
link_ask(struct link *l, struct cmd *c, enum smtp_verb verb, struct span arg)
{
	struct link_wait	*w = expect(l, ASK_PLAIN, c, 0, 0);

	TELL(l, w, p_ask, .verb = (uint8_t)verb, .arg = arg);
}

void
link_auth(struct link *l, struct cmd *c, struct span mech, bool has_initial,
    struct span initial)
{
	/* Not for a mirror. */
	expect(l, ASK_AUTH, c, 0, 0);
	chan_send_secret(l->proxy->chan, IPC_T_p_auth, &(struct ipc_p_auth){
	    .tid = l->tid, .mech = mech, .has_initial = has_initial,
	    .initial = initial });
}

void
link_auth_line(struct link *l, struct cmd *c, struct span line)
{
	expect(l, ASK_AUTH, c, 0, 0);
	chan_send_secret(l->proxy->chan, IPC_T_p_auth_line,
	    &(struct ipc_p_auth_line){ .tid = l->tid, .line = line });
}

void
link_quit(struct link *l, struct cmd *c)
{
	struct link_wait	*w = expect(l, ASK_QUIT, c, 0, 0);

	TELL(l, w, p_quit);
}

void
link_write(struct link *l, struct buf *b)
{
	size_t	n = buf_len(b);

	if (n > l->credit)
		n = (size_t)l->credit;
	link_put(l, span_sub(buf_content(b), 0, n));
	buf_drain(b, n);
}

void
link_put(struct link *l, struct span s)
{
	struct span	in;

	while (s.len > 0) {
		in = span_sub(s, 0, PIECE_MAX);
		TELL(l, NULL, p_chunk, .bytes = in);
		l->credit -= in.len;
		span_skip(&s, in.len);
	}
}

void
link_end(struct link *l, struct buf *b, const struct txn *t)
{
	struct link_wait	*w = expect(l, ASK_END, NULL, t->id, 0);

	TELL(l, w, p_end, .bytes = buf_content(b));
}

void
link_pass(struct link *l, enum link_ask what, struct twin *t, uint16_t type,
    void *msg)
{
	expect(l, what, NULL, 0, 0)->twin = t;
	if (what == ASK_DATA)
		l->credit = LINK_CREDIT;
	*(uint32_t *)msg = l->tid;	/* the first field of each */
	chan_send(l->proxy->chan, type, msg, -1);
}

/* RFC 3030, 2: between chunks RSET is a command like elsewhere. What DATA has
 * begun ends with the dot alone. */
bool
link_abort(struct link *l)
{
	if ((l->caps.bits & CAP_CHUNKING) == 0)
		return false;
	TELL(l, NULL, p_abort);
	return true;
}

/* ---- what comes back ------------------------------------------------------- */

static void
on_reply(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_reply	*m = msg;
	struct link			*l = wait_get(links, m->tid);
	struct link_wait		*w;
	struct buf			 text;

	(void)fd;
	if (m->code < 200 || m->code > 599) {
		chan_reject(c, "p_reply: no such code");
		return;
	}
	if (l == NULL)
		return;
	if ((w = STAILQ_FIRST(&l->waits)) == NULL ||
	    !buf_span(&l->text, m->text)) {
		chan_reject(c, w == NULL ? "p_reply: nothing was asked" :
		    "p_reply: too long");
		return;
	}
	if (m->more)
		return;
	STAILQ_REMOVE_HEAD(&l->waits, entry);
	text = l->text;
	buf_init(&l->text, LINK_REPLY_MAX);
	if (l->mirror != NULL)
		mirror_replied(l, w, m->code, buf_content(&text), m->own);
	l->ops->reply(l, w, m->code, buf_content(&text), m->own);
	buf_clear(&text);
	free(w);
}

static void
on_caps(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_caps	*m = msg;
	struct link		*l = wait_get(links, m->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	l->caps = (struct smtp_caps){ .bits = m->caps, .size = m->size };
	span_cstr(m->auth, l->caps.auth, sizeof(l->caps.auth));
	free(l->others);
	l->others = m->others.len > 0 ? span_dup(m->others) : NULL;
}

static void
on_credit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_credit	*m = msg;
	struct link			*l = wait_get(links, m->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	l->credit += m->bytes;
	if (l->credit > LINK_CREDIT)
		l->credit = LINK_CREDIT;
	l->ops->credit(l);
}

static void
on_server(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_server	*m = msg;
	struct link			*l = wait_get(links, m->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	free(l->server);
	l->server = span_dup(m->server);
}

static void
on_closed(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_closed	*m = msg;
	struct link			*l = wait_get(links, m->tid);
	char				 why[257];

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	span_cstr(m->why, why, sizeof(why));
	over(l, why);
}

static const struct chan_row rows[] = {
	{ IPC_T_p_reply, on_reply },
	{ IPC_T_p_caps, on_caps },
	{ IPC_T_p_credit, on_credit },
	{ IPC_T_p_server, on_server },
	{ IPC_T_p_closed, on_closed },
	{ IPC_T_p_verified, verify_verified },
	{ IPC_T_p_relayed, relay_told },
	{ 0, NULL }
};
