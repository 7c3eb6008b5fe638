/*
 * The world around smtpd. See smtpdhelp.h.
 */
#include "regress/lib/smtpdhelp.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/lookup/ask.h"
#include "common/smtp/command.h"
#include "regress/lib/confhelp.h"
#include "smtpd/digest.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/listener.h"
#include "smtpd/source.h"
#include "smtpd/srs.h"
#include "smtpd/verify.h"

#define LINKS	64		/* of proxyd, kept apart by tid */
#define TXNS	64
#define PENDING	512

struct event_base	*world_base;
struct conf		*world_conf;
uint16_t		 world_sessions;
unsigned		 world_reports;
struct queued		 queued;
struct proxyd		 proxyd;
struct lookupd		 lookupd;
static struct ask	*ask;
static struct conf_limits limits;
static time_t		 skipped_s;
static unsigned		 nclients;
static LIST_HEAD(, client) clients = LIST_HEAD_INITIALIZER(clients);

/* ---- the process, and time ------------------------------------------------ */

/* Over libc's, for us and for libevent: time that a test can skip. A fuzzer
 * keeps its own by the wall clock. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int	r = (int)syscall(SYS_clock_gettime, id, ts);

	if (id != CLOCK_REALTIME)
		ts->tv_sec += skipped_s;
	return r;
}

struct event_base *
proc_base(const struct proc *p)
{
	(void)p;
	return world_base;
}

uint16_t
proc_sessions(const struct proc *p)
{
	(void)p;
	return world_sessions;
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	log_warnx("report: role=%d worker=%u %s", (int)role, worker, why);
	world_reports++;
}

/* A breach of the protocol: of smtpd, or of a test. */
static void __attribute__((format(printf, 2, 3)))
must(bool good, const char *fmt, ...)
{
	va_list	 ap;

	if (good)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

void
world_pass(int n)
{
	while (n-- > 0)
		event_base_loop(world_base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

void
world_run(void)
{
	world_pass(12);
}

void
world_skip_ms(int64_t ms)
{
	world_run();
	skipped_s += (time_t)(ms / 1000 + 1);
	world_run();
}

const char *
world_leak(void)
{
	static char	 why[100];

	world_run();
	if (session_count() == 0 && proxyd.links == 0 && queued.open == 0 &&
	    nclients == 0)
		return NULL;
	snprintf(why, sizeof(why), "%zu sessions, %u links, %u transactions, "
	    "%u clients", session_count(), proxyd.links, queued.open,
	    nclients);
	return why;
}

void
world_init(const char *text)
{
	struct buf	 msgs;

	signal(SIGPIPE, SIG_IGN);
	log_init("smtpd", LOG_FORM_TEXT, getenv("WORLD_LOG") != NULL ?
	    LOG_LV_DEBUG : LOG_LV_WARN);
	buf_init(&msgs, 1 << 20);
	world_conf = confhelp_parse(text, &msgs);
	must(world_conf != NULL, "%s", buf_cstr(&msgs));
	buf_clear(&msgs);
	limits = world_conf->limits;
	must((world_base = event_base_new()) != NULL, "event_base_new");
	digest_init();
	ask = ask_new(NULL, IPC_SMTPD);
	peer_init(ask);
	source_init(world_conf);
	queue_init(NULL);
	verify_init(NULL, world_conf);
	link_init(NULL);
	srs_init(NULL, world_conf);
	session_init(world_base, world_conf);
	listener_init(NULL, world_conf);
	queued_reset();
	proxyd_reset();
	queued_start();
	proxyd_start();
	world_run();
}

static void
note(char *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void
note(char *log, const char *fmt, ...)
{
	size_t	 n = strlen(log);
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(log + n, WORLD_LOG_MAX - n, fmt, ap);
	va_end(ap);
}

static void
keep(char **content, size_t *len, struct span b)
{
	if (*content == NULL)
		*content = malloc(WORLD_CONTENT_MAX);
	must(*content != NULL, "memory");
	if (b.len > WORLD_CONTENT_MAX - 1 - *len)
		b.len = WORLD_CONTENT_MAX - 1 - *len;
	if (b.len > 0)
		memcpy(*content + *len, b.p, b.len);
	*len += b.len;
	(*content)[*len] = '\0';
}

/* The stand-in's end of a new channel, smtpd's in *fd. */
static struct chan *
channel(enum ipc_role self, const struct chan_row *rows,
    void (*closed)(struct chan *, const char *), int *fd)
{
	struct chan	*c;
	int		 sv[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == 0,
	    "socketpair");
	*fd = sv[1];
	c = chan_new(world_base, sv[0], self, IPC_SMTPD, rows, closed, NULL);
	must(c != NULL, "chan_new");
	return c;
}

static struct addr
address(const char *s)
{
	struct addr	 a = { 0 };

	must(*s == '\0' || addr_parse(span_str(s), &a), "address %s", s);
	return a;
}

#define SV(s)	(int)(s).len, (const char *)(s).p

/* ---- clients -------------------------------------------------------------- */

static void
newest(struct session *s, void *arg)
{
	if (*(struct session **)arg == NULL)
		*(struct session **)arg = s;
}

struct client *
client_new(unsigned listen, const char *from)
{
	struct client	*c = calloc(1, sizeof(*c));
	struct addr	 local = address("192.0.2.1"),
			 client = address(from == NULL ? WORLD_SOURCE : from);
	int		 sv[2];

	must(c != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, sv) == 0, "client");
	c->fd = sv[0];
	LIST_INSERT_HEAD(&clients, c, entry);
	nclients++;
	session_new(world_conf->listens[listen], &local, &client, sv[1]);
	session_each(newest, &c->s);
	return c;
}

void
client_free(struct client *c)
{
	if (c->fd != -1)
		close(c->fd);
	LIST_REMOVE(c, entry);
	free(c);
	nclients--;
	world_run();
}

size_t
client_write(struct client *c, const void *p, size_t n)
{
	ssize_t	 put = send(c->fd, p, n, MSG_NOSIGNAL);

	must(put >= 0 || errno == EAGAIN || errno == EPIPE ||
	    errno == ECONNRESET, "send");
	return put < 0 ? 0 : (size_t)put;
}

void
client_send(struct client *c, const char *bytes)
{
	client_write(c, bytes, strlen(bytes));
	world_run();
}

void
client_say(struct client *c, const char *line)
{
	char	 text[16384];

	snprintf(text, sizeof(text), "%s\r\n", line);
	client_send(c, text);
}

static void
pull(struct client *c)
{
	ssize_t	 n;

	while ((n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len,
	    MSG_DONTWAIT)) > 0)
		c->len += (size_t)n;
	if (n == 0 && c->len < sizeof(c->in))
		c->closed = true;
	else if (n == -1 && errno != EAGAIN)
		c->closed = true;
}

/* RFC 5321, 4.2: each line has the code, "-" or " ", text, CR LF. */
const char *
client_next(struct client *c)
{
	size_t	 at = 0, n, out = 0;
	char	*lf;

	pull(c);
	for (;; at += n) {
		lf = memchr(c->in + at, '\n', c->len - at);
		if (lf == NULL)
			return NULL;
		n = (size_t)(lf + 1 - (c->in + at));
		must(n >= 6 && lf[-1] == '\r' && c->in[at] >= '2' &&
		    c->in[at] <= '5' && (c->in[at + 3] == ' ' ||
		    c->in[at + 3] == '-'), "no reply: %.*s", (int)n,
		    c->in + at);
		must(at == 0 || memcmp(c->in + at, c->reply, 3) == 0,
		    "codes differ: %.*s", (int)n, c->in + at);
		for (size_t i = 0; i < n - 2; i++)
			must((uint8_t)c->in[at + i] >= ' ' ||
			    c->in[at + i] == '\t', "control: %.*s", (int)n,
			    c->in + at);
		if (at > 0)
			c->reply[out++] = '|';
		memcpy(c->reply + out, c->in + at, n - 2);
		out += n - 2;
		if (c->in[at + 3] == ' ')
			break;
	}
	at += n;
	c->reply[out] = '\0';
	memmove(c->in, c->in + at, c->len - at);
	c->len -= at;
	return c->reply;
}

const char *
client_reply(struct client *c)
{
	world_run();
	return client_next(c);
}

bool
client_closed(struct client *c)
{
	world_run();
	pull(c);
	return c->closed && c->len == 0;
}

/* ---- queued --------------------------------------------------------------- */

/* A transaction from its envelope to its commit or abort. */
static struct {
	uint32_t	 tid;		/* 0: free */
	uint64_t	 id, got, granted;
	unsigned	 rcpts;
} txns[TXNS];

static size_t
txn_find(uint32_t tid)
{
	size_t	i = 0;

	while (i < TXNS && txns[i].tid != tid)
		i++;
	return i;
}

static void
q_env(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_env	*m = msg;
	size_t			 i = txn_find(0);

	(void)c;
	(void)fd;
	must(txn_find(m->tid) == TXNS && m->tid != 0, "q_env: tid twice");
	must(i < TXNS, "q_env: too many");
	txns[i].tid = m->tid;
	txns[i].id = m->id;
	txns[i].got = 0;
	txns[i].rcpts = 0;
	txns[i].granted = 128 << 10;
	queued.tid = m->tid;
	queued.id = m->id;
	queued.got = 0;
	queued.content_len = 0;
	queued.envs++;
	queued.open++;
	note(queued.log, "env %.*s;", SV(m->from));
}

static void
q_rcpt(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_rcpt	*m = msg;
	size_t			 i = txn_find(m->tid);

	(void)c;
	(void)fd;
	must(i < TXNS && txns[i].got == 0, "q_rcpt: not now");
	must(conf_action_find(world_conf, m->action) != NULL, "no action");
	must(m->group <= txns[i].rcpts, "q_rcpt: of a group to come");
	note(queued.log, "rcpt %.*s %.*s", SV(m->to), SV(m->action));
	if (m->orig.len > 0)
		note(queued.log, " orig %.*s", SV(m->orig));
	if (m->group != txns[i].rcpts)
		note(queued.log, " group %u", m->group);
	if (m->flags != 0)
		note(queued.log, " flags %u", m->flags);
	note(queued.log, ";");
	txns[i].rcpts++;
}

static uint32_t	refused_tid;	/* it got a result before it was whole */

static void
q_data(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_data	*m = msg;
	size_t			 i = txn_find(m->tid);

	(void)c;
	(void)fd;
	if (i == TXNS && m->tid == refused_tid)
		return;		/* on its way while that was said */
	must(i < TXNS && txns[i].rcpts > 0, "q_data: not now");
	must(m->bytes.len > 0, "q_data: nothing");
	txns[i].got += m->bytes.len;
	must(txns[i].got <= txns[i].granted, "q_data: beyond the credit");
	queued.got = txns[i].got;
	keep(&queued.content, &queued.content_len, m->bytes);
	if (queued.stingy)
		return;
	txns[i].granted += m->bytes.len;
	CHAN_SEND(queued.chan, q_credit, .tid = m->tid,
	    .bytes = (uint32_t)m->bytes.len);
}

static void
q_commit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_commit *m = msg;
	size_t			 i = txn_find(m->tid);
	struct buf		 all;

	(void)c;
	(void)fd;
	must(i < TXNS && txns[i].rcpts > 0, "q_commit: not now");
	txns[i].got += m->bytes.len;
	must(txns[i].got == m->size, "q_commit: %llu of %llu bytes",
	    (unsigned long long)txns[i].got, (unsigned long long)m->size);
	keep(&queued.content, &queued.content_len, m->bytes);
	/* Our fields on top. */
	buf_init(&all, WORLD_CONTENT_MAX);
	buf_span(&all, m->prefix);
	if (queued.content_len > 0)
		buf_add(&all, queued.content, queued.content_len);
	queued.content_len = 0;
	keep(&queued.content, &queued.content_len, buf_content(&all));
	buf_clear(&all);
	queued.got = m->size;
	queued.tid = m->tid;
	queued.id = txns[i].id;
	must(m->digest.len == 0 || m->digest.len == 32, "q_commit: digest");
	queued.digested = m->digest.len > 0;
	if (queued.digested)
		memcpy(queued.digest, m->digest.p, sizeof(queued.digest));
	queued.commits++;
	note(queued.log, "commit %llu;", (unsigned long long)m->size);
	if (!queued.hold)
		queued_result(queued.status);
}

static void
q_abort(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_abort *m = msg;
	size_t			 i = txn_find(m->tid);

	(void)c;
	(void)fd;
	must(i < TXNS, "q_abort: of nothing");
	txns[i].tid = 0;
	queued.open--;
	queued.aborts++;
	note(queued.log, "abort;");
}

static void
q_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_ask	*m = msg;

	(void)c;
	(void)fd;
	queued.asks++;
	queued.tid = m->tid;
	queued.id = m->id;
	note(queued.log, "ask;");
}

