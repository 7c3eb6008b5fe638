/*
 * The queued of smtpdhelp.h: takes messages, or does what a test says instead.
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

#define TXNS	64

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
	note(queued.log, "%s %.*s", m->prepared ? "prepare" : "env",
	    SV(m->from));
	note(queued.log, m->auth.len > 0 ? " by %.*s;" : "%.*s;", SV(m->auth));
	if (m->mail_auth.len > 0)
		note(queued.log, "auth %.*s;", SV(m->mail_auth));
	if (m->requiretls)
		note(queued.log, "requiretls;");
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
	if (m->way != 0)
		note(queued.log, " way %u", m->way);
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
	if (m->tls_optional)
		note(queued.log, "tls optional;");
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
q_lost(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_lost	*m = msg;

	(void)c;
	(void)fd;
	must(m->digest.len == sizeof(queued.digest), "q_lost: no digest");
	queued.live_lost = m->id;
	memcpy(queued.digest, m->digest.p, m->digest.len);
}

static void
q_again(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_again *m = msg;
	bool	same = m->digest.len == sizeof(queued.digest) &&
		    memcmp(m->digest.p, queued.digest, m->digest.len) == 0;

	(void)fd;
	queued.asked_again++;
	if (!queued.silent)
		CHAN_SEND(c, q_again_is, .tid = m->tid,
		    .id = same ? queued.live_lost : 0);
}

static void
q_settle(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_settle *m = msg;

	(void)c;
	(void)fd;
	must(m->way < 16 && m->outcome <= SETTLED_LAST, "q_settle");
	queued.settles++;
	note(queued.log, "settle %u %u %.*s %.*s;", m->way, m->outcome,
	    SV(m->reply), SV(m->server));
}

static void
q_finish(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_finish *m = msg;

	(void)c;
	(void)fd;
	queued.finishes++;
	queued.tid = m->tid;
	queued.id = m->id;
	note(queued.log, "finish %s;", m->keep ? "keep" : "void");
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
	const struct ipc_q_source	*m = msg;

	(void)c;
	(void)fd;
	queued.source_count = m->sessions;
	addr_str(&m->source, queued.source);
}

static void
q_guess(struct chan *c, const void *msg, int fd)
{
	const struct ipc_q_guess	*m = msg;

	(void)c;
	(void)fd;
	must(m->name.len == IPC_GUESS_KEY && m->failed > 0, "q_guess");
	queued.guesses += m->failed;
	memcpy(queued.guess, m->name.p, sizeof(queued.guess));
	queued.guess_window = m->window;
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

static void
v_learn(struct chan *c, const void *msg, int fd)
{
	const struct ipc_v_learn	*m = msg;

	(void)c;
	(void)fd;
	note(queued.log, "learn %c%.*s %.*s;", m->good ? '+' : '-', SV(m->to),
	    SV(m->where));
}

static const struct chan_row queued_rows[] = {
	{ IPC_T_q_env, q_env },
	{ IPC_T_q_rcpt, q_rcpt },
	{ IPC_T_q_data, q_data },
	{ IPC_T_q_commit, q_commit },
	{ IPC_T_q_abort, q_abort },
	{ IPC_T_q_ask, q_ask },
	{ IPC_T_q_fate, q_fate },
	{ IPC_T_q_lost, q_lost },
	{ IPC_T_q_again, q_again },
	{ IPC_T_q_settle, q_settle },
	{ IPC_T_q_finish, q_finish },
	{ IPC_T_q_source, q_source },
	{ IPC_T_q_guess, q_guess },
	{ IPC_T_v_ask, v_ask },
	{ IPC_T_v_tell, v_tell },
	{ IPC_T_v_learn, v_learn },
	{ 0, NULL }
};

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
queued_finished(uint8_t status)
{
	CHAN_SEND(queued.chan, q_finished, .tid = queued.tid,
	    .id = queued.id, .status = status);
	world_run();
}

void
queued_state(bool is_open, const char *why)
{
	CHAN_SEND(queued.chan, q_state, .open = is_open, .why = span_str(why));
	world_run();
}

void
queued_guess_total(uint32_t failed)
{
	CHAN_SEND(queued.chan, q_guess_total,
	    .name = span(queued.guess, sizeof(queued.guess)),
	    .window = queued.guess_window, .failed = failed);
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
	queued.fates = queued.asked_again = 0;
	queued.settles = queued.finishes = 0;
	queued.silent = false;
	queued.hold = queued.stingy = false;
	queued.status = Q_OK;
}
