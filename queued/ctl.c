/*
 * The control socket's verbs: the table of them, the queue's counts, and what
 * is paused. Long answers are made piece by piece, so a listing of a million
 * messages holds nothing but a place in the index.
 */
#include "queued/ctl_i.h"

#include <stdio.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "queued/diskio.h"
#include "queued/ctl_recipient.h"

static struct queue **queue_at;
static struct proxies *proxies;

struct queue *
verb_queue(struct ctl *c)
{
	struct queue	*q = *queue_at;

	if (!q->down)
		return q;
	ctl_end(c, EX_UNAVAILABLE, q->closed_why);
	return NULL;
}

int64_t
verb_unix_ms(const struct queue *q, int64_t ms)
{
	return clock_wall().ms + (ms - queue_now(q));
}

const char *
verb_state(const struct store_msg *m)
{
	return m->flags & MSG_KEPT ? "kept" : m->flags & MSG_PREPARED ?
	    "prepared" : m->held ? "held" : "waiting";
}

/* ---- the queue ---- */

static void
run_stats(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = *queue_at;

	(void)argc;
	(void)argv;
	ctl_row(c, "queue");
	ctl_str(c, "state", q->down ? "down" : q->closed ? "closed" : "open");
	if (q->closed)
		ctl_str(c, "why", q->closed_why);
	ctl_num(c, "messages", (int64_t)q->messages);
	ctl_num(c, "held", (int64_t)q->held);
	ctl_num(c, "content_bytes", (int64_t)q->content_bytes);
	if (q->conf->queue_size > 0)
		ctl_num(c, "limit_bytes", (int64_t)q->conf->queue_size);
	ctl_num(c, "kept", (int64_t)q->kept);
	ctl_num(c, "kept_bytes", (int64_t)q->kept_bytes);
	ctl_num(c, "prepared", (int64_t)q->nprepared);
	ctl_num(c, "ready", q->nready);
	ctl_num(c, "running", q->nrunning);
	ctl_str(c, "mta", q->mta_paused ? "paused" : "running");
	if (map_count(q->paused) > 0)
		ctl_num(c, "destinations_paused",
		    (int64_t)map_count(q->paused));
	ctl_num(c, "accepted", (int64_t)q->stats.accepted);
	ctl_num(c, "again", (int64_t)q->stats.again);
	ctl_num(c, "delivered", (int64_t)q->stats.delivered);
	ctl_num(c, "deferred", (int64_t)q->stats.deferred);
	ctl_num(c, "failed", (int64_t)q->stats.failed);
	ctl_num(c, "expired", (int64_t)q->stats.expired);
	ctl_num(c, "bounced", (int64_t)q->stats.bounced);
	ctl_num(c, "tls_reports", (int64_t)q->stats.tls_reports);
	ctl_num(c, "batches", (int64_t)q->stats.batches);
	ctl_num(c, "syncs", (int64_t)dio_syncs());
	if (!q->down) {
		ctl_num(c, "segments", (int64_t)segs_count(q->segs));
		ctl_num(c, "damage", (int64_t)(segs_damage(q->segs) +
		    q->damage));
		ctl_num(c, "free_bytes", (int64_t)q->space_free);
	}
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static void
run_pause_mta(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = verb_queue(c);

	(void)argc;
	(void)argv;
	if (q == NULL)
		return;
	log_info("event=pause what=mta uid=%u", ctl_uid(c));
	queue_pause_mta(q, true);
	ctl_end(c, EX_OK, NULL);
}

static void
run_resume_mta(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = verb_queue(c);

	(void)argc;
	(void)argv;
	if (q == NULL)
		return;
	log_info("event=resume what=mta uid=%u", ctl_uid(c));
	queue_pause_mta(q, false);
	ctl_end(c, EX_OK, NULL);
}

static void
pause_dest(struct ctl *c, int argc, char **argv, bool on)
{
	struct queue	*q = verb_queue(c);

	if (q == NULL)
		return;
	if (argc != 1 || argv[0][0] == '\0' || strlen(argv[0]) > 255) {
		ctl_end(c, EX_USAGE, "the name of an action, a server or a "
		    "domain");
		return;
	}
	log_info("event=%s what=%s uid=%u", on ? "pause" : "resume",
	    log_quote(span_str(argv[0])), ctl_uid(c));
	if (!queue_pause_dest(q, span_str(argv[0]), on)) {
		ctl_end(c, EX_UNAVAILABLE, "too many names");
		return;
	}
	proxies_pauses(proxies);
	ctl_end(c, EX_OK, NULL);
}

static void
run_pause_dest(struct ctl *c, int argc, char **argv)
{
	pause_dest(c, argc, argv, true);
}

static void
run_resume_dest(struct ctl *c, int argc, char **argv)
{
	pause_dest(c, argc, argv, false);
}

static const struct ctl_verb verbs[] = {
	{ "hosts", CTL_READ, verb_hosts },
	{ "queue list", CTL_READ, verb_list },
	{ "queue count", CTL_READ, verb_count },
	{ "queue stats", CTL_READ, run_stats },
	{ "message show", CTL_READ, verb_show },
	{ "message headers", CTL_READ, verb_headers },
	{ "message content", CTL_READ, verb_content },
	{ "message resend", CTL_CHANGE, verb_resend },
	{ "schedule", CTL_CHANGE, verb_schedule },
	{ "hold", CTL_CHANGE, verb_hold },
	{ "release", CTL_CHANGE, verb_release },
	{ "remove", CTL_CHANGE, verb_remove },
	{ "bounce", CTL_CHANGE, verb_bounce },
	{ "reroute", CTL_CHANGE, verb_reroute },
	{ "reroute try", CTL_READ, verb_reroute_try },
	{ "backup", CTL_CHANGE, verb_backup },
	{ "verify", CTL_READ, verb_verify },
	{ "pause mta", CTL_CHANGE, run_pause_mta },
	{ "resume mta", CTL_CHANGE, run_resume_mta },
	{ "pause destination", CTL_CHANGE, run_pause_dest },
	{ "resume destination", CTL_CHANGE, run_resume_dest },
	{ "tlsrpt", CTL_READ, verb_tlsrpt },
	{ "tlsrpt send", CTL_CHANGE, verb_tlsrpt_send },
	{ "recipient show", CTL_READ, verify_run_show },
	{ "recipient forget", CTL_CHANGE, verify_run_forget },
	{ NULL, 0, NULL }
};

const struct ctl_verb *
verbs_init(struct queue **q, struct proxies *p)
{
	queue_at = q;
	proxies = p;
	hosts_ctl_init(q, p);
	return verbs;
}
