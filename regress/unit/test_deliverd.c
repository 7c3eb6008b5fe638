/*
 * deliverd's delivery: a queued at the other end of a channel hands over jobs,
 * scripted servers on 127.0.0.1 take them, and the results are held against
 * what was said. Real sources but for the process around them.
 */
#include <sys/mman.h>
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
#include "common/dns/answer.h"
#include "deliverd/pool.h"
#include "regress/lib/confhelp.h"
#include "regress/lib/script.h"

#define CONNS_MAX	2
#define GOT_MAX		4096

struct got {
	uint64_t	 id;
	uint32_t	 n, attempt;
	enum d_status	 status;
	bool		 remote, dsn;
	char		 reply[1025], server[301];
};

static struct server	*a, *b, *c;
static struct ask	*ask;
static struct chan	*queued, *lookupd;
static struct got	 got[GOT_MAX];
static size_t		 ngot, nrunning, nsynced;
static struct { uint64_t id; enum d_dest dest; } done[256];
static size_t		 ndone;
static uint64_t		 back[8];
static size_t		 nback;
static uint32_t		 tid;
static bool		 record;	/* says d_recorded to each result */
static enum dns_status	 dns;

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
	    !span_cstr(m->server, g->server, sizeof(g->server)))
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

static const struct chan_row queued_rows[] = {
	{ IPC_T_d_result, on_result },
	{ IPC_T_d_done, on_done },
	{ IPC_T_d_running, on_running },
	{ IPC_T_d_synced, on_synced },
	{ IPC_T_d_back, on_back },
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
static void
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

struct letter {
	uint64_t	 id;
	const char	*action;
	const char	*domain;	/* "x.example" */
	const char	*from;		/* "a@c.example" */
	const char	*rcpts;		/* a space between; "b@x.example" */
	const char	*prefix;
	const char	*content;
	size_t		 len;		/* of it, if it is no string */
	uint64_t	 size;		/* if it shall be a lie */
	int		 fd;		/* 0: none */
	uint64_t	 offset;
	enum smtp_body	 body;
	bool		 utf8;
	uint32_t	 attempt;
	enum smtp_ret	 ret;
	const char	*envid, *orcpt;
	uint8_t		 notify;
};

static void
hand_over(struct letter l)
{
	struct span	 rcpts, to, text, prefix = span_str(l.prefix);
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
	    l.size : prefix.len + (l.fd > 0 ? l.len : text.len),
	    .prefix = prefix, .offset = l.offset, .ret = (uint8_t)l.ret,
	    .envid = span_str(l.envid != NULL ? l.envid : ""));
	while (span_word(&rcpts, " ", &to))
		CHAN_SEND(queued, d_rcpt, .tid = tid, .n = n++, .to = to,
		    .attempt = l.attempt, .notify = l.notify, .orcpt =
		    span_str(l.orcpt != NULL ? l.orcpt : ""));
	for (; l.fd <= 0 && text.len > 0; span_skip(&text, 32000))
		CHAN_SEND(queued, d_data, .tid = tid,
		    .bytes = span_sub(text, 0, 32000));
	CHAN_SEND(queued, d_go, .tid = tid);
}
#define HAND(...)	hand_over((struct letter){ __VA_ARGS__ })

static bool
is_done(uint64_t id)
{
	for (size_t i = 0; i < ndone; i++) {
		if (done[i].id == id)
			return true;
	}
	return false;
}

static enum d_dest
dest_of(uint64_t id)
{
	size_t	i;

	for (i = 0; i < ndone && done[i].id != id; i++)
		;
	assert_true(i < ndone);
	return done[i].dest;
}

/* The one result for a recipient. */
static const struct got *
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

static void
is(uint64_t id, uint32_t n, enum d_status status, const char *reply)
{
	const struct got	*g = result(id, n);

	if (g->status != status || strncmp(g->reply, reply, strlen(reply)) != 0)
		fail_msg("recipient %u: status %d, \"%s\"", n, g->status,
		    g->reply);
}

static void
content_is(struct server *s, const char *want)
{
	struct span	have = server_content(s);

	if (!span_is(have, want))
		fail_msg("content is \"%.*s\"", (int)have.len,
		    (const char *)have.p);
}

/* Reads the log for a while. */
static int	 stderr_fd = -1;
static FILE	*logfile;
static enum log_level	 level;

static void
log_begin(void)
{
	assert_non_null(logfile = tmpfile());
	stderr_fd = dup(2);
	dup2(fileno(logfile), 2);
	level = log_get_level();
	log_set_level(LOG_LV_INFO);
}

