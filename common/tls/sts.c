/*
 * MTA-STS's record and policy, one function for each rule of RFC 8461's
 * grammar. See sts.h.
 */
#include "common/tls/sts.h"

#include <stdio.h>

#include "common/tls/txt.h"

static bool
is_alnum(uint8_t b)
{
	return (b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') ||
	    (b >= 'a' && b <= 'z');
}

/* sts-ext-name and sts-policy-ext-name: the same. */
static bool
is_ext_name(struct span s)
{
	if (s.len == 0 || s.len > 32 || !is_alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.len; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' &&
		    s.p[i] != '.')
			return false;
	}
	return true;
}

/* ---- the record (RFC 8461, 3.1) ---- */

static bool
is_id(struct span s)
{
	if (s.len == 0 || s.len > STS_ID_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_alnum(s.p[i]))
			return false;
	}
	return true;
}

/* sts-ext-value: printable but for "=", ";" and spaces. */
static bool
is_ext_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '=' ||
		    s.p[i] == ';')
			return false;
	}
	return s.len > 0;
}

/* *(sts-field-delim sts-field) [sts-field-delim]; s begins with a delimiter. */
static bool
fields(struct span s, char id[STS_ID_MAX + 1])
{
	struct span	name, value;
	enum parse	got;

	id[0] = '\0';
	while ((got = txt_field(&s, &name, &value)) == PARSE_OK) {
		if (span_is(name, "id")) {
			if (id[0] != '\0' || !is_id(value))
				return false;
			span_cstr(value, id, STS_ID_MAX + 1);
		} else if (!is_ext_name(name) || !is_ext_value(value))
			return false;
	}
	if (got == PARSE_BAD)
		return false;
	return id[0] != '\0';
}

bool
sts_record(const struct span *txt, size_t n, char id[STS_ID_MAX + 1])
{
	struct span	s;

	if (txt_only(txt, n, "v=STSv1", &s) && fields(s, id))
		return true;
	id[0] = '\0';
	return false;
}

/* ---- the policy (RFC 8461, 3.2) ---- */

struct policy_parse {
	struct sts_policy *p;
	bool		 version, mode, max_age;
	const char	*why;
};

static const char *const modes[] = { "none", "testing", "enforce" };

const char *
sts_mode_name(enum sts_mode m)
{
	return modes[m];
}

/* Each of these counts where it stands first, mx each time. */
static bool
take_version(struct policy_parse *pp, struct span v)
{
	if (pp->version)
		return true;
	pp->version = true;
	pp->why = "not version STSv1";
	return span_is(v, "STSv1");
}

static bool
take_mode(struct policy_parse *pp, struct span v)
{
	if (pp->mode)
		return true;
	pp->mode = true;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (span_is(v, modes[i])) {
			pp->p->mode = (enum sts_mode)i;
			return true;
		}
	}
	pp->why = "no such mode";
	return false;
}

static bool
take_max_age(struct policy_parse *pp, struct span v)
{
	uint64_t	n;

	if (pp->max_age)
		return true;
	pp->max_age = true;
	pp->why = "max_age is no number of seconds";
	if (v.len > 10 || !span_u64(v, UINT64_MAX, &n))
		return false;
	pp->p->max_age = n > STS_AGE_MAX ? STS_AGE_MAX : (uint32_t)n;
	return true;
}

static bool
take_mx(struct policy_parse *pp, struct span v)
{
	struct span	host = v;

	if (span_starts(host, span_str("*.")))
		span_skip(&host, 2);
	pp->why = "mx is no host name";
	if (!dns_name_ok(host))
		return false;
	pp->why = "too many mx";
	if (pp->p->nmx == STS_MX_MAX)
		return false;
	pp->p->mx[pp->p->nmx++] = v;
	return true;
}

static bool
take_line(struct policy_parse *pp, struct span line)
{
	static const struct {
		const char	*key;
		bool		 (*take)(struct policy_parse *, struct span);
	} keys[] = {
		{ "version", take_version }, { "mode", take_mode },
		{ "max_age", take_max_age }, { "mx", take_mx },
	};
	size_t		 colon = span_find(line, ':');
	struct span	 key = span_sub(line, 0, colon), value;

	pp->why = "a line that is no field";
	if (colon >= line.len || !is_ext_name(key))
		return false;
	value = span_trim(span_sub(line, colon + 1, line.len));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (span_is(key, keys[i].key))
			return keys[i].take(pp, value);
	}
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < ' ' || value.p[i] == 0x7f)
			return false;
	}
	return true;
}

enum parse
sts_policy_parse(struct span s, struct sts_policy *p, const char **why)
{
	struct policy_parse	pp = { .p = p };
	struct span		line;
	size_t			nl;

	*p = (struct sts_policy){ .nmx = 0 };
	pp.why = "too long";
	if (s.len > STS_BYTES_MAX)
		goto bad;
	while (s.len > 0) {
		nl = span_find(s, '\n');
		line = span_sub(s, 0, nl);
		span_skip(&s, nl + 1);
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		line = span_trim(line);
		/* An empty line is not in the grammar, but in many a file. */
		if (line.len > 0 && !take_line(&pp, line))
			goto bad;
	}
	pp.why = "version, mode or max_age is missing";
	if (!pp.version || !pp.mode || !pp.max_age)
		goto bad;
	pp.why = "no mx";
	if (p->nmx == 0 && p->mode != STS_MODE_NONE)
		goto bad;
	return PARSE_OK;
bad:
	*why = pp.why;
	return PARSE_BAD;
}

bool
sts_policy_write(struct buf *b, const struct sts_policy *p)
{
	buf_fmt(b, "version: STSv1\nmode: %s\nmax_age: %u\n", modes[p->mode],
	    p->max_age);
	for (size_t i = 0; i < p->nmx; i++) {
		buf_str(b, "mx: ");
		buf_span(b, p->mx[i]);
		buf_byte(b, '\n');
	}
	return !b->failed;
}

static bool
matches(struct span pattern, struct span host)
{
	size_t	dot;

	if (!span_starts(pattern, span_str("*.")))
		return span_caseeq(pattern, host);
	dot = span_find(host, '.');
	if (dot == 0 || dot >= host.len)
		return false;
	span_skip(&pattern, 1);
	span_skip(&host, dot);
	return span_caseeq(pattern, host);
}

bool
sts_policy_has(const struct sts_policy *p, struct span host)
{
	for (size_t i = 0; i < p->nmx; i++) {
		if (matches(p->mx[i], host))
			return true;
	}
	return false;
}

static bool
name_below(const char *label, const char *domain, char *dst, size_t size)
{
	int	n = snprintf(dst, size, "%s.%s", label, domain);

	return n > 0 && (size_t)n < size && dns_name_ok(span_str(dst));
}

bool
sts_record_name(const char *domain, char *dst, size_t size)
{
	return name_below("_mta-sts", domain, dst, size);
}

bool
sts_host_name(const char *domain, char *dst, size_t size)
{
	return name_below("mta-sts", domain, dst, size);
}
