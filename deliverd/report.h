/*
 * What is told to queued of TLS with the servers of domains that want reports
 * of it (RFC 8460): one word a session whose TLS was decided on, and one for
 * each server that could not be used at all. Only where `report tls` is
 * configured, the servers are the domain's own and nothing of ours stands above
 * what it says of them. A domain's record is asked for when there is something
 * to tell, and remembered.
 */
#ifndef DELIVERD_REPORT_H
#define DELIVERD_REPORT_H

#include "common/conf/conf.h"
#include "common/lookup/ask.h"
#include "common/tls/rpt.h"
#include "common/tls/verify.h"

#define REPORT_DOMAINS_MAX	10000	/* whose records are remembered */
#define REPORT_WAIT_MAX		16	/* words that wait for one's record */
#define REPORT_TTL_MIN		300	/* seconds that a record is used */
#define REPORT_TTL_MAX		86400

struct conn;
struct dest;
struct hosts_list;

void	 report_init(const struct conf *, struct ask *);
/* Are the sessions with this destination's servers to be told? */
bool	 report_wants(const struct dest *);
/* Is the session's domain one whose policy of MTA-STS is in testing? Then its
 * certificate is looked at, for the report alone. */
bool	 report_tests(const struct conn *);
/* A session: RPT_OK, or what went wrong and why. Called before the connection
 * is given a job. */
void	 report_session(const struct conn *, enum rpt_result, const char *why);
/* What came of looking at a certificate. */
enum rpt_result report_fault(enum verify_fault);
/* No session: the server is not one that the domain's policy names; the list
 * leaves one out. */
void	 report_unnamed(const struct dest *, const char *host);
void	 report_left_out(const struct dest *, const struct hosts_list *);

#endif