static bool
log_end(const char *what)
{
	char	line[4096];
	bool	found = false;

	dup2(stderr_fd, 2);
	close(stderr_fd);
	log_set_level(level);
	rewind(logfile);
	while (fgets(line, sizeof(line), logfile) != NULL)
		found |= strstr(line, what) != NULL;
	fclose(logfile);
	return found;
}

static int
setup(void **state)
{
	(void)state;
	ngot = ndone = nrunning = nsynced = 0;
	record = true;
	dns = DNS_TEMPFAIL;
	return 0;
}

/* Nothing stays from one case to the next. */
static int
teardown(void **state)
{
	(void)state;
	script_time(REMOTE_IDLE_MS + 200);
	for (int i = 0; i < 50 && pool_count_conns() > 0; i++)
		script_turn();
	server_reset(a);
	server_reset(b);
	server_reset(c);
	script_time(POOL_DOWN_MS + 1000);
	UNTIL(pool_count_conns() == 0 && job_count() == 0);
	return 0;
}

#define HELLO	"S 220 hi", "C EHLO mail.example.org"
#define PLAIN	HELLO, "S 250 x"
#define PIPE	HELLO, "R 250-x\r\n250 PIPELINING\r\n"
#define MAIL	"C MAIL FROM:<a@c.example>*"
#define RCPT	"C RCPT TO:<b@x.example>"
#define OK	"S 250 2.0.0 ok"

/* ---- the transaction ----------------------------------------------------- */

static void
mixed(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C RCPT TO:<r2@x.example>",
	    "C RCPT TO:<r3@x.example>", "C DATA", "Q", "S 250 ok", "S 250 ok",
	    "R 550-5.1.1 no such\r\n550 5.1.1 user\r\n", "S 450 4.2.1 later",
	    "S 552 5.5.3 too many", "S 354 go", "D", "S 250 2.0.0 taken");
	HAND(.id = 1, .action = "a", .prefix = "Received: x\r\n", .rcpts =
	    "r0@x.example r1@x.example r2@x.example r3@x.example");
	UNTIL(is_done(1));
	SERVED(a);
	is(1, 0, D_OK, "250 2.0.0 taken");
	is(1, 1, D_PERM, "550 5.1.1 no such / 5.1.1 user");
	is(1, 2, D_TEMP, "450 4.2.1 later");
	is(1, 3, D_TEMP, "552 ");	/* RFC 5321, 4.5.3.1.10 */
	assert_true(result(1, 1)->remote);
	assert_int_equal(dest_of(1), D_DEST_OK);
	content_is(a, "Received: x\r\nSubject: x\r\n\r\nhello\r\n");
}

static void
lockstep(void **state)
{
	(void)state;
	SERVE(a, PLAIN, MAIL, "Q", OK, "C RCPT TO:<r0@x.example>", "Q", OK,
	    "C RCPT TO:<r1@x.example>", "Q", "S 550 no", "C DATA", "Q",
	    "S 354 go", "D", OK,
	    /* Nobody taken: no DATA, and RSET before the next one. */
	    MAIL, OK, RCPT, "S 550 5.1.1 no", "C RSET", "Q", OK, MAIL, OK,
	    RCPT, OK, "C DATA", "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(a);
	is(1, 0, D_OK, "250");
	is(1, 1, D_PERM, "550 no");
	is(2, 0, D_PERM, "550 5.1.1 no");
	is(3, 0, D_OK, "250");
}

static void
mail_refused(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", "S 550 5.7.1 not you",
	    "S 503 no MAIL", "S 503 no MAIL",
	    MAIL, RCPT, "C DATA", "S 451 4.3.0 not now", "S 503 x",
	    "S 503 x");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	SERVED(a);
	is(1, 0, D_PERM, "550 5.7.1 not you");
	is(2, 0, D_TEMP, "451 4.3.0 not now");
	assert_int_equal(dest_of(1), D_DEST_OK);
	assert_int_equal(dest_of(2), D_DEST_SLOW);
}

static void
data_refused(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C DATA", OK, OK, "S 550 5.1.1 no",
	    "S 452 4.3.1 full", "C RSET", MAIL, RCPT, "C DATA", OK, OK, OK,
	    "S 554 5.7.1 no content", "C RSET", MAIL, RCPT, "C DATA", OK, OK,
	    OK, "S 354 go", "D", "S 554 5.6.0 bad");
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(a);
	is(1, 0, D_TEMP, "452 4.3.1 full");
	is(1, 1, D_PERM, "550 5.1.1 no");
	is(2, 0, D_PERM, "554 5.7.1 no content");
	is(3, 0, D_PERM, "554 5.6.0 bad");
}

