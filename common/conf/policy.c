/*
 * The entries of `tls policy`. See policy.h.
 */
#include "common/conf/policy.h"

#include "common/conf/build.h"
#include "common/conf/table.h"

#define DAY_MS	86400000LL

static const struct { const char *name; enum conf_tls_mode mode; } modes[] = {
	{ "off", TLS_OFF }, { "opportunistic", TLS_OPPORTUNISTIC },
	{ "require", TLS_REQUIRE }, { "verify", TLS_VERIFY },
	{ "dane", TLS_DANE },
};

static bool
is_leap(uint64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Days from 1970-01-01 to this date of the Gregorian calendar. */
static int64_t
days(uint64_t y, uint64_t m, uint64_t d)
{
	static const unsigned	 before[] = { 0, 31, 59, 90, 120, 151, 181,
				    212, 243, 273, 304, 334 };
	uint64_t		 n;

	n = y * 365 + (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400;
	n += before[m - 1] + (is_leap(y) && m > 2) + d - 1;
	return (int64_t)n - 719527;
}

/* YYYY-MM-DD */
static bool
date(struct span s, int64_t *end_ms)
{
	static const uint8_t	 len[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30,
				    31, 30, 31 };
	uint64_t		 y, m, d;

	if (s.len != 10 || s.p[4] != '-' || s.p[7] != '-' ||
	    !span_u64(span_sub(s, 0, 4), 9999, &y) || y < 1970 ||
	    !span_u64(span_sub(s, 5, 2), 12, &m) || m == 0 ||
	    !span_u64(span_sub(s, 8, 2), len[m - 1], &d) || d == 0 ||
	    (m == 2 && d == 29 && !is_leap(y)))
		return false;
	*end_ms = (days(y, m, d) + 1) * DAY_MS;
	return true;
}

enum parse
policy_parse(struct span value, enum conf_tls_mode *mode, int64_t *until_ms,
    const char **why)
{
	struct span	word;
	size_t		i;

	*until_ms = INT64_MAX;
	value = span_trim(value);
	if (!span_word(&value, " \t", &word))
		word = value;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (span_is(word, modes[i].name))
			break;
	}
	*why = "off, opportunistic, require, verify or dane is expected";
	if (i == sizeof(modes) / sizeof(modes[0]))
		return PARSE_BAD;
	*mode = modes[i].mode;
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
