/*
 * EHLO keywords: the one table of them, its reader and its writer (RFC 5321,
 * 4.1.1.1).
 */
#include "common/smtp/ehlo.h"

#include "common/smtp/xclient.h"

#define AUTH_LIST_MAX	500	/* octets of mechanisms kept: fits a message */
#define MECH_MAX	20	/* RFC 4422, 3.1 */
#define LIMIT_MAX	999999	/* RFC 9422, 4: six digits */

static const struct keyword {
	const char	*name;
	enum smtp_cap	 cap;
} keywords[] = {
	{ "PIPELINING", CAP_PIPELINING },		/* RFC 2920 */
	{ "SIZE", CAP_SIZE },				/* RFC 1870 */
	{ "VRFY", CAP_VRFY },
	{ "EXPN", CAP_EXPN },
	{ "STARTTLS", CAP_STARTTLS },			/* RFC 3207 */
	{ "AUTH", CAP_AUTH },				/* RFC 4954 */
	{ "XCLIENT", CAP_XCLIENT },
	{ "ENHANCEDSTATUSCODES", CAP_ENHANCED },	/* RFC 2034 */
	{ "8BITMIME", CAP_8BITMIME },			/* RFC 6152 */
	{ "DSN", CAP_DSN },				/* RFC 3461 */
	{ "SMTPUTF8", CAP_SMTPUTF8 },			/* RFC 6531 */
	{ "CHUNKING", CAP_CHUNKING },			/* RFC 3030 */
	{ "PRDR", CAP_PRDR },				/* draft-hall-prdr */
	{ "REQUIRETLS", CAP_REQUIRETLS },		/* RFC 8689 */
	{ "HELP", CAP_HELP },
};
#define NKEYWORDS	(sizeof(keywords) / sizeof(keywords[0]))

/* sasl-mech = 1*20mech-char, upper case letters, digits, "-", "_" */
static bool
mech_ok(struct span m)
{
	for (size_t i = 0; i < m.len; i++) {
		uint8_t	c = m.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || c == '-' || c == '_'))
			return false;
	}
	return m.len > 0 && m.len <= MECH_MAX;
}

static bool
mech_listed(const char *list, struct span mech)
{
	struct span	s = span_str(list), word;

	while (span_word(&s, " ", &word)) {
		if (span_caseeq(word, mech))
			return true;
	}
	return false;
}

static void
add_mechs(struct smtp_caps *caps, struct span args)
{
	struct span	mech;
	size_t		len = strlen(caps->auth);

	while (span_word(&args, " \t", &mech)) {
		if (!mech_ok(mech) || mech_listed(caps->auth, mech) ||
		    len + 1 + mech.len > AUTH_LIST_MAX)
			continue;
		if (len > 0)
			caps->auth[len++] = ' ';
		memcpy(caps->auth + len, mech.p, mech.len);
		len += mech.len;
		caps->auth[len] = '\0';
	}
	if (len > 0)
		caps->bits |= CAP_AUTH;
}

/* RFC 9422, 3: "NAME=VALUE" with blanks between; unknown names and values that
 * make no sense are passed over. */
static void
add_limits(struct smtp_caps *caps, struct span args)
{
	const struct { const char *name; uint32_t *to; } limits[] = {
		{ "MAILMAX", &caps->mail_max },
		{ "RCPTMAX", &caps->rcpt_max },
		{ "RCPTDOMAINMAX", &caps->rcpt_domain_max }
	};
	struct span	word, name;
	uint64_t	n;

	while (span_word(&args, " \t", &word)) {
		if (!span_word(&word, "=", &name) ||
		    !span_u64(word, LIMIT_MAX, &n) || n == 0)
			continue;
		for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
			if (span_caseis(name, limits[i].name))
				*limits[i].to = (uint32_t)n;
		}
	}
}