/* RFC 2920, 3.1: 354 and nobody left: a dot alone, whatever is said to it. */
static void
nobody(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, "S 550 5.1.1 no",
	    "S 354 go", "C .", "S 250 2.0.0 taken",
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	SERVED(a);
	is(1, 0, D_PERM, "550 5.1.1 no");
	is(2, 0, D_OK, "250");
	content_is(a, "Subject: x\r\n\r\nhello\r\n");
}

static void
lost_connection(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "X");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_false(result(1, 0)->remote);
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "X");
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(2, 0)->reply, "after end of data"));
	/* Before any reply on a new connection: an attempt like any other. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", "X");
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(3, 0)->reply, "reply to MAIL"));
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, "S 550 5.1.1 no", "Z");
	HAND(.id = 4, .action = "a");
	UNTIL(is_done(4));
	is(4, 0, D_PERM, "550 5.1.1 no");
	SERVED(a);
}

static void
says_421(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, "C RCPT TO:<r0@x.example>",
	    "C RCPT TO:<r1@x.example>", "C RCPT TO:<r2@x.example>", "C DATA",
	    OK, "S 550 5.1.1 no", "S 421 4.3.2 going down", "E");
	HAND(.id = 1, .action = "a", .rcpts =
	    "r0@x.example r1@x.example r2@x.example");
	UNTIL(is_done(1));
	is(1, 0, D_PERM, "550 5.1.1 no");
	is(1, 1, D_TEMP, "421 4.3.2 going down");
	is(1, 2, D_TEMP, "421 4.3.2 going down");
	assert_true(result(1, 2)->remote);
	assert_int_equal(dest_of(1), D_DEST_SLOW);
	/* In the middle of the content, and after it. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    "S 421 4.3.2 going down", "E");
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "421 4.3.2 going down");
	SERVED(a);
}

/* Words in the middle of the content are a reason, and no verdict. */
static void
gives_up(void **state)
{
	const size_t	 len = 32 << 20;
	char		 path[] = "/tmp/postern-test.XXXXXX";
	int		 fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_return_code(ftruncate(fd, (off_t)len), 0);
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "W",
	    "R 552-5.3.4 too\r\n552 5.3.4 much\r\n", "W");
	HAND(.id = 1, .action = "a", .fd = fd, .len = len);
	UNTIL(server_waits(a));
	script_settle(50);
	server_go(a);
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "552 5.3.4 too / 5.3.4 much");
	assert_true(result(1, 0)->remote);
	assert_int_equal(dest_of(1), D_DEST_SLOW);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	SERVE(a, "1", "R 220-hi\r\n220 there\r\n", "C EHLO *",
	    "R 250-x\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
	    "C MAIL FROM:<a@c.example> BODY=8BITMIME",
	    "C RCPT TO:<r0@x.example>", "C RCPT TO:<r1@x.example>", "C DATA",
	    "R 250-a\r\n250 b\r\n250 c\r\n550-5.1.1 d\r\n550 5.1.1 e\r\n354 f\r\n",
	    "D", "R 250-2.0.0 g\r\n250 2.0.0 h\r\n");
	HAND(.id = 1, .action = "a", .body = BODY_8BITMIME,
	    .rcpts = "r0@x.example r1@x.example");
	UNTIL(is_done(1));
	SERVED(a);
	is(1, 0, D_OK, "250 2.0.0 g / 2.0.0 h");
	is(1, 1, D_PERM, "550 5.1.1 d / 5.1.1 e");
	content_is(a, "Subject: x\r\n\r\nhello\r\n");
}

/* A server with DSN is given all four parameters, and that is told; one without
 * gets none of them. */
static void
dsn_passed_on(void **state)
{
	(void)state;
	SERVE(a, "1", HELLO, "R 250-x\r\n250 DSN\r\n",
	    "C MAIL FROM:<a@c.example> RET=HDRS ENVID=e+2B1", "S 250 ok",
	    "C RCPT TO:<b@x.example> NOTIFY=SUCCESS,FAILURE "
	    "ORCPT=rfc822;old+2B@x.example", "S 250 ok",
	    "C DATA", "S 354 go", "D", "S 250 2.0.0 ok", "X");
	SERVE(a, HELLO, "S 250 x", "C MAIL FROM:<a@c.example>", "S 250 ok",
	    "C RCPT TO:<b@x.example>", "S 250 ok", "C DATA", "S 354 go", "D",
	    "S 250 2.0.0 ok", "X");
	for (uint64_t id = 1; id <= 2; id++) {
		HAND(.id = id, .action = "a", .ret = RET_HDRS,
		    .envid = "e+2B1", .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE,
		    .orcpt = "rfc822;old+2B@x.example");
		UNTIL(is_done(id));
		is(id, 0, D_OK, "250 2.0.0 ok");
		assert_true(result(id, 0)->dsn == (id == 1));
	}
	SERVED(a);
}

