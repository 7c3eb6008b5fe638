/*
 * A syntax error in words: what stood there, what could have, and the word that
 * was perhaps meant.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/conf/build.h"
#include "common/conf/gram.h"

#define SHOWN_MAX	40	/* expected words */
#define WORD_LEN_MAX	30	/* of words that are compared */

/* Letters to change, add, leave out or swap between two short words. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned	 d[WORD_LEN_MAX + 2][WORD_LEN_MAX + 2] = { { 0 } };
	size_t		 la = strlen(a), lb = strlen(b);

	if (la > WORD_LEN_MAX || lb > WORD_LEN_MAX)
		return UINT_MAX;
	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++)
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = d[i - 1][j - 1] +
			    (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[la][lb];
}

/* The name that was perhaps meant; among equals one of the same length. */
static const char *
nearest(const char *w, const char **names, size_t n)
{
	const char	*best = NULL;
	unsigned	 d, least = strlen(w) < 5 ? 2 : 3;

	for (size_t i = 0; i < n; i++) {
		d = distance(w, names[i]);
		if (d < least || (best != NULL && d == least &&
		    strlen(best) != strlen(w) && strlen(names[i]) ==
		    strlen(w))) {
			least = d;
			best = names[i];
		}
	}
	return best;
}

static bool
wanted(const char **names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* A hint behind the message, "" if there is none. */
static void
hint(const struct lex *l, const char **names, size_t n, char *dst, size_t size)
{
	const char	*near;

	dst[0] = '\0';
	if (l->word == NULL)
		return;
	if (gram_word(l->token) != NULL && !l->quoted &&
	    strcmp(l->word, "!") != 0) {
		if (l->braces > 0 && l->first && lex_is_statement(l->token))
			snprintf(dst, size, "; the { of line %u is still open",
			    l->brace_line);
		else if (wanted(names, n, "a word or string"))
			snprintf(dst, size, "; a name that is a reserved word "
			    "stands in quotes");
		return;
	}
	if (l->token != STRING || l->quoted)
		return;
	if ((near = nearest(l->word, names, n)) != NULL)
		snprintf(dst, size, "; did you mean %s?", near);
}

/* A word where a statement begins can only be a macro, so "=" is expected
 * next; what was meant is more likely a statement. */
static bool
unknown_statement(struct build *b, const char **names, size_t n)
{
	struct lex	*l = &b->lex;
	const char	*words[K_XCLIENT - K_ACCEPT + 1], *near;
	size_t		 nwords = 0;

	if (n != 1 || strcmp(names[0], "'='") != 0 || l->prev_word == NULL)
		return false;
	for (int t = K_ACCEPT; t <= K_XCLIENT; t++)
		if (lex_is_statement(t))
			words[nwords++] = gram_word(t);
	near = nearest(l->prev_word, words, nwords);
	lex_error(l, &l->prev_pos, "\"%s\" begins no statement%s%s%s",
	    l->prev_word, near == NULL ? "" : "; did you mean ",
	    near == NULL ? "" : near, near == NULL ? "" : "?");
	return true;
}

void
build_unexpected(struct build *b, const struct conf_pos *pos,
    const char **names, size_t n)
{
	const struct lex	*l = &b->lex;
	const char		*word = l->word == NULL ? "" : l->word, *all;
	char			 more[100];
	struct buf		 text;

	if (unknown_statement(b, names, n))
		return;
	/* One word among all that may stand there tells nothing. */
	for (size_t i = n; n > 1 && i-- > 1;)
		if ((strcmp(names[i], gram_word(K_POSTMASTER)) == 0 ||
		    strcmp(names[i], gram_word(K_USER)) == 0) &&
		    strcmp(names[0], "a word or string") == 0)
			names[i] = names[--n];
	buf_init(&text, 2000);
	if (l->quoted || (l->token == STRING && word[0] == '\0'))
		buf_fmt(&text, "unexpected string \"%s\"", word);
	else if (l->token == TABLEREF)
		buf_fmt(&text, "unexpected <%s>", word);
	else if (l->token == '\n' || l->token == BAD || l->token == 0)
		buf_fmt(&text, "unexpected %s", word);
	else
		buf_fmt(&text, "unexpected \"%s\"", word);
	for (size_t i = 0; i < n && n <= SHOWN_MAX; i++)
		buf_fmt(&text, "%s%s", i == 0 ? ", expected " : i + 1 == n ?
		    " or " : ", ", names[i]);
	hint(l, names, n, more, sizeof(more));
	buf_str(&text, more);
	all = buf_cstr(&text);
	lex_error(&b->lex, pos, "%s", all == NULL ? "syntax error" : all);
	buf_clear(&text);
}
