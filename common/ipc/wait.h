/*
 * Outstanding requests by their number: who asks registers a callback and gets
 * a tid to send; the answer's tid finds it. An answer for a number that is gone
 * is dropped quietly. Bounded.
 */
#ifndef IPC_WAIT_H
#define IPC_WAIT_H

#include "common/base/span.h"

struct wait;

struct wait *wait_new(size_t max);
void	 wait_free(struct wait *);
/* A new number (never 0) for this owner pointer; 0 when max are outstanding. */
uint32_t wait_add(struct wait *, void *owner);
/* The owner, NULL if gone. */
void	*wait_get(const struct wait *, uint32_t tid);
/* The same and forget it. */
void	*wait_take(struct wait *, uint32_t tid);
size_t	 wait_count(const struct wait *);
/* For each outstanding one; f may take the one it was called for. */
void	 wait_each(struct wait *,
	    void (*f)(uint32_t tid, void *owner, void *arg),
	    void *arg);

#endif