static void
not_smtp(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", "S 250 ok", "S HTTP/1.1 400", "E");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.5.0 ");
	/* A reply too many, where the content is being sent. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D",
	    "S 250 2.0.0 ok", "S 250 2.0.0 again", "E");
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	is(2, 0, D_OK, "250 2.0.0 ok");
	SERVED(a);
}

static void
many_rcpts(void **state)
{
	static char	 rcpts[250 * 16];
	static const char *lines[300];
	static char	 text[130][48];
	size_t		 n = 0, len = 0;

	(void)state;
	/* 130 recipients: a transaction of 100 and one of 30, for each job. */
	for (int i = 0; i < 130; i++) {
		len += (size_t)snprintf(rcpts + len, sizeof(rcpts) - len,
		    "%sr%d@x.example", i > 0 ? " " : "", i);
		snprintf(text[i], sizeof(text[i]), "C RCPT TO:<r%d@x.example>",
		    i);
	}
	lines[n++] = "S 220 hi";
	lines[n++] = "C EHLO *";
	lines[n++] = "R 250-x\r\n250 PIPELINING\r\n";
	for (int job = 0; job < 2; job++) {
		lines[n++] = MAIL;
		if (job == 0) {		/* a first job: the connection is kept */
			lines[n++] = RCPT;
			lines[n++] = "C DATA";
			lines[n++] = OK;
			lines[n++] = OK;
		} else {
			for (int i = 0; i < 100; i++)
				lines[n++] = text[i];
			lines[n++] = "C DATA";
			for (int i = 0; i < 101; i++)
				lines[n++] = OK;
		}
		lines[n++] = "S 354 go";
		lines[n++] = "D";
		lines[n++] = OK;
	}
	/* The second transaction of the second job: gone before a word. */
	lines[n++] = MAIL;
	lines[n++] = "X";
	lines[n] = NULL;
	assert_true(n < 300);
	server_add(a, lines);
	n = 0;
	lines[n++] = "S 220 hi";
	lines[n++] = "C EHLO *";
	lines[n++] = "R 250-x\r\n250 PIPELINING\r\n";
	lines[n++] = MAIL;
	for (int i = 100; i < 130; i++)
		lines[n++] = text[i];
	lines[n++] = "C DATA";
	for (int i = 0; i < 31; i++)
		lines[n++] = OK;
	lines[n++] = "S 354 go";
	lines[n++] = "D";
	lines[n++] = OK;
	lines[n] = NULL;
	server_add(a, lines);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .rcpts = rcpts);
	UNTIL(is_done(2));
	SERVED(a);
	for (uint32_t i = 0; i < 130; i++)
		is(2, i, D_OK, "250");
}

/* ---- what the server offers ---------------------------------------------- */

static void
chunking(void **state)
{
	(void)state;
	/* With PIPELINING a short message goes with its envelope. */
	SERVE(a, HELLO, "R 250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	    MAIL, "C RCPT TO:<r0@x.example>", "C RCPT TO:<r1@x.example>",
	    "C BDAT 20 LAST", "B 20", OK, OK, "S 550 5.1.1 no",
	    "S 250 2.0.0 taken",
	    /* Nobody is left: BDAT is refused, and RSET before the next. */
	    MAIL, RCPT, "C BDAT 20 LAST", "B 20", OK, "S 550 5.1.1 no",
	    "S 554 5.5.1 nobody", "C RSET", MAIL, RCPT, "C BDAT 20 LAST", "B 20",
	    OK, OK, OK, "S 452 4.3.1 full");
	HAND(.id = 1, .action = "a", .rcpts = "r0@x.example r1@x.example",
	    .content = "Subject: x\r\n\r\n.dot\r\n");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .content = "Subject: x\r\n\r\nnext\r\n");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a", .content = "Subject: x\r\n\r\nlast\r\n");
	UNTIL(is_done(3));
	SERVED(a);
	is(1, 0, D_OK, "250 2.0.0 taken");
	is(1, 1, D_PERM, "550");
	is(2, 0, D_PERM, "550");
	is(3, 0, D_TEMP, "452");
	content_is(a, "Subject: x\r\n\r\n.dot\r\nSubject: x\r\n\r\nnext\r\n"
	    "Subject: x\r\n\r\nlast\r\n");
}

