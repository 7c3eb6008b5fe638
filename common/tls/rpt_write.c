/*
 * The report as JSON (RFC 8460, 4.4). See rpt.h.
 */
#include "common/tls/rpt.h"

#include <time.h>

#include "common/base/json.h"

static const char *const kinds[RPT_KINDS] = { "no-policy-found", "tlsa",
    "sts" };
static const char *const results[RPT_RESULTS] = { "success",
    "starttls-not-supported", "certificate-host-mismatch",
    "certificate-expired", "certificate-not-trusted", "validation-failure",
    "tlsa-invalid", "dnssec-invalid", "dane-required",
    "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid" };

const char *
rpt_kind_name(enum rpt_kind k)
{
	return kinds[k];
}

const char *
rpt_result_name(enum rpt_result r)
{
	return results[r];
}

/* RFC 3339 */
static void
moment(struct buf *b, int64_t s)
{
	time_t		 t = (time_t)s;
	struct tm	 tm;
	char		 text[40] = "";

	if (gmtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_str(b, text);
}

static void
text(struct buf *b, const char *key, struct span s)
{
	buf_fmt(b, "\"%s\":", key);
	json_string(b, s);
}

void
rpt_begin(struct rpt_writer *w, struct buf *b, const struct rpt_head *h)
{
	*w = (struct rpt_writer){ .b = b };
	buf_byte(b, '{');
	text(b, "organization-name", h->organization);
	buf_str(b, ",\n\"date-range\":{\"start-datetime\":\"");
	moment(b, h->begin_s);
	buf_str(b, "\",\"end-datetime\":\"");
	moment(b, h->end_s);
	buf_str(b, "\"},\n");
	text(b, "contact-info", h->contact);
	buf_str(b, ",\n");
	text(b, "report-id", h->id);
	buf_str(b, ",\n\"policies\":[");
}

/* The next of a policy's strings; false: there are no more. */
static bool
next_string(struct span *s, struct span *line)
{
	if (s->len == 0)
		return false;
	*line = span_sub(*s, 0, span_find(*s, '\n'));
	span_skip(s, line->len + 1);
	return true;
}

static void
array(struct buf *b, const char *key, struct span strings)
{
	const char	*sep = "";
	struct span	 s;

	buf_fmt(b, ",\n\"%s\":[", key);
	while (next_string(&strings, &s)) {
		buf_str(b, sep);
		json_string(b, s);
		sep = ",\n";
	}
	buf_byte(b, ']');
}

/* The patterns of a policy of MTA-STS, or the host of TLSA records. */
static void
hosts(struct buf *b, const struct rpt_policy *p)
{
	struct span	 strings = p->strings, s;
	const char	*sep = "";

	if (p->kind == RPT_NO_POLICY || (p->kind == RPT_TLSA &&
	    p->mx.len == 0))
		return;
	buf_str(b, ",\n\"mx-host\":[");
	if (p->kind == RPT_TLSA)
		json_string(b, p->mx);
	while (p->kind == RPT_STS && next_string(&strings, &s)) {
		if (!span_starts(s, span_str("mx:")))
			continue;
		buf_str(b, sep);
		json_string(b, span_trim(span_sub(s, 3, s.len)));
		sep = ",\n";
	}
	buf_byte(b, ']');
}

static void
policy_end(struct rpt_writer *w)
{
	if (w->details > 0)
		buf_byte(w->b, ']');
	if (w->policies > 0)
		buf_byte(w->b, '}');
	w->details = 0;
}

void
rpt_policy(struct rpt_writer *w, const struct rpt_policy *p)
{
	struct buf	*b = w->b;

	policy_end(w);
	buf_fmt(b, "%s\n{\"policy\":{\"policy-type\":\"%s\"",
	    w->policies++ > 0 ? "," : "", kinds[p->kind]);
	if (p->strings.len > 0)
		array(b, "policy-string", p->strings);
	buf_str(b, ",\n");
	text(b, "policy-domain", p->domain);
	hosts(b, p);
	buf_fmt(b, "},\n\"summary\":{\"total-successful-session-count\":%llu,"
	    "\"total-failure-session-count\":%llu}", (unsigned long long)p->ok,
	    (unsigned long long)p->failed);
}

static void
address(struct buf *b, const char *key, const struct addr *a)
{
	char	 ip[ADDR_STRLEN];

	if (a->family != 0)
		buf_fmt(b, ",\"%s\":\"%s\"", key, addr_str(a, ip));
}

void
rpt_detail(struct rpt_writer *w, const struct rpt_detail *d)
{
	struct buf	*b = w->b;

	buf_str(b, w->details++ == 0 ? ",\n\"failure-details\":[\n" : ",\n");
	buf_fmt(b, "{\"result-type\":\"%s\"", results[d->result]);
	address(b, "sending-mta-ip", &d->ours);
	if (d->mx.len > 0) {
		buf_byte(b, ',');
		text(b, "receiving-mx-hostname", d->mx);
	}
	address(b, "receiving-ip", &d->theirs);
	buf_fmt(b, ",\n\"failed-session-count\":%llu",
	    (unsigned long long)d->sessions);
	if (d->reason.len > 0) {
		buf_str(b, ",\n");
		text(b, "failure-reason-code", d->reason);
	}
	buf_byte(b, '}');
}

bool
rpt_end(struct rpt_writer *w)
{
	policy_end(w);
	return buf_str(w->b, "]}\n");
}
