/*
 * When a message is tried again, and when no more: pure functions of numbers.
 */
#ifndef QUEUED_RETRY_H
#define QUEUED_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
	int64_t	 min_ms, max_ms;	/* `queue retry 1m..2h` */
};

/*
 * The time of the next attempt after `attempts` failed ones (1 or more): the
 * wait doubles from min to max and is spread by a fifth both ways; random is
 * any number. Never later than expire_ms, which is the last attempt.
 */
int64_t	 retry_next(const struct retry *, uint32_t attempts, int64_t now_ms,
	    int64_t expire_ms, uint32_t random);
/* Is an attempt that failed at now_ms the last? */
bool	 retry_expired(int64_t now_ms, int64_t expire_ms);
/* A destination that is down: when to probe it after `troubles` in a row. */
int64_t	 retry_probe(const struct retry *, uint32_t troubles, int64_t now_ms,
	    uint32_t random);
/*
 * Queue time at a start: what was saved, advanced by the difference of the wall
 * clocks if that is positive, and by 7 days at most.
 */
int64_t	 retry_queue_time(int64_t saved_ms, int64_t saved_wall_ms,
	    int64_t wall_ms);

#endif
