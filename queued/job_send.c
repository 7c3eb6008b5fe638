/*
 * Jobs on their way out: which agent gets one, and its messages. See job.h.
 */
#include "queued/job_i.h"

#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/smtp/param.h"
#include "queued/archive.h"

#define CHAN_HIGH	(4 << 20)	/* bytes waiting: no more jobs */
#define DATA_PIECE	32000
#define SUFFIX_MAX	6000	/* of a d_suffix */

/* ---- which agent ---- */

/* The live one with the highest mark for this destination: it stays the same
 * while that agent lives, whoever else comes and goes. */
static struct agent *
agent_for(const struct agents *as, const struct dest *d)
{
	struct agent	*best = NULL;
	uint64_t	 mark, top = 0;

	for (size_t i = 0; i < AGENTS_MAX; i++) {
		if (as->v[i] == NULL || as->v[i]->old || !as->v[i]->synced ||
		    as->v[i]->leaving)
			continue;
		mark = as->v[i]->worker * UINT64_C(0x9e3779b97f4a7c15);
		mark = (d->key ^ mark) * UINT64_C(0xff51afd7ed558ccd);
		mark ^= mark >> 29;
		if (best == NULL || mark > top) {
			best = as->v[i];
			top = mark;
		}
	}
	return best;
}

static bool
discards(const struct queue *q, const struct dest *d)
{
	const struct conf_action *a;

	a = conf_action_find(q->conf, span_str(d->action));
	return a != NULL && a->type == ACT_DISCARD;
}

bool
agents_can_hand(struct agents *as, const struct dest *d)
{
	struct agent	*a;

	if (!as->settled)
		return false;
	if (discards(as->q, d))
		return true;
	a = agent_for(as, d);
	return a != NULL && a->running < RUNNING_MAX &&
	    chan_waiting(a->chan) < CHAN_HIGH;
}

/* ---- jobs out ---- */

void
result_all(struct queue *q, struct job *j, uint8_t status, const char *text)
{
	for (size_t i = 0; i < j->nrcpts; i++)
		if (!j->rcpts[i].have)
			result_add(q, j, NULL, 0, &(struct result){
			    .id = j->id, .n = j->rcpts[i].n,
			    .attempt = j->rcpts[i].attempt, .status = status,
			    .reply = span_str(text) });
}

static void
send_rcpts(struct agent *a, const struct job *j, const struct rec_msg *m)
{
	struct span	 s = m->rcpts;
	struct rec_rcpt	 e;

	for (size_t i = 0; i < j->nrcpts &&
	    rec_rcpt_next(&s, m->version, &e);) {
		if (e.n != j->rcpts[i].n)
			continue;
		CHAN_SEND(a->chan, d_rcpt, .tid = j->tid, .n = e.n,
		    .attempt = j->rcpts[i].attempt, .to = e.to,
		    .notify = e.flags & RCPT_F_ARCHIVE ? NOTIFY_NEVER :
		    e.notify, .orcpt = e.orcpt);
		i++;
	}
}

/* What goes around the message in an archive's copy. */
static void
wrap(const struct agents *as, const struct job *j, const struct rec *r,
    const struct rec_msg *m, int fd, struct buf *before, struct buf *behind)
{
	static char	 head[ARCHIVE_HEAD_MAX];
	char		 id[ID_STRLEN];
	time_t		 now = (time_t)(clock_wall().ms / 1000);
	struct archive	 w = { .m = m, .to = span_str(j->rcpts[0].to),
			    .prefix = r->prefix,
			    .journal = (j->rcpts[0].flags & RCPT_F_JOURNAL) !=
			    0,
			    .head = r->content,
			    .hostname = as->q->conf->hostname,
			    .id = id_str(j->id, id) };
	ssize_t		 n;

	if (fd != -1) {
		n = pread(fd, head, sizeof(head), 0);
		w.head = span(head, n > 0 ? (size_t)n : 0);
	}
	localtime_r(&now, &w.tm);
	w.gmtoff_min = (int)(w.tm.tm_gmtoff / 60);
	if (!archive_wrap(&w, before, behind)) {
		log_warnx("id=%s event=archive result=failed why=\"its envelope "
		    "is too long\"", w.id);
		buf_reset(before);
		buf_reset(behind);
	}
}

