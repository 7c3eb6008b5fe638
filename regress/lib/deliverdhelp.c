/*
 * The world around deliverd for its tests. See deliverdhelp.h.
 */
#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "deliverd/logins.h"
#include "regress/lib/confhelp.h"
#include "regress/lib/deliverdhelp.h"

struct server		*sa, *sb, *sc;
struct ask		*ask;
struct chan		*queued;
struct got		 got[GOT_MAX];
size_t			 ngot, nrunning, nsynced, ndone, nback;
uint64_t		 back[8];
uint32_t		 tid;
struct told		 told[65536];
char			 login_label[256], login_why[512];
unsigned		 nback_up;
char			 back_up[65];
bool			 record;
enum dns_status		 dns;
void			(*deliverdhelp_conf)(char *, size_t);
static struct chan	*lookupd;
static struct { uint64_t id; enum d_dest dest; } done[DONE_MAX];

/* ---- the process around it ----------------------------------------------- */

struct event_base *
proc_base(const struct proc *p)
{
	(void)p;
	return script_base;
}

uint16_t
proc_sessions(const struct proc *p)
{
	(void)p;
	return CONNS_MAX;
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	(void)role;
	(void)worker;
	fprintf(stderr, "reported: %s\n", why);
	abort();
}

/* ---- queued and lookupd -------------------------------------------------- */

static void
on_result(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_result	*m = msg;
	struct got			*g = &got[ngot++];

	(void)fd;
	if (ngot == GOT_MAX)
		abort();	/* no assertion: it would leave the event loop */
	*g = (struct got){ .id = m->id, .n = m->n, .attempt = m->attempt,
	    .status = (enum d_status)m->status, .remote = m->remote,
	    .dsn = m->dsn };
	if (!span_cstr(m->reply, g->reply, sizeof(g->reply)) ||
	    !span_cstr(m->server, g->server, sizeof(g->server)) ||
	    !span_cstr(m->tls, g->tls, sizeof(g->tls)))
		abort();
	if (record)
		CHAN_SEND(ch, d_recorded, .tid = m->tid, .id = m->id,
		    .n = m->n, .attempt = m->attempt);
}

static void
on_done(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_done	*m = msg;

	(void)ch;
	(void)fd;
	done[ndone].id = m->id;
	done[ndone++].dest = (enum d_dest)m->dest;
}

static void
on_running(struct chan *ch, const void *msg, int fd)
{
	(void)ch;
	(void)msg;
	(void)fd;
	nrunning++;
}

static void
on_synced(struct chan *ch, const void *msg, int fd)
{
	(void)ch;
	(void)msg;
	(void)fd;
	nsynced++;
}

static void
on_back(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_back	*m = msg;

	(void)ch;
	(void)fd;
	back[nback++ % 8] = m->id;
}

static void
on_server(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_server	*m = msg;
	struct told			*t = &told[m->addr.port];

	(void)ch;
	(void)fd;
	t->n++;
	t->failures = m->failures;
	t->probe_ms = m->probe_ms;
	t->conns = m->conns;
	t->delivered += m->delivered;
	t->failed += m->failed;
	span_cstr(m->tls, t->tls, sizeof(t->tls));
}

/* This queued remembers no policy. */
static void
on_policy_ask(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_policy_ask	*m = msg;

	(void)fd;
	CHAN_SEND(ch, d_policy_is, .domain = m->domain);
}

static void
on_policy(struct chan *ch, const void *msg, int fd)
{
	(void)ch;
	(void)msg;
	(void)fd;
}

static void
on_login(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_login	*m = msg;

	(void)ch;
	(void)fd;
	span_cstr(m->label, login_label, sizeof(login_label));
	span_cstr(m->why, login_why, sizeof(login_why));
}

static void
on_back_up(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_d_back_up	*m = msg;

	(void)ch;
	(void)fd;
	nback_up++;
	span_cstr(m->action, back_up, sizeof(back_up));
}

