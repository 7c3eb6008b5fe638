/*
 * Scripted servers. See script.h.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/buf.h"
#include "regress/lib/script.h"

#define IN_MAX	(64 << 20)

struct peer {				/* one connection */
	TAILQ_ENTRY(peer) entry;
	struct server	*s;
	const char *const *line;	/* NULL: none was foreseen */
	const char	*const *first;
	int		 fd;
	struct event	*rd, *byte;
	struct buf	 in;
	struct buf	 out;		/* byte by byte */
	bool		 eof, waits, bytewise, done;
	SSL		*ssl;
};
struct server {
	int		 fd;
	uint16_t	 port;
	struct event	*ev;
	TAILQ_HEAD(, peer) peers;
	const char *const *scripts[SCRIPTS_MAX];
	unsigned	 nscripts, nconns, ndone;
	struct buf	 content;
	char		 wrong[512];
	SSL_CTX		*tls;
	const char	*sni;
};

struct event_base	*script_base;
static int64_t		 ahead_ms;

static void	 follow(struct peer *);

/*
 * In the place of the C library's, for this program and for libevent in it: so
 * that timers of minutes can be tested in no time.
 */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (syscall(SYS_clock_gettime, id, ts) == -1)
		return -1;
	ts->tv_sec += (time_t)(ahead_ms / 1000);
	ts->tv_nsec += (long)(ahead_ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
	return 0;
}

void
script_time(int64_t ms)
{
	ahead_ms += ms;
}

