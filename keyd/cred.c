/*
 * The credentials file: parsing and finding. See cred.h.
 */
#include <stdlib.h>

#include "keyd/cred.h"

struct cred {
	struct span	label, user, secret;
};
struct creds {
	size_t		n;
	struct cred	list[CRED_MAX];
};

/* The next word, ended by a space or tab; the rest has none in front. */
static struct span
word(struct span *s)
{
	size_t		n = 0;
	struct span	w;

	while (n < s->len && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	w = span_sub(*s, 0, n);
	span_skip(s, n);
	*s = span_trim(*s);
	return w;
}

static const char *
parse_line(struct creds *c, struct span line)
{
	struct cred	*d = &c->list[c->n];
	struct span	 user, secret;

	for (size_t i = 0; i < line.len; i++) {
		if ((line.p[i] < ' ' && line.p[i] != '\t') ||
		    line.p[i] == 127)
			return "a control character";
	}
	if (c->n == CRED_MAX)
		return "too many lines";
	d->label = word(&line);
	d->user = word(&line);
	d->secret = line;
	if (d->user.len == 0 || d->secret.len == 0)
		return "LABEL user secret is expected";
	if (d->label.len > CRED_WORD_MAX || d->user.len > CRED_WORD_MAX ||
	    d->secret.len > CRED_WORD_MAX)
		return "a word is longer than 255 bytes";
	if (creds_get(c, d->label, &user, &secret))
		return "the label stands twice";
	c->n++;
	return NULL;
}

struct creds *
creds_parse(struct span text, const char **why, unsigned *line)
{
	struct creds	*c;
	struct span	 l;
	size_t		 n;

	*line = 0;
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		*why = "out of memory";
		return NULL;
	}
	while (text.len > 0) {
		n = span_find(text, '\n');
		l = span_sub(text, 0, n);
		span_skip(&text, n + 1);
		++*line;
		if (l.len > 0 && l.p[l.len - 1] == '\r')
			l.len--;
		l = span_trim(l);
		if (l.len == 0 || l.p[0] == '#')
			continue;
		if ((*why = parse_line(c, l)) != NULL) {
			creds_free(c);
			return NULL;
		}
	}
	return c;
}

void
creds_free(struct creds *c)
{
	free(c);
}

size_t
creds_count(const struct creds *c)
{
	return c == NULL ? 0 : c->n;
}

void
creds_at(const struct creds *c, size_t n, struct span *label,
    struct span *user, struct span *secret)
{
	*label = c->list[n].label;
	*user = c->list[n].user;
	*secret = c->list[n].secret;
}

bool
creds_get(const struct creds *c, struct span label, struct span *user,
    struct span *secret)
{
	for (size_t i = 0; i < creds_count(c); i++) {
		if (!span_eq(c->list[i].label, label))
			continue;
		*user = c->list[i].user;
		*secret = c->list[i].secret;
		return true;
	}
	return false;
}
