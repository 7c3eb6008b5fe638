/*
 * See proxydhelp.h.
 */
#include "regress/lib/proxydhelp.h"

#include <sys/socket.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/idle.h"
#include "proxyd/servers.h"
#include "regress/lib/confhelp.h"

#define LINES_MAX	64

struct server		*sa, *sb, *sc;
struct chan		*smtpd;
uint32_t		 tid;
uint64_t		 credit;
unsigned		 npieces;
bool			 chan_gone;
const char		*reported;
void			(*proxydhelp_conf)(char *, size_t);
static const struct conf *conf;
static char		 lines[LINES_MAX][1100];
static size_t		 nlines, nread;
static char		 pieces[40000];	/* of one reply */

/* ---- the process around it -------------------------------------------- */

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
	return 0;
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	(void)role;
	(void)worker;
	reported = why;
}

/* ---- smtpd -------------------------------------------------------------- */

/* What proxyd says becomes a line each: "reply 250 text", "closed why" … */
static void
heard(uint32_t t, const char *what, struct span text)
{
	/* No assertion in here: it would leave the event loop behind. */
	if (t == tid && nlines < LINES_MAX)
		snprintf(lines[nlines++], sizeof(lines[0]), "%s%.*s", what,
	    (int)(text.len > 1000 ? 1000 : text.len), (const char *)text.p);
}

static void
on_reply(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_reply	*m = msg;
	char				 what[32];
	size_t				 had = strlen(pieces);

	(void)ch;
	(void)fd;
	if (had + m->text.len >= sizeof(pieces))
		abort();
	if (m->text.len > 0)
		memcpy(pieces + had, m->text.p, m->text.len);
	pieces[had + m->text.len] = '\0';
	npieces++;
	if (m->more)
		return;
	snprintf(what, sizeof(what), "%s %u ", m->own ? "own" : "reply",
	    m->code);
	heard(m->tid, what, span_str(pieces));
	pieces[0] = '\0';
}

static void
on_caps(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_caps	*m = msg;
	char			 what[64];

	(void)ch;
	(void)fd;
	snprintf(what, sizeof(what), "caps %s%s%s%s%llu ",
	    m->caps & CAP_ESMTP ? "E" : "", m->caps & CAP_PIPELINING ? "P" : "",
	    m->caps & CAP_CHUNKING ? "C" : "",
	    m->caps & CAP_REQUIRETLS ? "R" : "", (unsigned long long)m->size);
	heard(m->tid, what, m->auth);
}

static void
on_server(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_server	*m = msg;

	(void)ch;
	(void)fd;
	heard(m->tid, "server ", m->server);
}

static void
on_closed(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_closed	*m = msg;

	(void)ch;
	(void)fd;
	heard(m->tid, "closed ", m->why);
}

static void
on_credit(struct chan *ch, const void *msg, int fd)
{
	const struct ipc_p_credit	*m = msg;

	(void)ch;
	(void)fd;
	if (m->tid == tid)
		credit += m->bytes;
}

static const struct chan_row rows[] = {
	{ IPC_T_p_reply, on_reply },
	{ IPC_T_p_caps, on_caps },
	{ IPC_T_p_server, on_server },
	{ IPC_T_p_closed, on_closed },
	{ IPC_T_p_credit, on_credit },
	{ 0, NULL }
};

static void
gone(struct chan *ch, const char *why)
{
	(void)ch;
	(void)why;
	chan_gone = true;
}

void
smtpd_connect(const struct chan_row *table)
{
	int	fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	chan_free(smtpd);
	link_peer(0, fds[0]);
	smtpd = chan_new(script_base, fds[1], IPC_SMTPD, IPC_PROXYD, table,
	    gone, NULL);
	chan_gone = false;
	reported = NULL;
}

void
smtpd_start(void)
{
	smtpd_connect(rows);
}

void
opens(const char *action, const char *helo)
{
	tid++;
	SEND(p_open, .action = STR(action), .session = STR("7f3a09c1"),
	    .helo = STR(helo));
}

void
recipients(unsigned n)
{
	char	to[32];

	SEND(p_mail, .id = 1, .from = STR("a@c.example"));
	for (unsigned i = 0; i < n; i++) {
		snprintf(to, sizeof(to), "r%u@x.example", i);
		SEND(p_rcpt, .to = STR(to));
	}
}

/* The next line is this; a * at its end stands for anything. */
void
hears(const char *want)
{
	size_t		 n = strlen(want);
	const char	*have;

	UNTIL(nread < nlines || chan_gone);
	if (chan_gone)
		fail_msg("the channel is gone: %s", reported);
	have = lines[nread++];
	if (n > 0 && want[n - 1] == '*' ? strncmp(have, want, n - 1) != 0 :
	    strcmp(have, want) != 0)
		fail_msg("\"%s\" came, not \"%s\"", have, want);
}

void
hears_no_more(void)
{
	script_settle(30);
	if (nread < nlines)
		fail_msg("\"%s\" came too", lines[nread]);
}

