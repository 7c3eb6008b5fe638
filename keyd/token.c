/*
 * See token.h. The tokens lie in the secure heap.
 */
#include "keyd/token.h"

#include <openssl/crypto.h>
#include <stdlib.h>

struct token {
	char		*label, *user;
	uint8_t		*text;		/* NULL: none yet */
	size_t		 len;
};
struct tokens {
	size_t		 n, max;
	struct token	 v[];
};

struct tokens *
tokens_new(size_t max)
{
	struct tokens	*t = calloc(1, sizeof(*t) + max * sizeof(t->v[0]));

	if (t != NULL)
		t->max = max;
	return t;
}

void
tokens_free(struct tokens *t)
{
	for (size_t i = 0; t != NULL && i < t->n; i++) {
		free(t->v[i].label);
		free(t->v[i].user);
		OPENSSL_secure_clear_free(t->v[i].text, t->v[i].len);
	}
	free(t);
}

bool
tokens_add(struct tokens *t, const char *label, const char *user)
{
	struct token	*v = &t->v[t->n];

	if (t->n == t->max)
		return false;
	t->n++;
	v->label = strdup(label);
	v->user = strdup(user);
	return v->label != NULL && v->user != NULL;
}

static const struct token *
find(const struct tokens *t, struct span label)
{
	for (size_t i = 0; i < tokens_count(t); i++)
		if (span_is(label, t->v[i].label))
			return &t->v[i];
	return NULL;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* b64token (RFC 6750, 2.1), and what else is no blank. */
static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127)
			return false;
	return s.len > 0;
}

bool
tokens_set(struct tokens *t, const char *label, struct span text,
    const char **why)
{
	const struct token	*found = find(t, span_str(label));
	struct token		*v;
	uint8_t			*copy;

	while (text.len > 0 && is_blank(text.p[text.len - 1]))
		text.len--;
	while (text.len > 0 && is_blank(text.p[0]))
		span_skip(&text, 1);
	*why = "no such label";
	if (found == NULL)
		return false;
	*why = text.len == 0 ? "the file is empty" : text.len > TOKEN_MAX ?
	    "the token is longer than 8192 bytes" :
	    "the file is to have one token alone";
	if (text.len > TOKEN_MAX || !is_token(text))
		return false;
	*why = "out of memory";
	if ((copy = OPENSSL_secure_malloc(text.len)) == NULL)
		return false;
	memcpy(copy, text.p, text.len);
	v = &t->v[found - t->v];
	OPENSSL_secure_clear_free(v->text, v->len);
	v->text = copy;
	v->len = text.len;
	return true;
}

size_t
tokens_count(const struct tokens *t)
{
	return t == NULL ? 0 : t->n;
}

void
tokens_at(const struct tokens *t, size_t n, struct span *label,
    struct span *user)
{
	*label = span_str(t->v[n].label);
	*user = span_str(t->v[n].user);
}

bool
tokens_get(const struct tokens *t, struct span label, struct span *user,
    struct span *token)
{
	const struct token	*v = find(t, label);

	if (v == NULL || v->text == NULL)
		return false;
	*user = span_str(v->user);
	*token = span(v->text, v->len);
	return true;
}
