/*
 * From words to the tree: values, and the statements that are one value. See
 * build.h.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/conf/build.h"
#include "common/conf/gram.h"

void
build_later(struct build *b, const struct conf_pos *pos, const char *what)
{
	if (!b->muted)
		lex_error(&b->lex, pos, "\"%s\" is not supported yet", what);
}

void
build_once(struct build *b, const struct conf_pos *pos, int token)
{
	bool	*seen = &b->seen[(size_t)(token - K_ACCEPT) % sizeof(b->seen)];

	if (*seen)
		lex_error(&b->lex, pos, "%s stands twice in this statement",
		    gram_word(token));
	*seen = true;
}

void
build_once_all(struct build *b, const struct conf_pos *pos, int token,
    const char *what)
{
	bool	*seen = &b->seen_all[(size_t)(token - K_ACCEPT) %
		    sizeof(b->seen_all)];

	if (*seen)
		lex_error(&b->lex, pos, "%s stands twice", what);
	*seen = true;
}

/* ---- memory -------------------------------------------------------------- */

static void
too_large(struct build *b)
{
	if (!b->full)
		lex_error(&b->lex, &b->lex.pos, "the configuration is too "
		    "large");
	b->full = true;
}

void *
build_alloc(struct build *b, size_t n)
{
	void	*p = arena_alloc(b->mem, n);

	if (p != NULL)
		return p;
	too_large(b);
	memset(b->nowhere, 0, sizeof(b->nowhere));
	return b->nowhere;
}

void *
build_grow(struct build *b, void *array, size_t n, size_t size)
{
	void	*p;

	/* Powers of two are where a longer array is needed. */
	if ((n & (n - 1)) != 0)
		return array;
	p = arena_alloc(b->mem, (n == 0 ? 1 : n * 2) * size);
	if (p == NULL)
		too_large(b);
	else if (n > 0)
		memcpy(p, array, n * size);
	return p;
}

void
build_push(struct build *b, void ***array, size_t *n, void *p)
{
	void	**a = build_grow(b, *array, *n, sizeof(*a));

	if (a == NULL)
		return;
	a[(*n)++] = p;
	*array = a;
}

char *
build_str(struct build *b, struct span s)
{
	char	*p = arena_str(b->mem, s);

	if (p != NULL)
		return p;
	too_large(b);
	memset(b->nowhere, 0, sizeof(b->nowhere));
	return (char *)b->nowhere;
}

/* ---- values -------------------------------------------------------------- */

int64_t
build_duration(struct build *b, const struct conf_pos *pos, const char *s,
    int64_t min_ms, int64_t max_ms)
{
	char	 least[32], most[32];
	int64_t	 ms;

	if (!clock_parse_duration(s, &ms)) {
		lex_error(&b->lex, pos, "a duration is expected, as 30s, 5m, "
		    "4h or 5d");
		return min_ms;
	}
	if (ms < min_ms || ms > max_ms) {
		lex_error(&b->lex, pos, "a duration from %s to %s is expected",
		    min_ms == 0 ? "0s" : clock_format_duration(min_ms, least,
		    sizeof(least)), clock_format_duration(max_ms, most,
		    sizeof(most)));
		return min_ms;
	}
	return ms;
}

uint64_t
build_size(struct build *b, const struct conf_pos *pos, const char *s)
{
	struct span	 n = span_str(s);
	unsigned	 shift = 0;
	uint64_t	 v;

	if (n.len > 0) {
		switch (n.p[n.len - 1] | 0x20) {
		case 'k': shift = 10; break;
		case 'm': shift = 20; break;
		case 'g': shift = 30; break;
		}
		if (shift > 0)
			n.len--;
	}
	if (!span_u64(n, SIZE_MAX_BYTES >> shift, &v) || v == 0) {
		lex_error(&b->lex, pos, "a size is expected, as 512K, 50M or "
		    "1G");
		return 1 << 20;
	}
	return v << shift;
}

unsigned
build_number(struct build *b, const struct conf_pos *pos, const char *s,
    unsigned min, unsigned max)
{
	uint64_t	 n;

	if (!span_u64(span_str(s), max, &n) || n < min) {
		lex_error(&b->lex, pos, "a number from %u to %u is expected",
		    min, max);
		return min;
	}
	return (unsigned)n;
}

unsigned
build_percent(struct build *b, const struct conf_pos *pos, const char *s)
{
	struct span	 n = span_str(s);
	uint64_t	 v;

	if (n.len > 1 && n.p[n.len - 1] == '%' &&
	    span_u64(span_sub(n, 0, n.len - 1), 100, &v) && v > 0)
		return (unsigned)v;
	lex_error(&b->lex, pos, "a share from 1%% to 100%% is expected");
	return 100;
}

