/*
 * See demand.h.
 */
#include "deliverd/demand.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/tls/dane_ssl.h"

const char *
demand_kind_name(enum demand_kind k)
{
	return k == DEMAND_REQUIRETLS ? "required" : k == DEMAND_LAX ?
	    "optional" : "usual";
}

struct hosts_tls *
demand_dup(const struct hosts_tls *t)
{
	struct hosts_tls	*d;

	if ((d = malloc(sizeof(*d))) == NULL)
		fatal("demand");
	*d = *t;
	if (t->set != NULL && (d->set = dane_set_dup(t->set)) == NULL)
		fatal("demand");
	return d;
}

void
demand_free(struct hosts_tls *d)
{
	if (d == NULL)
		return;
	free(d->set);
	free(d);
}

struct conf_tls
demand_tls(const struct hosts_tls *d)
{
	struct conf_tls	t = d->tls;

	if (d->dane == DANE_REQUIRED)
		t.mode = TLS_DANE;
	else if (d->dane == DANE_UNUSABLE && t.mode < TLS_REQUIRE)
		t.mode = TLS_REQUIRE;
	return t;
}

const char *
demand_requiretls(struct hosts_tls *d, bool sts)
{
	struct conf_tls	*t = &d->tls;

	d->requiretls = true;
	if (d->dane == DANE_REQUIRED)
		return NULL;
	if (t->mode <= TLS_OFF)
		return "tls is off";
	/* RFC 8689, 4.2.1: a certificate is worth as much as the name that it
	 * is looked for. */
	if (!d->named && !sts && t->name == NULL && t->npins == 0)
		return "nothing validates the servers' names: neither DNSSEC "
		    "nor an MTA-STS policy";
	if (t->mode < TLS_VERIFY)
		t->mode = TLS_VERIFY;
	return NULL;
}

bool
demand_begin(const struct hosts_tls *d, SSL *ssl, const char *host)
{
	if (d->dane != DANE_REQUIRED)
		return true;
	return dane_ssl_begin(ssl, d->set, d->base, host, d->domain);
}
