/*
 * See scan.h.
 */
#include "common/conf/scan.h"

#include <stdlib.h>

struct scan *
scan_new(struct span bundle)
{
	struct scan	*s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	buf_init(&s->ignored, 65536);
	if ((s->mem = arena_new(256UL << 20)) == NULL) {
		scan_free(s);
		return NULL;
	}
	lex_init(&s->lex, s->mem, bundle, &s->ignored);
	return s;
}

void
scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	buf_clear(&s->ignored);
	arena_free(s->mem);
	free(s);
}

/* What the last statement does to those that come. */
static void
apply(struct scan *s)
{
	if (s->n >= 3 && s->token[1] == '=' && s->token[0] == STRING)
		lex_macro_set(&s->lex, &s->pos, s->text[0], s->text[2]);
	if (s->n >= 2 && s->token[0] == K_INCLUDE)
		lex_include(&s->lex, &s->pos, s->text[1]);
	s->n = 0;
}

bool
scan_next(struct scan *s)
{
	const char	*text;
	int		 token;

	apply(s);
	while ((token = lex_next(&s->lex, &text, &s->pos)) != 0) {
		if (s->lex.braces > 0 && s->lex.first &&
		    lex_is_statement(token)) {
			/* A brace was left open; the parser will tell. */
			lex_skip(&s->lex);
			token = '\n';
		}
		if (token == '\n') {
			if (s->n > 0)
				return true;
			continue;
		}
		if (token == STRING && s->string != NULL)
			s->string(text, s->arg);
		if (s->n < SCAN_WORDS) {
			s->token[s->n] = token;
			s->text[s->n++] = text;
		}
	}
	return s->n > 0;
}