/* A long one, from a file, only when somebody takes it. */
static void
long_bdat(void **state)
{
	char	 path[] = "/tmp/postern-test.XXXXXX";
	char	*big = malloc(100000);
	int	 fd = mkstemp(path);

	(void)state;
	assert_non_null(big);
	unlink(path);
	memset(big, 'x', 100000);
	memcpy(big, "Subject: x\r\n\r\n", 14);
	memcpy(big + 99998, "\r\n", 2);
	assert_int_equal(pwrite(fd, big, 100000, 4096), 100000);
	SERVE(a, HELLO, "R 250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	    MAIL, RCPT, "Q", OK, "S 550 5.1.1 no", "C RSET", MAIL, RCPT, "Q",
	    OK, OK, OK, "C BDAT 100013 LAST", "B 100013", OK);
	HAND(.id = 1, .action = "a", .fd = dup(fd), .offset = 4096,
	    .len = 100000);
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .fd = dup(fd), .offset = 4096,
	    .len = 100000, .prefix = "Received: x\r\n");
	UNTIL(is_done(2));
	SERVED(a);
	is(1, 0, D_PERM, "550");
	is(2, 0, D_OK, "250");
	assert_int_equal(server_content(a).len, 100013);
	assert_memory_equal(server_content(a).p, "Received: x\r\n", 13);
	assert_memory_equal(server_content(a).p + 13, big, 100000);
	close(fd);
	free(big);
}

static void
no_8bitmime(void **state)
{
	(void)state;
	SERVE(a, PIPE, "C MAIL FROM:<a@c.example>", RCPT, "C DATA", OK, OK,
	    "S 354 go", "D", OK);
	log_begin();
	HAND(.id = 1, .action = "a", .body = BODY_8BITMIME,
	    .content = "Subject: x\r\n\r\nB\303\244r\r\n");
	UNTIL(is_done(1));
	SERVED(a);
	is(1, 0, D_OK, "250");
	content_is(a, "Subject: x\r\n\r\nB\303\244r\r\n");
	assert_true(log_end(" event=8bit "));
}

static void
no_smtputf8(void **state)
{
	(void)state;
	SERVE(a, PIPE,
	    /* Nothing in it needs it. */
	    "C MAIL FROM:<a@c.example>", RCPT, "C DATA", OK, OK, "S 354 go",
	    "D", OK);
	HAND(.id = 1, .action = "a", .utf8 = true);
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .utf8 = true,
	    .rcpts = "b\303\244r@x.example");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a", .utf8 = true,
	    .content = "Subject: B\303\244r\r\n\r\nx\r\n");
	UNTIL(is_done(3));
	SERVED(a);
	is(1, 0, D_OK, "250");
	is(2, 0, D_PERM, "550 5.6.7 ");
	is(3, 0, D_PERM, "550 5.6.7 ");
	assert_false(result(2, 0)->remote);
	SERVE(b, HELLO, "R 250-x\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n",
	    "C MAIL FROM:<a@c.example> BODY=8BITMIME SMTPUTF8", OK,
	    "C RCPT TO:<b\303\244r@x.example>", "S 550 5.1.1 <b\303\244r> no",
	    "W");
	HAND(.id = 4, .action = "b", .utf8 = true, .body = BODY_8BITMIME,
	    .rcpts = "b\303\244r@x.example");
	UNTIL(is_done(4));
	is(4, 0, D_PERM, "550 5.1.1 <b\303\244r> no");
}

