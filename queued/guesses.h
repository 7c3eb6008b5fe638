/*
 * Failed logins by name over all smtpd workers, in the newest window that any
 * of them spoke of. Names are hashes; nothing of it is durable.
 */
#ifndef QUEUED_GUESSES_H
#define QUEUED_GUESSES_H

#include "common/base/span.h"

#define GUESSES_KEPT_MAX	200000	/* names of the newest windows; of more, their
				 * worker alone knows */

struct guesses;

struct guesses *guesses_new(void);
/* n more in a window; the sum in that of the name now, in *window, too. 0: not
 * remembered. */
uint32_t guesses_add(struct guesses *, struct span name, uint64_t *window,
	    uint32_t n);
size_t	 guesses_count(const struct guesses *);

#endif
