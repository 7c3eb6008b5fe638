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
#include "regress/lib/smtpdhelp_i.h"
#include "smtpd/digest.h"
#include "smtpd/failover.h"
#include "smtpd/guess.h"
#include "smtpd/handoff.h"
#include "smtpd/learn.h"
#include "smtpd/link.h"
#include "smtpd/relay.h"
#include "smtpd/listener.h"
#include "smtpd/dovecot.h"
#include "smtpd/login.h"
#include "smtpd/source.h"
#include "smtpd/srs.h"
#include "smtpd/verify.h"

struct event_base	*world_base;
struct conf		*world_conf;
uint16_t		 world_sessions;
unsigned		 world_auth_sockets;
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

/* The parent; a test hands its own end of a pair over by dovecot_socket(). */
void
proc_auth_socket(struct proc *p, const char *table)
{
	(void)p;
	(void)table;
	world_auth_sockets++;
}

/* A breach of the protocol: of smtpd, or of a test. */
void
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
	guess_init(world_conf);
	queue_init(NULL);
	learn_init(world_conf);
	failover_init(world_conf);
	verify_init(NULL, world_conf);
	link_init(NULL, world_conf);
	relay_init(NULL, world_conf);
	srs_init(NULL, world_conf);
	login_init(NULL, world_conf);
	dovecot_init(NULL, world_conf);
	session_init(world_base, world_conf);
	listener_init(NULL, world_conf);
	queued_reset();
	proxyd_reset();
	queued_start();
	proxyd_start();
	world_run();
}

void
note(char *log, const char *fmt, ...)
{
	size_t	 n = strlen(log);
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(log + n, WORLD_LOG_MAX - n, fmt, ap);
	va_end(ap);
}

void
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
struct chan *
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

struct addr
address(const char *s)
{
	struct addr	 a = { 0 };

	must(*s == '\0' || addr_parse(span_str(s), &a), "address %s", s);
	return a;
}

void
peer_closed(struct chan *c, const char *why)
{
	(void)c;
	must(false, "smtpd closed a channel: %s", why == NULL ? "-" : why);
}

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
	struct origin	 at = { .local = address("192.0.2.1"),
			 .client = address(from == NULL ? WORLD_SOURCE : from) };
	int		 sv[2];

	must(c != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, sv) == 0, "client");
	c->fd = sv[0];
	LIST_INSERT_HEAD(&clients, c, entry);
	nclients++;
	session_new(world_conf->listens[listen], &at, sv[1]);
	session_each(newest, &c->s);
	return c;
}

bool
client_tls(struct client *c, SSL *ssl)
{
	int	 tries = 30, done = 0;

	must(ssl != NULL && SSL_set_fd(ssl, c->fd) == 1, "SSL");
	c->ssl = ssl;
	SSL_set_connect_state(ssl);
	while (tries-- > 0 && (done = SSL_do_handshake(ssl)) != 1)
		world_pass(2);
	world_run();
	return done == 1;
}

void
client_free(struct client *c)
{
	SSL_free(c->ssl);
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
	size_t	 sent = 0;
	ssize_t	 put;

	if (c->ssl != NULL)
		return SSL_write_ex(c->ssl, p, n, &sent) == 1 ? sent : 0;
	put = send(c->fd, p, n, MSG_NOSIGNAL);
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
pull_tls(struct client *c)
{
	size_t	 n = 0;
	int	 res;

	do {
		c->len += n;
		res = SSL_read_ex(c->ssl, c->in + c->len,
		    sizeof(c->in) - c->len, &n);
	} while (res == 1);
	if (SSL_get_error(c->ssl, res) != SSL_ERROR_WANT_READ)
		c->closed = true;
}

static void
pull(struct client *c)
{
	ssize_t	 n;

	if (c->ssl != NULL) {
		pull_tls(c);
		return;
	}
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

/* ---- from one case to the next --------------------------------------------- */

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
