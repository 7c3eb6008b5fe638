/*
 * Records out of a DNS answer (RFC 1035): a pure parser of one response packet,
 * bounded, with compression pointers that only go backwards.
 */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "common/base/addr.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15,
    DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };
enum dns_status {
	DNS_OK,			/* records of the type asked for */
	DNS_NODATA,		/* the name exists without such records */
	DNS_NXDOMAIN,
	DNS_TEMPFAIL		/* no answer, SERVFAIL, nonsense */
};

#define DNS_NAME_MAX	255
#define DNS_RRS_MAX	100	/* records kept of one answer */
#define DNS_TXT_MAX	4096	/* of one TXT, its strings joined; TLSA */
#define DNS_CNAMES_MAX	8

struct dns_rr {
	enum dns_type	 type;
	uint32_t	 ttl;
	uint16_t	 pref;			/* MX */
	struct addr	 addr;			/* A, AAAA */
	char		 name[DNS_NAME_MAX + 1];/* MX, PTR, CNAME; "" is the root */
	uint8_t		*text;			/* TXT, TLSA's data; in store */
	size_t		 text_len;
};
struct dns_answer {
	enum dns_status	 status;
	bool		 ad;
	uint32_t	 ttl;			/* smallest; negative: SOA's */
	/* DNS_NODATA where a CNAME chain leaves this packet: the name to ask
	 * for next; else empty. cnames counts the links followed. */
	char		 next[DNS_NAME_MAX + 1];
	/* Where the chain ends, if there is one that can be written; else "". */
	char		 canon[DNS_NAME_MAX + 1];
	unsigned	 cnames;
	size_t		 nrr;
	struct dns_rr	 rr[DNS_RRS_MAX];
	uint8_t		 store[16384];
};

/* Is it a name that may be asked for: labels of 1 to 63 letters, digits, "-",
 * "_", "/", no final dot? */
bool	 dns_name_ok(struct span);

/* A whole response to the question (name, type); follows CNAMEs within it.
 * PARSE_BAD if it is no answer to that question or malformed. */
enum parse dns_answer_parse(struct span packet, const char *name,
	    enum dns_type, struct dns_answer *, const char **why);

#endif
