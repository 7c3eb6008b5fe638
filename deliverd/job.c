/*
 * Takes jobs from queued and gives their results back; see job.h for a job's
 * way. Unrecorded results lie in a map by (id, n, attempt), so a queued that
 * was restarted gets them again.
 */
#include "deliverd/job.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/lookup/srv.h"
#include "deliverd/post.h"
#include "deliverd/sts.h"

struct result {				/* sent, not yet recorded */
	uint64_t	 id;
	uint32_t	 tid, n, attempt;
	uint8_t		 status;
	bool		 remote, dsn;
	uint16_t	 reply_len, server_len;
	char		 tls[TLS_TEXT_MAX];
	char		 text[];	/* reply, then server */
};
struct key {
	uint64_t	 id;
	uint32_t	 n, attempt;
};

static struct proc		*proc;
static const struct conf	*conf;
static void			(*deliver)(struct job *);
static struct chan		*queued;	/* NULL: none at the moment */
static uint16_t			 queued_worker;
static LIST_HEAD(, job)		 jobs = LIST_HEAD_INITIALIZER(jobs);
static struct map		*by_tid;	/* of the present queued */
static struct map		*results;
static size_t			 njobs;
static bool			 draining;
static uint64_t			 counts[D_PERM + 1];

static chan_handler on_job, on_rcpt, on_prefix, on_suffix, on_data, on_go, on_recorded, on_sync;
static const struct chan_row rows[] = {
	{ IPC_T_d_job, on_job },
	{ IPC_T_d_rcpt, on_rcpt },
	{ IPC_T_d_prefix, on_prefix },
	{ IPC_T_d_suffix, on_suffix },
	{ IPC_T_d_data, on_data },
	{ IPC_T_d_go, on_go },
	{ IPC_T_d_recorded, on_recorded },
	{ IPC_T_d_sync, on_sync },
	{ IPC_T_d_server_state, srvs_heard },
	{ IPC_T_d_policy_is, sts_heard },
	{ IPC_T_d_post, post_asked },
	{ 0, NULL }
};

void
job_init(struct proc *p, const struct conf *c, void (*f)(struct job *))
{
	proc = p;
	conf = c;
	deliver = f;
	by_tid = map_new(JOBS_MAX);
	results = map_new(RESULTS_MAX);
	if (by_tid == NULL || results == NULL)
		fatal("map_new");
}

void
job_drain(void)
{
	draining = true;
	if (queued != NULL)
		CHAN_SEND(queued, d_back, .tid = 0);
}

size_t
job_count(void)
{
	return njobs;
}

size_t
job_unrecorded(void)
{
	return map_count(results);
}

uint64_t
job_count_results(enum d_status s)
{
	return counts[s];
}

static void
job_free(struct job *j)
{
	if (!j->orphan)
		map_del_u64(by_tid, j->tid);
	LIST_REMOVE(j, all);
	njobs--;
	if (j->fd != -1)
		close(j->fd);
	buf_clear(&j->content);
	buf_clear(&j->front);
	buf_clear(&j->suffix);
	free(j->rcpts);
	arena_free(j->arena);
	free(j);
}

/* The queued that gave them is gone: what is complete goes on. */
static void
orphan_all(void)
{
	struct job	*j, *next;

	for (j = LIST_FIRST(&jobs); j != NULL; j = next) {
		next = LIST_NEXT(j, all);
		if (!j->going) {
			job_free(j);
			continue;
		}
		if (!j->orphan)
			map_del_u64(by_tid, j->tid);
		j->orphan = true;
	}
}

static void
lost(struct chan *c, const char *why)
{
	if (why != NULL)
		proc_report(proc, IPC_QUEUED, queued_worker, why);
	if (queued == c) {
		queued = NULL;
		srvs_peer(NULL);
		orphan_all();
		sts_unheard();
	}
	chan_free(c);
}

void
job_peer(uint16_t worker, int fd)
{
	if (queued != NULL) {
		chan_free(queued);
		queued = NULL;
		orphan_all();
		sts_unheard();
	}
	queued_worker = worker;
	queued = chan_new(proc_base(proc), fd, IPC_DELIVERD, IPC_QUEUED, rows,
	    lost, NULL);
	if (queued == NULL)
		fatal("chan_new");
	srvs_peer(queued);
	if (draining)
		CHAN_SEND(queued, d_back, .tid = 0);
}

/* A copy in the job's arena; a job too big for it is broken, not fatal. */
static struct span
keep(struct job *j, struct span s)
{
	struct span	copy;

	if (s.len == 0)
		return (struct span){ 0 };
	copy = arena_span(j->arena, s);
	if (copy.p == NULL)
		j->broken = true;
	return copy;
}

