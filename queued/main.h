/*
 * What the files of queued's edge share: main.c, the process and its timers;
 * front.c, the channels to smtpd. For them alone.
 */
#ifndef QUEUED_MAIN_H
#define QUEUED_MAIN_H

#include "common/base/map.h"
#include "common/proc/start.h"
#include "queued/job.h"
#include "queued/sources.h"

struct again;
struct guesses;
struct proxies;
struct verify;

/* A channel to one smtpd and its open transactions. */
struct front {
	struct main	*m;
	struct chan	*chan;
	uint16_t	 worker;
	unsigned	 slot;
	struct map	*txns;		/* tid -> struct txn */
	bool		 dirty;		/* answers wait to be sent */
};

struct main {
	struct proc	*proc;
	struct conf	*conf;
	struct queue	*q;
	struct agents	*agents;
	struct sources	*sources;
	struct guesses	*guesses;
	struct again	*again;
	struct verify	*verify;
	struct proxies	*proxies;
	struct front	*fronts[SOURCES_PEERS];
	struct event	*flush, *flush_late, *run, *house;
	bool		 late_set;
	int64_t		 reopen_ms;
};

/* ---- front.c ---- */
/* A channel to a smtpd; fd is taken. */
void	 front_add(struct main *, uint16_t worker, int fd);
/* As struct queue_ops says; an owner is a front. */
void	 front_committed(void *owner, uint32_t tid, uint64_t id,
	    enum q_status, const char *text);
void	 front_finished(struct queue *, void *owner, uint32_t tid, uint64_t id,
	    enum q_status);

#endif
