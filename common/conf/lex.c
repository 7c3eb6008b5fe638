/*
 * The lexer. See lex.h. Its reserved words are the tokens of gram.y.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/conf/lex.h"
#include "common/conf/gram.h"

/* ---- sources ------------------------------------------------------------- */

static bool
lex_push(struct lex *l, struct span name, struct span text, unsigned depth)
{
	struct lex_source	*s;

	if (l->nseen == LEX_FILES_MAX || depth > LEX_DEPTH_MAX)
		return false;
	/* Never full: what is on the stack was seen. */
	s = &l->stack[l->depth];
	*s = (struct lex_source){ .text = text, .line = 1, .depth = depth,
	    .fresh = true };
	if ((s->file = arena_str(l->mem, name)) == NULL)
		return false;
	l->seen[l->nseen++] = *s;
	l->depth++;
	return true;
}

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

/* NAME=VALUE of the command line. */
static void
macro_given(struct lex *l, struct span text)
{
	struct conf_pos	 pos = { "-D", 1, 1 };
	size_t		 eq = span_find(text, '=');
	const char	*n, *v;

	if (eq == 0 || eq == text.len || text.len > LEX_WORD_MAX ||
	    has_control(text) || !utf8_valid(text)) {
		lex_error(l, &pos, "a macro is given as NAME=VALUE");
		return;
	}
	n = arena_str(l->mem, span_sub(text, 0, eq));
	v = arena_str(l->mem, span_sub(text, eq + 1, text.len));
	if (n == NULL || v == NULL || l->nmacros == LEX_MACROS_MAX)
		return;
	l->macros[l->nmacros++] = (struct lex_macro){ n, v, true };
}

void
lex_init(struct lex *l, struct arena *mem, struct span bundle,
    struct buf *msgs)
{
	struct bundle_item	 item;

	memset(l, 0, sizeof(*l));
	l->mem = mem;
	l->bundle = bundle;
	l->msgs = msgs;
	l->pos = (struct conf_pos){ "postern.conf", 1, 1 };
	while (bundle_next(&bundle, &item))
		if (item.kind == BUNDLE_MACRO)
			macro_given(l, item.text);
		else if (item.kind == BUNDLE_MAIN && l->depth == 0 &&
		    lex_push(l, item.name, item.text, 0))
			l->pos.file = l->stack[0].file;
}

static bool
is_open(const struct lex *l, struct span file)
{
	for (size_t i = 0; i < l->depth; i++)
		if (span_is(file, l->stack[i].file))
			return true;
	return false;
}

void
lex_include(struct lex *l, const struct conf_pos *pos, const char *pattern)
{
	struct bundle_item	 item;
	struct span		 s = l->bundle;
	unsigned		 depth = l->depth == 0 ? 0 :
				    l->stack[l->depth - 1].depth + 1;
	size_t			 from = l->depth, n = 0;

	while (bundle_next(&s, &item)) {
		if (item.kind != BUNDLE_INCLUDE || !span_is(item.key, pattern))
			continue;
		n++;
		if (is_open(l, item.name)) {
			lex_error(l, pos, "this file includes itself");
		} else if (!lex_push(l, item.name, item.text, depth)) {
			lex_error(l, pos, "too many files are included");
			break;
		}
	}
	/* The last on the stack is read first: turn their order round. */
	for (size_t a = from, b = l->depth; a + 1 < b; a++, b--) {
		struct lex_source t = l->stack[a];

		l->stack[a] = l->stack[b - 1];
		l->stack[b - 1] = t;
	}
	/* A pattern may match nothing, a name may not. */
	if (n == 0 && strpbrk(pattern, "*?[") == NULL)
		lex_error(l, pos, "cannot read the file \"%s\"", pattern);
}

void
lex_macro_set(struct lex *l, const struct conf_pos *pos, const char *name,
    const char *value)
{
	for (size_t i = 0; i < l->nmacros; i++) {
		if (strcmp(l->macros[i].name, name) != 0)
			continue;
		if (!l->macros[i].given)
			lex_error(l, pos, "macro \"%s\" is defined twice",
			    name);
		return;
	}
	if (l->nmacros == LEX_MACROS_MAX)
		lex_error(l, pos, "more than %d macros", LEX_MACROS_MAX);
	else
		l->macros[l->nmacros++] = (struct lex_macro){ name, value,
		    false };
}

/* ---- characters ---------------------------------------------------------- */

static int
peek(const struct lex_source *s)
{
	return s->pos < s->text.len ? s->text.p[s->pos] : -1;
}

static bool
line_goes_on(const struct lex_source *s)
{
	return peek(s) == '\\' && s->pos + 1 < s->text.len &&
	    s->text.p[s->pos + 1] == '\n';
}

static void
newline(struct lex_source *s)
{
	s->pos++;
	s->line++;
	s->bol = s->pos;
	s->fresh = true;
}

static void
to_end_of_line(struct lex_source *s)
{
	while (peek(s) != -1 && peek(s) != '\n')
		s->pos++;
}

