/*
 * "tlsrpt": what is collected for reports of TLS, and making them now.
 */
#include "queued/ctl_i.h"

#include <sysexits.h>

#include "common/base/log.h"
#include "queued/rpt.h"

static void
domain_row(const struct rpt_domain *d, void *arg)
{
	struct ctl	*c = arg;
	char		 domain[256], rua[RPT_RUA_MAX + 1];

	/* Its report has been sent, the day goes on. */
	if (d->ok + d->failed == 0)
		return;
	if (!span_cstr(d->domain, domain, sizeof(domain)) ||
	    !span_cstr(d->rua, rua, sizeof(rua)))
		return;
	ctl_row(c, "domain");
	ctl_str(c, "domain", domain);
	ctl_num(c, "begin_ms", d->begin_s * 1000);
	ctl_num(c, "sessions", (int64_t)(d->ok + d->failed));
	ctl_num(c, "failed", (int64_t)d->failed);
	ctl_num(c, "policies", d->policies);
	ctl_num(c, "due_ms", d->due_ms);
	ctl_str(c, "to", rua);
	ctl_row_end(c);
}

void
verb_tlsrpt(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = verb_queue(c);

	(void)argc;
	(void)argv;
	if (q == NULL)
		return;
	rpt_each(q, domain_row, c);
	ctl_end(c, EX_OK, NULL);
}

void
verb_tlsrpt_send(struct ctl *c, int argc, char **argv)
{
	struct queue	*q = verb_queue(c);
	int		 n;

	(void)argc;
	(void)argv;
	if (q == NULL)
		return;
	if (q->conf->report_from == NULL) {
		ctl_end(c, EX_CONFIG, "no `report tls` is configured");
		return;
	}
	log_info("event=tlsrpt result=begun uid=%u", ctl_uid(c));
	if ((n = rpt_send_all(q)) == -1) {
		ctl_end(c, EX_TEMPFAIL, "the queue takes no mail now");
		return;
	}
	ctl_row(c, "reports");
	ctl_num(c, "domains", n);
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}
