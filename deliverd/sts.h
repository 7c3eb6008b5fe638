/*
 * MTA-STS of a domain (RFC 8461): its record by lookupd, its policy over HTTPS
 * from the domain's own host, kept for as long as it says; by queued too, so
 * that it outlives this process and serves the others (RFC 8461, 10.2). queued
 * is asked before a policy is fetched, or taken not to be there: a question a
 * domain costs less than to tell each deliverd all of them. Fetched here, since
 * TLS with strangers' servers, whose names come from DNS, is deliverd's trade,
 * and its fences are those that a fetcher needs: no file, no key, no program.
 */
#ifndef DELIVERD_STS_H
#define DELIVERD_STS_H

#include "common/conf/conf.h"
#include "common/ipc/chan.h"
#include "common/lookup/ask.h"
#include "common/tls/rpt.h"
#include "common/tls/sts.h"

#define STS_AGAIN_MS	300000		/* after a failure; 3.3: five minutes */
#define STS_DOMAINS_MAX	10000		/* policies that are kept */
#define STS_FETCHES_MAX	20		/* at a time */

struct sts_find;

void	 sts_init(struct ask *);
/* Calls done once, from within (then NULL is given back) or later, when
 * sts_holds() tells what is to be followed. Not later than that for a policy
 * that is still good and only fetched once more. done may not call
 * sts_cancel() for itself. */
struct sts_find *sts_find(const char *domain, void (*done)(void *arg),
	    void *arg);
void	 sts_cancel(struct sts_find *);		/* takes NULL */
/* Is there one, or may there be, that could not be had lately? */
bool	 sts_unsure(const char *domain);
/* The policy that holds now, or NULL. Borrowed until the next call, or turn of
 * the loop. */
const struct sts_policy *sts_holds(const char *domain);
/* Why there is none though its record says that there is: RPT_STS_... and *why
 * (borrowed the same way); RPT_OK: there is none, or one holds. */
enum rpt_result sts_fault(const char *domain, const char **why);

/* For job.c: queued's answer (d_policy_is), whose word is as good as a
 * stranger's; and that none will come to what has been asked. */
chan_handler sts_heard;
void	 sts_unheard(void);

#endif
