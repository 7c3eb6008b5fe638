/*
 * One policy: https://mta-sts.DOMAIN/.well-known/mta-sts.txt, from a host whose
 * certificate is good for that name (RFC 8461, 3.3).
 */
#include "deliverd/sts_i.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/tls/http.h"
#include "deliverd/https.h"

struct sts_fetch {
	void		(*done)(void *, const struct sts_fetched *);
	void		*arg;
};

static void
finish(void *arg, const struct https_answer *a)
{
	struct sts_fetch	*f = arg;

	f->done(f->arg, &(struct sts_fetched){ a->body, a->why,
	    a->untrusted ? RPT_STS_WEBPKI : RPT_STS_FETCH });
	free(f);
}

bool
sts_fetch(const char *domain,
    void (*done)(void *, const struct sts_fetched *), void *arg)
{
	char			 host[DNS_NAME_MAX + 1], text[600];
	struct sts_fetch	*f;

	if (!sts_host_name(domain, host, sizeof(host)))
		return false;
	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal("sts");
	f->done = done;
	f->arg = arg;
	snprintf(text, sizeof(text), "GET /.well-known/mta-sts.txt HTTP/1.1"
	    "\r\nHost: %s\r\nUser-Agent: postern\r\nAccept: text/plain\r\n"
	    "Connection: close\r\n\r\n", host);
	if (https_begin(&(struct https_request){ .host = host, .verify = true,
	    .text = span_str(text), .answer_max = STS_BYTES_MAX,
	    .take = http_text }, finish, f))
		return true;
	free(f);
	return false;
}
