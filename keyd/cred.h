/*
 * The credentials for other servers: a text of lines "LABEL user secret". The
 * secret is the rest of the line without blanks at its ends; "#" at the
 * beginning of a line makes a comment.
 */
#ifndef KEYD_CRED_H
#define KEYD_CRED_H

#include "common/base/span.h"

#define CRED_MAX	1000		/* lines */
#define CRED_WORD_MAX	255		/* bytes of a label, a user, a secret */

struct creds;

/* Keeps spans into text, which must outlive it. NULL: *why is a static string
 * and *line, from 1, says where. */
struct creds *creds_parse(struct span text, const char **why, unsigned *line);
void	 creds_free(struct creds *);
size_t	 creds_count(const struct creds *);
/* The n-th in order. */
void	 creds_at(const struct creds *, size_t n, struct span *label,
	    struct span *user, struct span *secret);
/* By label, in its exact case. */
bool	 creds_get(const struct creds *, struct span label, struct span *user,
	    struct span *secret);

#endif