/* Blanks, comments and lines that go on. */
static void
skip_blank(struct lex *l, struct lex_source *s)
{
	for (;;) {
		int c = peek(s);

		if (c == ' ' || c == '\t' || c == '\r') {
			s->pos++;
		} else if (c == '#') {
			to_end_of_line(s);
		} else if (line_goes_on(s)) {
			s->pos++;
			newline(s);
		} else if (c == '\n' && l->braces > 0) {
			newline(s);
		} else
			return;
	}
}

static bool
is_word(int c)
{
	return c > ' ' && c != 0x7f && strchr("{},=<>!#\"$", c) == NULL;
}

static struct span
bare_word(struct lex_source *s)
{
	size_t	 from = s->pos;

	while (is_word(peek(s)))
		s->pos++;
	return span_sub(s->text, from, s->pos - from);
}

/* ---- words --------------------------------------------------------------- */

static int
keyword(struct span w)
{
	int	 lo = K_ACCEPT, hi = K_XCLIENT;

	while (lo <= hi) {
		int mid = lo + (hi - lo) / 2;
		int d = span_cmp(w, span_str(gram_word(mid)));

		if (d == 0)
			return mid;
		if (d < 0)
			hi = mid - 1;
		else
			lo = mid + 1;
	}
	return 0;
}

bool
lex_is_statement(int token)
{
	static const int words[] = { K_ACTION, K_ARCHIVE, K_CA, K_CONTROL,
	    K_CREDENTIALS, K_DKIM, K_FILTER, K_HOSTNAME, K_INCLUDE, K_LIMIT,
	    K_LISTEN, K_LOG, K_MATCH, K_MODE, K_PKI, K_POOL, K_QUEUE,
	    K_RESOLVER, K_SELF, K_SUBADDRESS, K_TABLE, K_TLS };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i] == token)
			return true;
	return false;
}

static const char *
keep(struct lex *l, struct span s)
{
	const char	*p = NULL;

	if (s.len > LEX_WORD_MAX)
		lex_error(l, &l->pos, "this word has more than %d bytes",
		    LEX_WORD_MAX);
	else if (!utf8_valid(s))
		lex_error(l, &l->pos, "this word is not in UTF-8");
	else if (has_control(s))
		lex_error(l, &l->pos, "a control character stands in this "
		    "word");
	else if ((p = arena_str(l->mem, s)) == NULL)
		lex_error(l, &l->pos, "the configuration is too large");
	return p == NULL ? "" : p;
}

static int
lex_string(struct lex *l, struct lex_source *s, const char **text)
{
	char	 tmp[LEX_WORD_MAX + 1];
	size_t	 n = 0;
	int	 c;

	l->quoted = true;
	for (s->pos++; (c = peek(s)) != '"'; s->pos++) {
		if (c == -1 || c == '\n') {
			lex_error(l, &l->pos, "this string has no end quote");
			break;
		}
		if (c == '\\' && s->pos + 1 < s->text.len &&
		    (s->text.p[s->pos + 1] == '"' ||
		    s->text.p[s->pos + 1] == '\\'))
			c = s->text.p[++s->pos];
		/* One more than the maximum is too long for keep(). */
		if (n < sizeof(tmp))
			tmp[n++] = (char)c;
	}
	if (c == '"')
		s->pos++;
	*text = keep(l, span(tmp, n));
	return STRING;
}

