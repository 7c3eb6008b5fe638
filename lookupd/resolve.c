/*
 * c-ares on libevent: sockets and the timer, questions in flight, those who
 * wait for them, and what becomes of an answer. See resolve.h.
 */
#include <sys/queue.h>
#include <ares.h>
#include <stdlib.h>

#include "lookupd/resolve.h"

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/rand.h"

#define EDNS_BYTES	1232	/* DNS flag day 2020 */
#define FLAG_AD		0x20	/* in the header's fourth byte */
#define RCODE_FORMERR	1
#define CLASS_IN	1
#define SWEEP_MS	250	/* how exactly RESOLVE_TIMEOUT_MS is kept */

struct sock {
	LIST_ENTRY(sock) link;
	struct resolver	*r;
	struct event	*ev;
	int		 fd;
};

struct question;
struct waiter {
	TAILQ_ENTRY(waiter) of_question;
	TAILQ_ENTRY(waiter) by_time;
	struct question	*q;
	void		*owner;
	uint32_t	 tid;
	int64_t		 deadline_ms;
};
TAILQ_HEAD(waiters, waiter);

/* One question on its way; c-ares holds a pointer to it, so it lives until the
 * last answer is there, with or without waiters. */
struct question {
	LIST_ENTRY(question) link;
	struct resolver	*r;
	struct waiters	 waiters;
	enum dns_type	 type;
	bool		 edns;		/* the query has an OPT record */
	bool		 again;		/* cancelled, to be sent again */
	bool		 ad;		/* all answers so far had it */
	unsigned	 cnames;
	uint32_t	 ttl;
	size_t		 keylen;
	uint8_t		 key[1 + DNS_NAME_MAX];
	char		 name[DNS_NAME_MAX + 1];	/* as asked */
	char		 next[DNS_NAME_MAX + 1];	/* asked for now */
};

struct resolver {
	ares_channel	 chan;
	struct event_base *base;
	struct event	*timer;		/* c-ares's own */
	struct event	*sweeper;	/* our deadline */
	resolve_fn	*done;
	struct cache	*cache;
	struct map	*inflight;	/* key -> question */
	struct map	*owners;	/* pointer -> number of its waiters */
	LIST_HEAD(, sock) socks;
	LIST_HEAD(, question) questions;
	struct waiters	 waiting;	/* all, by deadline */
	struct resolve_stats st;
	struct addr	 servers[RESOLVE_SERVERS_MAX];
	size_t		 nservers;
	bool		 trust_ad, edns, switching;
	struct dns_answer parsed;	/* too big for the stack */
};

static void	send_question(struct question *);

/* ---- c-ares's sockets and time ---- */