static void
send_pieces(struct agent *a, const struct job *j, struct span before,
    struct span behind)
{
	for (; before.len > 0; span_skip(&before, DATA_PIECE))
		CHAN_SEND(a->chan, d_prefix, .tid = j->tid,
		    .bytes = span_sub(before, 0, DATA_PIECE));
	if (behind.len > 0)
		CHAN_SEND(a->chan, d_suffix, .tid = j->tid, .bytes = behind);
}

static void
send_job(struct agents *as, struct agent *a, struct job *j,
    const struct rec *r, const struct rec_msg *m, int fd)
{
	struct span	 s = r->content;
	uint8_t		 flags = j->rcpts[0].flags;	/* all are alike */
	struct buf	 before, behind;
	struct ipc_d_job msg = { .tid = j->tid, .id = j->id,
	    .action = span_str(j->dest->action),
	    .domain = span_str(j->dest->domain), .from = m->from,
	    .body = m->body, .utf8 = (m->flags & MSG_UTF8) != 0,
	    .ret = m->ret, .envid = m->envid, .auth = m->mail_auth,
	    .requiretls = (m->flags & MSG_REQUIRETLS) != 0,
	    .tls_optional = (m->flags & MSG_TLS_OPTIONAL) != 0,
	    .size = m->size + r->prefix.len, .prefix = r->prefix,
	    .offset = 0, .received_ms = m->received_ms };

	buf_init(&before, REC_ENV_MAX);
	buf_init(&behind, SUFFIX_MAX);
	if (flags & RCPT_F_ARCHIVE) {
		wrap(as, j, r, m, fd, &before, &behind);
		/* What becomes of a copy is no business of the sender's. */
		if (flags & RCPT_F_JOURNAL)
			msg.from = msg.envid = msg.auth = span(NULL, 0);
		msg.size += buf_len(&before) + buf_len(&behind);
	}
	chan_send(a->chan, IPC_T_d_job, &msg, fd);
	send_rcpts(a, j, m);
	send_pieces(a, j, buf_content(&before), buf_content(&behind));
	buf_clear(&before);
	buf_clear(&behind);
	while (fd == -1 && s.len > 0) {
		CHAN_SEND(a->chan, d_data, .tid = j->tid,
		    .bytes = span_sub(s, 0, DATA_PIECE));
		span_skip(&s, DATA_PIECE);
	}
	CHAN_SEND(a->chan, d_go, .tid = j->tid);
}

bool
job_number(struct agents *as, struct agent *a, struct job *j)
{
	do
		j->tid = as->tid++;
	while (j->tid == 0 || map_get_u64(as->jobs, j->tid) != NULL);
	j->agent = a;
	return map_set_u64(as->jobs, j->tid, j);
}

void
agents_hand(struct agents *as, struct job *j)
{
	struct queue	*q = as->q;
	struct agent	*a = agent_for(as, j->dest);
	struct rec_msg	 m;
	struct rec	 r;
	char		 id[ID_STRLEN];
	int		 fd = -1;

	if (!job_load(q, j, &r, &m))
		return;
	if (discards(q, j->dest)) {
		result_all(q, j, D_OK, "250 2.0.0 discarded");
		job_ended(q, j, D_DEST_OK);
		return;
	}
	if ((m.flags & MSG_BODY_FILE) &&
	    (fd = body_open(j->id, false)) == -1) {
		log_warn("id=%s event=damage why=\"its content\"",
		    id_str(j->id, id));
		result_all(q, j, D_TEMP, "4.3.0 content can't be read");
		job_ended(q, j, D_DEST_OK);
		return;
	}
	if (a == NULL || !job_number(as, a, j)) {
		if (fd != -1)
			close(fd);
		job_again(q, j, false);
		return;
	}
	a->running++;
	send_job(as, a, j, &r, &m, fd);
}
