/*
 * One request over HTTPS and what comes of it: a host's addresses by lookupd,
 * one after the other until one answers, TLS, the request, the answer. Nothing
 * is followed elsewhere, and a minute is all the time there is.
 */
#ifndef DELIVERD_HTTPS_H
#define DELIVERD_HTTPS_H

#include "common/conf/conf.h"
#include "common/lookup/ask.h"

#define HTTPS_MS	60000

struct https_request {
	const char	*host;
	bool		 verify;	/* its certificate has to be good for
					 * it, by the CAs that `ca` names */
	struct span	 text;		/* the request, header and body */
	size_t		 answer_max;	/* bytes of the answer's body … */
	/* … which this takes from all that has come, like http_text(). */
	enum parse	(*take)(struct span in, bool eof, struct buf *body,
			    const char **why);
};
struct https_answer {
	struct span	 body;
	const char	*why;		/* NULL: it is there */
	bool		 untrusted;	/* with why: by its certificate */
};

void	 https_init(struct proc *, const struct conf *, struct ask *);
/* Copies the request. Calls done once, later. False: could not begin. */
bool	 https_begin(const struct https_request *,
	    void (*done)(void *arg, const struct https_answer *), void *arg);

#endif
