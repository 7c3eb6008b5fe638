/*
 * The entries of `tls policy`. See policy.h.
 */
#include "common/conf/policy.h"

#include <time.h>

#include "common/conf/build.h"
#include "common/conf/table.h"

#define DAY_MS	86400000LL

/* YYYY-MM-DD */
static bool
date(struct span s, int64_t *end_ms)
{
	uint64_t	 y, m, d;
	struct tm	 tm;

	if (s.len != 10 || s.p[4] != '-' || s.p[7] != '-' ||
	    !span_u64(span_sub(s, 0, 4), 9999, &y) || y < 1970 ||
	    !span_u64(span_sub(s, 5, 2), 12, &m) || m == 0 ||
	    !span_u64(span_sub(s, 8, 2), 31, &d) || d == 0)
		return false;
	tm = (struct tm){ .tm_year = (int)y - 1900, .tm_mon = (int)m - 1,
	    .tm_mday = (int)d };
	*end_ms = (int64_t)timegm(&tm) * 1000 + DAY_MS;
	/* A day that the month does not have is one of the next. */
	return tm.tm_mday == (int)d;
}

enum parse
policy_parse(struct span value, enum conf_tls_mode *mode, int64_t *until_ms,
    const char **why)
{
	struct span		word;
	enum conf_tls_mode	m;

	*until_ms = INT64_MAX;
	value = span_trim(value);
	if (!span_word(&value, " \t", &word))
		word = value;
	for (m = TLS_OFF; m <= TLS_DANE; m++) {
		if (span_is(word, conf_tls_mode_name(m)))
			break;
	}
	*why = "off, opportunistic, require, verify or dane is expected";
	if (m > TLS_DANE)
		return PARSE_BAD;
	*mode = m;
	value = span_trim(value);
	if (value.len == 0)
		return PARSE_OK;
	*why = "\"until YYYY-MM-DD\" is expected behind the mode";
	if (!span_word(&value, " \t", &word) || !span_is(word, "until") ||
	    !date(span_trim(value), until_ms))
		return PARSE_BAD;
	return PARSE_OK;
}

bool
policy_of(const struct conf *c, struct span domain, int64_t now_ms,
    enum conf_tls_mode *mode)
{
	struct span	 value;
	const char	*why;
	int64_t		 until;

	return c->tls_policy != NULL &&
	    table_get_domain(c->tls_policy, domain, &value) &&
	    policy_parse(value, mode, &until, &why) == PARSE_OK &&
	    now_ms < until;
}

static bool
look_at(struct span key, struct span value, void *arg)
{
	struct build		*b = arg;
	enum conf_tls_mode	 mode;
	const char		*why;
	int64_t			 until;

	if (policy_parse(value, &mode, &until, &why) != PARSE_OK)
		lex_error(&b->lex, &b->conf->tls_policy_pos,
		    "the policy of \"%.*s\": %s", (int)key.len,
		    (const char *)key.p, why);
	return true;
}

void
check_policy(struct build *b)
{
	if (b->conf->tls_policy != NULL)
		table_each(b->conf->tls_policy, look_at, b);
}
