/*
 * The core of queued: accepting, scheduling, results, recovery, all in the
 * working directory and without any channel, so that a test drives it as the
 * daemon does. Who owns channels hears through struct queue_ops.
 *
 *	txn.c		transactions: messages that are being received
 *	prepared.c	messages that several servers are given (prepared.h)
 *	commit.c	batches, one sync for all that waits
 *	apply.c		a record's effect on the index, live and in replay
 *	recover.c	start: index, tail of the segments, replay
 *	due.c		what is to be tried now: rows of the index into memory
 *	due_dest.c	destinations in memory, their turns; dest.c: how many
 *	due_job.c	jobs in memory, from ready to recorded
 *	result.c	results of deliveries
 *	dsn.c		notifications of them (dsn.h)
 *	compact.c	removal of the oldest segment
 *	keep.c		mail that is over but can still be read
 *	rpt.c		sums of TLS for reports (rpt.h)
 *	pin.c		what must stay while somebody reads all of it
 */
#ifndef QUEUED_QUEUE_H
#define QUEUED_QUEUE_H

#include <sys/queue.h>

#include "common/base/map.h"
#include "common/conf/conf.h"
#include "common/ipc/codec.h"
#include "queued/record.h"
#include "queued/retry.h"
#include "queued/segment.h"
#include "queued/store.h"

#define BATCH_MSGS	128		/* messages that one sync waits for */
#define BATCH_BYTES	(4 << 20)
#define POOL_MAX	(64 << 20)	/* content of open transactions */
#define LIVE_MAX	(24 << 20)	/* records kept for their delivery */
#define LOAD_AHEAD	(256 << 10)	/* bytes read around what is due */
#define BODY_FDS	128		/* open files of uncommitted contents */
#define READY_MAX	1000		/* jobs in memory for one destination */
#define READY_TOTAL	100000		/* and for all */
#define JOB_RCPTS	100		/* recipients of one job; the others
					 * have the next turn */
#define RUNNING_MAX	500		/* jobs with one deliverd */
#define RECENT_MAX	400000		/* ids remembered over a restart */
#define RECENT_MS	600000		/* for so long */
#define CHANGE_DELAY_MS	20		/* results wait so long for a batch */
#define CRASHES_MAX	3		/* deliverds that one job may outlive */

struct queue;
struct txn;
struct job;
struct dest;

struct queue_params {
	uint64_t	 seg_size, seg_slice;
	struct store_params store;
	uint64_t	 reserve_file;	/* bytes kept for a full disk */
};

struct queue_ops {
	/* The fate of a transaction; Q_OK only once it is durable. */
	void	(*committed)(void *owner, uint32_t tid, uint64_t id,
		    enum q_status, const char *text);
	/* A result is durable: its deliverd may forget it. */
	void	(*recorded)(void *agent, uint32_t tid, uint64_t id, uint32_t n,
		    uint32_t attempt);
	/* All answers of a batch have been given: send them before the index
	 * is brought up to date. */
	void	(*answered)(struct queue *);
	/* queue_flush() is wanted: after this pass of the loop, or within
	 * CHANGE_DELAY_MS. */
	void	(*want_flush)(struct queue *, bool now);
	/* Something may be due: queue_run() is wanted soon. */
	void	(*want_run)(struct queue *);
	/* May this destination's deliverd be given a job? */
	bool	(*can_hand)(struct queue *, const struct dest *);
	/* Takes over a job that is due: job_load() it, send it, and in the end
	 * call job_ended() or job_again(). */
	void	(*hand)(struct queue *, struct job *);
	/* Taking mail or not, and why. */
	void	(*state)(struct queue *, bool open, const char *why);
	/* Has a deliverd POST a report; rpt_posted() follows. False: there is
	 * none. */
	bool	(*post)(struct queue *, struct span key, struct span url,
		    struct span body);
	/* A prepared message is ours, durably (Q_OK); or not known. Without an
	 * owner: nobody has said how it ended, and it has become ours (Q_OK)
	 * or void. */
	void	(*finished)(struct queue *, void *owner, uint32_t tid,
		    uint64_t id, enum q_status);
};

