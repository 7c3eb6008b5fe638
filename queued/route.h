/*
 * The rules once more, for a message that the queue has: by its stored envelope
 * as smtpd asked them for each recipient.
 */
#ifndef QUEUED_ROUTE_H
#define QUEUED_ROUTE_H

#include "common/conf/match.h"
#include "queued/walk.h"

/* What the rules are asked with for a recipient of m. */
struct match_in route_in(const struct rec_msg *m, struct span to,
	    uint8_t flags);
/* Does the queue deliver by it? *why says why not. */
bool	 route_queued(const struct conf_action *, const char **why);
/*
 * The rule for a recipient of m with these flags (enum rcpt_flag). True: one
 * whose actions the queue delivers by. False: none such, and *why says so.
 */
bool	 route_find(const struct conf *, const struct rec_msg *m,
	    struct span to, uint8_t flags, struct match_out *,
	    const char **why);
/* The rule's actions in order, NULL behind the last. */
const struct conf_action *route_action(const struct match_out *, uint32_t nth);
/* WALK_REROUTE of one message: its record, unless it is a dry run. */
bool	 route_msg(struct walk *, const struct walk_msg *);

#endif
