/*
 * MTA-STS (RFC 8461): the record that says that a domain has a policy, the
 * policy, and whether a host is one of those that it names. Pure.
 */
#ifndef TLS_STS_H
#define TLS_STS_H

#include "common/base/buf.h"
#include "common/dns/answer.h"

#define STS_ID_MAX	32
#define STS_BYTES_MAX	(64 << 10)	/* of a policy (RFC 8461, 3.3) */
#define STS_MX_MAX	100		/* patterns; more: no good policy */
#define STS_AGE_MAX	31557600	/* seconds, a year (RFC 8461, 3.2) */

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };

struct sts_policy {
	enum sts_mode	 mode;
	uint32_t	 max_age;	/* seconds */
	size_t		 nmx;
	struct span	 mx[STS_MX_MAX];/* borrowed from the text */
};

/*
 * The TXT records of _mta-sts.DOMAIN (RFC 8461, 3.1): exactly one of them may
 * be a "v=STSv1", others count for nothing. False: the domain has no policy.
 */
bool	 sts_record(const struct span *txt, size_t n,
	    char id[STS_ID_MAX + 1]);
/* A whole policy. PARSE_BAD: it is none, and why says what is wrong. */
enum parse sts_policy_parse(struct span, struct sts_policy *,
	    const char **why);
/* The same policy in the form that it is kept in; false: it does not fit. */
bool	 sts_policy_write(struct buf *, const struct sts_policy *);
/* RFC 8461, 4.1: is the host, in A-labels, one of those? "*." stands for one
 * label, whole and leftmost. */
bool	 sts_policy_has(const struct sts_policy *, struct span host);
const char *sts_mode_name(enum sts_mode);
/* "_mta-sts.example.org"; false if it gets too long for a name. */
bool	 sts_record_name(const char *domain, char *dst, size_t size);
/* "mta-sts.example.org", which has the policy at /.well-known/mta-sts.txt. */
bool	 sts_host_name(const char *domain, char *dst, size_t size);

#endif