/* One delivery: (message, destination), in memory while it is due or runs. */
struct job_rcpt {
	uint32_t	 n, attempt;
	bool		 have, written;	/* a result; its record was made */
	uint8_t		 status;	/* enum d_status */
	uint8_t		 notify;
	uint8_t		 flags;		/* enum rcpt_flag */
	uint32_t	 group;
	bool		 remote;	/* reply is the server's own */
	bool		 dsn;		/* it tells of success itself */
	int64_t		 tried_ms;	/* queue time of the attempt, 0: none */
	char		*to, *reply, *server;
	char		*tls;		/* of the session, or NULL */
	void		*agent;		/* to be told when it is durable */
	uint32_t	 tid;
};
struct job {
	uint64_t	 id;
	struct dest	*dest;
	int64_t		 begun_ms;	/* handed out */
	uint32_t	 reply_ms;	/* the server's slowest reply */
	bool		 fresh;		/* accepted in this run, never tried */
	bool		 early;		/* its destination has come back */
	bool		 running, ended, dirty;
	bool		 adopted;	/* runs since an earlier life */
	bool		 again;		/* a row of it was passed over, as it
					 * was in memory: look once more */
	unsigned	 crashes;
	uint32_t	 tid;		/* while running */
	void		*agent;		/* deliverd's, while running */
	size_t		 nrcpts;
	struct job_rcpt	*rcpts;
	uint64_t	 sender;	/* due_sender_key() */
	int64_t		 next_ms;	/* of its row */
	TAILQ_ENTRY(job) entry;		/* ready, of its sender */
	TAILQ_ENTRY(job) dirty_entry;
};
TAILQ_HEAD(job_list, job);

/* Whose messages wait at one destination: they take turns. */
struct sender {
	uint64_t	 key;		/* due_sender_key() */
	struct job_list	 ready;
	unsigned	 nready;
	/* Rows of it that memory has no room for: from pos on. */
	bool		 skipped;
	struct store_due pos;
	uint64_t	 page;		/* due.c: looked at in this one */
	bool		 blocked;	/* and has rows there that stayed */
	TAILQ_ENTRY(sender) entry;	/* of its destination, by turns */
};
TAILQ_HEAD(sender_list, sender);

enum dest_state { DEST_UP, DEST_SLOW, DEST_DOWN };
struct dest {
	uint64_t	 key;
	char		*action, *domain;	/* A-labels, or "" for all */
	enum dest_state	 state;
	unsigned	 window, running;	/* jobs at a time, now */
	/* The window after the last trouble (0: none yet), when that was, and
	 * successes since the window grew; replies' times in ms. */
	unsigned	 trouble_window, streak;
	int64_t		 halved_ms;
	uint32_t	 fast_ms, reply_ms;
	uint32_t	 troubles;		/* in a row */
	int64_t		 probe_ms;		/* DEST_DOWN: not before */
	int64_t		 down_since_ms;
	bool		 paused;
	/* A message that an administrator wants tried now, whatever the state;
	 * it is waited for until its row is due. 0: none. */
	uint64_t	 first;
	int64_t		 first_until_ms;
	struct sender_list senders;
	unsigned	 nsenders, nskipped;
	unsigned	 nready, njobs;		/* njobs: with those that run */
	int64_t		 used_ms;		/* last end of a job */
	/* Rows that nobody has looked at: from pos on. With sweep set all are
	 * wanted that were last tried before that time. */
	bool		 backlog;
	struct store_due pos;
	int64_t		 sweep_ms;
	uint64_t	 looked;	/* in this turn of queue_run() */
	enum { DEST_IDLE, DEST_ACTIVE, DEST_PARKED } place;
	TAILQ_ENTRY(dest) entry;		/* by place */
};
TAILQ_HEAD(dest_list, dest);