static bool
is_number(const char *s)
{
	return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

static int
lex_dollar(struct lex *l, struct lex_source *s, const char **text)
{
	size_t		 from = ++s->pos;
	const char	*name;
	int		 c;

	while (is_word(c = peek(s)) && c != '/' && c != ':')
		s->pos++;
	name = keep(l, span_sub(s->text, from, s->pos - from));
	*text = "";
	for (size_t i = 0; i < l->nmacros; i++)
		if (strcmp(l->macros[i].name, name) == 0) {
			*text = l->macros[i].value;
			l->quoted = true;
			return is_number(*text) ? NUMBER : STRING;
		}
	lex_error(l, &l->pos, "macro \"%s\" is not defined", name);
	return STRING;
}

static int
lex_tableref(struct lex *l, struct lex_source *s, const char **text)
{
	s->pos++;
	*text = keep(l, bare_word(s));
	if (**text == '\0' || peek(s) != '>')
		lex_error(l, &l->pos, "a table stands as <name>");
	if (peek(s) == '>')
		s->pos++;
	return TABLEREF;
}

static int
next_mark(const struct lex_source *s)
{
	size_t	 i = s->pos;

	while (i < s->text.len && (s->text.p[i] == ' ' || s->text.p[i] == '\t'))
		i++;
	return i < s->text.len ? s->text.p[i] : '\n';
}

/* Where only a name can stand, a reserved word is a name too: behind these
 * words, in a table, and in front of the "=" of a macro. */
static bool
is_name(const struct lex *l, const struct lex_source *s, int token)
{
	switch (l->token) {
	case '=':
	case K_ACTION:
	case K_DKIM:
	case K_FILTER:
	case K_PKI:
	case K_POOL:
	case K_TABLE:
		return true;
	case '\n':
	case 0:
		return next_mark(s) == '=';
	default:
		/* A statement in there: the brace was left open. */
		return l->in_table && l->braces > 0 && !(l->first &&
		    lex_is_statement(token) &&
		    strchr(",=}#\r\n", next_mark(s)) == NULL);
	}
}

static int
lex_word(struct lex *l, struct lex_source *s, const char **text)
{
	struct span	 w = bare_word(s);
	int		 token = keyword(w);

	if (token != 0 && !is_name(l, s, token)) {
		*text = gram_word(token);
		return token;
	}
	*text = keep(l, w);
	return is_number(*text) ? NUMBER : STRING;
}

static int
lex_mark(struct lex *l, struct lex_source *s, const char **text)
{
	int	 c = peek(s);

	s->pos++;
	switch (c) {
	case '{':
		if (l->braces++ == 0) {
			l->brace_line = s->line;
			l->in_table = l->before == K_TABLE;
		}
		*text = "{";
		return c;
	case '}':
		if (l->braces > 0)
			l->braces--;
		*text = "}";
		return c;
	case ',':
		*text = ",";
		return c;
	case '=':
		*text = "=";
		return c;
	case '!':
		*text = "!";
		return K_NOT;
	case '>':
		*text = ">";
		if (peek(s) != '=')
			return BAD;
		s->pos++;
		*text = ">=";
		return GE;
	default:
		*text = "a byte that has no meaning";
		return BAD;
	}
}

/* ---- statements ---------------------------------------------------------- */

void
lex_skip(struct lex *l)
{
	struct lex_source	*s;

	if (l->token == '\n' || l->depth == 0) {
		/* Nothing is left of it. */
		l->braces = 0;
	} else if (l->braces > 0 && l->first && lex_is_statement(l->token)) {
		/* A brace was left open, and this is the next statement. */
		s = &l->stack[l->depth - 1];
		s->pos = l->start;
		s->fresh = true;
		l->braces = 0;
		l->newline = true;
	} else
		l->skip = true;
}

/* Up to the newline, with all that stands between quotes and braces. */
static void
skip_line(struct lex *l, struct lex_source *s)
{
	bool	 quoted = false;
	int	 c;

	while ((c = peek(s)) != -1 && c != '\n') {
		if (c == '"')
			quoted = !quoted;
		else if (quoted && c == '\\' && s->pos + 1 < s->text.len &&
		    s->text.p[s->pos + 1] != '\n')
			s->pos++;
		else if (!quoted && c == '#') {
			to_end_of_line(s);
			return;
		} else if (!quoted && c == '{')
			l->braces++;
		else if (!quoted && c == '}' && l->braces > 0)
			l->braces--;
		else if (line_goes_on(s)) {
			s->pos++;
			newline(s);
			continue;
		}
		s->pos++;
	}
}

/* Braces may hold further lines, unless a statement begins there. */
static void
skip_statement(struct lex *l, struct lex_source *s)
{
	struct lex_source	 next;

	for (;;) {
		skip_line(l, s);
		if (peek(s) == -1 || l->braces == 0)
			break;
		next = *s;
		newline(&next);
		while (peek(&next) == ' ' || peek(&next) == '\t')
			next.pos++;
		if (lex_is_statement(keyword(bare_word(&next))))
			break;
		newline(s);
	}
	l->braces = 0;
	l->skip = false;
}

/* The end of a text: its parent goes on, as if after a newline. */
static int
lex_end(struct lex *l)
{
	l->braces = 0;
	l->word = "end of file";
	if (l->depth > 1) {
		l->depth--;
		return '\n';
	}
	if (l->ended)
		return 0;
	l->ended = true;
	return '\n';
}

static int
lex_token(struct lex *l, struct lex_source *s, const char **text)
{
	int	 c = peek(s);

	switch (c) {
	case '\n':
		newline(s);
		*text = "end of line";
		return '\n';
	case '"':
		return lex_string(l, s, text);
	case '$':
		return lex_dollar(l, s, text);
	case '<':
		return lex_tableref(l, s, text);
	default:
		return is_word(c) ? lex_word(l, s, text) :
		    lex_mark(l, s, text);
	}
}

int
lex_next(struct lex *l, const char **text, struct conf_pos *pos)
{
	struct lex_source	*s;
	int			 token;

	*text = "";
	*pos = l->prev_pos = l->pos;
	l->prev_word = l->word;
	l->quoted = false;
	if (l->depth == 0)
		return l->token = 0;
	if (l->newline) {
		l->newline = false;
		return l->token = '\n';
	}
	s = &l->stack[l->depth - 1];
	if (l->skip)
		skip_statement(l, s);
	skip_blank(l, s);
	l->pos = (struct conf_pos){ s->file, s->line,
	    (unsigned)(s->pos - s->bol) + 1 };
	*pos = l->pos;
	l->start = s->pos;
	l->first = s->fresh;
	s->fresh = false;
	if (peek(s) == -1)
		return l->token = lex_end(l);
	token = lex_token(l, s, text);
	l->before = l->token;
	l->word = *text;
	return l->token = token;
}
