/*
 * See server.h.
 */
#include "common/sasl/server.h"

static const struct {
	const char	*mech;
	enum sasl_how	 how;
} mechs[] = {
	{ "PLAIN", SASL_PLAIN },
	{ "LOGIN", SASL_LOGIN },
	{ "CRAM-MD5", SASL_CRAM_MD5 },
	{ "SCRAM-SHA-256", SASL_SCRAM },
	{ "SCRAM-SHA-256-PLUS", SASL_SCRAM_PLUS }
};

bool
sasl_server_init(struct sasl_server *s, struct span mech,
    struct span challenge)
{
	for (size_t i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++) {
		if (!span_caseis(mech, mechs[i].mech))
			continue;
		*s = (struct sasl_server){ .how = mechs[i].how,
		    .challenge = challenge };
		return true;
	}
	return false;
}

bool
sasl_server_takes_initial(const struct sasl_server *s)
{
	return s->how != SASL_CRAM_MD5;
}

enum sasl_next
sasl_server_open(struct sasl_server *s, struct span *out)
{
	if (s->how == SASL_LOGIN)
		*out = span_str("Username:");
	else if (s->how == SASL_CRAM_MD5)
		*out = s->challenge;
	else
		*out = span(NULL, 0);
	return SASL_CHALLENGE;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd; no NUL in any of them. */
static enum sasl_next
plain(struct span said, struct span user, struct span *out, const char **why)
{
	struct span	 authzid = span_sub(said, 0, span_find(said, '\0'));

	span_skip(&said, authzid.len + 1);
	span_skip(&said, span_find(said, '\0') + 1);
	*out = said;
	*why = "not authzid NUL authcid NUL password";
	if (user.len == 0 || said.len == 0 ||
	    span_find(said, '\0') < said.len)
		return SASL_BAD;
	return authzid.len == 0 || span_eq(authzid, user) ? SASL_JUDGE :
	    SASL_OTHER;
}

static enum sasl_next
login(struct sasl_server *s, struct span said, struct span user,
    struct span *out, const char **why)
{
	if (s->step == 1) {
		*why = "no name";
		*out = span_str("Password:");
		return user.len == 0 ? SASL_BAD : SASL_CHALLENGE;
	}
	*why = "no password, or a NUL in it";
	*out = said;
	return said.len == 0 || span_find(said, '\0') < said.len ? SASL_BAD :
	    SASL_JUDGE;
}

enum sasl_next
sasl_server_say(struct sasl_server *s, struct span said, struct span user,
    struct span *out, const char **why)
{
	s->step++;
	*out = said;
	*why = "no name";
	switch (s->how) {
	case SASL_PLAIN:
		return plain(said, user, out, why);
	case SASL_LOGIN:
		return login(s, said, user, out, why);
	case SASL_CRAM_MD5:
		*out = span_sub(said, span_rfind(said, ' ') + 1, said.len);
		return user.len == 0 ? SASL_BAD : SASL_JUDGE;
	case SASL_SCRAM:
	case SASL_SCRAM_PLUS:
		if (s->step <= 2)
			return user.len == 0 ? SASL_BAD : SASL_JUDGE;
		*why = "something behind the end";
		return said.len == 0 ? SASL_DONE : SASL_BAD;
	}
	return SASL_BAD;
}