static void
q_fate(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	queued.lost = ((const struct ipc_q_fate *)msg)->id;
	queued.fates++;
}

static void
q_source(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	queued.source_count = ((const struct ipc_q_source *)msg)->sessions;
}

static void
v_ask(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	must(queued.v_ask != NULL, "v_ask: nobody verifies here");
	queued.v_ask(msg);
}

static void
v_tell(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	must(queued.v_tell != NULL, "v_tell: nobody asked");
	queued.v_tell(msg);
}

static const struct chan_row queued_rows[] = {
	{ IPC_T_q_env, q_env },
	{ IPC_T_q_rcpt, q_rcpt },
	{ IPC_T_q_data, q_data },
	{ IPC_T_q_commit, q_commit },
	{ IPC_T_q_abort, q_abort },
	{ IPC_T_q_ask, q_ask },
	{ IPC_T_q_fate, q_fate },
	{ IPC_T_q_source, q_source },
	{ IPC_T_v_ask, v_ask },
	{ IPC_T_v_tell, v_tell },
	{ 0, NULL }
};

static void
peer_closed(struct chan *c, const char *why)
{
	(void)c;
	must(false, "smtpd closed a channel: %s", why == NULL ? "-" : why);
}

void
queued_start(void)
{
	int	fd;

	queued.chan = channel(IPC_QUEUED, queued_rows, peer_closed, &fd);
	queue_peer(fd);
	queued_state(true, "");
}

