/*
 * IP addresses with port, and prefixes: parsing, printing, comparing. An IPv4
 * address mapped into IPv6 is made IPv4 on entry.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <sys/socket.h>
#include <netinet/in.h>

#include "common/base/span.h"

#define ADDR_STRLEN	56	/* "[IPv6]:65535" and NUL */

struct addr {
	uint8_t	 family;	/* 4, 6, or 0: none (a Unix socket) */
	uint16_t port;		/* host order, 0: none */
	uint8_t	 ip[16];	/* network order; IPv4 in the first four */
};

struct addr_prefix {
	struct addr	addr;
	uint8_t		bits;
};

/* "192.0.2.1" or "2001:db8::1", no brackets, no port. */
bool	 addr_parse(struct span, struct addr *);
/* "192.0.2.1", "192.0.2.1:25", "[2001:db8::1]:25", "2001:db8::1". */
bool	 addr_parse_port(struct span, uint16_t port_default, struct addr *);
/* "192.0.2.0/24"; without a slash the whole address. Host bits must be 0. */
bool	 addr_parse_prefix(struct span, struct addr_prefix *);
bool	 addr_in(const struct addr *, const struct addr_prefix *);
bool	 addr_eq(const struct addr *, const struct addr *);	/* no port */
bool	 addr_is_loopback(const struct addr *);
/* Address alone; dst has ADDR_STRLEN bytes; "local" for family 0. Gives dst. */
char	*addr_str(const struct addr *, char *dst);
/* With port, brackets where needed. */
char	*addr_str_port(const struct addr *, char *dst);
/* The bytes that a map tells addresses with their ports apart by; in dst. */
#define ADDR_KEY_LEN	19
struct span addr_key(const struct addr *, uint8_t dst[ADDR_KEY_LEN]);
/* Back again; false: not such bytes, or of no IP address. */
bool	 addr_from_key(struct span, struct addr *);
void	 addr_from_sockaddr(struct addr *, const struct sockaddr *);
socklen_t addr_to_sockaddr(const struct addr *, struct sockaddr_storage *);
/* "1.2.0.192.in-addr.arpa" or the ip6.arpa form; dst has 80 bytes. */
char	*addr_reverse_name(const struct addr *, char *dst);
/* First bits of the address kept, the rest 0 (for limits per source). */
struct addr addr_mask(const struct addr *, uint8_t bits);

#endif
