/*
 * Which files the configuration refers to: found by words alone, before it is
 * parsed. See conf.h.
 */
#include <string.h>

#include "common/conf/lex.h"
#include "common/conf/gram.h"

/* One statement at a time: its first four words are all that counts. */
struct scan {
	int		 token[4];
	const char	*text[4];
	size_t		 n;
};

static void
scan_end(struct lex *l, const struct scan *s,
    void (*f)(enum bundle_kind, struct span, void *), void *arg)
{
	if (s->n >= 3 && s->token[1] == '=' && s->token[0] == STRING)
		lex_macro_set(l, s->text[0], s->text[2]);
	if (s->n >= 2 && s->token[0] == K_INCLUDE && s->token[1] == STRING) {
		f(BUNDLE_INCLUDE, span_str(s->text[1]), arg);
		lex_include(l, s->text[1]);
	}
	if (s->n >= 4 && s->token[0] == K_TABLE && s->token[2] == K_FILE &&
	    s->token[3] == STRING)
		f(BUNDLE_TABLE, span_str(s->text[3]), arg);
}

void
conf_wants(struct span bundle, void (*f)(enum bundle_kind, struct span,
    void *), void *arg)
{
	struct arena	*mem = arena_new(256UL << 20);
	struct scan	 s = { .n = 0 };
	struct conf_pos	 pos;
	struct lex	 l;
	struct buf	 ignored;
	const char	*text;
	uint64_t	 num;
	int		 token;

	if (mem == NULL)
		return;
	buf_init(&ignored, 65536);
	lex_init(&l, mem, bundle, &ignored);
	while ((token = lex_next(&l, &text, &num, &pos)) != 0) {
		if (token == '\n') {
			scan_end(&l, &s, f, arg);
			s.n = 0;
		} else if (s.n < 4) {
			s.token[s.n] = token;
			s.text[s.n++] = text;
		}
	}
	buf_clear(&ignored);
	arena_free(mem);
}