static void
size(void **state)
{
	(void)state;
	SERVE(a, HELLO, "R 250-x\r\n250 SIZE 25\r\n",
	    "C MAIL FROM:<a@c.example> SIZE=21", OK, RCPT, OK, "C DATA",
	    "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .prefix = "Received: x\r\n");
	UNTIL(is_done(2));
	SERVED(a);
	is(1, 0, D_OK, "250");
	is(2, 0, D_PERM, "552 5.3.4 ");
}

static void
helo(void **state)
{
	(void)state;
	SERVE(a, HELLO, "S 502 no EHLO", "C HELO mail.example.org", OK,
	    "C MAIL FROM:<a@c.example>", OK, RCPT, OK, "C DATA", "S 354 go",
	    "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	SERVED(a);
	SERVE(b, "S 220 x", "C EHLO out.example.org", "S 250 x", MAIL, OK,
	    RCPT, OK, "C DATA", "S 354 go", "D", OK);
	HAND(.id = 2, .action = "named");
	UNTIL(is_done(2));
	SERVED(b);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
}

/* ---- content ------------------------------------------------------------- */

static void
stuffing(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a",
	    .content = ".a\r\n\r\n.\r\n..\r\nb.\r\n.", .prefix = "P: .\r\n");
	UNTIL(is_done(1));
	HAND(.id = 2, .action = "a", .content = "X: y\r\n\r\nno end");
	UNTIL(is_done(2));
	SERVED(a);
	content_is(a, "P: .\r\n..a\r\n\r\n..\r\n...\r\nb.\r\n..\r\n"
	    "X: y\r\n\r\nno end\r\n");
}

static void
bounded(const struct conn *conn, void *arg)
{
	(void)arg;
	assert_true(stream_waiting(conn->s) <= REMOTE_OUT_MAX);
	assert_true(stream_waiting(conn->s) > 0);
}

/* A server that reads slowly: what is in memory is bounded, and all arrives. */
static void
slow_reader(void **state)
{
	const size_t	 len = 8 << 20;
	char		 path[] = "/tmp/postern-test.XXXXXX";
	char		*big = malloc(len);
	int		 fd = mkstemp(path);
	struct span	 have;

	(void)state;
	assert_non_null(big);
	unlink(path);
	for (size_t i = 0; i < len; i++)
		big[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' :
		    i % 64 == 0 ? '.' : (char)('a' + i / 64 % 26);
	assert_int_equal(pwrite(fd, big, len, 7), (ssize_t)len);
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "W", "D",
	    OK);
	HAND(.id = 1, .action = "a", .fd = fd, .offset = 7, .len = len);
	UNTIL(server_waits(a));
	script_settle(100);
	assert_false(is_done(1));
	pool_each_conn(bounded, NULL);
	server_go(a);
	UNTIL(is_done(1));
	SERVED(a);
	is(1, 0, D_OK, "250");
	have = server_content(a);
	assert_int_equal(have.len, len + len / 64);
	for (size_t i = 0; i < len / 64; i++) {
		assert_int_equal(have.p[i * 65], '.');
		assert_memory_equal(have.p + i * 65 + 1, big + i * 64, 64);
	}
	free(big);
}

/* One that has stopped for good costs three minutes. */
static void
stopped_reader(void **state)
{
	const size_t	 len = 32 << 20;
	char		 path[] = "/tmp/postern-test.XXXXXX";
	int		 fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_return_code(ftruncate(fd, (off_t)len), 0);
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "W", "X");
	HAND(.id = 1, .action = "a", .fd = fd, .len = len);
	UNTIL(server_waits(a));
	/* Until what the kernel takes is full. */
	script_settle(200);
	script_time(REMOTE_DATA_MS + 1000);
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(1, 0)->reply, "sending the message"));
}

/* The file is shorter than was said: no dot, and the next job is another's. */
static void
short_file(void **state)
{
	char	 path[] = "/tmp/postern-test.XXXXXX";
	int	 fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_int_equal(write(fd, "Subject: x\r\n", 12), 12);
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go",
	    "E");
	HAND(.id = 1, .action = "a", .fd = fd, .len = 100);
	UNTIL(is_done(1));
	SERVED(a);
	is(1, 0, D_TEMP, "451 4.3.0 ");
	/* Less bytes than the size says, without a file. */
	HAND(.id = 2, .action = "a", .size = 1000);
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.3.0 ");
}

/* ---- connections --------------------------------------------------------- */

static void
reuse(void **state)
{
	(void)state;
	/* None between: the dot has ended the transaction. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	/* Two at once: the second one waits in its destination, or gets a
	 * connection of its own that was not foreseen. */
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(a);
	assert_int_equal(server_conns(a), 1);
	assert_int_equal(pool_count_conns(), 1);
	/* Idle for long enough it is ended with QUIT. */
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	assert_null(server_wrong(a));
}

/* Two jobs, one connection at most: the second one waits for it. */
static void
one_at_most(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "max");
	HAND(.id = 2, .action = "max");
	UNTIL(server_waits(a));
	script_settle(20);
	assert_int_equal(pool_count_conns(), 1);
	server_go(a);
	UNTIL(is_done(1) && is_done(2));
	SERVED(a);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
}

static void
stale(void **state)
{
	(void)state;
	/* Closed while idle. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK, "W",
	    "X");
	HAND(.id = 1, .action = "a");
	UNTIL(is_done(1));
	server_go(a);
	UNTIL(pool_count_conns() == 0);
	/* Closed while MAIL is on its way: once more, and no attempt. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, "X");
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 2, .action = "a");
	UNTIL(is_done(2));
	HAND(.id = 3, .action = "a");
	UNTIL(is_done(3));
	SERVED(a);
	is(3, 0, D_OK, "250");
	/* It said 421 for having been idle too long: the same. */
	server_reset(a);
	script_time(REMOTE_IDLE_MS + 200);
	UNTIL(pool_count_conns() == 0);
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, "S 421 4.4.2 idle", "X");
	SERVE(a, PIPE, MAIL, "X");
	HAND(.id = 4, .action = "a");
	UNTIL(is_done(4));
	HAND(.id = 5, .action = "a");
	UNTIL(is_done(5));
	SERVED(a);
	/* But once only. */
	is(5, 0, D_TEMP, "451 4.4.2 ");
	/* Unasked for while idle. */
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK, "W",
	    "S 421 4.4.2 idle", "X");
	HAND(.id = 6, .action = "a");
	UNTIL(is_done(6));
	server_go(a);
	UNTIL(pool_count_conns() == 0);
	is(6, 0, D_OK, "250");
}