/* A whole session up to the reply to EHLO. */
void
session(const char *action, const char *caps)
{
	opens(action, "");
	hears("server *");
	hears("reply 220 hi");
	SEND(p_ehlo, .ehlo = true, .name = STR("client.example"));
	hears(caps);
	hears("reply 250 x");
}

/* Sends content on credit, in chunks of 32,000 bytes; false: out of credit. */
bool
streams(uint64_t *sent, uint64_t end)
{
	static char	 bytes[32000];
	uint64_t	 n;

	/* Lines of 80 bytes, each with a dot in front. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 80 == 0 ? '.' : i % 80 == 78 ? '\r' :
		    i % 80 == 79 ? '\n' : 'x';
	while (*sent < end) {
		n = end - *sent < sizeof(bytes) ? end - *sent :
		    sizeof(bytes);
		if (*sent + n > FLOW_CREDIT + credit)
			return false;
		SEND(p_chunk, .bytes = span(bytes, (size_t)n));
		*sent += n;
	}
	return true;
}

void
all_credit(const struct link *l, void *arg)
{
	(void)arg;
	if (l->s != NULL)
		assert_true(stream_waiting(l->s) <= 2 * FLOW_CREDIT);
	assert_true(buf_len(&l->flow.held) <= FLOW_HELD_MAX);
}

void
content_is(struct server *s, const char *want)
{
	struct span	have = server_content(s);

	if (!span_is(have, want))
		fail_msg("content is \"%.*s\"", (int)have.len,
		    (const char *)have.p);
}

/* ---- cases ---------------------------------------------------------------- */

int
proxydhelp_setup(void **state)
{
	(void)state;
	nlines = nread = npieces = 0;
	credit = 0;
	pieces[0] = '\0';
	return 0;
}

int
proxydhelp_teardown(void **state)
{
	(void)state;
	nlines = nread = 0;
	smtpd_start();		/* the links go with the old one */
	server_reset(sa);
	server_reset(sb);
	server_reset(sc);
	idle_end();
	idle_init(conf);
	srvs_clear();
	tls_plain_forget();
	script_turn();
	assert_int_equal(link_count(), 0);
	return 0;
}

int
proxydhelp_start(void **state)
{
	static char	 text[8192];
	struct buf	 msgs;
	size_t		 len;

	(void)state;
	script_init();
	sa = server_new();
	sb = server_new();
	sc = server_new();
	snprintf(text, sizeof(text),
	    /* Their scripts offer STARTTLS; test_tls_proxyd has it. */
	    "action \"a\" proxy to \"127.0.0.1:%u\" tls off\n"
	    "action \"b\" proxy to \"127.0.0.1:%u\" tls off\n"
	    "action \"max\" proxy to \"127.0.0.1:%u\" max-connections 1 "
	    "tls off\n"
	    "action \"named\" proxy to \"127.0.0.1:%u\" helo out.example "
	    "tls off\n"
	    "action \"three\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\", "
	    "\"127.0.0.1:%u\" } tls off\n"
	    "action \"down\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } "
	    "tls off\n"
	    "action \"name\" proxy to server.example tls off\n"
	    "action \"v1\" proxy to \"127.0.0.1:%u\" identity proxy-v1 "
	    "tls off\n"
	    "action \"v2\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } "
	    "identity proxy-v2 tls off\n"
	    "action \"xclient\" proxy to { \"127.0.0.1:%u\", "
	    "\"127.0.0.1:%u\" } identity xclient helo gw.example tls off\n"
	    "action \"two\" proxy to { \"127.0.0.1:%u\", \"127.0.0.1:%u\" "
	    "standby } tls off\n"
	    "action \"kept\" proxy to \"127.0.0.1:%u\" idle-connections 2 "
	    "tls off\n"
	    "pool \"p\" { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } "
	    "max-connections 1\n"
	    "action \"pool\" proxy to pool \"p\" tls off\n"
	    "action \"keptmax\" proxy to \"127.0.0.1:%u\" idle-connections 1 "
	    "max-connections 1 tls off\n"
	    "listen on 127.0.0.1 port 1\n"
	    "match for any action \"a\"\n",
	    server_port(sa), server_port(sb), server_port(sa), server_port(sa),
	    server_closed_port(), server_port(sb), server_port(sc),
	    server_closed_port(), server_closed_port(), server_port(sa),
	    server_closed_port(), server_port(sa), server_port(sa),
	    server_port(sb), server_port(sa),
	    server_port(sb), server_port(sa), server_port(sa),
	    server_port(sb), server_port(sa));
	if (proxydhelp_conf != NULL) {
		len = strlen(text);
		proxydhelp_conf(text + len, sizeof(text) - len);
	}
	buf_init(&msgs, 1 << 16);
	if ((conf = confhelp_parse(text, &msgs)) == NULL) {
		fprintf(stderr, "%s\n", buf_cstr(&msgs));
		return -1;
	}
	buf_clear(&msgs);
	log_init("proxyd", LOG_FORM_TEXT, getenv("TEST_DEBUG") != NULL ?
	    LOG_LV_DEBUG : LOG_LV_WARN);
	link_init(NULL, conf, ask_new(NULL, IPC_PROXYD));
	smtpd_start();
	return 0;
}
