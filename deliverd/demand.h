/*
 * What is asked of TLS with one host, as destinations and connections keep it,
 * and what a message may ask for beside that (RFC 8689).
 */
#ifndef DELIVERD_DEMAND_H
#define DELIVERD_DEMAND_H

#include <openssl/types.h>

#include "common/lookup/hosts.h"

/*
 * What a message asks for. Each kind has destinations of its own, with their own
 * connections: none goes over one that was made for another kind.
 */
enum demand_kind {
	DEMAND_USUAL,		/* what configuration and domain say */
	DEMAND_REQUIRETLS,	/* a server that has proved its name, and keeps
				 * to it itself (RFC 8689, 4.2.1) */
	DEMAND_LAX		/* "TLS-Required: No": what the configuration
				 * says alone (4.2.2) */
};

/* "usual", "required", "optional": as of queued's "message show". */
const char *demand_kind_name(enum demand_kind);
/* A copy with its own records. Never NULL; demand_free() it. */
struct hosts_tls *demand_dup(const struct hosts_tls *);
void	 demand_free(struct hosts_tls *);	/* takes NULL */
/* The mode and its words: the configuration's, or what the host's TLSA records
 * ask for where they ask for more. */
struct conf_tls demand_tls(const struct hosts_tls *);
/*
 * For mail with REQUIRETLS: the host has to prove its name by its TLSA records or
 * its certificate, whatever was asked for before. sts: the domain's MTA-STS
 * policy names it. NULL: so it is now. Else why this host can't be used: its
 * name proves nothing, or the configuration has no TLS for it.
 */
const char *demand_requiretls(struct hosts_tls *, bool sts);
/* Gives the session the records that the host has to match, if it has any.
 * False: they can't be used, or no memory. */
bool	 demand_begin(const struct hosts_tls *, SSL *, const char *host);

#endif
