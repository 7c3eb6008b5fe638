/*
 * What posternctl may ask of lookupd: "stats", "dns query", "dns flush".
 */
#ifndef LOOKUPD_VERBS_H
#define LOOKUPD_VERBS_H

#include "common/ipc/ctl.h"
#include "lookupd/resolve.h"

/* The table; the resolver is remembered for the verbs, which get no other
 * argument. */
const struct ctl_verb *verbs_init(struct resolver *);
/* An answer has come: if owner is a request of posternctl, answers it. */
bool	 verbs_answer(void *owner, const struct answer *, uint32_t ttl);

#endif
