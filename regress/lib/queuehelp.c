/*
 * Helpers of queued's tests. See queuehelp.h.
 */
#include "regress/lib/queuehelp.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <dirent.h>
#include <err.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "queued/prepared.h"

const struct queue_params help_params = { .seg_size = 256 << 10,
    .seg_slice = 64 << 10, .store = { .cache = 1 << 20, .lg_max = 256 << 10,
    .lg_bsize = 32 << 10 }, .reserve_file = 64 << 10 };

struct conf *
help_conf(void)
{
	static struct conf_dest dest = { .host = (char *)(uintptr_t)"sink" };
	struct conf	*c = calloc(1, sizeof(*c));

	c->hostname = strdup("gw.example.org");
	c->nactions = 2;
	c->actions = calloc(2, sizeof(*c->actions));
	c->actions[0] = calloc(1, sizeof(struct conf_action));
	c->actions[0]->name = strdup("relay");
	c->actions[1] = calloc(1, sizeof(struct conf_action));
	c->actions[1]->name = strdup("list");
	c->actions[1]->dests = &dest;
	c->actions[1]->ndests = 1;
	c->ttl_ms = INT64_C(5) * 24 * 3600 * 1000;
	c->bounce_ttl_ms = INT64_C(24) * 3600 * 1000;
	c->retry_min_ms = 60000;
	c->retry_max_ms = 7200000;
	c->limits.recipients = 1000;
	c->limits.message_size = 50 << 20;
	c->limits.deliveries_per_dest = 20;
	c->nrules = 1;
	c->rules = calloc(1, sizeof(*c->rules));
	c->rules[0] = calloc(1, sizeof(struct conf_rule));
	c->rules[0]->from = FROM_LOCAL;
	c->rules[0]->fors = FOR_ANY;
	c->rules[0]->action = c->actions[0];
	c->rules[0]->actions = calloc(1, sizeof(*c->rules[0]->actions));
	c->rules[0]->actions[0] = c->actions[0];
	c->rules[0]->nactions = 1;
	return c;
}

const char *
help_dir(void)
{
	static char	 path[64];

	strlcpy(path, access("/dev/shm", W_OK) == 0 ?
	    "/dev/shm/postern-test.XXXXXX" : "/tmp/postern-test.XXXXXX",
	    sizeof(path));
	if (mkdtemp(path) == NULL || chdir(path) == -1)
		err(1, "%s", path);
	return path;
}