static void
set_timer(struct resolver *r)
{
	struct timeval	tv;

	if (ares_timeout(r->chan, NULL, &tv) != NULL)
		evtimer_add(r->timer, &tv);
	else
		evtimer_del(r->timer);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct resolver	*r = arg;

	(void)fd;
	(void)what;
	ares_process_fd(r->chan, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(r);
}

static void
on_sock(evutil_socket_t fd, short what, void *arg)
{
	struct resolver	*r = ((struct sock *)arg)->r;

	ares_process_fd(r->chan, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer(r);
}

/* What c-ares wants to hear of this socket; both false: it is being closed. */
static void
sock_state(void *arg, ares_socket_t fd, int rd, int wr)
{
	struct resolver	*r = arg;
	struct sock	*s;
	short		 what = (short)((rd ? EV_READ : 0) |
			    (wr ? EV_WRITE : 0));

	LIST_FOREACH(s, &r->socks, link) {
		if (s->fd == fd)
			break;
	}
	if (s != NULL) {
		event_free(s->ev);
		s->ev = NULL;
	}
	if (what == 0) {
		if (s != NULL) {
			LIST_REMOVE(s, link);
			free(s);
		}
		return;
	}
	if (s == NULL) {
		if ((s = calloc(1, sizeof(*s))) == NULL)
			fatal("resolver");
		s->r = r;
		s->fd = fd;
		LIST_INSERT_HEAD(&r->socks, s, link);
	}
	s->ev = event_new(r->base, fd, (short)(what | EV_PERSIST), on_sock, s);
	if (s->ev == NULL || event_add(s->ev, NULL) == -1)
		fatalx("resolver: no event");
}

/* ---- waiters ---- */

static size_t
owner_count(struct resolver *r, void *owner)
{
	return (size_t)(uintptr_t)map_get_u64(r->owners, (uintptr_t)owner);
}

static bool
owner_add(struct resolver *r, void *owner, int n)
{
	size_t	now = owner_count(r, owner) + (size_t)n;

	if (now > 0)
		return map_set_u64(r->owners, (uintptr_t)owner,
		    (void *)(uintptr_t)now);
	map_del_u64(r->owners, (uintptr_t)owner);
	return true;
}

static void
waiter_free(struct resolver *r, struct waiter *w)
{
	TAILQ_REMOVE(&w->q->waiters, w, of_question);
	TAILQ_REMOVE(&r->waiting, w, by_time);
	owner_add(r, w->owner, -1);
	r->st.waiters--;
	free(w);
}

/* The callback may ask again or forget its owner, so the waiter goes first. */
static void
tell(struct resolver *r, struct waiter *w, const struct answer *a)
{
	void		*owner = w->owner;
	uint32_t	 tid = w->tid;

	waiter_free(r, w);
	r->done(owner, tid, a, a->ttl);
}

static void
fail_at_once(struct resolver *r, void *owner, uint32_t tid)
{
	static const struct answer	none = { .status = DNS_TEMPFAIL,
					    .ttl = CACHE_TTL_MIN_S };

	r->st.refused++;
	r->done(owner, tid, &none, none.ttl);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	static const struct answer	none = { .status = DNS_TEMPFAIL,
					    .ttl = CACHE_TTL_MIN_S };
	static const struct timeval	tv = { 0, SWEEP_MS * 1000 };
	struct resolver			*r = arg;
	struct waiter			*w;
	int64_t				 now = clock_mono().ms;

	(void)fd;
	(void)what;
	while ((w = TAILQ_FIRST(&r->waiting)) != NULL &&
	    w->deadline_ms <= now) {
		r->st.late++;
		log_debug("event=timeout name=%s type=%d",
		    log_quote(span_str(w->q->name)), (int)w->q->type);
		tell(r, w, &none);
	}
	if (!TAILQ_EMPTY(&r->waiting))
		evtimer_add(r->sweeper, &tv);
}

static bool
add_waiter(struct resolver *r, struct question *q, void *owner, uint32_t tid)
{
	static const struct timeval	tv = { 0, SWEEP_MS * 1000 };
	struct waiter			*w;

	if (r->st.waiters >= RESOLVE_WAITERS_MAX ||
	    owner_count(r, owner) >= RESOLVE_PER_OWNER_MAX ||
	    (w = calloc(1, sizeof(*w))) == NULL)
		return false;
	if (!owner_add(r, owner, 1)) {
		free(w);
		return false;
	}
	w->q = q;
	w->owner = owner;
	w->tid = tid;
	w->deadline_ms = clock_mono().ms + RESOLVE_TIMEOUT_MS;
	if (TAILQ_EMPTY(&r->waiting))
		evtimer_add(r->sweeper, &tv);
	TAILQ_INSERT_TAIL(&q->waiters, w, of_question);
	TAILQ_INSERT_TAIL(&r->waiting, w, by_time);
	r->st.waiters++;
	return true;
}

/* ---- questions and answers ---- */

static void
question_free(struct question *q)
{
	struct resolver	*r = q->r;

	LIST_REMOVE(q, link);
	map_del(r->inflight, span(q->key, q->keylen));
	r->st.questions--;
	free(q);
}

/* Gives a (taken) to all who wait, then keeps it unless it may not be. */
static void
finish(struct question *q, struct answer *a, bool keep)
{
	struct resolver	*r = q->r;
	struct waiter	*w;

	if (a == NULL)
		fatal("resolver");
	if (a->status == DNS_TEMPFAIL)
		r->st.failed++;
	else
		r->st.answered++;
	while ((w = TAILQ_FIRST(&q->waiters)) != NULL)
		tell(r, w, a);
	if (keep)
		cache_put(r->cache, q->type, span_str(q->name), a,
		    clock_mono());
	else
		free(a);
	question_free(q);
}

/* A chain goes on in another packet: ask for its next name. */
static bool
follow(struct question *q, struct dns_answer *d)
{
	q->cnames += d->cnames;
	q->ad = q->ad && d->ad;
	if (d->cnames > 0 && d->ttl < q->ttl)
		q->ttl = d->ttl;
	if (d->status != DNS_NODATA || d->next[0] == '\0')
		return false;
	if (q->cnames >= DNS_CNAMES_MAX) {
		d->status = DNS_TEMPFAIL;
		return false;
	}
	memcpy(q->next, d->next, sizeof(q->next));
	send_question(q);
	return true;
}

static void
on_packet(struct question *q, struct span packet)
{
	struct resolver		*r = q->r;
	struct dns_answer	*d = &r->parsed;
	const char		*why;

	/* A server that does not know EDNS: without it from now on. c-ares
	 * itself repeats only the first such query. */
	if (q->edns && packet.len > 3 &&
	    (packet.p[3] & 0x0f) == RCODE_FORMERR) {
		r->edns = false;
		send_question(q);
		return;
	}
	if (dns_answer_parse(packet, q->next, q->type, d, &why) != PARSE_OK) {
		log_debug("event=answer name=%s type=%d why=%s",
		    log_quote(span_str(q->next)), (int)q->type,
		    log_quote(span_str(why)));
		finish(q, answer_none(DNS_TEMPFAIL, CACHE_FAIL_S), true);
		return;
	}
	if (follow(q, d))
		return;
	d->ad = q->ad && r->trust_ad;
	/* The chain ended in an earlier packet: at the name asked for last. */
	if (q->cnames > 0 && d->cnames == 0)
		strlcpy(d->canon, q->next, sizeof(d->canon));
	if (q->ttl < d->ttl)
		d->ttl = q->ttl;
	finish(q, answer_pack(d), true);
}

static void
on_answer(void *arg, int status, int timeouts, unsigned char *buf, int len)
{
	struct question	*q = arg;

	(void)timeouts;
	if (q->r->switching) {
		q->again = true;
		return;
	}
	if (status == ARES_SUCCESS && buf != NULL && len > 0) {
		on_packet(q, span(buf, (size_t)len));
		return;
	}
	log_debug("event=answer name=%s type=%d why=%s",
	    log_quote(span_str(q->next)), (int)q->type,
	    log_quote(span_str(ares_strerror(status))));
	/* c-ares 1.18 says the same of SERVFAIL and of a server that can't be
	 * reached; either is remembered for some seconds. */
	finish(q, answer_none(DNS_TEMPFAIL, CACHE_FAIL_S),
	    status != ARES_ENOMEM);
}

/* The id is from getrandom(2), not from c-ares (R4). */
static void
send_question(struct question *q)
{
	struct resolver	*r = q->r;
	unsigned char	*buf;
	int		 len, status;

	q->edns = r->edns;
	q->again = false;
	status = ares_create_query(q->next, CLASS_IN, (int)q->type,
	    (unsigned short)rand_below(65536), 1, &buf, &len,
	    q->edns ? EDNS_BYTES : 0);
	if (status != ARES_SUCCESS) {
		finish(q, answer_none(DNS_TEMPFAIL, CACHE_FAIL_S), false);
		return;
	}
	buf[3] |= FLAG_AD;	/* RFC 6840, 5.7: tell us if it is validated */
	r->st.sent++;
	ares_send(r->chan, buf, len, on_answer, q);
	ares_free_string(buf);
	set_timer(r);
}

static struct question *
question_new(struct resolver *r, enum dns_type type, struct span name,
    struct span key)
{
	struct question	*q;

	if (r->st.questions >= RESOLVE_QUESTIONS_MAX ||
	    (q = calloc(1, sizeof(*q))) == NULL)
		return NULL;
	q->r = r;
	q->type = type;
	q->ad = true;
	q->ttl = UINT32_MAX;
	TAILQ_INIT(&q->waiters);
	memcpy(q->key, key.p, key.len);
	q->keylen = key.len;
	if (!span_cstr(name, q->name, sizeof(q->name)) ||
	    !map_set(r->inflight, key, q)) {
		free(q);
		return NULL;
	}
	memcpy(q->next, q->name, sizeof(q->next));
	LIST_INSERT_HEAD(&r->questions, q, link);
	r->st.questions++;
	return q;
}

/* RFC 6761, 6.3: localhost and what is below it is this machine, whatever a
 * server says. True: answered. */
static bool
localhost(struct resolver *r, enum dns_type type, struct span name,
    void *owner, uint32_t tid)
{
	struct dns_answer	*d = &r->parsed;
	struct answer		*a;

	if (!span_caseis(name, "localhost") &&
	    !span_caseends(name, span_str(".localhost")))
		return false;
	d->status = type == DNS_A || type == DNS_AAAA ? DNS_OK : DNS_NODATA;
	d->ttl = CACHE_NEG_MAX_S;
	d->ad = false;
	d->canon[0] = '\0';
	d->nrr = d->status == DNS_OK ? 1 : 0;
	d->rr[0] = (struct dns_rr){ .type = type };
	if (type == DNS_A) {
		d->rr[0].addr = (struct addr){ .family = 4,
		    .ip = { 127, 0, 0, 1 } };
	} else
		d->rr[0].addr = (struct addr){ .family = 6,
		    .ip = { [15] = 1 } };
	if ((a = answer_pack(d)) == NULL)
		fatal("resolver");
	r->done(owner, tid, a, a->ttl);
	free(a);
	return true;
}

void
resolve_ask(struct resolver *r, enum dns_type type, struct span name,
    void *owner, uint32_t tid)
{
	static const struct answer	 none = { .status = DNS_NXDOMAIN,
					    .ttl = CACHE_NEG_MAX_S };
	const struct answer		*a;
	struct question			*q;
	uint8_t				 key[1 + DNS_NAME_MAX];
	uint32_t			 ttl;

	r->st.asked++;
	if (!dns_name_ok(name)) {	/* no such name can exist */
		r->done(owner, tid, &none, none.ttl);
		return;
	}
	if (localhost(r, type, name, owner, tid))
		return;
	a = cache_get(r->cache, type, name, clock_mono(), &ttl);
	if (a != NULL) {
		r->st.hits++;
		r->done(owner, tid, a, ttl);
		return;
	}
	key[0] = (uint8_t)type;
	for (size_t i = 0; i < name.len; i++)
		key[1 + i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ?
		    (uint8_t)(name.p[i] - 'A' + 'a') : name.p[i];
	q = map_get(r->inflight, span(key, 1 + name.len));
	if (q != NULL) {
		r->st.joined++;
		if (!add_waiter(r, q, owner, tid))
			fail_at_once(r, owner, tid);
		return;
	}
	if ((q = question_new(r, type, name, span(key, 1 + name.len))) ==
	    NULL) {
		fail_at_once(r, owner, tid);
		return;
	}
	if (!add_waiter(r, q, owner, tid)) {
		question_free(q);
		fail_at_once(r, owner, tid);
		return;
	}
	send_question(q);
}

void
resolve_forget(struct resolver *r, void *owner)
{
	struct waiter	*w, *next;

	if (owner_count(r, owner) == 0)
		return;
	for (w = TAILQ_FIRST(&r->waiting); w != NULL; w = next) {
		next = TAILQ_NEXT(w, by_time);
		if (w->owner == owner)
			waiter_free(r, w);
	}
}

/* ---- set-up ---- */

struct resolver *
resolve_new(struct event_base *base, resolve_fn *done)
{
	struct ares_options	 opt = { 0 };
	struct resolver		*r;
	char			 lookups[] = "b";
	int			 status;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->base = base;
	r->done = done;
	r->edns = true;
	LIST_INIT(&r->socks);
	LIST_INIT(&r->questions);
	TAILQ_INIT(&r->waiting);
	r->cache = cache_new(CACHE_BYTES_MAX);
	r->inflight = map_new(RESOLVE_QUESTIONS_MAX);
	r->owners = map_new(RESOLVE_WAITERS_MAX);
	r->timer = evtimer_new(base, on_timer, r);
	r->sweeper = evtimer_new(base, on_sweep, r);
	if (r->cache == NULL || r->inflight == NULL || r->owners == NULL ||
	    r->timer == NULL || r->sweeper == NULL)
		fatal("resolver");
	opt.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
	opt.timeout = RESOLVE_TRY_MS;
	opt.tries = RESOLVE_TRIES;
	opt.lookups = lookups;
	opt.ednspsz = EDNS_BYTES;
	opt.sock_state_cb = sock_state;
	opt.sock_state_cb_data = r;
	if ((status = ares_library_init(ARES_LIB_INIT_ALL)) != ARES_SUCCESS ||
	    (status = ares_init_options(&r->chan, &opt, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
	    ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB)) != ARES_SUCCESS)
		fatalx("c-ares: %s", ares_strerror(status));
	return r;
}

static bool
same_servers(const struct resolver *r, const struct addr *s, size_t n)
{
	if (n != r->nservers)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!addr_eq(&r->servers[i], &s[i]) ||
		    r->servers[i].port != s[i].port)
			return false;
	}
	return true;
}

static int
set_servers(struct resolver *r, const struct addr *s, size_t n)
{
	struct ares_addr_port_node	 node[RESOLVE_SERVERS_MAX] = { 0 };

	for (size_t i = 0; i < n; i++) {
		node[i].next = i + 1 < n ? &node[i + 1] : NULL;
		node[i].family = s[i].family == 4 ? AF_INET : AF_INET6;
		memcpy(&node[i].addr, s[i].ip, s[i].family == 4 ? 4 : 16);
		node[i].udp_port = node[i].tcp_port =
		    s[i].port != 0 ? s[i].port : 53;
	}
	return ares_set_servers_ports(r->chan, node);
}

bool
resolve_servers(struct resolver *r, const struct addr *s, size_t n,
    bool trust_ad)
{
	struct question	*q, *next;
	int		 status;

	if (n > RESOLVE_SERVERS_MAX)
		n = RESOLVE_SERVERS_MAX;
	r->trust_ad = trust_ad || n > 0;
	for (size_t i = 0; i < n && !trust_ad; i++) {
		if (!addr_is_loopback(&s[i]))
			r->trust_ad = false;
	}
	if (n == 0 || same_servers(r, s, n))
		return true;
	/* c-ares changes its servers only while it asks nothing. */
	r->switching = true;
	ares_cancel(r->chan);
	status = set_servers(r, s, n);
	r->switching = false;
	if (status == ARES_SUCCESS) {
		memcpy(r->servers, s, n * sizeof(*s));
		r->nservers = n;
		r->edns = true;
		cache_flush(r->cache, span(NULL, 0));
	} else
		log_warnx("c-ares: %s", ares_strerror(status));
	for (q = LIST_FIRST(&r->questions); q != NULL; q = next) {
		next = LIST_NEXT(q, link);
		if (q->again)
			send_question(q);
	}
	return status == ARES_SUCCESS;
}

struct cache *
resolve_cache(struct resolver *r)
{
	return r->cache;
}

void
resolve_stats(const struct resolver *r, struct resolve_stats *st)
{
	*st = r->st;
}