struct addr
build_addr(struct build *b, const struct conf_pos *pos, const char *s,
    uint16_t port)
{
	struct addr	 a = { 0 };

	if (port == 0 ? addr_parse(span_str(s), &a) :
	    addr_parse_port(span_str(s), port, &a))
		return a;
	lex_error(&b->lex, pos, "\"%s\" is no IP address", s);
	return (struct addr){ 0 };
}

char *
build_hostname(struct build *b, const struct conf_pos *pos, const char *s)
{
	char	 tmp[256];

	if (!utf8_domain_to_ascii(span_str(s), tmp, sizeof(tmp))) {
		lex_error(&b->lex, pos, "\"%s\" is no host name", s);
		tmp[0] = '\0';
	}
	return build_str(b, span_str(tmp));
}

char *
build_path(struct build *b, const struct conf_pos *pos, const char *s,
    size_t max)
{
	if (s[0] != '/' || strlen(s) > max)
		lex_error(&b->lex, pos, "an absolute path of at most %zu bytes "
		    "is expected", max);
	return build_str(b, span_str(s));
}

/* ---- statements of one value --------------------------------------------- */

void
build_macro(struct build *b, const struct conf_pos *pos, const char *name,
    const char *value)
{
	lex_macro_set(&b->lex, pos, name, value);
}

void
build_include(struct build *b, const struct conf_pos *pos, const char *pattern)
{
	lex_include(&b->lex, pos, pattern);
}

void
build_self(struct build *b, const struct conf_pos *pos, const char *s)
{
	struct addr	 a = build_addr(b, pos, s, 0), *list;
	struct conf	*c = b->conf;

	/* An interface's address may stand there again. */
	for (size_t i = 0; i < c->nself; i++)
		if (addr_eq(&c->self[i], &a))
			return;
	if ((list = build_grow(b, c->self, c->nself, sizeof(a))) == NULL)
		return;
	list[c->nself++] = a;
	c->self = list;
}

void
build_subaddress(struct build *b, const struct conf_pos *pos, const char *s)
{
	if (strlen(s) > 1 || (s[0] != '\0' &&
	    strchr("!#$%&'*+-/=?^_`{|}~", s[0]) == NULL))
		lex_error(&b->lex, pos, "subaddress is one character as \"+\" "
		    "or \"-\", or \"\" for none");
	else
		b->conf->subaddress = build_str(b, span_str(s));
}

void
build_resolver(struct build *b, const struct conf_pos *pos, const char *s)
{
	struct conf	*c = b->conf;
	struct addr	*list = build_grow(b, c->resolvers, c->nresolvers,
			    sizeof(*list));

	if (list == NULL)
		return;
	list[c->nresolvers++] = build_addr(b, pos, s, 53);
	c->resolvers = list;
}

void
build_ttl(struct build *b, const struct conf_pos *pos, const char *s,
    int64_t *ms)
{
	*ms = build_duration(b, pos, s, TTL_MIN_MS, TTL_MAX_MS);
}

void
build_range(struct build *b, const struct conf_pos *pos, const char *s,
    int64_t *min, int64_t *max, int64_t most)
{
	const char	*dots = strstr(s, "..");

	if (dots == NULL) {
		lex_error(&b->lex, pos, "a range of two durations is expected, "
		    "as 1m..2h");
		return;
	}
	*min = build_duration(b, pos, build_str(b, span(s,
	    (size_t)(dots - s))), 1000, most);
	*max = build_duration(b, pos, dots + 2, 1000, most);
	if (*max < *min)
		lex_error(&b->lex, pos, "this range goes back");
}

char *
build_mail(struct build *b, const struct conf_pos *pos, const char *s,
    bool domain_alone)
{
	struct span	 mail = span_str(s), local, path;
	size_t		 at = span_rfind(mail, '@');
	char		 domain[256];
	struct buf	 out;
	char		*p;

	local = span_sub(mail, 0, at);
	path = span_sub(mail, at + 1, mail.len);
	/* RFC 5321, 4.5.3.1.1; what a mailbox may be is smtpd's to say. */
	if ((local.len == 0 && !domain_alone) || local.len > 64 ||
	    at == mail.len || !utf8_domain_to_ascii(path, domain,
	    sizeof(domain)) || strpbrk(s, " \t<>\"") != NULL) {
		lex_error(&b->lex, pos, "\"%s\" is no mail address", s);
		return build_str(b, span_str(""));
	}
	buf_init(&out, 512);
	buf_span(&out, local);
	buf_byte(&out, '@');
	buf_str(&out, domain);
	p = build_str(b, buf_content(&out));
	buf_clear(&out);
	return p;
}

void
build_postmaster(struct build *b, const struct conf_pos *pos, const char *s,
    bool double_bounces)
{
	b->conf->postmaster = build_mail(b, pos, s, false);
	b->conf->double_bounces = double_bounces;
}

