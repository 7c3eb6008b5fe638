/*
 * What sts.c (policies that are kept) and sts_fetch.c (one policy over HTTPS)
 * share; for them alone.
 */
#ifndef DELIVERD_STS_I_H
#define DELIVERD_STS_I_H

#include "deliverd/sts.h"

/* What came of it: the document as it came, or (why not NULL) none. */
struct sts_fetched {
	struct span	 text;
	const char	*why;
	enum rpt_result	 fault;		/* with why: in the words of reports */
};
/* Calls done once, later. False: could not begin. */
bool	 sts_fetch(const char *domain,
	    void (*done)(void *arg, const struct sts_fetched *), void *arg);

#endif
