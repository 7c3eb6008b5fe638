/*
 * The order of servers of a domain (RFC 5321, 5.1; 7505; 8314 not needed):
 * pure decisions over the records that were found.
 */
#ifndef DNS_MX_H
#define DNS_MX_H

#include "common/dns/answer.h"

#define MX_HOSTS_MAX	20

struct mx_host {
	uint16_t	 pref;
	char		 name[DNS_NAME_MAX + 1];
};
enum mx_result {
	MX_LIST,		/* try these in order */
	MX_IMPLICIT,		/* no MX: the domain itself, as preference 0 */
	MX_NULL,		/* RFC 7505: takes no mail (556 5.1.10) */
	MX_NONE,		/* no such domain (5.1.2) */
	MX_LOOP,		/* we are the best of them (5.4.6) */
	MX_TEMPFAIL
};
/*
 * status and hosts as DNS gave them (n hosts, any order); hosts is sorted by
 * preference, equals shuffled by rnd(bound), those at or above the preference
 * of one that is_us() removed. *n is the number left.
 */
enum mx_result mx_order(enum dns_status, struct mx_host *hosts, size_t *n,
	    uint32_t (*rnd)(uint32_t bound),
	    bool (*is_us)(const char *name, void *arg), void *arg);
/* IPv6 and IPv4 of one host in turn, the first family by preference 6. */
void	 mx_interleave(struct addr *addrs, size_t n);

#endif