static void
on_job(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_job	*m = msg;
	struct job		*j;

	if (m->body > BODY_8BITMIME || m->ret > RET_HDRS ||
	    map_get_u64(by_tid, m->tid) != NULL || njobs == JOBS_MAX) {
		if (fd != -1)
			close(fd);
		chan_reject(c, "d_job: no such job possible");
		return;
	}
	if ((j = calloc(1, sizeof(*j))) == NULL ||
	    (j->arena = arena_new(JOB_STRINGS_MAX)) == NULL ||
	    !map_set_u64(by_tid, m->tid, j))
		fatal("job");
	LIST_INSERT_HEAD(&jobs, j, all);
	njobs++;
	j->tid = m->tid;
	j->id = m->id;
	id_str(j->id, j->ids);
	j->fd = fd;
	j->offset = m->offset;
	j->action = conf_action_find(conf, m->action);
	if (!span_cstr(m->domain, j->domain, sizeof(j->domain)))
		j->broken = true;
	j->from = keep(j, m->from);
	j->prefix = keep(j, m->prefix);
	j->params = (struct smtp_mail_params){ .size_set = true,
	    .size = m->size, .body = (enum smtp_body)m->body, .utf8 = m->utf8,
	    .ret = (enum smtp_ret)m->ret, .envid = keep(j, m->envid),
	    .auth = keep(j, m->auth), .requiretls = m->requiretls };
	j->asks = m->requiretls ? DEMAND_REQUIRETLS : m->tls_optional ?
	    DEMAND_LAX : DEMAND_USUAL;
	buf_init(&j->content, JOB_CONTENT_MAX);
	buf_init(&j->front, JOB_FRONT_MAX);
	buf_init(&j->suffix, JOB_SUFFIX_MAX);
}

static void
on_rcpt(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_rcpt	*m = msg;
	struct job		*j = map_get_u64(by_tid, m->tid);
	struct rcpt		*r;
	size_t			 cap;

	(void)fd;
	if (j == NULL || j->going || j->nrcpts == JOB_RCPTS_MAX) {
		chan_reject(c, "d_rcpt: not now");
		return;
	}
	/* Grows in steps of 4, 8, 16 … */
	if (j->nrcpts == 0 || (j->nrcpts >= 4 &&
	    (j->nrcpts & (j->nrcpts - 1)) == 0)) {
		cap = j->nrcpts == 0 ? 4 : j->nrcpts * 2;
		if ((r = reallocarray(j->rcpts, cap, sizeof(*r))) == NULL)
			fatal("rcpts");
		j->rcpts = r;
	}
	r = &j->rcpts[j->nrcpts++];
	j->left++;
	*r = (struct rcpt){ .n = m->n, .attempt = m->attempt,
	    .to = keep(j, m->to), .params = { .notify = m->notify,
	    .orcpt = keep(j, m->orcpt) } };
}

static void
on_prefix(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_prefix *m = msg;
	struct job		*j = map_get_u64(by_tid, m->tid);

	(void)fd;
	if (j == NULL || j->going || !buf_span(&j->front, m->bytes))
		chan_reject(c, "d_prefix: not now or too much");
}

static void
on_suffix(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_suffix *m = msg;
	struct job		*j = map_get_u64(by_tid, m->tid);

	(void)fd;
	if (j == NULL || j->going || !buf_span(&j->suffix, m->bytes))
		chan_reject(c, "d_suffix: not now or too much");
}

static void
on_data(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_data	*m = msg;
	struct job		*j = map_get_u64(by_tid, m->tid);

	(void)fd;
	if (j == NULL || j->going || j->fd != -1 ||
	    !buf_span(&j->content, m->bytes))
		chan_reject(c, "d_data: not now or too much");
}

static void
on_go(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_go	*m = msg;
	struct job		*j = map_get_u64(by_tid, m->tid);

	(void)fd;
	if (j == NULL || j->going || j->nrcpts == 0) {
		chan_reject(c, "d_go: no such job");
		return;
	}
	j->going = true;
	if (buf_len(&j->front) > 0) {
		if (!buf_span(&j->front, j->prefix))
			j->broken = true;
		j->prefix = buf_content(&j->front);
	}
	/* A descriptor that did not arrive shows here too. */
	if (j->params.size < j->prefix.len + buf_len(&j->suffix) || (j->fd == -1 &&
	    job_content_size(j) != buf_len(&j->content)))
		j->broken = true;
	if (draining) {
		/* On its way while we said so. */
		CHAN_SEND(c, d_back, .tid = j->tid, .id = j->id);
		job_free(j);
		return;
	}
	if (j->broken)
		job_fail(j, D_TEMP, "451 4.3.0 The message could not be read",
		    "");
	else if (j->action == NULL)
		job_fail(j, D_TEMP, "451 4.3.5 The action of this recipient is "
		    "not in the configuration any more", "");
	else {
		deliver(j);
		return;
	}
	job_done(j);
}

uint64_t
job_content_size(const struct job *j)
{
	return j->params.size - j->prefix.len - buf_len(&j->suffix);
}

struct span
job_bytes(const struct job *j, uint64_t pos, size_t n)
{
	uint64_t	 size = job_content_size(j);

	if (pos < j->prefix.len)
		return span_sub(j->prefix, (size_t)pos, n);
	pos -= j->prefix.len;
	return pos < size ? job_content(j, pos, n) :
	    span_sub(buf_content(&j->suffix), (size_t)(pos - size), n);
}