int64_t
script_real_ms(void)
{
	struct timespec	 ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
script_init(void)
{
	/* OpenSSL's sockets know no MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	if ((script_base = event_base_new()) == NULL)
		errx(1, "event_base_new");
}

static void
enough(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
script_turn(void)
{
	static const struct timeval	 tv = { 0, 10000 };
	static struct event		*ev;

	if (ev == NULL)
		ev = evtimer_new(script_base, enough, NULL);
	evtimer_add(ev, &tv);
	event_base_loop(script_base, EVLOOP_ONCE);
}

void
script_settle(int64_t ms)
{
	int64_t	end = script_real_ms() + ms;

	while (script_real_ms() < end)
		script_turn();
}

/* ---- a connection ------------------------------------------------------- */

static void
wrong(struct peer *p, const char *what, struct span got)
{
	struct server	*s = p->s;

	if (s->wrong[0] == '\0')
		snprintf(s->wrong, sizeof(s->wrong), "connection %u, line %d "
		    "\"%s\": %s \"%.*s\"", s->nconns,
		    p->line == NULL ? 0 : (int)(p->line - p->first) + 1,
		    p->line == NULL || *p->line == NULL ? "" : *p->line, what,
		    (int)(got.len > 200 ? 200 : got.len), (const char *)got.p);
}

static void
hang_up(struct peer *p)
{
	if (p->fd == -1)
		return;
	event_free(p->rd);
	event_free(p->byte);
	SSL_free(p->ssl);
	p->ssl = NULL;
	close(p->fd);
	p->fd = -1;
}

static void
finished(struct peer *p)
{
	if (!p->done)
		p->s->ndone++;
	p->done = true;
}

static void
say(struct peer *p, struct span text)
{
	static const struct timeval	zero;

	if (p->ssl != NULL) {
		if (SSL_write(p->ssl, text.p, (int)text.len) != (int)text.len)
			wrong(p, "could not send in TLS", text);
	} else if (p->bytewise) {
		buf_span(&p->out, text);
		event_add(p->byte, &zero);
	} else if (send(p->fd, text.p, text.len, MSG_NOSIGNAL) !=
	    (ssize_t)text.len)
		wrong(p, "could not send", text);
}

static void
say_byte(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval	 soon = { 0, 200 };
	struct peer			*p = arg;
	struct span			 text = buf_content(&p->out);

	(void)fd;
	(void)what;
	(void)send(p->fd, text.p, 1, MSG_NOSIGNAL);
	buf_drain(&p->out, 1);
	if (buf_len(&p->out) > 0)
		event_add(p->byte, &soon);
	else
		follow(p);
}

/* ---- TLS ----------------------------------------------------------------- */

/* One pass of the handshake; false: it waits for more. */
static bool
shake_hands(struct peer *p, bool wanted)
{
	const char	*sni;
	int		 n;

	if (p->ssl == NULL) {
		if (buf_len(&p->in) > 0)
			wrong(p, "before TLS came", buf_content(&p->in));
		p->ssl = SSL_new(p->s->tls);
		SSL_set_fd(p->ssl, p->fd);
		SSL_set_accept_state(p->ssl);
	}
	ERR_clear_error();
	n = SSL_do_handshake(p->ssl);
	if (n != 1 && SSL_get_error(p->ssl, n) == SSL_ERROR_WANT_READ)
		return false;
	if ((n == 1) != wanted && n != 1)
		wrong(p, "no TLS", span_str(""));
	if (n != 1) {
		hang_up(p);
		return true;
	}
	sni = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);
	if (strcmp(sni != NULL ? sni : "", p->s->sni != NULL ? p->s->sni :
	    "") != 0)
		wrong(p, "asked for", span_str(sni != NULL ? sni : ""));
	return true;
}

static ssize_t
tls_read(struct peer *p, char *bytes, size_t size)
{
	int	n;

	ERR_clear_error();
	n = SSL_read(p->ssl, bytes, (int)size);
	if (n > 0)
		return n;
	errno = SSL_get_error(p->ssl, n) == SSL_ERROR_WANT_READ ? EAGAIN :
	    EPROTO;
	return -1;
}

/* ---- what the other side says -------------------------------------------- */

/* The next line is there; it is taken. */
static bool
line_take(struct peer *p, struct span *line)
{
	struct span	 in = buf_content(&p->in);
	const uint8_t	*end = in.len == 0 ? NULL :
			    memmem(in.p, in.len, "\r\n", 2);

	if (end == NULL)
		return false;
	*line = span(in.p, (size_t)(end - in.p));
	buf_drain(&p->in, line->len + 2);	/* the bytes stay for now */
	return true;
}

static bool
like(struct span got, const char *want)
{
	size_t	n = strlen(want);

	if (n > 0 && want[n - 1] == '*')
		return got.len >= n - 1 && memcmp(got.p, want, n - 1) == 0;
	return span_is(got, want);
}

/* Content with the dot's line behind it. */
static bool
content_take(struct peer *p)
{
	struct span	 in = buf_content(&p->in);
	const uint8_t	*end;

	if (in.len >= 3 && memcmp(in.p, ".\r\n", 3) == 0) {
		buf_drain(&p->in, 3);
		return true;
	}
	end = in.len == 0 ? NULL : memmem(in.p, in.len, "\r\n.\r\n", 5);
	if (end == NULL)
		return false;
	buf_add(&p->s->content, in.p, (size_t)(end - in.p) + 2);
	buf_drain(&p->in, (size_t)(end - in.p) + 5);
	return true;
}

/* Behind the script. */
static void
epilogue(struct peer *p)
{
	struct span	line;

	finished(p);
	while (p->fd != -1 && line_take(p, &line)) {
		if (!span_is(line, "QUIT")) {
			wrong(p, "behind the script came", line);
			hang_up(p);
			return;
		}
		say(p, span_str("221 bye\r\n"));
	}
	if (p->eof)
		hang_up(p);
}

/* One line of the script; false: it waits for something. */
static bool
step(struct peer *p)
{
	const char	*l = *p->line;
	const char	*arg = l[0] == '\0' || l[1] == '\0' ? "" : l + 2;
	struct span	 line;
	size_t		 n;
	char		 c;

	switch (l[0]) {
	case 'S':
		say(p, span_str(arg));
		say(p, span_str("\r\n"));
		return true;
	case 'R':
		say(p, span_str(arg));
		return true;
	case 'C':
		if (!line_take(p, &line))
			break;
		if (!like(line, arg))
			wrong(p, "came", line);
		return true;
	case 'D':
		if (!content_take(p))
			break;
		return true;
	case 'B':
		n = strtoul(arg, NULL, 10);
		if (buf_len(&p->in) < n)
			break;
		buf_span(&p->s->content,
		    span_sub(buf_content(&p->in), 0, n));
		buf_drain(&p->in, n);
		return true;
	case 'Q':
		if (buf_len(&p->in) > 0)
			wrong(p, "too early came", buf_content(&p->in));
		else if (recv(p->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
			wrong(p, "too early came something", span_str(""));
		return true;
	case 'E':
		if (buf_len(&p->in) > 0)
			wrong(p, "before the end came", buf_content(&p->in));
		if (!p->eof)
			break;
		hang_up(p);
		return true;
	case 'W':
		if (!p->waits) {
			p->waits = true;
			event_del(p->rd);
		}
		return false;
	case 'T':
		if (!shake_hands(p, true))
			return false;
		return true;
	case 'F':
		/* In TLS 1.3 the client is done before it looks at us. */
		if (p->fd != -1 && (p->ssl == NULL ||
		    !SSL_is_init_finished(p->ssl)) && !shake_hands(p, false))
			return false;
		if (p->fd != -1 && buf_len(&p->in) > 0)
			wrong(p, "in TLS came", buf_content(&p->in));
		if (p->fd != -1 && !p->eof)
			return false;
		hang_up(p);
		return true;
	case '1':
		p->bytewise = true;
		return true;
	case 'Z':
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER,
		    &(struct linger){ 1, 0 }, sizeof(struct linger));
		/* FALLTHROUGH */
	case 'X':
		hang_up(p);
		return true;
	default:
		errx(1, "no such line in a script: %s", l);
	}
	if (p->eof && p->s->wrong[0] == '\0') {
		wrong(p, "the other side hung up behind",
		    buf_content(&p->in));
		hang_up(p);
	}
	return false;
}

static void
follow(struct peer *p)
{
	while (p->fd != -1 && *p->line != NULL && buf_len(&p->out) == 0) {
		if (!step(p))
			return;
		if (p->s->wrong[0] != '\0') {
			hang_up(p);
			return;
		}
		p->line++;
	}
	if (*p->line != NULL)
		return;
	if (p->fd == -1)
		finished(p);
	else if (buf_len(&p->out) == 0)
		epilogue(p);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	static char	 bytes[65536];
	struct peer	*p = arg;
	ssize_t		 n;

	(void)what;
	if (p->ssl != NULL && !SSL_is_init_finished(p->ssl)) {
		follow(p);
		if (p->fd == -1 || !SSL_is_init_finished(p->ssl))
			return;
	}
	do {
		n = p->ssl != NULL ? tls_read(p, bytes, sizeof(bytes)) :
		    recv(fd, bytes, sizeof(bytes), 0);
	} while (n > 0 && p->ssl != NULL && buf_add(&p->in, bytes,
	    (size_t)n));
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		if (p->ssl != NULL)
			follow(p);
		return;
	}
	if (n <= 0) {
		p->eof = true;
		event_del(p->rd);
	} else
		buf_add(&p->in, bytes, (size_t)n);
	follow(p);
}

/* ---- a server ----------------------------------------------------------- */

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	static const char *const none[] = { NULL };
	struct server	*s = arg;
	struct peer	*p;
	int		 one = 1, c;

	(void)what;
	if ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) == -1)
		return;
	setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if ((p = calloc(1, sizeof(*p))) == NULL)
		err(1, NULL);
	p->s = s;
	p->fd = c;
	buf_init(&p->in, IN_MAX);
	buf_init(&p->out, IN_MAX);
	p->rd = event_new(script_base, c, EV_READ | EV_PERSIST, on_read, p);
	p->byte = event_new(script_base, -1, 0, say_byte, p);
	event_add(p->rd, NULL);
	TAILQ_INSERT_TAIL(&s->peers, p, entry);
	p->line = p->first = s->nconns < s->nscripts ?
	    s->scripts[s->nconns] : none;
	if (s->nconns++ >= s->nscripts) {
		wrong(p, "one more connection than foreseen", span_str(""));
		hang_up(p);
		return;
	}
	follow(p);
}

