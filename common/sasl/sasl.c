/*
 * Names out of SASL exchanges. See sasl.h.
 */
#include "common/sasl/sasl.h"

#include "common/base/enc.h"
#include "common/base/utf8.h"

#define RESPONSE_MAX	12288	/* octets decoded; a line has less */

/* Finds the name in a decoded response, as it stands there; false: none. */
typedef bool	name_fn(struct span in, struct span *name);

static name_fn	plain, login, cram, scram, xoauth2, oauthbearer;

/* The row of a prefix ends with "-" or "_". Mechanisms of no row are others'
 * business and pass: a server that lists them knows more of them than we. */
static const struct row {
	const char	*mech;
	enum sasl_class	 class;
	name_fn		*name;		/* NULL: it does not say who */
	bool		 escaped;	/* "=2C" and "=3D" (RFC 5802, 5.1) */
} rows[] = {
	{ "PLAIN", SASL_PASSES, plain, false },
	{ "LOGIN", SASL_PASSES, login, false },
	{ "CRAM-MD5", SASL_PASSES, cram, false },
	{ "SCRAM-", SASL_PASSES, scram, true },
	{ "XOAUTH2", SASL_PASSES, xoauth2, false },
	{ "OAUTHBEARER", SASL_PASSES, oauthbearer, true },
	{ "EXTERNAL", SASL_NEVER, NULL, false },
	{ "NTLM", SASL_ASKED, NULL, false },
	{ "GSSAPI", SASL_ASKED, NULL, false },
	{ "GSS-", SASL_ASKED, NULL, false },
	{ "GS2-", SASL_ASKED, NULL, false },
	{ "KERBEROS", SASL_ASKED, NULL, false },
	{ "KERBEROS_", SASL_ASKED, NULL, false },
};

bool
sasl_mech(struct span m)
{
	for (size_t i = 0; i < m.len; i++) {
		uint8_t	c = m.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return m.len > 0 && m.len <= SASL_MECH_MAX;
}

bool
sasl_base64(struct span b)
{
	for (size_t i = 0; i < b.len; i++) {
		uint8_t	c = b.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || c == '+' || c == '/' ||
		    c == '='))
			return false;
	}
	return true;
}

/* RFC 5802, 4: bound to the channel, which ends at the gateway. */
static bool
is_bound(struct span mech)
{
	return span_caseends(mech, (struct span)SPAN("-PLUS"));
}

static const struct row *
row_of(struct span mech)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span	 r = span_str(rows[i].mech);
		bool		 prefix = r.p[r.len - 1] == '-' ||
				    r.p[r.len - 1] == '_';

		if (prefix ? mech.len > r.len && span_casestarts(mech, r) :
		    span_caseeq(mech, r))
			return &rows[i];
	}
	return NULL;
}

enum sasl_class
sasl_class(struct span mech)
{
	const struct row	*r = row_of(mech);

	if (is_bound(mech))
		return SASL_NEVER;
	return r == NULL ? SASL_PASSES : r->class;
}

bool
sasl_says_who(struct span mech)
{
	const struct row	*r = row_of(mech);

	return r != NULL && r->name != NULL;
}

bool
sasl_fails_by_challenge(struct span mech)
{
	return span_caseis(mech, "XOAUTH2") ||
	    span_caseis(mech, "OAUTHBEARER");
}

/* ---- where the name stands ------------------------------------------------- */

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd */
static bool
plain(struct span in, struct span *name)
{
	size_t	n = span_find(in, '\0');

	if (n == in.len)
		return false;
	span_skip(&in, n + 1);
	*name = span_sub(in, 0, span_find(in, '\0'));
	return name->len < in.len;
}

/* The answer to the first question is all of the name. */
static bool
login(struct span in, struct span *name)
{
	*name = in;
	return true;
}

/* user SP digest, and the name may have spaces. */
static bool
cram(struct span in, struct span *name)
{
	size_t	n = span_rfind(in, ' ');

	*name = span_sub(in, 0, n);
	return n < in.len;
}

/* Up to its end, "," or another one, which is there and eaten. */
static bool
part(struct span *in, uint8_t end, struct span *out)
{
	size_t	n = span_find(*in, end);

	*out = span_sub(*in, 0, n);
	if (n == in->len)
		return false;
	span_skip(in, n + 1);
	return true;
}

/* gs2-header = gs2-cbind-flag "," [ "a=" saslname ] "," ; authzid may be empty
 * (RFC 5801, 4). */
static bool
gs2_header(struct span *in, struct span *authzid)
{
	struct span	flag;

	if (!part(in, ',', &flag) || !(span_is(flag, "n") ||
	    span_is(flag, "y") ||
	    span_starts(flag, (struct span)SPAN("p="))) ||
	    !part(in, ',', authzid))
		return false;
	if (authzid->len == 0)
		return true;
	if (!span_starts(*authzid, (struct span)SPAN("a=")))
		return false;
	span_skip(authzid, 2);
	return true;
}

/* client-first-message-bare = [reserved-mext ","] "n=" saslname "," nonce …;
 * what has the reserved one fails (RFC 5802, 5.1). */
static bool
scram(struct span in, struct span *name)
{
	struct span	authzid;

	if (!gs2_header(&in, &authzid) || !part(&in, ',', name) ||
	    !span_starts(*name, (struct span)SPAN("n=")))
		return false;
	span_skip(name, 2);
	return true;
}

/* "user=" name ^A "auth=Bearer " token ^A ^A */
static bool
xoauth2(struct span in, struct span *name)
{
	if (!span_starts(in, (struct span)SPAN("user=")))
		return false;
	span_skip(&in, 5);
	return part(&in, '\1', name);
}

/* RFC 7628, 3.1: gs2-header kvsep *kvpair kvsep */
static bool
oauthbearer(struct span in, struct span *name)
{
	return gs2_header(&in, name) && in.len > 0 && in.p[0] == '\1';
}

/* ---- the name -------------------------------------------------------------- */

/* saslname: "=2C" and "=3D" are "," and "=", which do not stand alone. */
static bool
unescape(struct span in, char *out, size_t *len)
{
	for (*len = 0; in.len > 0; (*len)++) {
		if (in.p[0] != '=')
			out[*len] = (char)in.p[0];
		else if (span_starts(in, (struct span)SPAN("=2C")))
			out[*len] = ',';
		else if (span_starts(in, (struct span)SPAN("=3D")))
			out[*len] = '=';
		else
			return false;
		span_skip(&in, in.p[0] == '=' ? 3 : 1);
	}
	return true;
}

static bool
is_clean(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return s.len > 0 && utf8_valid(s);
}

static bool
take(const struct row *r, struct span in, char name[SASL_NAME_MAX + 1])
{
	struct span	 at;
	size_t		 len;

	if (!r->name(in, &at) || at.len > SASL_NAME_MAX)
		return false;
	if (r->escaped) {
		if (!unescape(at, name, &len))
			return false;
	} else if ((len = at.len) > 0)
		memcpy(name, at.p, len);
	name[len] = '\0';
	return is_clean(span(name, len));
}

bool
sasl_name(struct span mech, struct span response,
    char name[SASL_NAME_MAX + 1])
{
	const struct row	*r = row_of(mech);
	struct buf		 b;
	bool			 ok = false;

	buf_init(&b, RESPONSE_MAX);
	b.secret = true;
	if (sasl_says_who(mech) && dec_base64(&b, response))
		ok = take(r, buf_content(&b), name);
	buf_clear(&b);
	if (!ok)
		explicit_bzero(name, SASL_NAME_MAX + 1);
	return ok;
}
