/*
 * The client's side of SASL. See client.h.
 */
#include "common/sasl/client.h"

static const struct {
	const char	*name;
	bool		 token;
	uint8_t		 secrets;	/* challenges that a secret answers */
} mechs[] = {
	[MECH_SCRAM_SHA_256] = { "SCRAM-SHA-256", false, 1 },
	[MECH_SCRAM_SHA_1] = { "SCRAM-SHA-1", false, 1 },
	[MECH_CRAM_MD5] = { "CRAM-MD5", false, 1 },
	[MECH_OAUTHBEARER] = { "OAUTHBEARER", true, 0 },
	[MECH_XOAUTH2] = { "XOAUTH2", true, 0 },
	[MECH_PLAIN] = { "PLAIN", false, 0 },
	[MECH_LOGIN] = { "LOGIN", false, 2 },
};

const char *
sasl_mech_name(enum sasl_mech m)
{
	return m < MECH_NONE ? mechs[m].name : "";
}

enum sasl_mech
sasl_mech_named(struct span name)
{
	enum sasl_mech	m = 0;

	while (m < MECH_NONE && !span_caseis(name, mechs[m].name))
		m++;
	return m;
}

enum sasl_mech
sasl_mech_choose(struct span offered, bool token)
{
	enum sasl_mech	best = MECH_NONE, m;
	struct span	word;

	while (span_word(&offered, " ", &word)) {
		m = sasl_mech_named(word);
		if (m < best && mechs[m].token == token)
			best = m;
	}
	return best;
}

void
sasl_client_begin(struct sasl_client *c, enum sasl_mech m)
{
	*c = (struct sasl_client){ .mech = m };
	buf_init(&c->first, SASL_FIRST_MAX);
	buf_init(&c->expect, SASL_EXPECT_MAX);
	c->first.secret = c->expect.secret = true;
}

void
sasl_client_clear(struct sasl_client *c)
{
	buf_clear(&c->first);
	buf_clear(&c->expect);
}

/* server-final-message; the 235 comes behind our empty answer (RFC 4954, 4). */
static enum sasl_turn
server_final(struct sasl_client *c, struct span said, struct span *say,
    const char **why)
{
	struct span	want = buf_content(&c->expect);

	*say = span(NULL, 0);
	if (span_starts(said, (struct span)SPAN("e="))) {
		/* The words behind it are for the log of the server. */
		c->told = true;
		return SASL_SAY;
	}
	if (c->proven || want.len == 0 || !span_starts(said, want) ||
	    (said.len > want.len && said.p[want.len] != ',')) {
		*why = "the server does not prove that it knows the password";
		return SASL_STOP;
	}
	c->proven = true;
	return SASL_SAY;
}

enum sasl_turn
sasl_client_challenge(struct sasl_client *c, struct span said,
    struct span *say, const char **why)
{
	*say = span(NULL, 0);
	*why = "a challenge too many";
	if (c->mech >= MECH_NONE || c->challenges == UINT8_MAX || c->told)
		return SASL_STOP;
	if (c->challenges < mechs[c->mech].secrets) {
		c->challenges++;
		return SASL_ASK;
	}
	switch (c->mech) {
	case MECH_SCRAM_SHA_256:
	case MECH_SCRAM_SHA_1:
		return server_final(c, said, say, why);
	case MECH_OAUTHBEARER:
		/* What is wrong with the token; RFC 7628, 3.2.3. */
		*say = (struct span)SPAN("\1");
		c->told = true;
		return SASL_SAY;
	case MECH_XOAUTH2:
		c->told = true;
		return SASL_SAY;
	default:
		return SASL_STOP;
	}
}

bool
sasl_client_done(const struct sasl_client *c)
{
	if (c->told)
		return false;
	return c->proven || (c->mech != MECH_SCRAM_SHA_256 &&
	    c->mech != MECH_SCRAM_SHA_1);
}