struct span
job_content(const struct job *j, uint64_t pos, size_t n)
{
	static uint8_t	 bytes[64 << 10];
	uint64_t	 size = job_content_size(j);
	ssize_t		 got;

	if (pos >= size)
		return (struct span){ 0 };
	if (n > size - pos)
		n = (size_t)(size - pos);
	if (j->fd == -1)
		return span_sub(buf_content(&j->content), (size_t)pos, n);
	if (n > sizeof(bytes))
		n = sizeof(bytes);
	/* pread: other holders of the file share its offset. */
	got = pread(j->fd, bytes, n, (off_t)(j->offset + pos));
	if (got <= 0) {
		log_warnx("id=%s event=read result=failed why=%s", j->ids,
		    log_quote(span_str(got == 0 ? "the content ends early" :
		    strerror(errno))));
		return (struct span){ 0 };
	}
	return span(bytes, (size_t)got);
}

static void
result_send(const struct result *r)
{
	if (queued == NULL)
		return;
	CHAN_SEND(queued, d_result, .tid = r->tid, .id = r->id, .n = r->n,
	    .attempt = r->attempt, .status = r->status,
	    .reply = span(r->text, r->reply_len), .remote = r->remote,
	    .server = span(r->text + r->reply_len, r->server_len),
	    .dsn = r->dsn, .tls = span_str(r->tls));
}

static struct span
key_of(struct key *k, uint64_t id, uint32_t n, uint32_t attempt)
{
	*k = (struct key){ id, n, attempt };
	return span(k, sizeof(*k));
}

void
job_result(struct job *j, struct rcpt *rc, enum d_status status,
    struct span reply, bool remote, const char *server)
{
	struct span	 srv = span_sub(span_str(server), 0, 300);
	struct result	*r;
	struct key	 k;

	if (rc->state == RCPT_DONE)
		return;
	rc->state = RCPT_DONE;
	j->left--;
	counts[status]++;
	reply = span_sub(reply, 0, 1024);
	if ((r = malloc(sizeof(*r) + reply.len + srv.len)) == NULL)
		fatal("result");
	*r = (struct result){ .id = j->id, .tid = j->tid, .n = rc->n,
	    .attempt = rc->attempt, .status = (uint8_t)status,
	    .remote = remote, .dsn = remote && j->dsn,
	    .reply_len = (uint16_t)reply.len,
	    .server_len = (uint16_t)srv.len };
	if (srv.len > 0)
		strlcpy(r->tls, j->tls, sizeof(r->tls));
	if (reply.len > 0)
		memcpy(r->text, reply.p, reply.len);
	if (srv.len > 0)
		memcpy(r->text + reply.len, srv.p, srv.len);
	result_send(r);
	/* At the bound it was at least sent once. */
	free(map_del(results, key_of(&k, j->id, rc->n, rc->attempt)));
	if (!map_set(results, key_of(&k, j->id, rc->n, rc->attempt), r))
		free(r);
}

void
job_fail(struct job *j, enum d_status status, const char *reply,
    const char *server)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		job_result(j, &j->rcpts[i], status, span_str(reply), false,
		    server);
}

void
job_done(struct job *j)
{
	if (j->left > 0)
		job_fail(j, D_TEMP, "451 4.3.0 The delivery was not finished",
		    "");
	if (!j->orphan && queued != NULL)
		CHAN_SEND(queued, d_done, .tid = j->tid, .id = j->id,
		    .dest = (uint8_t)j->dest, .ms = j->ms);
	job_free(j);
}

bool
job_tell(uint16_t type, const void *msg)
{
	if (queued == NULL)
		return false;
	chan_send(queued, type, msg, -1);
	return true;
}

void
job_back_up(const char *action, const char *domain)
{
	if (queued != NULL)
		CHAN_SEND(queued, d_back_up, .tid = 0,
		    .action = span_str(action), .domain = span_str(domain));
}

static void
on_recorded(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_recorded	*m = msg;
	struct key			 k;

	(void)c;
	(void)fd;
	free(map_del(results, key_of(&k, m->id, m->n, m->attempt)));
}

static bool
send_again(struct span key, void *v, void *arg)
{
	(void)key;
	(void)arg;
	result_send(v);
	return true;
}

/* queue.md: a starting queued collects what runs and what is unconfirmed. */
static void
on_sync(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_sync	*m = msg;
	struct job		*j;

	(void)fd;
	LIST_FOREACH(j, &jobs, all) {
		if (j->orphan && map_get_u64(by_tid, j->tid) == NULL &&
		    map_set_u64(by_tid, j->tid, j))
			j->orphan = false;
		if (j->orphan)
			continue;
		for (size_t i = 0; j->going && i < j->nrcpts; i++) {
			if (j->rcpts[i].state != RCPT_DONE)
				CHAN_SEND(c, d_running, .tid = j->tid,
				    .id = j->id, .n = j->rcpts[i].n,
				    .attempt = j->rcpts[i].attempt);
		}
	}
	map_each(results, send_again, NULL);
	CHAN_SEND(c, d_synced, .tid = m->tid);
}