static void
next_server(void **state)
{
	(void)state;
	/* The first does not welcome us, the second does. */
	SERVE(a, "S 554 5.7.1 not you", "E");
	SERVE(b, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK,
	    MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "ab");
	UNTIL(is_done(1));
	SERVED(a);
	is(1, 0, D_OK, "250");
	/* The first is passed over now. */
	HAND(.id = 2, .action = "ab");
	UNTIL(is_done(2));
	SERVED(b);
	assert_int_equal(server_conns(a), 1);
	/* None is there: the reason, and queued hears of it. */
	HAND(.id = 3, .action = "down");
	UNTIL(is_done(3));
	is(3, 0, D_TEMP, "451 4.4.1 ");
	assert_non_null(strstr(result(3, 0)->reply, "Connection refused"));
	assert_int_equal(dest_of(3), D_DEST_DOWN);
	/* The last one's own words. */
	SERVE(c, "S 421 4.3.2 closed today", "E");
	HAND(.id = 4, .action = "c");
	UNTIL(is_done(4));
	is(4, 0, D_TEMP, "421 4.3.2 closed today");
	assert_int_equal(dest_of(4), D_DEST_DOWN);
}

static void
silent(void **state)
{
	(void)state;
	SERVE(a, "W", "E");
	HAND(.id = 1, .action = "a");
	UNTIL(server_waits(a));
	script_time(301000);		/* RFC 5321, 4.5.3.2.1 */
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_int_equal(dest_of(1), D_DEST_DOWN);
}

/* A reply that never gets whole has no more time than one that never comes. */
static void
dripping(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", "R 2", "W", "R 5", "W", "R 0",
	    "W");
	HAND(.id = 1, .action = "a");
	UNTIL(server_waits(a));
	script_time(200000);
	script_settle(20);
	server_go(a);
	UNTIL(server_waits(a));
	script_settle(20);
	assert_false(is_done(1));
	script_time(101000);
	UNTIL(is_done(1));
	is(1, 0, D_TEMP, "451 4.4.2 ");
	assert_non_null(strstr(result(1, 0)->reply, "timed out"));
}