struct live;
TAILQ_HEAD(live_list, live);
struct load_window {		/* the piece of a segment that was read last */
	uint8_t		*p;
	size_t		 cap, len;
	uint64_t	 segment, offset;
	uint64_t	 last;		/* where the last record began */
};
struct batch_entry {
	void		*owner;
	uint32_t	 tid;
	uint64_t	 id;
	uint64_t	 size;
	uint32_t	 nrcpts;
	uint16_t	 ways;		/* of a prepared one, a bit each; or 0 */
	int		 body_fd;	/* synced with the batch, or -1 */
};
struct batch_ack {
	void		*agent;
	uint32_t	 tid, n, attempt;
	uint64_t	 id;
	bool		 finish;	/* of a prepared message, and so: */
	enum q_status	 status;
};

/* Segments from this one on must stay, and bodies if so set. */
struct pin {
	uint64_t	 segment;
	bool		 bodies;
	TAILQ_ENTRY(pin) entry;
};
TAILQ_HEAD(pin_list, pin);

struct queue_stats {
	uint64_t	 accepted, delivered, deferred, failed, bounced,
			 expired, batches;
	uint64_t	 again;		/* taken for one that was there */
	uint64_t	 tls_reports;	/* messages made of them */
};

struct queue {
	const struct conf *conf;
	const struct queue_ops *ops;
	void		*arg;
	struct queue_params params;
	struct store	*store;
	struct segs	*segs;
	bool		 down;		/* can't be used; closed_why says why */
	bool		 closed;	/* no new mail: for one of these two */
	bool		 low, oversize;	/* the disk's room; `queue size` */
	char		 closed_why[200];
	bool		 replaying;
	bool		 mta_paused;
	struct map	*paused;	/* names of destinations */
	int64_t		 qtime_ms;	/* queue time at mono_ms */
	int64_t		 mono_ms;
	uint64_t	 newest_id;
	struct queue_stats stats;
	uint64_t	 damage;	/* records found that can't be read */
	int		 dir_fd;
	int		 lock_fd;	/* nobody else has the folder, or -1 */

	/* pin.c */
	struct pin_list	 pins;
	unsigned	 body_pins;
	uint64_t	*over;		/* bodies to go when no pin is left */
	size_t		 nover, over_cap;

	/* space.c */
	bool		 reserve_there;
	int64_t		 space_checked_ms;
	uint64_t	 space_free;

	/* commit.c */
	struct buf	 msgs, changes;	/* encoded records of the batch */
	struct batch_entry entries[BATCH_MSGS];
	size_t		 nentries;
	struct batch_ack *acks;
	size_t		 nacks, acks_cap;
	struct map	*open_ids;	/* ids of transactions and the batch */
	size_t		 pool;		/* bytes of open transactions */
	unsigned	 body_fds;
	struct buf	 env;		/* an envelope being made */
	bool		 flushing;
	bool		 stuck;		/* changes wait for room on the disk */
	/* Messages with copies of recipients whose fates are in changes. */
	struct map	*grouped;

	/* recover.c: messages of the last segments; an id asked for in doubt
	 * may have been delivered meanwhile */
	struct map	*recent;
	int64_t		 opened_ms;	/* monotonic */

	/* load.c */
	struct map	*live;
	struct live_list lives;
	size_t		 live_bytes;
	struct load_window loaded;

	/* apply.c: messages that live in each segment */
	struct map	*seg_live;
	uint64_t	 messages, held, live_records_bytes;
	uint64_t	 content_bytes;	/* of messages, without those kept */
	uint64_t	 kept, kept_bytes;
	uint64_t	 nprepared;	/* in no other of these numbers */

	/* prepared.c */
	struct map	*prepared;	/* id -> struct prep */
	int64_t		 prepared_next_ms;	/* monotonic: none ends before */

	/* keep.c */
	int64_t		 keep_next_ms;	/* queue time: none ends before */
	uint64_t	 keep_owed;	/* bytes still to be let go early */
	int64_t		 keep_rest_ms;	/* monotonic: then more of it */

	/* rpt_send.c */
	int64_t		 rpt_again_ms;	/* monotonic: no report before */

	struct buf	 scratch;