static const struct chan_row queued_rows[] = {
	{ IPC_T_d_result, on_result },
	{ IPC_T_d_done, on_done },
	{ IPC_T_d_running, on_running },
	{ IPC_T_d_synced, on_synced },
	{ IPC_T_d_back, on_back },
	{ IPC_T_d_server, on_server },
	{ IPC_T_d_login, on_login },
	{ IPC_T_d_policy_ask, on_policy_ask },
	{ IPC_T_d_policy, on_policy },
	{ IPC_T_d_back_up, on_back_up },
	{ 0, NULL }
};

static void
on_lookup(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_lookup	*m = msg;

	(void)fd;
	CHAN_SEND(ch, lookup_end, .tid = m->tid, .status = (uint8_t)dns,
	    .ttl = 1);
}

static const struct chan_row lookup_rows[] = {
	{ IPC_T_lookup, on_lookup },
	{ 0, NULL }
};

static void
closed(struct chan *ch, const char *why)
{
	(void)ch;
	fprintf(stderr, "deliverd closed a channel: %s\n", why);
	abort();
}

/* A new queued; the one before, if any, has died. */
void
queued_start(void)
{
	int	fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	chan_free(queued);
	script_turn();
	job_peer(0, fds[0]);
	queued = chan_new(script_base, fds[1], IPC_QUEUED, IPC_DELIVERD,
	    queued_rows, closed, NULL);
}

void
hand_over(struct letter l)
{
	struct span	 rcpts, to, text, prefix = span_str(l.prefix);
	struct span	 front = span_str(l.front), end = span_str(l.suffix);
	uint32_t	 n = 0;

	tid++;
	rcpts = span_str(l.rcpts != NULL ? l.rcpts : "b@x.example");
	text = l.content == NULL ? span_str("Subject: x\r\n\r\nhello\r\n") :
	    span(l.content, l.len > 0 ? l.len : strlen(l.content));
	CHAN_SEND_FD(queued, d_job, l.fd > 0 ? l.fd : -1, .tid = tid,
	    .id = l.id, .action = span_str(l.action),
	    .domain = span_str(l.domain != NULL ? l.domain : "x.example"),
	    .from = span_str(l.from != NULL ? l.from : "a@c.example"),
	    .body = (uint8_t)l.body, .utf8 = l.utf8, .size = l.size > 0 ?
	    l.size : front.len + end.len + prefix.len + (l.fd > 0 ? l.len : text.len),
	    .prefix = prefix, .offset = l.offset, .ret = (uint8_t)l.ret,
	    .envid = span_str(l.envid != NULL ? l.envid : ""),
	    .auth = span_str(l.auth != NULL ? l.auth : ""),
	    .requiretls = l.requiretls, .tls_optional = l.tls_optional);
	while (span_word(&rcpts, " ", &to))
		CHAN_SEND(queued, d_rcpt, .tid = tid, .n = n++, .to = to,
		    .attempt = l.attempt, .notify = l.notify, .orcpt =
		    span_str(l.orcpt != NULL ? l.orcpt : ""));
	for (; front.len > 0; span_skip(&front, 7))
		CHAN_SEND(queued, d_prefix, .tid = tid,
		    .bytes = span_sub(front, 0, 7));
	if (end.len > 0)
		CHAN_SEND(queued, d_suffix, .tid = tid, .bytes = end);
	for (; l.fd <= 0 && text.len > 0; span_skip(&text, 32000))
		CHAN_SEND(queued, d_data, .tid = tid,
		    .bytes = span_sub(text, 0, 32000));
	CHAN_SEND(queued, d_go, .tid = tid);
}
bool
is_done(uint64_t id)
{
	for (size_t i = 0; i < ndone; i++) {
		if (done[i].id == id)
			return true;
	}
	return false;
}

enum d_dest
dest_was(uint64_t id)
{
	size_t	i;

	for (i = 0; i < ndone && done[i].id != id; i++)
		;
	assert_true(i < ndone);
	return done[i].dest;
}