void
build_report(struct build *b, const struct conf_pos *pos, const char *s)
{
	b->conf->report_from = build_mail(b, pos, s, false);
	for (const char *p = b->conf->report_from; *p != '\0'; p++)
		if ((uint8_t)*p > 127) {
			lex_error(&b->lex, pos, "ASCII alone: not every "
			    "domain takes another address");
			break;
		}
}

void
build_report_word(struct build *b, const struct conf_pos *pos, char **at,
    const char *s)
{
	if (*at != NULL)
		lex_error(&b->lex, pos, "given twice");
	else if (s[0] == '\0' || strlen(s) > REPORT_WORD_MAX)
		lex_error(&b->lex, pos, "1 to %u bytes", REPORT_WORD_MAX);
	else
		*at = build_str(b, span_str(s));
}

void
build_srs(struct build *b, const struct conf_pos *pos, const char *path,
    const char *domain)
{
	b->conf->srs_key = build_str(b, span_str(path));
	if (domain != NULL)
		b->conf->srs_domain = build_hostname(b, pos, domain);
}

/* ---- limits -------------------------------------------------------------- */

static const struct {
	const char	*name;
	unsigned	 min, max;
} limits[] = {
	[LIMIT_SESSIONS] = { "sessions", 1, 60000 },
	[LIMIT_SESSIONS_SOURCE] = { "sessions per source", 1, 60000 },
	[LIMIT_AUTH_SOURCE] = { "auth-failures per source", 1, 10000 },
	[LIMIT_AUTH_USER] = { "auth-failures per user", 1, 10000 },
	[LIMIT_RATE_SOURCE] = { "rate per source", 1, 1000000 },
	[LIMIT_RECIPIENTS] = { "recipients", 1, 100000 },
	[LIMIT_MESSAGES] = { "messages", 1, 1000000 },
	[LIMIT_ERRORS] = { "errors", 1, 10000 },
	[LIMIT_RECEIVED] = { "received", 1, 1000 },
	[LIMIT_DELIVERIES] = { "deliveries", 1, 10000 },
	[LIMIT_DELIVERIES_DEST] = { "deliveries per destination", 1, 10000 }
};

static unsigned *
limit_field(struct conf_limits *l, enum build_limit which)
{
	switch (which) {
	case LIMIT_SESSIONS:
		return &l->sessions;
	case LIMIT_SESSIONS_SOURCE:
		return &l->sessions_per_source;
	case LIMIT_AUTH_SOURCE:
		return &l->auth_failures_per_source;
	case LIMIT_AUTH_USER:
		return &l->auth_failures_per_user;
	case LIMIT_RATE_SOURCE:
		return &l->rate_per_source;
	case LIMIT_RECIPIENTS:
		return &l->recipients;
	case LIMIT_MESSAGES:
		return &l->messages;
	case LIMIT_ERRORS:
		return &l->errors;
	case LIMIT_RECEIVED:
		return &l->received;
	case LIMIT_DELIVERIES:
		return &l->deliveries;
	case LIMIT_DELIVERIES_DEST:
		break;
	}
	return &l->deliveries_per_dest;
}

void
build_limit(struct build *b, const struct conf_pos *pos,
    enum build_limit which, const char *s)
{
	if (b->seen_limits & 1U << which)
		lex_error(&b->lex, pos, "limit %s stands twice",
		    limits[which].name);
	b->seen_limits |= 1U << which;
	*limit_field(&b->conf->limits, which) = build_number(b, pos, s,
	    limits[which].min, limits[which].max);
}

static struct conf_limits_for *
limit_list(struct conf_limits *l, enum build_limit which)
{
	switch (which) {
	case LIMIT_SESSIONS_SOURCE:
		return &l->sessions_for;
	case LIMIT_RATE_SOURCE:
		return &l->rate_for;
	case LIMIT_AUTH_SOURCE:
		return &l->auth_failures_for;
	case LIMIT_AUTH_USER:
		return &l->auth_users_for;
	default:
		return &l->deliveries_for;
	}
}

void
build_limit_for(struct build *b, const struct conf_pos *pos,
    enum build_limit which, const char *s, int64_t per_ms,
    struct conf_table *t)
{
	struct conf_limits_for	*list = limit_list(&b->conf->limits, which);
	struct conf_limit_for	*v;

	if (t == NULL) {
		build_limit(b, pos, which, s);
		if (which == LIMIT_RATE_SOURCE)
			b->conf->limits.rate_per_ms = per_ms;
		return;
	}
	if ((v = build_grow(b, list->v, list->n, sizeof(*v))) == NULL)
		return;
	v[list->n++] = (struct conf_limit_for){ t, build_number(b, pos, s,
	    limits[which].min, limits[which].max), per_ms };
	list->v = v;
}
