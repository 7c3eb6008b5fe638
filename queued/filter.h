/*
 * Which messages a request means: words of posternctl, all of which must hold.
 *
 *	ID  sender=ADDRESS  rcpt=ADDRESS  domain=NAME  action=NAME
 *	client=ADDRESS  older=DURATION  state=waiting|held|kept|prepared
 *	reason~TEXT  all
 */
#ifndef QUEUED_FILTER_H
#define QUEUED_FILTER_H

#include "queued/queue.h"

struct filter {
	uint64_t	 id;		/* 0: not given */
	char		 sender[520], rcpt[520], domain[256], action[65];
	char		 client[64], reason[256], state[16];
	int64_t		 older_ms;
	bool		 any_rcpt;	/* a recipient is asked about */
};

/* NULL, or what is wrong (static). */
const char *filter_parse(struct filter *, int argc, char **argv);
bool	 filter_msg(const struct filter *, const struct queue *, uint64_t id,
	    const struct store_msg *);
bool	 filter_rcpt(const struct filter *, const struct store_rcpt *);

#endif