void
help_dir_remove(const char *path)
{
	struct dirent	*e;
	DIR		*d;

	if (chdir(path) == -1 || (d = opendir(".")) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlink(e->d_name);
	closedir(d);
	if (chdir("/") == 0)
		rmdir(path);
}

static void
op_committed(void *owner, uint32_t tid, uint64_t id, enum q_status st,
    const char *text)
{
	struct help	*h = owner;

	(void)tid;
	(void)text;
	if (h == NULL)
		return;
	if (h->nresults < HELP_MAX)
		h->results[h->nresults++] = (struct help_result){ id, st };
	if (h->committed != NULL)
		h->committed(h, id, st);
}

static void
op_recorded(void *agent, uint32_t tid, uint64_t id, uint32_t n,
    uint32_t attempt)
{
	struct help	*h = agent;

	(void)tid;
	h->recorded++;
	if (h->on_recorded != NULL)
		h->on_recorded(h, id, n, attempt);
}

static void
op_nothing(struct queue *q)
{
	(void)q;
}

static void
op_want_flush(struct queue *q, bool soon)
{
	(void)q;
	(void)soon;
}

static bool
op_can_hand(struct queue *q, const struct dest *d)
{
	struct help	*h = q->arg;

	(void)d;
	return h->can_hand;
}

static void
op_hand(struct queue *q, struct job *j)
{
	struct help	*h = q->arg;
	struct rec	 r;
	struct rec_msg	 m;

	if (!job_load(q, j, &r, &m))
		return;
	h->handed++;
	if (h->hand != NULL)
		h->hand(h, j, &r, &m);
	else
		help_end(h, j, D_OK, "250 2.0.0 Ok", D_DEST_OK);
}

static void
op_state(struct queue *q, bool is_open, const char *why)
{
	(void)q;
	(void)is_open;
	(void)why;
}

static void
op_finished(struct queue *q, void *owner, uint32_t tid, uint64_t id,
    enum q_status st)
{
	struct help	*h = q->arg;

	(void)tid;
	if (h->finished != NULL)
		h->finished(h, id, st, owner != NULL);
}

static const struct queue_ops ops = { .committed = op_committed,
    .recorded = op_recorded, .answered = op_nothing,
    .want_flush = op_want_flush, .want_run = op_nothing,
    .can_hand = op_can_hand, .hand = op_hand, .finished = op_finished,
    .state = op_state };

void
help_open_params(struct help *h, const struct conf *c,
    const struct queue_params *p)
{
	h->q = queue_open(p, c, &ops, h);
}

void
help_open(struct help *h, const struct conf *c)
{
	help_open_params(h, c, &help_params);
}

void
help_close(struct help *h)
{
	queue_close(h->q);
	h->q = NULL;
}

uint8_t
help_byte(uint64_t id, size_t i)
{
	return i % 62 == 60 ? '\r' : i % 62 == 61 ? '\n' :
	    (uint8_t)('a' + (id * 7 + i * 31 + i / 62) % 26);
}

static void
send_it(struct help *h, uint64_t id, const char *from, const char *to,
    size_t len, unsigned ways)
{
	struct rec_msg	 m = { .flags = ways > 0 ? MSG_PREPARED : 0,
			    .from = span_str(from),
			    .auth = span_str(from),
			    .mail_auth = span_str(from),
			    .helo = span_str("client.example") };
	struct rec_rcpt	 r = { .action = span_str("relay"),
			    .notify = h->notify };
	struct txn	*t = txn_begin(h->q, h, 1, id, &m);
	struct span	 s = span_str(to), w;
	uint8_t		*p = malloc(len + 1);
	size_t		 sent = 0, n;

	if (t == NULL) {
		op_committed(h, 1, id, Q_REFUSED, "");
		free(p);
		return;
	}
	while (span_word(&s, " ", &w)) {
		r.to = w;
		r.way = ways > 0 ? (uint8_t)(r.group % ways) : 0;
		txn_rcpt(t, &r);
		r.group++;
	}
	for (size_t i = 0; i < len; i++)
		p[i] = help_byte(id, i);
	for (; len - sent > 24576; sent += n) {
		n = len - sent - 24576 < 32000 ? len - sent - 24576 : 32000;
		txn_data(t, span(p + sent, n));
	}
	txn_commit(t, span_str("Received: by test\r\n"),
	    span(p + sent, len - sent), len);
	free(p);
}

void
help_send(struct help *h, uint64_t id, const char *from, const char *to,
    size_t len)
{
	send_it(h, id, from, to, len, 0);
}

void
help_prepare(struct help *h, uint64_t id, const char *from, const char *to,
    size_t len, unsigned ways)
{
	send_it(h, id, from, to, len, ways);
}

void
help_settle(struct help *h, uint64_t id, unsigned way, enum q_settled outcome,
    const char *reply)
{
	struct rec_settled s = { (uint8_t)way, (uint8_t)outcome,
	    span_str(reply), span_str("live[192.0.2.1]:25") };

	CHECK(prepared_settle(h->q, h, id, &s));
}

void
help_end(struct help *h, struct job *j, enum d_status st, const char *reply,
    enum d_dest dest)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		result_add(h->q, j, h, 1, &(struct result){ .id = j->id,
		    .n = j->rcpts[i].n, .attempt = j->rcpts[i].attempt,
		    .status = (uint8_t)st, .remote = true,
		    .reply = span_str(reply),
		    .server = span_str("sink[127.0.0.1]:25") });
	job_ended(h->q, j, dest);
}

