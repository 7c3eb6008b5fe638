/*
 * TLSRPT (RFC 8460): the record by which a domain asks for reports, whom they
 * go to, and the report itself. Pure; what is counted and when it is told is
 * the caller's. All that came from others is taken for hostile.
 */
#ifndef TLS_RPT_H
#define TLS_RPT_H

#include "common/base/addr.h"
#include "common/base/buf.h"
#include "common/dns/answer.h"

#define RPT_RUA_MAX	1024	/* bytes of a list of addresses; longer: none */
#define RPT_URI_MAX	512	/* of one, longer ones are passed over */
#define RPT_URIS_MAX	4	/* that are used of a list */
#define RPT_STRINGS_MAX	8000	/* bytes of a policy's strings */
#define RPT_REASON_MAX	300

/* Which policy a session was held to: "policy-type" (4.4). */
enum rpt_kind { RPT_NO_POLICY, RPT_TLSA, RPT_STS };
#define RPT_KINDS	(RPT_STS + 1)

/* "result-type" (4.3); RPT_OK is none. */
enum rpt_result {
	RPT_OK,
	RPT_STARTTLS_NOT_SUPPORTED, RPT_HOST_MISMATCH, RPT_EXPIRED,
	RPT_NOT_TRUSTED, RPT_VALIDATION, RPT_TLSA_INVALID, RPT_DNSSEC_INVALID,
	RPT_DANE_REQUIRED, RPT_STS_FETCH, RPT_STS_INVALID, RPT_STS_WEBPKI
};
#define RPT_RESULTS	(RPT_STS_WEBPKI + 1)

const char *rpt_kind_name(enum rpt_kind);
const char *rpt_result_name(enum rpt_result);

/* ---- the record (3) ---- */

/* "_smtp._tls.example.org"; false if it gets too long for a name. */
bool	 rpt_record_name(const char *domain, char *dst, size_t size);
/*
 * The TXT records of that name: exactly one of them may be a "v=TLSRPTv1;",
 * others count for nothing. *rua: its list of addresses, borrowed from txt.
 * False: the domain asks for no reports.
 */
bool	 rpt_record(const struct span *txt, size_t n, struct span *rua);

/* Where a report goes. */
struct rpt_uri {
	bool		 https;		/* by POST; else by mail */
	char		 to[RPT_URI_MAX];	/* URL, or address, A-labels */
};
/* The next one of a list that can be used, which is eaten from it; false: there
 * are no more. */
bool	 rpt_uri_next(struct span *list, struct rpt_uri *);

/* The parts of a URL that a report can be posted to: a name, the usual port, no
 * user; target is "/" and more, without a fragment, borrowed. */
bool	 rpt_url(struct span url, char host[DNS_NAME_MAX + 1],
	    struct span *target);

/* ---- the report (4.4), written piece by piece ---- */

struct rpt_head {
	struct span	 organization, contact, id;
	int64_t		 begin_s, end_s;	/* unix time */
};
struct rpt_policy {
	enum rpt_kind	 kind;
	struct span	 domain;	/* the policy's, or the TLSA records' */
	struct span	 strings;	/* of the policy, LF behind each */
	struct span	 mx;		/* with RPT_TLSA: whose records */
	uint64_t	 ok, failed;	/* sessions */
};
struct rpt_detail {
	enum rpt_result	 result;	/* not RPT_OK */
	struct addr	 ours, theirs;	/* family 0: not known */
	struct span	 mx;		/* the server's name, or empty */
	struct span	 reason;	/* in words, or empty */
	uint64_t	 sessions;
};
struct rpt_writer {
	struct buf	*b;
	unsigned	 policies, details;	/* so far; of the last one */
};

/* rpt_begin(), then for each policy rpt_policy() and its rpt_detail()s, then
 * rpt_end(); false from that: it did not fit. */
void	 rpt_begin(struct rpt_writer *, struct buf *, const struct rpt_head *);
void	 rpt_policy(struct rpt_writer *, const struct rpt_policy *);
void	 rpt_detail(struct rpt_writer *, const struct rpt_detail *);
bool	 rpt_end(struct rpt_writer *);

#endif
