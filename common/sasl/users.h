/*
 * A file of users and the hashes of their passwords, in the form that Dovecot's
 * passwd-file driver reads as well:
 *
 *	user:hash[:uid:gid:gecos:home:shell:extra fields]
 *
 * Empty lines and those that begin with "#" say nothing. Names are compared as
 * they stand. Of the extra fields "nologin", "nopassword", "nodelay" and
 * "allow_nets=" are Dovecot's ways to restrict a login; a user who has any of
 * these but nodelay can't log in here. Pure.
 */
#ifndef SASL_USERS_H
#define SASL_USERS_H

#include "common/sasl/hash.h"

#define USERS_MAX	1000000	/* of one file */
#define USERS_NAME_MAX	255	/* bytes of a name, as in msg.def */

struct users;
struct user {
	struct span	 name, hash;	/* of the text */
	enum hash_scheme scheme;	/* of the hash */
	bool		 barred;	/* by an extra field */
};

/* Keeps spans into text, which must outlive it. NULL: *why is a static string
 * and *line, from 1, says where. */
struct users *users_parse(struct span text, const char **why, unsigned *line);
void	 users_free(struct users *);	/* takes NULL */
size_t	 users_count(const struct users *);
/* In the order of the file; NULL: no such number. */
const struct user *users_at(const struct users *, size_t n);
/* NULL: there is none. */
const struct user *users_get(const struct users *, struct span name);
/* The hash of some user that costs what most of them do: for who is not there.
 * Empty: all are locked. */
struct span users_decoy(const struct users *);
/* Have all who can log in a hash of one of these schemes (bits 1 << scheme)? */
bool	 users_all(const struct users *, unsigned schemes);

/* One line, without its end: 1 a user, 0 none, -1 malformed and *why. For who
 * edits the file. */
int	 users_line(struct span line, struct user *, const char **why);
/* Can it be a user's name? Not empty, no ":", no control characters, UTF-8. */
bool	 users_name_ok(struct span);

#endif