void
smtp_caps_line(struct smtp_caps *caps, struct span line)
{
	struct span	key, args;
	size_t		n = 0;

	line = span_trim(line);
	/* "AUTH=LOGIN PLAIN": what servers before RFC 2554 said. */
	if (span_casestarts(line, (struct span)SPAN("AUTH="))) {
		add_mechs(caps, span_sub(line, 5, line.len));
		return;
	}
	while (n < line.len && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	key = span_sub(line, 0, n);
	args = span_trim(span_sub(line, n, line.len));
	if (span_caseis(key, "LIMITS")) {
		add_limits(caps, args);
		return;
	}
	for (size_t i = 0; i < NKEYWORDS; i++) {
		if (!span_caseis(key, keywords[i].name))
			continue;
		if (keywords[i].cap == CAP_AUTH) {
			add_mechs(caps, args);
			return;
		}
		caps->bits |= keywords[i].cap;
		if (keywords[i].cap == CAP_SIZE &&
		    !span_u64(args, UINT64_MAX, &caps->size))
			caps->size = 0;
		if (keywords[i].cap == CAP_XCLIENT)
			caps->xclient |= xclient_listed(args);
		return;
	}
}

/* ehlo-line = ehlo-keyword *( SP ehlo-param ), without the keyword's rest. */
static bool
line_ok(struct span line, struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		uint8_t	c = key.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || (c == '-' && i > 0)))
			return false;
	}
	for (size_t i = key.len; i < line.len; i++)
		if (line.p[i] < ' ' || line.p[i] > 126)
			return false;
	return key.len > 0;
}

static bool
is_ours(struct span key)
{
	for (size_t i = 0; i < NKEYWORDS; i++)
		if (span_caseis(key, keywords[i].name))
			return true;
	return span_caseis(key, "LIMITS");
}

void
smtp_caps_others(struct span text, struct buf *to)
{
	struct span	line, key;

	span_skip(&text, span_find(text, '\n') + 1);
	while (span_word(&text, "\n", &line)) {
		line = span_trim(line);
		key = span_sub(line, 0, span_find(line, ' '));
		if (!line_ok(line, key) || is_ours(key) ||
		    to->max - buf_len(to) < line.len + 1)
			continue;
		if (buf_len(to) > 0)
			buf_byte(to, '\n');
		buf_span(to, line);
	}
}

/* May this be announced? AUTH needs mechanisms, XCLIENT attributes. */
static bool
announced(const struct smtp_caps *caps, size_t i)
{
	enum smtp_cap	cap = keywords[i].cap;

	return (caps->bits & cap) != 0 &&
	    (cap != CAP_XCLIENT || caps->xclient != 0) &&
	    (cap != CAP_AUTH || caps->auth[0] != '\0');
}

/* RFC 9422, 3: the keyword stands only with a limit. */
static bool
limits(struct buf *b, const struct smtp_caps *caps)
{
	const struct { const char *name; uint32_t n; } all[] = {
		{ "MAILMAX", caps->mail_max }, { "RCPTMAX", caps->rcpt_max },
		{ "RCPTDOMAINMAX", caps->rcpt_domain_max }
	};
	bool	first = true, ok = true;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].n == 0)
			continue;
		ok = ok && buf_fmt(b, "%s %s=%u", first ? "\nLIMITS" : "",
		    all[i].name, (unsigned)all[i].n);
		first = false;
	}
	return ok;
}

bool
smtp_caps_text(struct buf *b, const char *hostname,
    const struct smtp_caps *caps)
{
	bool	ok = buf_str(b, hostname);

	for (size_t i = 0; i < NKEYWORDS && ok; i++) {
		if (!announced(caps, i))
			continue;
		ok = buf_fmt(b, "\n%s", keywords[i].name);
		if (ok && keywords[i].cap == CAP_SIZE && caps->size > 0)
			ok = buf_fmt(b, " %llu",
			    (unsigned long long)caps->size);
		if (ok && keywords[i].cap == CAP_AUTH)
			ok = buf_fmt(b, " %s", caps->auth);
		if (ok && keywords[i].cap == CAP_XCLIENT)
			ok = xclient_list(b, caps->xclient);
	}
	return ok && limits(b, caps);
}