void
help_result(struct help *h, struct job *j, void *agent, uint64_t id,
    uint32_t n, enum d_status st, const char *reply)
{
	result_add(h->q, j, agent, 99, &(struct result){ .id = id, .n = n,
	    .attempt = 1, .status = (uint8_t)st, .remote = true,
	    .reply = span_str(reply), .server = span_str("s") });
}

/* ---- for tests of a whole life, and of what a crash leaves ---- */

bool
help_content_ok(uint64_t id, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] != help_byte(id, i))
			return false;
	return true;
}

static struct mono	 mono = { 1000000 };
static struct wall	 wall = { INT64_C(1800000000000) };

void
help_clock(void)
{
	clock_fake(&mono, &wall);
}

void
help_advance(int64_t ms)
{
	mono.ms += ms;
	wall.ms += ms;
	clock_fake(&mono, &wall);
}

struct now {
	struct buf	 fates;
	uint32_t	 n;
	int64_t		 ms;
};

static bool
now_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct now	*x = arg;
	struct rec_fate	 f = { .n = n, .state = r->state,
			    .attempt = r->attempt, .last_ms = r->last_ms,
			    .next_ms = x->ms, .reason = r->reason,
			    .server = r->server };

	if (r->state == RCPT_WAITING) {
		rec_fate_add(&x->fates, &f);
		x->n++;
	}
	return true;
}

void
help_change(struct help *h, uint64_t id, uint8_t what, bool held)
{
	struct rec_change ch = { .what = what, .held = held };
	struct rec	 r = { .kind = REC_CHANGE, .id = id };
	struct now	 x = { .ms = queue_now(h->q) };
	struct store_msg m;
	struct buf	 env;

	if (!store_msg_get(h->q->store, id, &m))
		return;
	ch.held_since_ms = x.ms;
	ch.expire_ms = m.expire_ms;
	if (m.held && !held)
		ch.expire_ms += x.ms - m.held_since_ms;
	buf_init(&x.fates, REC_ENV_MAX);
	buf_init(&env, REC_ENV_MAX);
	if (what == 0)
		store_rcpts(h->q->store, id, now_rcpt, &x);
	ch.nrcpts = x.n;
	ch.rcpts = buf_content(&x.fates);
	rec_change_encode(&env, &ch);
	r.env = buf_content(&env);
	queue_record(h->q, &r);
	buf_clear(&x.fates);
	buf_clear(&env);
}

struct routes {
	struct buf	 b;
	struct span	 action;
};

static bool
route_rcpt(uint32_t n, const struct store_rcpt *r, void *arg)
{
	struct routes	*x = arg;

	if (r->state == RCPT_WAITING)
		rec_route_add(&x->b, &(struct rec_route){ n, x->action });
	return true;
}

void
help_route(struct help *h, uint64_t id, const char *action)
{
	struct rec_change ch = { .what = CHANGE_ROUTE };
	struct rec	 r = { .kind = REC_CHANGE, .id = id };
	struct routes	 x = { .action = span_str(action) };
	struct buf	 env;

	buf_init(&x.b, REC_ENV_MAX);
	buf_init(&env, REC_ENV_MAX);
	store_rcpts(h->q->store, id, route_rcpt, &x);
	ch.routes = buf_content(&x.b);
	rec_change_encode(&env, &ch);
	r.env = buf_content(&env);
	if (ch.routes.len > 0)
		queue_record(h->q, &r);
	buf_clear(&x.b);
	buf_clear(&env);
}

int
help_child(void (*f)(void *), void *arg)
{
	pid_t	 pid = fork();
	int	 st;

	if (pid == -1)
		err(1, "fork");
	if (pid == 0) {
		f(arg);
		_exit(0);
	}
	if (waitpid(pid, &st, 0) == -1)
		err(1, "waitpid");
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

void *
help_shared(size_t n)
{
	void	*p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}
