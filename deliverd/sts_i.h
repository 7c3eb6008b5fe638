/*
 * What sts.c (policies that are kept) and sts_fetch.c (one policy over HTTPS)
 * share; for them alone.
 */
#ifndef DELIVERD_STS_I_H
#define DELIVERD_STS_I_H

#include "deliverd/sts.h"

void	 sts_fetch_init(struct proc *, const struct conf *, struct ask *);
/* Calls done once, later: with the document as it came, or why there is none.
 * False: could not begin. */
bool	 sts_fetch(const char *domain,
	    void (*done)(void *arg, struct span text, const char *why),
	    void *arg);

#endif
