/*
 * What the files of the control socket's verbs share; for them alone.
 */
#ifndef QUEUED_CTL_I_H
#define QUEUED_CTL_I_H

#include "queued/ctl.h"

/* The queue, or NULL: it is down and the request has been answered so. */
struct queue *verb_queue(struct ctl *);
/* Queue time as unix time. */
int64_t	 verb_unix_ms(const struct queue *, int64_t ms);
/* The same, with the message that the only argument names; the spans of its row
 * die with the next look into the index. */
struct queue *verb_named(struct ctl *, int argc, char **argv, uint64_t *id,
	    struct store_msg *);
/* "waiting", "held", "kept" or "prepared". */
const char *verb_state(const struct store_msg *);

typedef void verb_run(struct ctl *, int argc, char **argv);
/* ---- ctl_walk.c: by filter ---- */
verb_run verb_list, verb_count, verb_schedule, verb_hold, verb_release,
	 verb_remove, verb_bounce, verb_reroute, verb_reroute_try;
/* ---- ctl_message.c: one message ---- */
verb_run verb_show, verb_headers, verb_content;
/* ---- ctl_resend.c ---- */
verb_run verb_resend;
/* ---- ctl_backup.c ---- */
verb_run verb_backup;
/* ---- ctl_hosts.c ---- */
verb_run verb_hosts;
/* ---- ctl_rpt.c ---- */
verb_run verb_tlsrpt, verb_tlsrpt_send;
/* ---- ctl_verify.c ---- */
verb_run verb_verify;

#endif
