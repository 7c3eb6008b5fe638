/*
 * Tokens for logins at other servers (RFC 6750), by the label of the
 * credentials: each of a file of its own, which is renewed now and then.
 */
#ifndef KEYD_TOKEN_H
#define KEYD_TOKEN_H

#include "common/base/span.h"

#define TOKEN_MAX	8192	/* octets; with the user it fits k_auth_answer */

struct tokens;

struct tokens *tokens_new(size_t max);		/* NULL: no memory */
void	 tokens_free(struct tokens *);		/* wipes; takes NULL */
/* One without a token yet. False: too many, or no memory. */
bool	 tokens_add(struct tokens *, const char *label, const char *user);
/*
 * The text of its file: one token, with blanks and line ends around it at most.
 * False: *why (static) says why, and the one before stays.
 */
bool	 tokens_set(struct tokens *, const char *label, struct span text,
	    const char **why);
/* Those that follow take NULL: there is none. */
size_t	 tokens_count(const struct tokens *);
void	 tokens_at(const struct tokens *, size_t n, struct span *label,
	    struct span *user);
/* Borrowed until the next change. */
bool	 tokens_get(const struct tokens *, struct span label,
	    struct span *user, struct span *token);

#endif
