/*
 * Slow hashes, checked by processes beside this one, so that none of them stops
 * the loop. They are forked before confinement and confine themselves in the
 * same way: processes and not threads, since capabilities, securebits and
 * Landlock are each thread's own, the filter lets nobody make a thread
 * afterwards, and a fault in libcrypt ends one check and not all of them. A
 * worker is given a hash and a password and keeps neither; it has the one socket
 * to here, no file and no table.
 */
#ifndef KEYD_CHECK_H
#define KEYD_CHECK_H

#include <event2/event.h>

#include "common/base/span.h"
#include "common/sasl/hash.h"

#define CHECK_WORKERS_MAX 4
#define CHECK_WAITING_MAX 256	/* checks that wait for a worker */

/* Forks n workers; confine (with arg) is called in each, and there it does not
 * come back. Before the event loop, and before this process is confined. False:
 * errno. */
bool	 check_fork(unsigned n, void (*confine)(void *), void *arg);
/* Their channels; dead(arg) is called when one of them is gone. */
void	 check_init(struct event_base *, void (*dead)(void *), void *arg);
/*
 * Is it this password's hash? done is called once, never from within; hash and
 * password are copied, and the password is wiped. False: too many wait.
 */
bool	 check_ask(struct span hash, struct span password,
	    void (*done)(void *arg, enum hash_result), void *arg);
size_t	 check_waiting(void);	/* without those that are being done */
unsigned check_workers(void);
/* Ends the workers; what waits is forgotten and wiped, without done. */
void	 check_stop(void);

#endif
