/*
 * SCRAM exchanges under way in `passwd`: between the client's two messages. Who
 * is not there gets a salt that is always the same for his name.
 */
#ifndef KEYD_SCRAMS_H
#define KEYD_SCRAMS_H

#include "common/base/buf.h"
#include "common/ipc/codec.h"

/* Before confinement. False: no randomness. */
bool	 scrams_init(void);
/*
 * What the client says next in the exchange (asker, m->tid): the first message
 * begins one, the last ends it. hash: the user's, empty if he can't log in; like:
 * one that an exchange for nobody looks like. Appends what the client is to be
 * told; *why is static.
 */
enum k_verdict scrams_say(const void *asker, const struct ipc_k_login *m,
	    struct span hash, struct span like, struct buf *said,
	    const char **why);
/* All of this asker's. */
void	 scrams_forget(const void *asker);
size_t	 scrams_count(void);
void	 scrams_stop(void);

#endif