void
queued_die(void)
{
	chan_free(queued.chan);
	queued.chan = NULL;
	queued.open = 0;
	memset(txns, 0, sizeof(txns));
	world_run();
}

void
queued_result(uint8_t status)
{
	size_t	i = txn_find(queued.tid);

	if (queued.tid == 0)
		return;		/* there was none yet */
	if (i < TXNS) {
		txns[i].tid = 0;
		queued.open--;
	}
	refused_tid = queued.tid;
	CHAN_SEND(queued.chan, q_result, .tid = queued.tid, .id = queued.id,
	    .status = status, .text = span_str("for the log"));
}

void
queued_credit(uint32_t bytes)
{
	size_t	i = txn_find(queued.tid);

	if (queued.tid == 0)
		return;
	if (i < TXNS)
		txns[i].granted += bytes;
	CHAN_SEND(queued.chan, q_credit, .tid = queued.tid, .bytes = bytes);
	world_run();
}

void
queued_have(bool have)
{
	CHAN_SEND(queued.chan, q_have, .tid = queued.tid, .id = queued.id,
	    .have = have);
	world_run();
}

void
queued_state(bool is_open, const char *why)
{
	CHAN_SEND(queued.chan, q_state, .open = is_open, .why = span_str(why));
	world_run();
}

