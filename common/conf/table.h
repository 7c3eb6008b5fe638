/*
 * Look-ups in the tables of the configuration. Lists answer yes or no, maps
 * give a value too. No I/O.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "common/conf/conf.h"

const char *table_name(const struct conf_table *);	/* "<inline>" if none */
/* The file of a users' table (`passwd`), which is nobody's to read but keyd's;
 * NULL: another table. */
const char *table_users(const struct conf_table *);
/* The auth socket that knows the users of a table (`dovecot`); or NULL. */
const char *table_dovecot(const struct conf_table *);
size_t	 table_count(const struct conf_table *);
/* Exact key, ASCII case ignored. *value (may be NULL) is borrowed; empty in a
 * list. */
bool	 table_get(const struct conf_table *, struct span key,
	    struct span *value);
/* A mail address without <>: user+ext@domain, user@domain, domain, .parent of
 * the domain, @domain; a bare user only if `ours`. subaddress may be "". */
bool	 table_get_mail(const struct conf_table *, struct span address,
	    const char *subaddress, bool ours, struct span *value);
/* domain, then .parent of each parent. */
bool	 table_get_domain(const struct conf_table *, struct span domain,
	    struct span *value);
/* Does an address in this domain stand in it? */
bool	 table_has_domain(const struct conf_table *, struct span domain);
/* Prefixes and addresses. */
bool	 table_get_addr(const struct conf_table *, const struct addr *,
	    struct span *value);
/* Bits of the longest prefix that holds this address; -1: none. */
int	 table_addr_bits(const struct conf_table *, const struct addr *);
/* Each entry in order until f returns false. */
void	 table_each(const struct conf_table *,
	    bool (*f)(struct span key, struct span value, void *arg),
	    void *arg);

#endif