/* Connections in all are limited: each destination gets its turn. */
static void
starving(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	SERVE(b, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	SERVE(c, PIPE, MAIL, "C RCPT TO:<b@*", "C DATA", OK, OK,
	    "S 354 go", "D", "W", OK);
	SERVE(c, PIPE, MAIL, "C RCPT TO:<b@*", "C DATA", OK, OK,
	    "S 354 go", "D", "W", OK);
	SERVE(c, PIPE, MAIL, "C RCPT TO:<b@*", "C DATA", OK, OK,
	    "S 354 go", "D", "W", OK);
	HAND(.id = 1, .action = "a");
	HAND(.id = 2, .action = "b");
	UNTIL(server_waits(a) && server_waits(b));
	HAND(.id = 3, .action = "c", .domain = "y.example",
	    .rcpts = "b@y.example");
	HAND(.id = 4, .action = "c", .domain = "z.example",
	    .rcpts = "b@z.example");
	HAND(.id = 5, .action = "c", .domain = "w.example",
	    .rcpts = "b@w.example");
	for (int i = 0; i < 10; i++)
		script_turn();
	assert_int_equal(pool_count_conns(), CONNS_MAX);
	server_go(a);
	UNTIL(server_waits(c));
	assert_true(is_done(1));
	server_go(b);
	for (int i = 0; i < 4; i++)
		script_turn();
	/* The scripts of c come in whatever order; each waits once. */
	for (int i = 0; i < 400 && ndone < 5; i++) {
		if (server_waits(c))
			server_go(c);
		script_turn();
	}
	assert_int_equal(ndone, 5);
}

/* ---- queued -------------------------------------------------------------- */

static void
recorded(void **state)
{
	(void)state;
	record = false;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK);
	HAND(.id = 1, .action = "a", .attempt = 3);
	UNTIL(is_done(1));
	assert_int_equal(job_unrecorded(), 1);
	/* A job that runs while queued dies. */
	SERVE(b, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	HAND(.id = 2, .action = "b");
	UNTIL(server_waits(b));
	queued_start();
	ngot = ndone = 0;
	CHAN_SEND(queued, d_sync, .tid = 999);
	UNTIL(nsynced == 1);
	assert_int_equal(nrunning, 1);
	assert_int_equal(ngot, 1);
	is(1, 0, D_OK, "250");
	assert_int_equal(result(1, 0)->attempt, 3);
	server_go(b);
	UNTIL(ngot == 2);
	is(2, 0, D_OK, "250");
	UNTIL(is_done(2));	/* this queued's job now, by its number */
	/* Another one that dies: both are still there. */
	queued_start();
	ngot = 0;
	record = true;
	CHAN_SEND(queued, d_sync, .tid = 1000);
	UNTIL(nsynced == 2);
	assert_int_equal(nrunning, 1);
	UNTIL(job_unrecorded() == 0);
	is(1, 0, D_OK, "250");
	is(2, 0, D_OK, "250");
	/* And only then forgotten. */
	ngot = 0;
	CHAN_SEND(queued, d_sync, .tid = 1001);
	UNTIL(nsynced == 3);
	assert_int_equal(ngot, 0);
}

static void
half_a_job(void **state)
{
	(void)state;
	/* queued dies between d_job and d_go: nothing of it stays. */
	CHAN_SEND(queued, d_job, .tid = ++tid, .id = 1,
	    .action = span_str("a"), .domain = span_str("x.example"),
	    .size = 10);
	CHAN_SEND(queued, d_rcpt, .tid = tid, .to = span_str("b@x.example"));
	UNTIL(job_count() == 1);
	queued_start();
	UNTIL(job_count() == 0);
	/* The action has gone from the configuration. */
	HAND(.id = 2, .action = "nowhere");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.3.5 ");
}

static void
names(void **state)
{
	(void)state;
	dns = DNS_NXDOMAIN;
	HAND(.id = 1, .action = "mx", .domain = "nx.example",
	    .rcpts = "b@nx.example c@nx.example");
	UNTIL(is_done(1));
	is(1, 0, D_PERM, "550 5.1.2 ");
	is(1, 1, D_PERM, "550 5.1.2 ");
	assert_int_equal(dest_of(1), D_DEST_OK);
	dns = DNS_TEMPFAIL;
	HAND(.id = 2, .action = "mx", .domain = "temp.example");
	UNTIL(is_done(2));
	is(2, 0, D_TEMP, "451 4.4.3 ");
	assert_int_equal(dest_of(2), D_DEST_DOWN);
}

/* The last case: there is no way back from it. */
static void
draining(void **state)
{
	(void)state;
	SERVE(a, PIPE, MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", "W",
	    OK);
	HAND(.id = 1, .action = "a");
	UNTIL(server_waits(a));
	job_drain();
	UNTIL(nback == 1 && back[0] == 0);
	/* One that was on its way goes back, one that runs is finished. */
	HAND(.id = 2, .action = "a");
	UNTIL(nback == 2);
	assert_int_equal(back[1], 2);
	server_go(a);
	UNTIL(is_done(1));
	is(1, 0, D_OK, "250");
	/* A queued that is new hears of it at once. */
	queued_start();
	UNTIL(nback == 3 && back[2] == 0);
	/* The time is up: what still runs is given a temporary result. */
	assert_int_equal(job_count(), 0);
	pool_abort("421 4.3.2 The gateway is shutting down");
	assert_int_equal(pool_count_conns(), 0);
}

static int
group_setup(void **state)
{
	static char	 text[2048];
	struct conf	*conf;
	struct buf	 msgs;
	int		 fds[2];

	(void)state;
	script_init();
	a = server_new();
	b = server_new();
	c = server_new();
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
	    server_port(a), server_port(b), server_port(c), server_port(a),
	    server_port(b), server_port(b), server_port(a),
	    server_closed_port());
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

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mixed),
		CASE(lockstep),
		CASE(mail_refused),
		CASE(data_refused),
		CASE(nobody),
		CASE(lost_connection),
		CASE(says_421),
		CASE(gives_up),
		CASE(byte_by_byte),
		CASE(dsn_passed_on),
		CASE(not_smtp),
		CASE(many_rcpts),
		CASE(chunking),
		CASE(long_bdat),
		CASE(no_8bitmime),
		CASE(no_smtputf8),
		CASE(size),
		CASE(helo),
		CASE(stuffing),
		CASE(slow_reader),
		CASE(stopped_reader),
		CASE(short_file),
		CASE(reuse),
		CASE(one_at_most),
		CASE(stale),
		CASE(next_server),
		CASE(silent),
		CASE(dripping),
		CASE(starving),
		CASE(recorded),
		CASE(half_a_job),
		CASE(names),
		CASE(draining),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