void
queued_source_total(const char *source, uint32_t count)
{
	CHAN_SEND(queued.chan, q_source_total, .source = address(source),
	    .sessions = count);
	world_run();
}

void
queued_reset(void)
{
	queued.log[0] = '\0';
	queued.envs = queued.commits = queued.aborts = queued.asks = 0;
	queued.fates = 0;
	queued.hold = queued.stingy = false;
	queued.status = Q_OK;
}

/* ---- proxyd --------------------------------------------------------------- */

static struct flink {
	uint32_t	 tid;		/* 0: free */
	bool		 rule;		/* it says EHLO by itself */
	enum asked	 pending[PENDING];
	char		 first[PENDING];	/* '1': AUTH with a response */
	unsigned	 npending;
	unsigned	 taken;
	bool		 flows;
	uint64_t	 got, granted;
} links[LINKS];

static struct flink *
link_of(uint32_t tid)
{
	for (size_t i = 0; i < LINKS; i++)
		if (links[i].tid == tid)
			return &links[i];
	return NULL;
}

static void
send_caps(const struct flink *l)
{
	CHAN_SEND(proxyd.chan, p_caps, .tid = l->tid, .caps = proxyd.caps.bits,
	    .size = proxyd.caps.size, .auth = span_str(proxyd.caps.auth));
}

static void
flink_free(struct flink *l)
{
	*l = (struct flink){ 0 };
	proxyd.links--;
}

