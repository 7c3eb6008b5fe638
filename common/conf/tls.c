/*
 * `tls` towards servers: from words to the tree, what can't be together, and
 * what action, pool and scheme say as one. See conf.h.
 */
#include <string.h>

#include "common/base/enc.h"
#include "common/conf/build.h"

const char *
conf_tls_mode_name(enum conf_tls_mode mode)
{
	static const char *const names[] = { "off", "off", "opportunistic",
	    "require", "verify", "dane" };

	return names[mode];
}

void
build_tls_begin(struct build *b)
{
	memset(&b->tls, 0, sizeof(b->tls));
}

void
build_tls_ca(struct build *b, const struct conf_pos *pos, const char *s)
{
	b->tls.ca = build_path(b, pos, s, CA_PATH_MAX);
}

/* 64 hex digits; a colon may stand between two bytes, as openssl(1) has it. */
static bool
read_pin(const char *s, uint8_t pin[CONF_PIN_LEN])
{
	int	hi, lo;

	for (size_t i = 0; i < CONF_PIN_LEN; i++, s += 2) {
		if (i > 0 && *s == ':')
			s++;
		if ((hi = hex_digit((uint8_t)s[0])) == -1 ||
		    (lo = hex_digit((uint8_t)s[1])) == -1)
			return false;
		pin[i] = (uint8_t)(hi << 4 | lo);
	}
	return *s == '\0';
}

void
build_tls_pin(struct build *b, const struct conf_pos *pos, const char *s)
{
	struct conf_tls	*t = &b->tls;

	if (t->npins == CONF_PINS_MAX)
		lex_error(&b->lex, pos, "at most %d pins", CONF_PINS_MAX);
	else if (!read_pin(s, t->pins[t->npins]))
		lex_error(&b->lex, pos, "a pin is the SHA-256 of the public "
		    "key: 64 hex digits");
	else
		t->npins++;
}

void
check_tls(struct build *b, const struct conf_pos *pos,
    const struct conf_tls *t)
{
	const char	*what = t->name != NULL ? "name" : t->ca != NULL ?
			    "ca" : t->npins > 0 ? "pin" : NULL;

	if (what != NULL && t->mode != TLS_VERIFY)
		lex_error(&b->lex, pos, "`%s` is for tls verify: nothing else "
		    "looks at the certificate", what);
	else if (t->npins > 0 && (t->name != NULL || t->ca != NULL))
		lex_error(&b->lex, pos, "a pin names the one key that is good; "
		    "`%s` would not be looked at", what);
}

struct conf_tls
conf_tls_of(const struct conf_action *a, const struct conf_pool *p,
    enum conf_scheme scheme)
{
	struct conf_tls	 t = a->tls;

	if (t.mode == TLS_UNSET && p != NULL)
		t = p->tls;
	if (t.mode == TLS_UNSET && scheme == SCHEME_SMTP_NOTLS)
		t.mode = TLS_OFF;
	if (t.mode == TLS_UNSET)
		t.mode = TLS_OPPORTUNISTIC;
	if (scheme == SCHEME_SMTP_TLS && t.mode < TLS_VERIFY)
		t.mode = TLS_VERIFY;
	if (scheme == SCHEME_SMTPS && t.mode < TLS_REQUIRE)
		t.mode = TLS_REQUIRE;
	t.at_once = scheme == SCHEME_SMTPS;
	return t;
}

/* A scheme may only ask for more than the words do. */
void
check_schemes(struct build *b, const struct conf_action *a,
    const struct conf_pool *p)
{
	const struct conf_tls	*t = a->tls.mode == TLS_UNSET && p != NULL ?
				    &p->tls : &a->tls;

	if (a->type == ACT_PROXY && t->mode == TLS_DANE)
		lex_error(&b->lex, &a->pos, "tls dane is for a relay: a live "
		    "session does not ask for TLSA records");
	for (size_t i = 0; p != NULL && i < p->ndests; i++)
		if (p->dests[i].scheme == SCHEME_SMTP_NOTLS &&
		    t->mode > TLS_OFF)
			lex_error(&b->lex, &a->pos, "smtp+notls://%s is less "
			    "than the tls that is asked for",
			    p->dests[i].host);
}

/* ---- files of CAs -------------------------------------------------------- */

const char *
conf_ca(const struct conf *c, const struct conf_tls *t)
{
	return t->ca != NULL ? t->ca : c->ca != NULL ? c->ca : CONF_CA_SYSTEM;
}

const char *
conf_ca_next(const struct conf *c, size_t *at)
{
	const char	*ca;
	size_t		 i;

	while ((i = (*at)++) < c->nactions + c->npools) {
		ca = i < c->nactions ? c->actions[i]->tls.ca :
		    c->pools[i - c->nactions]->tls.ca;
		if (ca != NULL)
			return ca;
	}
	return NULL;
}
