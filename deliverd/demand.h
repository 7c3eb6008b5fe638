/*
 * What is asked of TLS with one host, as destinations and connections keep it.
 */
#ifndef DELIVERD_DEMAND_H
#define DELIVERD_DEMAND_H

#include <openssl/types.h>

#include "common/lookup/hosts.h"

/* A copy with its own records. Never NULL; demand_free() it. */
struct hosts_tls *demand_dup(const struct hosts_tls *);
void	 demand_free(struct hosts_tls *);	/* takes NULL */
/* The mode and its words: the configuration's, or what the host's TLSA records
 * ask for where they ask for more. */
struct conf_tls demand_tls(const struct hosts_tls *);
/* Gives the session the records that the host has to match, if it has any.
 * False: they can't be used, or no memory. */
bool	 demand_begin(const struct hosts_tls *, SSL *, const char *host);

#endif
