/*
 * All secrets of one configuration: they come one descriptor after the other,
 * are read at once, and are held against the configuration at the end. A set
 * is taken or thrown away as a whole.
 */
#ifndef KEYD_SET_H
#define KEYD_SET_H

#include "common/conf/conf.h"
#include "common/ipc/codec.h"
#include "keyd/cred.h"
#include "keyd/key.h"

#define SET_FILE_MAX	(1 << 20)	/* bytes of one file */
#define SET_FILES_MAX	1000
#define SET_DER_MAX	(4 << 20)	/* of all that smtpd is sent at once */

struct set;

/* NULL: out of memory. */
struct set *set_new(void);
void	 set_free(struct set *);	/* clears what was secret; takes NULL */
/* Reads fd (taken) whole; path is for messages. A fault is remembered. */
void	 set_add(struct set *, enum ipc_secret_kind, const char *name,
	    const char *path, int fd);
/*
 * Is each pki's certificate and key there, do they belong together (and the OCSP
 * response with them, if there is one), are the credentials there and
 * well-formed, is the secret of rewritten senders long enough? The texts of keys
 * are cleared. On false *why lives as long as the set.
 */
bool	 set_finish(struct set *, const struct conf *, const char **why);

size_t	 set_pkis(const struct set *);
/* The n-th pki and its name, borrowed. */
const struct pki *set_at(const struct set *, size_t n, const char **name);
/* The key of a pki by its name and pki_id(); NULL: none. Borrowed. */
const struct pki *set_key(const struct set *, struct span name,
	    struct span id);
const struct creds *set_creds(const struct set *);	/* may be NULL */
/* The user and the secret of a label, of the credentials or a token's file;
 * *token: it is a token. False: there is none. Borrowed. */
bool	 set_login(const struct set *, struct span label, struct span *user,
	    struct span *secret, bool *token);
/* A token's file was renewed; fd is taken. False: the old one stays, since *why. */
bool	 set_renew(struct set *, const char *label, const char *path, int fd,
	    const char **why);
size_t	 set_tokens(const struct set *);
/* The n-th one's label and user. */
void	 set_token(const struct set *, size_t n, struct span *label,
	    struct span *user);
/* The secret of rewritten senders and their domain; empty and "" if none. */
struct span set_srs(const struct set *, const char **domain);

#endif