void
proxyd_close(uint32_t tid, const char *why)
{
	struct flink	*l = link_of(tid);

	if (l == NULL)
		return;
	CHAN_SEND(proxyd.chan, p_closed, .tid = tid, .why = span_str(why));
	flink_free(l);
}

/* What a good server would say. */
static uint16_t
usual(struct flink *l, enum asked what, char first, const char **text)
{
	static const struct { uint16_t code; const char *text; } said[] = {
		[ASKED_OPEN] = { 220, "server.example ESMTP there" },
		[ASKED_EHLO] = { 250, "server.example" },
		[ASKED_MAIL] = { 250, "2.1.0 fine" },
		[ASKED_RCPT] = { 250, "2.1.5 fine" },
		[ASKED_DATA] = { 354, "go on" },
		[ASKED_END] = { 250, "2.0.0 got it" },
		[ASKED_RSET] = { 250, "2.0.0 fine" },
		[ASKED_NOOP] = { 250, "2.0.0 fine" },
		[ASKED_ASK] = { 252, "2.5.0 who knows" },
		[ASKED_AUTH] = { 334, "VXNlcm5hbWU6" },
		[ASKED_AUTH_LINE] = { 235, "2.7.0 welcome" },
		[ASKED_QUIT] = { 221, "2.0.0 bye" }
	};

	*text = said[what].text;
	if (what == ASKED_AUTH && first == '1') {
		*text = said[ASKED_AUTH_LINE].text;
		return 235;
	}
	if (what == ASKED_AUTH_LINE && first == '*') {
		*text = "5.7.0 cancelled";
		return 501;
	}
	if (what == ASKED_DATA && l->taken == 0) {
		*text = "5.5.1 No valid recipients";
		return 554;
	}
	return said[what].code;
}

bool
proxyd_answer(uint32_t tid, uint16_t code, const char *text)
{
	struct flink	*l = link_of(tid);
	enum asked	 what;
	char		 first;

	if (l == NULL || l->npending == 0)
		return false;
	what = l->pending[0];
	first = l->first[0];
	l->npending--;
	memmove(l->pending, l->pending + 1,
	    l->npending * sizeof(l->pending[0]));
	memmove(l->first, l->first + 1, l->npending);
	if (code == 0 && proxyd.on[what].code != 0) {
		code = proxyd.on[what].code;
		text = proxyd.on[what].text;
	}
	if (code == 0)
		code = usual(l, what, first, &text);
	if ((what == ASKED_EHLO || (what == ASKED_OPEN && l->rule)) &&
	    code / 100 == 2)
		send_caps(l);
	if (what == ASKED_RCPT && code / 100 == 2)
		l->taken++;
	if (what == ASKED_MAIL || what == ASKED_RSET || what == ASKED_EHLO)
		l->taken = 0;
	if (what == ASKED_DATA && code == 354) {
		l->flows = true;
		l->got = 0;
		l->granted = 128 << 10;
	}
	if (what == ASKED_END)
		l->taken = 0;
	CHAN_SEND(proxyd.chan, p_reply, .tid = tid, .code = code,
	    .text = span_str(text));
	if (code == 421 || what == ASKED_QUIT ||
	    (what == ASKED_OPEN && code != 220))
		proxyd_close(tid, "over");
	return true;
}

unsigned
proxyd_waiting(uint32_t tid)
{
	struct flink	*l = link_of(tid);

	return l == NULL ? 0 : l->npending;
}

/* A command, as relay.c holds them against the link's state. */
static struct flink *
asked(uint32_t tid, enum asked what, char first)
{
	struct flink	*l = link_of(tid);

	if (l == NULL)
		return NULL;	/* p_closed was on its way */
	must(!l->flows, "a command within content: %d", (int)what);
	must(l->npending < PENDING, "too many commands");
	l->pending[l->npending] = what;
	l->first[l->npending++] = first;
	return l;
}

static void
answer(uint32_t tid, enum asked what)
{
	if (link_of(tid) == NULL)
		return;
	if (proxyd.asked != NULL)
		proxyd.asked(tid, what);
	else if (!proxyd.hold)
		proxyd_answer(tid, 0, NULL);
}

