/*
 * Certificates and keys (`pki`), and the listeners that use them.
 */
#include <string.h>

#include "common/conf/build.h"

/* Two of one name are for two kinds of key; which kinds they are, who reads the
 * files will see. */
void
build_pki(struct build *b, const struct conf_pos *pos, const char *name,
    const char *cert, const char *key, const char *ocsp)
{
	struct conf	*c = b->conf;
	struct conf_pki	*p = build_grow(b, c->pkis, c->npkis, sizeof(*p));
	unsigned	 same = 0;

	if (p == NULL)
		return;
	c->pkis = p;
	p[c->npkis] = (struct conf_pki){ build_hostname(b, pos, name),
	    build_str(b, span_str(cert)), build_str(b, span_str(key)),
	    ocsp == NULL ? NULL : build_str(b, span_str(ocsp)), *pos };
	for (size_t i = 0; i < c->npkis; i++) {
		if (strcmp(p[i].name, p[c->npkis].name) != 0)
			continue;
		if (++same == PKI_KEYS_MAX)
			lex_error(&b->lex, pos, "pki \"%s\" has %u keys "
			    "already", name, PKI_KEYS_MAX);
		if (strcmp(p[i].key, key) == 0 || strcmp(p[i].cert, cert) == 0)
			lex_error(&b->lex, pos, "pki \"%s\" has this file "
			    "already, at %s:%u", name, p[i].pos.file,
			    p[i].pos.line);
	}
	c->npkis++;
}

void
build_listen_pki(struct build *b, const struct conf_pos *pos, const char *name)
{
	struct conf_listen	*l = b->listen;
	const char		*s = build_hostname(b, pos, name);

	for (size_t i = 0; i < l->npkis; i++)
		if (strcmp(l->pkis[i], s) == 0)
			lex_error(&b->lex, pos, "pki \"%s\" stands here "
			    "twice", name);
	build_push(b, (void ***)(uintptr_t)&l->pkis, &l->npkis,
	    (void *)(uintptr_t)s);
}

static bool
is_there(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->npkis; i++)
		if (strcmp(c->pkis[i].name, name) == 0)
			return true;
	return false;
}

void
check_pki(struct build *b)
{
	struct conf	*c = b->conf;

	for (size_t i = 0; i < c->nlistens; i++)
		for (size_t k = 0; k < c->listens[i]->npkis; k++)
			if (!is_there(c, c->listens[i]->pkis[k]))
				lex_error(&b->lex, &c->listens[i]->pos, "pki "
				    "\"%s\" is not defined",
				    c->listens[i]->pkis[k]);
}