	/* due.c, due_dest.c, due_job.c */
	struct map	*dests, *jobs, *senders;
	uint64_t	 turn, page;	/* numbers of queue_run()s, of pages */
	struct dest_list active;	/* have work and may start one */
	struct dest_list parked;	/* have work, but must wait */
	unsigned	 nactive;
	int64_t		 probe_ms;	/* the earliest probe of those parked */
	int64_t		 probed_ms, rested_ms;	/* last looks at all */
	struct due_again *again;	/* jobs that ended with `again` */
	size_t		 nagain, again_cap;
	struct job_list	 dirty;
	struct store_due sched_pos;	/* rows before are in memory or in a
					 * destination's backlog */
	bool		 hungry;	/* a destination looks for its rows */
	bool		 behind;	/* rows that are due were left there */
	bool		 crowded;	/* as there are too many destinations */
	unsigned	 nready, nrunning;
	int64_t		 next_due_ms;	/* earliest row not yet due */

	/* compact.c */
	uint64_t	 compact_seg, compact_off;
	unsigned	 walks;		/* changes by a filter that run: what
				 * they may end is not copied meanwhile */
};

/* ---- queue.c ---- */
/* Sizes that fit the disk under the working directory. */
void	 queue_params_for_disk(struct queue_params *);
/*
 * Opens, recovers, replays. Never NULL: a queue that can't be used is `down`
 * and refuses everything. conf is borrowed until queue_conf().
 */
struct queue *queue_open(const struct queue_params *, const struct conf *,
	    const struct queue_ops *, void *arg);
/* Flushes what waits, marks an orderly end. */
void	 queue_close(struct queue *);
/* As after kill -9: frees memory, writes nothing. For tests. */
void	 queue_forget(struct queue *);
void	 queue_conf(struct queue *, const struct conf *);
int64_t	 queue_now(const struct queue *);	/* queue time, ms */
void	 queue_closed(struct queue *, bool closed, const char *why);
/* Small things between batches: spare, compaction, space. True: call again
 * soon. */
bool	 queue_housekeep(struct queue *);
void	 queue_pause_mta(struct queue *, bool on);
/* NAME: an action or a recipient domain. False: too many names. */
bool	 queue_pause_dest(struct queue *, struct span name, bool on);
/* Adds the names of paused destinations, encoded; their number. */
uint32_t queue_paused_names(struct queue *, struct buf *);
bool	 queue_is_paused(const struct queue *, const struct dest *);

/* ---- txn.c ---- */
/*
 * A transaction for message id; m has the envelope but for recipients, size and
 * what queued knows itself; all is copied. With MSG_PREPARED set its recipients
 * have ways, and it is prepared (prepared.h) by the commit. NULL: refused, the id
 * is known.
 */
struct txn *txn_begin(struct queue *, void *owner, uint32_t tid, uint64_t id,
	    const struct rec_msg *);
/* -1: too many or too long; a commit is refused then. */
int	 txn_rcpt(struct txn *, const struct rec_rcpt *);
/* -1 as above. A full disk or pool is told by the commit's result. */
int	 txn_data(struct txn *, struct span);
/* Takes t. The result comes through ops->committed, maybe before return. */
void	 txn_commit(struct txn *, struct span prefix, struct span bytes,
	    uint64_t size);
void	 txn_abort(struct txn *);
uint64_t txn_id(const struct txn *);
/* Before its commit: the header says "TLS-Required: No". */
void	 txn_tls_optional(struct txn *);

/* ---- commit.c ---- */
/* Owner (a channel) or agent is gone: nobody is to be told. */
void	 queue_forget_owner(struct queue *, const void *owner);
/* Appends a record of kind CHANGE, SNAPSHOT or a bounce's MESSAGE. False: it
 * is longer than a segment has room for. */
bool	 queue_record(struct queue *, const struct rec *);
/* The same among the messages of the batch: written with them, or refused. */
bool	 queue_record_beside(struct queue *, const struct rec *);
/* Bytes of a reply kept for each of so many recipients, so that a record of
 * them all fits. */
size_t	 queue_reason_max(const struct queue *, uint32_t nrcpts);
/* Tell `agent` when the records appended so far are durable. */
void	 queue_ack(struct queue *, void *agent, uint32_t tid, uint64_t id,
	    uint32_t n, uint32_t attempt);