static void
p_open(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_open	*m = msg;
	struct flink		*l = link_of(0);

	(void)c;
	(void)fd;
	must(l != NULL && link_of(m->tid) == NULL && m->tid != 0, "p_open");
	must(conf_action_find(world_conf, m->action) != NULL, "no action");
	*l = (struct flink){ .tid = m->tid, .rule = m->helo.len > 0 };
	proxyd.links++;
	proxyd.tid = m->tid;
	note(proxyd.log, "open %.*s;", SV(m->action));
	CHAN_SEND(proxyd.chan, p_server, .tid = m->tid,
	    .server = span_str("server.example[192.0.2.9]:25"));
	asked(m->tid, ASKED_OPEN, 0);
	answer(m->tid, ASKED_OPEN);
}

static void
p_ehlo(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_ehlo	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "%s %.*s;", m->ehlo ? "ehlo" : "helo", SV(m->name));
	/* HELO has no keywords. */
	if (asked(m->tid, ASKED_EHLO, 0) != NULL && !m->ehlo &&
	    proxyd.asked == NULL && !proxyd.hold) {
		struct smtp_caps	 had = proxyd.caps;

		proxyd.caps.bits = 0;
		answer(m->tid, ASKED_EHLO);
		proxyd.caps = had;
		return;
	}
	answer(m->tid, ASKED_EHLO);
}

static void
p_mail(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_mail	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "mail %.*s;", SV(m->from));
	asked(m->tid, ASKED_MAIL, 0);
	answer(m->tid, ASKED_MAIL);
}

static void
p_rcpt(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_rcpt	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "rcpt %.*s;", SV(m->to));
	asked(m->tid, ASKED_RCPT, 0);
	answer(m->tid, ASKED_RCPT);
}

static void
p_data(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_data	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "data;");
	proxyd.content_len = 0;
	asked(m->tid, ASKED_DATA, 0);
	answer(m->tid, ASKED_DATA);
}

static void
p_chunk(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_chunk *m = msg;
	struct flink		*l = link_of(m->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	must(l->flows, "p_chunk: no content is open");
	must(m->bytes.len > 0, "p_chunk: nothing");
	l->got += m->bytes.len;
	must(l->got <= l->granted, "p_chunk: beyond the credit");
	proxyd.got = l->got;
	keep(&proxyd.content, &proxyd.content_len, m->bytes);
	if (proxyd.stingy)
		return;
	l->granted += m->bytes.len;
	CHAN_SEND(proxyd.chan, p_credit, .tid = m->tid,
	    .bytes = (uint32_t)m->bytes.len);
}

static void
p_end(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_end	*m = msg;
	struct flink		*l = link_of(m->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	must(l->flows, "p_end: no content is open");
	l->flows = false;
	keep(&proxyd.content, &proxyd.content_len, m->bytes);
	note(proxyd.log, "end;");
	asked(m->tid, ASKED_END, 0);
	answer(m->tid, ASKED_END);
}

static void
p_rset(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_rset	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "rset;");
	asked(m->tid, ASKED_RSET, 0);
	answer(m->tid, ASKED_RSET);
}

static void
p_noop(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_noop	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "noop;");
	asked(m->tid, ASKED_NOOP, 0);
	answer(m->tid, ASKED_NOOP);
}

static void
p_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_ask	*m = msg;

	(void)c;
	(void)fd;
	must(m->verb == VERB_VRFY || m->verb == VERB_EXPN ||
	    m->verb == VERB_HELP, "p_ask: not such a verb");
	for (size_t i = 0; i < m->arg.len; i++)
		must(m->arg.p[i] >= ' ' && m->arg.p[i] < 127, "p_ask: %.*s",
		    SV(m->arg));
	note(proxyd.log, "%s %.*s;", smtp_verb_name((enum smtp_verb)m->verb),
	    SV(m->arg));
	asked(m->tid, ASKED_ASK, 0);
	answer(m->tid, ASKED_ASK);
}

static void
p_auth(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_auth	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "auth %.*s %.*s;", SV(m->mech), SV(m->initial));
	asked(m->tid, ASKED_AUTH, m->has_initial ? '1' : '0');
	answer(m->tid, ASKED_AUTH);
}

static void
p_auth_line(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_auth_line *m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "line %.*s;", SV(m->line));
	asked(m->tid, ASKED_AUTH_LINE, span_is(m->line, "*") ? '*' : ' ');
	answer(m->tid, ASKED_AUTH_LINE);
}

