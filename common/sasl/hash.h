/*
 * Passwords as users' files keep them: "{SCHEME}text", or what crypt(5) makes
 * ("$y$…"). The schemes are Dovecot's of the same names:
 *
 *	CRYPT SHA256-CRYPT SHA512-CRYPT BLF-CRYPT	libcrypt's, with its cost
 *	SCRAM-SHA-256	iterations,salt,StoredKey,ServerKey (RFC 5802, 7677)
 *	CRAM-MD5	the state of HMAC-MD5, in hex
 *	PLAIN CLEAR CLEARTEXT	the password itself
 *
 * No I/O, no log.
 */
#ifndef SASL_HASH_H
#define SASL_HASH_H

#include <crypt.h>

#include "common/base/buf.h"

#define HASH_MAX	400	/* bytes of one, as in msg.def */
#define HASH_PASSWORD_MAX 511	/* bytes of a password: crypt(3)'s */
#define HASH_CLASS_MAX	64
#define HASH_SCRAM_ITER	4096	/* RFC 7677, 4: at least; what we make */
#define HASH_ITER_MAX	5000000
#define HASH_SALT_MAX	64	/* bytes of a SCRAM salt */
#define HASH_KEY_LEN	32	/* SHA-256 */

enum hash_scheme { HASH_LOCKED, HASH_CRYPT, HASH_PLAIN, HASH_SCRAM,
    HASH_CRAM };
enum hash_result {
	HASH_YES,
	HASH_NO,
	HASH_FAILED		/* not known: no memory for it */
};

/* Of SCRAM-SHA-256. */
struct hash_scram {
	unsigned	 iterations;
	size_t		 salt_len;
	uint8_t		 salt[HASH_SALT_MAX];
	uint8_t		 stored[HASH_KEY_LEN], server[HASH_KEY_LEN];
};

/* Which scheme, and what follows it (borrowed). False: none that is known, or
 * not well-formed; *why is a static string. "", "*" and what begins with "!" is
 * the hash of no password: HASH_LOCKED. */
bool	 hash_parse(struct span hash, enum hash_scheme *, struct span *body,
	    const char **why);
/* A name for what it costs to check one: equal for equal work. */
void	 hash_class(struct span hash, char dst[HASH_CLASS_MAX]);
/* Is it this password's? data is crypt_r(3)'s memory, the caller's to keep; what
 * it had of the password is wiped. */
enum hash_result hash_check(struct span hash, struct span password,
	    struct crypt_data *data);
/* Parts of a hash of this scheme; false: it is another. */
bool	 hash_scram(struct span hash, struct hash_scram *);
/* Is it what CRAM-MD5 (RFC 2195) makes of challenge, in hex? For PLAIN and
 * CRAM-MD5. */
bool	 hash_cram(struct span hash, struct span challenge, struct span digest);

/* What users' files are written with. */
enum hash_make { MAKE_YESCRYPT, MAKE_BCRYPT, MAKE_SHA512, MAKE_SCRAM };
/* Appends "{SCHEME}…" with a new salt. False: no memory, or a password that is
 * empty, too long or has a NUL. */
bool	 hash_make(enum hash_make, struct span password, struct buf *);
/* "yescrypt", "bcrypt", "sha512-crypt", "scram-sha-256", "plain", …; static. */
const char *hash_name(struct span hash);

#endif
