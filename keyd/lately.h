/*
 * Logins that were right a few minutes ago, so that the next one costs no slow
 * hash. Kept is a keyed hash (HMAC-SHA256, the key is this process's and never
 * leaves it) of table, user, the hash on file and the password: a changed file
 * makes what was kept void by itself. Bounded: a set of places for each value of
 * some bits, in which the oldest goes.
 */
#ifndef KEYD_LATELY_H
#define KEYD_LATELY_H

#include "common/base/clock.h"
#include "common/base/span.h"

#define LATELY_MS	300000	/* so long it is known */
#define LATELY_SETS	1024
#define LATELY_WAYS	4

struct lately_key {
	uint8_t	mac[32];
};

/* A new key, and nothing known. Before confinement. False: no randomness. */
bool	 lately_init(void);
/* What a login is kept by. False: no memory. */
bool	 lately_key(struct span table, struct span user, struct span hash,
	    struct span password, struct lately_key *);
bool	 lately_has(const struct lately_key *, struct mono now);
void	 lately_add(const struct lately_key *, struct mono now);
/* Wipes all of it, the key too. */
void	 lately_wipe(void);

#endif