static void
p_quit(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_quit	*m = msg;

	(void)c;
	(void)fd;
	note(proxyd.log, "quit;");
	asked(m->tid, ASKED_QUIT, 0);
	answer(m->tid, ASKED_QUIT);
}

static void
p_close(struct chan *c, const void *msg, int fd)
{
	struct flink	*l = link_of(((const struct ipc_p_close *)msg)->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	note(proxyd.log, "close;");
	flink_free(l);
}

static void
p_verify(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	must(proxyd.verify != NULL, "p_verify: nobody verifies here");
	proxyd.verify(msg);
}

static const struct chan_row proxyd_rows[] = {
	{ IPC_T_p_open, p_open },
	{ IPC_T_p_ehlo, p_ehlo },
	{ IPC_T_p_mail, p_mail },
	{ IPC_T_p_rcpt, p_rcpt },
	{ IPC_T_p_data, p_data },
	{ IPC_T_p_chunk, p_chunk },
	{ IPC_T_p_end, p_end },
	{ IPC_T_p_rset, p_rset },
	{ IPC_T_p_noop, p_noop },
	{ IPC_T_p_ask, p_ask },
	{ IPC_T_p_auth, p_auth },
	{ IPC_T_p_auth_line, p_auth_line },
	{ IPC_T_p_quit, p_quit },
	{ IPC_T_p_close, p_close },
	{ IPC_T_p_verify, p_verify },
	{ 0, NULL }
};

void
proxyd_start(void)
{
	int	fd;

	proxyd.chan = channel(IPC_PROXYD, proxyd_rows, peer_closed, &fd);
	link_peer(1, fd);
}

void
proxyd_die(void)
{
	chan_free(proxyd.chan);
	proxyd.chan = NULL;
	proxyd.links = 0;
	memset(links, 0, sizeof(links));
	world_run();
}

void
proxyd_credit(uint32_t tid, uint32_t bytes)
{
	struct flink	*l = link_of(tid);

	if (l == NULL)
		return;
	l->granted += bytes;
	CHAN_SEND(proxyd.chan, p_credit, .tid = tid, .bytes = bytes);
}

void
proxyd_reset(void)
{
	proxyd.log[0] = '\0';
	proxyd.hold = proxyd.stingy = false;
	proxyd.asked = NULL;
	memset(proxyd.on, 0, sizeof(proxyd.on));
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP | CAP_PIPELINING |
	    CAP_8BITMIME | CAP_DSN | CAP_SMTPUTF8 | CAP_ENHANCED | CAP_AUTH |
	    CAP_VRFY | CAP_HELP | CAP_SIZE, .size = 1000000,
	    .auth = "PLAIN LOGIN" };
}

void
world_reset(void)
{
	while (!LIST_EMPTY(&clients))
		client_free(LIST_FIRST(&clients));
	world_run();
	queued_reset();
	proxyd_reset();
	if (queued.chan == NULL)
		queued_start();
	if (proxyd.chan == NULL)
		proxyd_start();
	world_reports = 0;
	world_conf->limits = limits;
	world_run();
}

/* ---- lookupd -------------------------------------------------------------- */

static void
on_lookup(struct chan *c, const void *msg, int fd)
{
	const struct ipc_lookup	*m = msg;

	(void)c;
	(void)fd;
	lookupd.asked++;
	lookupd.tid = m->tid;
	lookupd.type = m->type;
	must(span_cstr(m->name, lookupd.name, sizeof(lookupd.name)), "lookup");
}

static const struct chan_row lookupd_rows[] = {
	{ IPC_T_lookup, on_lookup },
	{ 0, NULL }
};

void
lookupd_start(void)
{
	int	fd;

	lookupd.chan = channel(IPC_LOOKUPD, lookupd_rows, peer_closed, &fd);
	ask_peer(ask, 1, fd);
	world_run();
}

void
lookupd_answer(uint8_t status, const char *record)
{
	struct addr	 a = { 0 };

	if (record != NULL) {
		if (lookupd.type != DNS_PTR)
			a = address(record);
		CHAN_SEND(lookupd.chan, lookup_rr, .tid = lookupd.tid,
		    .type = lookupd.type, .addr = a,
		    .name = span_str(lookupd.type == DNS_PTR ? record : ""));
	}
	CHAN_SEND(lookupd.chan, lookup_end, .tid = lookupd.tid,
	    .status = status);
	world_run();
}
