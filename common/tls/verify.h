/*
 * Is this certificate the one of the server that we mean? The decision, without
 * a session: by a pinned key, or by a chain to a CA and a name (RFC 6125: DNS
 * names of subjectAltName alone, a wildcard only as the whole leftmost label; an
 * address by its iPAddress). What fails is told in words.
 */
#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include <openssl/types.h>

#include "common/conf/conf.h"

#define VERIFY_WHY_MAX	400

/* What it lacks, in the words of reports (RFC 8460, 4.3.1). */
enum verify_fault {
	VERIFY_GOOD,
	VERIFY_NAME,		/* it is another host's */
	VERIFY_EXPIRED,
	VERIFY_UNTRUSTED,	/* no chain to a CA that is trusted */
	VERIFY_OTHER
};

struct stack_st_X509;	/* STACK_OF(X509), of <openssl/x509.h> */
struct verify_want {
	X509_STORE	*store;		/* not looked at with pins */
	const char	*name;		/* a host name or an address */
	const uint8_t	(*pins)[CONF_PIN_LEN];
	size_t		 npins;		/* 0: the chain and the name decide */
	enum verify_fault *fault;	/* is set to what it lacks; or NULL */
};

/* leaf may be NULL (the server has none), chain too. True: it is; else why says
 * what it lacks. */
bool	 verify_cert(X509 *leaf, struct stack_st_X509 *chain,
	    const struct verify_want *, char why[VERIFY_WHY_MAX]);

#endif