/* The one result for a recipient. */
const struct got *
result(uint64_t id, uint32_t n)
{
	const struct got	*g = NULL;

	for (size_t i = 0; i < ngot; i++) {
		if (got[i].id != id || got[i].n != n)
			continue;
		if (g != NULL)
			fail_msg("two results for %u: %s and %s", n, g->reply,
			    got[i].reply);
		g = &got[i];
	}
	if (g == NULL)
		fail_msg("no result for %u", n);
	return g;
}

void
is(uint64_t id, uint32_t n, enum d_status status, const char *reply)
{
	const struct got	*g = result(id, n);

	if (g->status != status || strncmp(g->reply, reply, strlen(reply)) != 0)
		fail_msg("recipient %u: status %d, \"%s\"", n, g->status,
		    g->reply);
}

void
content_is(struct server *s, const char *want)
{
	struct span	have = server_content(s);

	if (!span_is(have, want))
		fail_msg("content is \"%.*s\"", (int)have.len,
		    (const char *)have.p);
}

int
deliverdhelp_setup(void **state)
{
	(void)state;
	ngot = ndone = nrunning = nsynced = 0;
	nback_up = 0;
	memset(told, 0, sizeof(told));
	record = true;
	dns = DNS_TEMPFAIL;
	return 0;
}

/* Nothing stays from one case to the next. */
int
deliverdhelp_teardown(void **state)
{
	(void)state;
	script_time(REMOTE_IDLE_MS + 200);
	for (int i = 0; i < 50 && pool_count_conns() > 0; i++)
		script_turn();
	server_reset(sa);
	server_reset(sb);
	server_reset(sc);
	script_time(6000);
	UNTIL(pool_count_conns() == 0 && job_count() == 0);
	srvs_clear();
	tls_plain_forget();
	logins_clear();
	script_settle(20);	/* queued hears of it */
	return 0;
}

int
deliverdhelp_start(void **state)
{
	static char	 text[16384];
	size_t		 len;
	struct conf	*conf;
	struct buf	 msgs;
	int		 fds[2];

	(void)state;
	script_init();
	sa = server_new();
	sb = server_new();
	sc = server_new();
	snprintf(text, sizeof(text),
	    "action \"a\" relay to \"127.0.0.1:%u\"\n"
	    "action \"b\" relay to \"127.0.0.1:%u\"\n"
	    "action \"c\" relay to \"127.0.0.1:%u\"\n"
	    "action \"ab\" relay to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" }\n"
	    "action \"named\" relay to \"127.0.0.1:%u\" helo out.example.org\n"
	    "action \"max\" relay to \"127.0.0.1:%u\" max-connections 1\n"
	    "action \"down\" relay to \"127.0.0.1:%u\"\n"
	    "action \"mx\" relay\n"
	    "listen on 127.0.0.1 port 1\n"
	    "match for any action \"a\"\n",
	    server_port(sa), server_port(sb), server_port(sc), server_port(sa),
	    server_port(sb), server_port(sb), server_port(sa),
	    server_closed_port());
	if (deliverdhelp_conf != NULL) {
		len = strlen(text);
		deliverdhelp_conf(text + len, sizeof(text) - len);
	}
	buf_init(&msgs, 1 << 16);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s\n", buf_cstr(&msgs));
		return -1;
	}
	buf_clear(&msgs);
	log_init("deliverd", LOG_FORM_TEXT, getenv("TEST_DEBUG") != NULL ?
	    LOG_LV_DEBUG : LOG_LV_WARN);
	ask = ask_new(NULL, IPC_DELIVERD);
	pool_init(NULL, conf, ask);
	job_init(NULL, conf, pool_add);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == -1)
		return -1;
	ask_peer(ask, 0, fds[0]);
	lookupd = chan_new(script_base, fds[1], IPC_LOOKUPD, IPC_DELIVERD,
	    lookup_rows, closed, NULL);
	queued_start();
	return 0;
}
