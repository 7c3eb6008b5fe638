/*
 * Destinations from words. See dest.h.
 */
#include "common/conf/dest.h"

#include <stdlib.h>

#include "common/base/utf8.h"

#define LIST_PROBE_MIN_MS	10000
#define LIST_PROBE_MAX_MS	(5 * 60000)
#define LIST_WEIGHT_MAX		100
#define PORT_SMTP		25
#define PORT_SMTPS		465	/* RFC 8314, 7.3 */

/* A scheme in front of a destination; *s moves behind it. */
static enum conf_scheme
scheme(struct span *s, const char **later)
{
	static const struct {
		const char	*text;
		enum conf_scheme scheme;
		bool		 later;
	} schemes[] = {
		{ "smtp://", SCHEME_SMTP, false },
		{ "smtp+notls://", SCHEME_SMTP_NOTLS, false },
		{ "smtp+tls://", SCHEME_SMTP_TLS, false },
		{ "smtps://", SCHEME_SMTPS, false },
		{ "lmtp://", SCHEME_LMTP, true }
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!span_casestarts(*s, span_str(schemes[i].text)))
			continue;
		if (schemes[i].later)
			*later = schemes[i].text;
		span_skip(s, strlen(schemes[i].text));
		return schemes[i].scheme;
	}
	return SCHEME_NONE;
}

bool
dest_read(struct span s, struct conf_dest *d, char host[DEST_NAME_MAX],
    const char **later)
{
	char		 text[ADDR_STRLEN];
	uint64_t	 port;
	size_t		 colon;

	*later = NULL;
	host[0] = '\0';
	*d = (struct conf_dest){ .host = host };
	d->scheme = scheme(&s, later);
	port = d->scheme == SCHEME_SMTPS ? PORT_SMTPS : PORT_SMTP;
	d->port = (uint16_t)port;
	if (span_casestarts(s, span_str("mx:"))) {
		d->kind = DEST_MX;
		span_skip(&s, 3);
	} else if (span_casestarts(s, span_str("unix:"))) {
		d->kind = DEST_UNIX;
		*later = "unix: destinations";
		return true;
	} else if (addr_parse_port(s, d->port, &d->addr)) {
		d->port = d->addr.port;
		strlcpy(host, addr_str(&d->addr, text), DEST_NAME_MAX);
		return d->port != 0;
	}
	if (d->kind == DEST_HOST && (colon = span_rfind(s, ':')) < s.len) {
		if (!span_u64(span_sub(s, colon + 1, s.len), 65535, &port) ||
		    port == 0)
			return false;
		s.len = colon;
	}
	d->port = (uint16_t)port;
	return utf8_domain_to_ascii(s, host, DEST_NAME_MAX);
}

/* What stands behind a destination. */
static bool
options(struct span s, struct conf_dest *d, const char **why)
{
	struct span	 word;
	uint64_t	 n;

	while (span_word(&s, " \t", &word)) {
		if (word.len == 0)
			continue;
		if (span_is(word, "standby")) {
			d->standby = true;
		} else if (span_is(word, "weight") && (s = span_trim(s),
		    span_word(&s, " \t", &word)) &&
		    span_u64(word, LIST_WEIGHT_MAX, &n) && n > 0) {
			d->weight = (unsigned)n;
		} else if (span_is(word, "auth") && d->auth == NULL &&
		    (s = span_trim(s), span_word(&s, " \t", &word)) &&
		    word.len <= DEST_LABEL_MAX) {
			if ((d->auth = span_dup(word)) == NULL)
				return false;
		} else if (span_is(word, "auth-plaintext") &&
		    d->auth != NULL) {
			d->auth_plaintext = true;
		} else {
			*why = "behind a destination stand weight N, standby "
			    "and auth LABEL";
			return false;
		}
	}
	return true;
}

static bool
list_add(struct conf_pool *p, struct span text, const char **why)
{
	char		 host[DEST_NAME_MAX];
	const char	*later;
	struct conf_dest *d = &p->dests[p->ndests];
	struct span	 word;

	text = span_trim(text);
	if (!span_word(&text, " \t", &word) || !dest_read(word, d, host,
	    &later) || later != NULL) {
		*why = "a destination is a host, host:port, [IPv6]:port or "
		    "mx:domain";
		return false;
	}
	*why = "no memory";
	if ((d->host = strdup(host)) == NULL)
		return false;
	p->ndests++;
	return options(text, d, why);
}

struct conf_pool *
dest_list(struct span text, const char **why)
{
	struct conf_pool	*p = calloc(1, sizeof(*p));
	struct span		 item;

	*why = "no memory";
	if (p == NULL || (p->dests = calloc(DEST_LIST_MAX,
	    sizeof(*p->dests))) == NULL) {
		dest_list_free(p);
		return NULL;
	}
	p->probe_min_ms = LIST_PROBE_MIN_MS;
	p->probe_max_ms = LIST_PROBE_MAX_MS;
	*why = "a list of destinations is expected";
	while (span_word(&text, ",", &item)) {
		if (p->ndests == DEST_LIST_MAX) {
			*why = "a list of at most 16 destinations";
			dest_list_free(p);
			return NULL;
		}
		if (!list_add(p, item, why)) {
			dest_list_free(p);
			return NULL;
		}
	}
	if (p->ndests > 0)
		return p;
	dest_list_free(p);
	return NULL;
}

void
dest_list_free(struct conf_pool *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->ndests; i++) {
		free(p->dests[i].host);
		free(p->dests[i].auth);
	}
	free(p->dests);
	free(p);
}