static int
bound(uint16_t *port)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	socklen_t		 len = sizeof(sin);
	int			 fd;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1 || bind(fd, (struct sockaddr *)&sin, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		err(1, "bind");
	*port = ntohs(sin.sin_port);
	return fd;
}

uint16_t
server_closed_port(void)
{
	uint16_t	port;

	(void)bound(&port);	/* bound and never listening */
	return port;
}

struct server *
server_new(void)
{
	struct server	*s = calloc(1, sizeof(*s));
	int		 small = 65536;

	if (s == NULL)
		err(1, NULL);
	s->fd = bound(&s->port);
	/* So that one that does not read is felt soon. */
	setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (listen(s->fd, 64) == -1)
		err(1, "listen");
	TAILQ_INIT(&s->peers);
	buf_init(&s->content, IN_MAX);
	s->ev = event_new(script_base, s->fd, EV_READ | EV_PERSIST, on_accept,
	    s);
	event_add(s->ev, NULL);
	return s;
}

uint16_t
server_port(const struct server *s)
{
	return s->port;
}

void
server_tls(struct server *s, SSL_CTX *ctx, const char *sni)
{
	s->tls = ctx;
	s->sni = sni;
}

void
server_add(struct server *s, const char *const *lines)
{
	const char	**copy;
	size_t		  n = 0;

	if (s->nscripts == SCRIPTS_MAX)
		errx(1, "too many scripts");
	while (lines[n++] != NULL)
		;
	/* The list is the caller's; the lines themselves are literals. */
	if ((copy = calloc(n, sizeof(*copy))) == NULL)
		err(1, NULL);
	memcpy(copy, lines, n * sizeof(*copy));
	s->scripts[s->nscripts++] = copy;
}

void
server_go(struct server *s)
{
	struct peer	*p;

	TAILQ_FOREACH(p, &s->peers, entry) {
		if (!p->waits || p->fd == -1)
			continue;
		p->waits = false;
		event_add(p->rd, NULL);
		p->line++;
		follow(p);
		return;
	}
}

bool
server_waits(const struct server *s)
{
	const struct peer	*p;

	TAILQ_FOREACH(p, &s->peers, entry) {
		if (p->waits && p->fd != -1)
			return true;
	}
	return false;
}

bool
server_done(const struct server *s)
{
	return s->ndone == s->nscripts;
}

const char *
server_wrong(const struct server *s)
{
	return s->wrong[0] != '\0' ? s->wrong : NULL;
}

unsigned
server_conns(const struct server *s)
{
	return s->nconns;
}

struct span
server_content(const struct server *s)
{
	return buf_content(&s->content);
}

void
server_reset(struct server *s)
{
	struct peer	*p;

	while ((p = TAILQ_FIRST(&s->peers)) != NULL) {
		TAILQ_REMOVE(&s->peers, p, entry);
		hang_up(p);
		buf_clear(&p->in);
		buf_clear(&p->out);
		free(p);
	}
	for (unsigned i = 0; i < s->nscripts; i++)
		free((void *)(uintptr_t)s->scripts[i]);
	s->nscripts = s->nconns = s->ndone = 0;
	s->wrong[0] = '\0';
	buf_clear(&s->content);
}
