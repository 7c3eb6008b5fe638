/*
 * The proxyd of smtpdhelp.h, with the actual servers behind it.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/smtp/command.h"
#include "regress/lib/smtpdhelp_i.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"

#define LINKS	64		/* kept apart by tid */
#define PENDING	512

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
	    .size = proxyd.caps.size, .auth = span_str(proxyd.caps.auth),
	    .others = span_str(proxyd.others));
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
note_who(const struct ipc_p_open *m)
{
	char	client[ADDR_STRLEN], local[ADDR_STRLEN];
	size_t	n;

	n = (size_t)snprintf(proxyd.who, sizeof(proxyd.who), "%s %s ",
	    m->client.family == 0 ? "-" : addr_str_port(&m->client, client),
	    addr_str_port(&m->local, local));
	snprintf(proxyd.who + n, sizeof(proxyd.who) - n, "%.*s %.*s",
	    m->rdns.len > 0 ? (int)m->rdns.len : 1, m->rdns.len > 0 ?
	    (const char *)m->rdns.p : m->rdns_known ? "-" : "?",
	    m->client_helo.len > 0 ? (int)m->client_helo.len : 1,
	    m->client_helo.len > 0 ? (const char *)m->client_helo.p : "-");
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
	proxyd.before = proxyd.tid;
	note_who(m);
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
	if (m->auth.len > 0)
		note(proxyd.log, "auth %.*s;", SV(m->auth));
	if (m->requiretls)
		note(proxyd.log, "requiretls;");
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
p_abort(struct chan *c, const void *msg, int fd)
{
	struct flink	*l = link_of(((const struct ipc_p_abort *)msg)->tid);

	(void)c;
	(void)fd;
	if (l == NULL)
		return;
	must(l->flows, "p_abort: no content is open");
	must((proxyd.caps.bits & CAP_CHUNKING) != 0, "p_abort: no chunks");
	l->flows = false;
	l->taken = 0;
	note(proxyd.log, "abort;");
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
	const struct ipc_p_verify	*m = msg;

	(void)fd;
	if (m->stranger) {
		proxyd.proofs++;
		CHAN_SEND(c, p_verified, .tid = m->tid, .state = proxyd.strange,
		    .reply = span_str("554 5.7.1 as it likes"),
		    .server = span_str("as named"));
		return;
	}
	must(proxyd.verify != NULL, "p_verify: nobody verifies here");
	proxyd.verify(msg);
}

/* A careful server, unless a test says otherwise. */
static void
p_relay(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_relay	*m = msg;

	(void)fd;
	if (proxyd.relay != NULL) {
		proxyd.relay(m);
		return;
	}
	CHAN_SEND(c, p_relayed, .tid = m->tid, .state = V_BAD,
	    .reply = span_str("554 5.7.1 denied"));
	CHAN_SEND(c, p_relayed, .tid = m->tid, .state = V_NONE, .last = true);
}

static const struct chan_row proxyd_rows[] = {
	{ IPC_T_p_open, p_open },
	{ IPC_T_p_ehlo, p_ehlo },
	{ IPC_T_p_mail, p_mail },
	{ IPC_T_p_rcpt, p_rcpt },
	{ IPC_T_p_data, p_data },
	{ IPC_T_p_chunk, p_chunk },
	{ IPC_T_p_end, p_end },
	{ IPC_T_p_abort, p_abort },
	{ IPC_T_p_rset, p_rset },
	{ IPC_T_p_noop, p_noop },
	{ IPC_T_p_ask, p_ask },
	{ IPC_T_p_auth, p_auth },
	{ IPC_T_p_auth_line, p_auth_line },
	{ IPC_T_p_quit, p_quit },
	{ IPC_T_p_close, p_close },
	{ IPC_T_p_verify, p_verify },
	{ IPC_T_p_relay, p_relay },
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
	proxyd.others = NULL;
	proxyd.proofs = 0;
	proxyd.strange = V_GOOD;
	memset(proxyd.on, 0, sizeof(proxyd.on));
	proxyd.caps = (struct smtp_caps){ .bits = CAP_ESMTP | CAP_PIPELINING |
	    CAP_8BITMIME | CAP_DSN | CAP_SMTPUTF8 | CAP_ENHANCED | CAP_AUTH |
	    CAP_VRFY | CAP_HELP | CAP_SIZE, .size = 1000000,
	    .auth = "PLAIN LOGIN" };
}