/* The same of a prepared message, by ops->finished. */
void	 queue_ack_finish(struct queue *, void *owner, uint32_t tid,
	    uint64_t id, enum q_status);
/* Writes and syncs what waits, answers, brings the index up to date. */
void	 queue_flush(struct queue *);
/* Is the message ours (or was it, before the restart)? */
bool	 queue_has(struct queue *, uint64_t id);
void	 queue_state_record(struct queue *, struct buf *);

/* ---- apply.c ---- */
/* The record's effect on the index, inside a transaction. r was written at
 * (segment, offset). */
void	 apply(struct queue *, const struct rec *, uint64_t segment,
	    uint64_t offset);
/* Counts anew what lives where; after a replay. */
void	 apply_count(struct queue *);
uint64_t apply_live(const struct queue *, uint64_t segment);
/* After a change of configuration: destinations of all recipients anew. */
void	 apply_redest(struct queue *);

/* ---- recover.c ---- */
/* 0, or -1 with q->closed_why. */
int	 recover(struct queue *);
/* Records from offset on to limit; f returns false to stop. False: there are
 * records of a version that is not known, which were left out. */
bool	 recover_walk(struct queue *, uint64_t segment, uint64_t from,
	    uint64_t limit, bool content,
	    bool (*f)(const struct rec *, uint64_t offset, void *), void *arg);

/* ---- compact.c ---- */
/* One step of emptying or dropping the oldest segment; true: more to do. */
bool	 compact_step(struct queue *);

/* ---- pin.c ---- */
/* The caller's pin, until pin_clear(); its segment may be raised meanwhile. */
void	 pin_set(struct queue *, struct pin *, uint64_t segment, bool bodies);
void	 pin_clear(struct queue *, struct pin *);
bool	 pin_holds(const struct queue *, uint64_t segment);
/* The message is over: its body goes, now or when no pin keeps it. */
void	 pin_body_over(struct queue *, uint64_t id);
/* Some of those that were kept go; true: there are more. */
bool	 pin_step(struct queue *);

/* ---- load.c ---- */
/* Keeps a copy of a record for the delivery that follows at once. */
void	 live_put(struct queue *, uint64_t id, struct span record);
void	 live_drop(struct queue *, uint64_t id);
/* The record of a message; spans live until the next load. False: damage. */
bool	 load_record(struct queue *, uint64_t id, struct rec *);

/* ---- body.c: content longer than a record takes, in a file of its own ---- */
/* Opens (made new if create). -1: the disk is full, or it is missing. */
int	 body_open(uint64_t id, bool create);
void	 body_unlink(uint64_t id);
/* Is name a body's file? */
bool	 body_name(const char *name, uint64_t *id);

/* ---- space.c ---- */
/* Looks at the disk at most ten times a second; closes or opens the queue. */
void	 space_check(struct queue *, bool now);
void	 space_release(struct queue *);
/* Bytes that are missing for new mail to be taken for some time yet. */
uint64_t space_short(const struct queue *);

/* ---- keep.c ---- */
/* A change that settles recipients: if it was the last, the message is kept,
 * should the configuration want that. */
void	 keep_mark(const struct queue *, struct rec_change *);
/* Some of what was kept long enough goes; true: call again soon. */
bool	 keep_step(struct queue *);

/* ---- result.c ---- */
/* What came of one attempt for one recipient. */
struct result {
	uint64_t	 id;
	uint32_t	 n, attempt;
	uint8_t		 status;	/* enum d_status */
	bool		 remote;	/* reply is the server's own */
	bool		 dsn;		/* it was given NOTIFY and ORCPT */
	struct span	 reply, server, tls;
};
/* A result for one recipient of a running job, or of one that an earlier life
 * of queued began (job NULL). agent hears when it is durable. */
void	 result_add(struct queue *, struct job *, void *agent, uint32_t tid,
	    const struct result *);
/* Makes records of results that have none yet, as many as go into a batch. */
void	 result_write(struct queue *);
/* Makes a job's recipients expired without a delivery, as their server was
 * down; the job has been loaded with them and ends. */
void	 result_expire(struct queue *, struct job *);

#endif
