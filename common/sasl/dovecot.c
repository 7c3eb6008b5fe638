/*
 * See dovecot.h.
 */
#include "common/sasl/dovecot.h"

#include "common/base/utf8.h"
#include "common/sasl/sasl.h"

#define VERSION_MAJOR	1
#define VERSION_MINOR	1

/* ---- what the server says -------------------------------------------------- */

/* The next word up to a tab. False: none. */
static bool
word(struct span *s, struct span *w)
{
	return span_word(s, "\t", w);
}

/* Octet 1 in front of a digit or letter stands for what can't be in a word.
 * False: it is malformed, or does not fit; then out is empty. */
static bool
unescape(struct span in, char *out, size_t size)
{
	static const char	 from[] = "01tnr", to[] = "\0\1\t\n\r";
	const char		*p;
	size_t			 n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < in.len; i++) {
		char	c = (char)in.p[i];

		if (c == '\1') {
			if (++i == in.len || in.p[i] == '\0' ||
			    (p = strchr(from, in.p[i])) == NULL)
				break;
			c = to[p - from];
		}
		if (n + 1 == size)
			break;
		out[n++] = c;
		if (i + 1 == in.len) {
			out[n] = '\0';
			return true;
		}
	}
	out[0] = '\0';
	return in.len == 0;
}

/* Without control characters; else it is empty. */
static void
show(struct span value, char *out, size_t size)
{
	size_t	len;

	if (!unescape(value, out, size))
		return;
	len = strlen(out);
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)out[i] < ' ' || out[i] == 127) {
			out[0] = '\0';
			return;
		}
	/* A NUL within it has made it shorter. */
	if (memchr(value.p, '\0', value.len) != NULL ||
	    !utf8_valid(span(out, len)))
		out[0] = '\0';
}

static bool
has_escaped_nul(struct span v)
{
	for (size_t i = 0; i + 1 < v.len; i++)
		if (v.p[i] == '\1' && v.p[i + 1] == '0')
			return true;
	return false;
}

/* The value of "name=value". */
static bool
value_of(struct span param, const char *name, struct span *value)
{
	if (!span_starts(param, span_str(name)))
		return false;
	*value = param;
	span_skip(value, strlen(name));
	return true;
}

static void
read_params(struct span s, struct dovecot_line *l)
{
	struct span	 w, v;

	while (word(&s, &w)) {
		if (span_is(w, "temp"))
			l->temp = true;
		else if (value_of(w, "code=", &v))
			l->temp = l->temp || span_is(v, "temp_fail");
		else if (value_of(w, "user=", &v) && !has_escaped_nul(v))
			show(v, l->user, sizeof(l->user));
		else if (value_of(w, "reason=", &v) && !has_escaped_nul(v))
			show(v, l->reason, sizeof(l->reason));
	}
}

static bool
read_id(struct span *s, uint32_t *id)
{
	struct span	w;
	uint64_t	n;

	if (!word(s, &w) || !span_u64(w, UINT32_MAX, &n) || n == 0)
		return false;
	*id = (uint32_t)n;
	return true;
}

/* "MECH name [parameter …]": one that is private is not for clients. */
static bool
read_mech(struct span s, struct dovecot_line *l)
{
	struct span	w;

	if (!word(&s, &l->mech) || !sasl_mech(l->mech))
		return false;
	while (word(&s, &w))
		if (span_is(w, "private") || span_is(w, "anonymous"))
			l->kind = DOVECOT_OTHER;
	return true;
}

static bool
read_version(struct span s)
{
	struct span	w;
	uint64_t	n;

	return word(&s, &w) && span_u64(w, UINT32_MAX, &n) &&
	    n == VERSION_MAJOR;
}

static bool
read_line(struct span s, struct dovecot_line *l, const char **why)
{
	static const struct {
		const char	*verb;
		enum dovecot_kind kind;
	} verbs[] = {
		{ "VERSION", DOVECOT_VERSION }, { "MECH", DOVECOT_MECH },
		{ "DONE", DOVECOT_DONE }, { "CONT", DOVECOT_CONT },
		{ "OK", DOVECOT_OK }, { "FAIL", DOVECOT_FAIL },
	};
	struct span	verb;

	*l = (struct dovecot_line){ .kind = DOVECOT_OTHER };
	if (!word(&s, &verb))
		return true;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_is(verb, verbs[i].verb))
			l->kind = verbs[i].kind;
	switch (l->kind) {
	case DOVECOT_VERSION:
		*why = "another version of the protocol";
		return read_version(s);
	case DOVECOT_MECH:
		*why = "no name of a mechanism";
		return read_mech(s, l);
	case DOVECOT_CONT:
	case DOVECOT_OK:
	case DOVECOT_FAIL:
		*why = "no number of a request";
		if (!read_id(&s, &l->id))
			return false;
		break;
	default:
		return true;
	}
	*why = "a challenge that is no base64";
	if (l->kind != DOVECOT_CONT)
		read_params(s, l);
	else if (word(&s, &l->data) && !sasl_base64(l->data))
		return false;
	return true;
}

enum parse
dovecot_read(struct span *in, struct dovecot_line *l, const char **why)
{
	size_t		n = span_find(*in, '\n');
	struct span	line = span_sub(*in, 0, n);

	*why = "a line that is too long";
	if (n > DOVECOT_LINE_MAX)
		return PARSE_BAD;
	if (n == in->len)
		return PARSE_MORE;
	span_skip(in, n + 1);
	return read_line(line, l, why) ? PARSE_OK : PARSE_BAD;
}

/* ---- what is said ---------------------------------------------------------- */

bool
dovecot_hello(struct buf *b, uint32_t pid)
{
	return buf_fmt(b, "VERSION\t%d\t%d\nCPID\t%u\n", VERSION_MAJOR,
	    VERSION_MINOR, pid);
}

static bool
put_addr(struct buf *b, const char *ip, const char *port,
    const struct addr *a)
{
	char	text[ADDR_STRLEN];

	return a == NULL || a->family == 0 || buf_fmt(b, "\t%s=%s\t%s=%u", ip,
	    addr_str(a, text), port, a->port);
}

/* The password is asked for alone: nobody will log in with this (nologin). */
bool
dovecot_auth(struct buf *b, const struct dovecot_auth *a)
{
	struct span	initial = span_is(a->initial, "=") ? span(NULL, 0) :
			    a->initial;

	return sasl_mech(a->mech) && sasl_base64(initial) &&
	    buf_fmt(b, "AUTH\t%u\t", a->id) && buf_span(b, a->mech) &&
	    buf_str(b, "\tservice=smtp\tnologin") &&
	    (!a->secured || buf_str(b, "\tsecured")) &&
	    put_addr(b, "lip", "lport", a->local) &&
	    put_addr(b, "rip", "rport", a->client) &&
	    /* The last one. */
	    (!a->has_initial || (buf_str(b, "\tresp=") &&
	    buf_span(b, initial))) && buf_byte(b, '\n');
}

bool
dovecot_cont(struct buf *b, uint32_t id, struct span base64)
{
	return sasl_base64(base64) && buf_fmt(b, "CONT\t%u\t", id) &&
	    buf_span(b, base64) && buf_byte(b, '\n');
}

bool
dovecot_cancel(struct buf *b, uint32_t id)
{
	return buf_fmt(b, "CANCEL\t%u\n", id);
}
