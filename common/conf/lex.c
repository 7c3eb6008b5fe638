/*
 * The lexer. See lex.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/lex.h"
#include "common/conf/gram.h"

#define WORD_MAX	4096	/* bytes of one word or string */

/* Every reserved word, those of later versions too; sorted. */
static const struct keyword {
	const char	*word;
	int		 token;
} keywords[] = {
	{ "accept", K_ACCEPT },
	{ "action", K_ACTION },
	{ "algorithm", K_ALGORITHM },
	{ "aliases", K_ALIASES },
	{ "all", K_ALL },
	{ "announce", K_ANNOUNCE },
	{ "any", K_ANY },
	{ "archive", K_ARCHIVE },
	{ "as", K_AS },
	{ "at", K_AT },
	{ "auth", K_AUTH },
	{ "auth-failures", K_AUTH_FAILURES },
	{ "auth-optional", K_AUTH_OPTIONAL },
	{ "auth-plaintext", K_AUTH_PLAINTEXT },
	{ "auth-user", K_AUTH_USER },
	{ "backup-mx", K_BACKUP_MX },
	{ "bare-newline", K_BARE_NEWLINE },
	{ "bounces", K_BOUNCES },
	{ "by", K_BY },
	{ "ca", K_CA },
	{ "cache", K_CACHE },
	{ "cdb", K_CDB },
	{ "cert", K_CERT },
	{ "complete-headers", K_COMPLETE_HEADERS },
	{ "connect", K_CONNECT },
	{ "content", K_CONTENT },
	{ "control", K_CONTROL },
	{ "copy", K_COPY },
	{ "credentials", K_CREDENTIALS },
	{ "dane", K_DANE },
	{ "debug", K_DEBUG },
	{ "defer", K_DEFER },
	{ "deliveries", K_DELIVERIES },
	{ "destination", K_DESTINATION },
	{ "directory", K_DIRECTORY },
	{ "discard", K_DISCARD },
	{ "dkim", K_DKIM },
	{ "domain", K_DOMAIN },
	{ "dovecot", K_DOVECOT },
	{ "ed25519", K_ED25519 },
	{ "errors", K_ERRORS },
	{ "expand", K_EXPAND },
	{ "expanded", K_EXPANDED },
	{ "fan-out", K_FAN_OUT },
	{ "file", K_FILE },
	{ "filter", K_FILTER },
	{ "firewall", K_FIREWALL },
	{ "fold", K_FOLD },
	{ "for", K_FOR },
	{ "format", K_FORMAT },
	{ "from", K_FROM },
	{ "greet-delay", K_GREET_DELAY },
	{ "header", K_HEADER },
	{ "headers", K_HEADERS },
	{ "helo", K_HELO },
	{ "hold", K_HOLD },
	{ "host", K_HOST },
	{ "hostname", K_HOSTNAME },
	{ "hybrid", K_HYBRID },
	{ "identity", K_IDENTITY },
	{ "idle-connections", K_IDLE_CONNECTIONS },
	{ "ignore", K_IGNORE },
	{ "include", K_INCLUDE },
	{ "info", K_INFO },
	{ "journal", K_JOURNAL },
	{ "keep", K_KEEP },
	{ "key", K_KEY },
	{ "known-good", K_KNOWN_GOOD },
	{ "level", K_LEVEL },
	{ "limit", K_LIMIT },
	{ "listen", K_LISTEN },
	{ "lmtp", K_LMTP },
	{ "local", K_LOCAL },
	{ "log", K_LOG },
	{ "long-lines", K_LONG_LINES },
	{ "mail-from", K_MAIL_FROM },
	{ "mailbox", K_MAILBOX },
	{ "mask-source", K_MASK_SOURCE },
	{ "match", K_MATCH },
	{ "max-connections", K_MAX_CONNECTIONS },
	{ "max-message-size", K_MAX_MESSAGE_SIZE },
	{ "message-size", K_MESSAGE_SIZE },
	{ "mirror", K_MIRROR },
	{ "mode", K_MODE },
	{ "name", K_NAME },
	{ "none", K_NONE },
	{ "normalize", K_NORMALIZE },
	{ "not", K_NOT },
	{ "off", K_OFF },
	{ "on", K_ON },
	{ "on-conflict", K_ON_CONFLICT },
	{ "on-failure", K_ON_FAILURE },
	{ "on-slow", K_ON_SLOW },
	{ "open", K_OPEN },
	{ "opportunistic", K_OPPORTUNISTIC },
	{ "pass", K_PASS },
	{ "path", K_PATH },
	{ "patience", K_PATIENCE },
	{ "per", K_PER },
	{ "pin", K_PIN },
	{ "pki", K_PKI },
	{ "plain", K_PLAIN },
	{ "policy", K_POLICY },
	{ "pool", K_POOL },
	{ "port", K_PORT },
	{ "probe", K_PROBE },
	{ "proxy", K_PROXY },
	{ "proxy-protocol", K_PROXY_PROTOCOL },
	{ "proxy-v1", K_PROXY_V1 },
	{ "proxy-v2", K_PROXY_V2 },
	{ "queue", K_QUEUE },
	{ "rate", K_RATE },
	{ "rcpt", K_RCPT },
	{ "rcpt-domain", K_RCPT_DOMAIN },
	{ "rcpt-to", K_RCPT_TO },
	{ "received", K_RECEIVED },
	{ "recipients", K_RECIPIENTS },
	{ "recognise-retry", K_RECOGNISE_RETRY },
	{ "regex", K_REGEX },
	{ "reject", K_REJECT },
	{ "relay", K_RELAY },
	{ "replies", K_REPLIES },
	{ "require", K_REQUIRE },
	{ "reserve", K_RESERVE },
	{ "resolver", K_RESOLVER },
	{ "retry", K_RETRY },
	{ "root", K_ROOT },
	{ "rsa", K_RSA },
	{ "sample", K_SAMPLE },
	{ "selector", K_SELECTOR },
	{ "self", K_SELF },
	{ "senders", K_SENDERS },
	{ "sent", K_SENT },
	{ "server", K_SERVER },
	{ "sessions", K_SESSIONS },
	{ "smtps", K_SMTPS },
	{ "socket", K_SOCKET },
	{ "source", K_SOURCE },
	{ "srs", K_SRS },
	{ "standalone", K_STANDALONE },
	{ "standby", K_STANDBY },
	{ "strict", K_STRICT },
	{ "subaddress", K_SUBADDRESS },
	{ "table", K_TABLE },
	{ "tag", K_TAG },
	{ "tempfail", K_TEMPFAIL },
	{ "tls", K_TLS },
	{ "tls-require", K_TLS_REQUIRE },
	{ "to", K_TO },
	{ "trust-ad", K_TRUST_AD },
	{ "ttl", K_TTL },
	{ "unknown", K_UNKNOWN },
	{ "users", K_USERS },
	{ "verify", K_VERIFY },
	{ "via", K_VIA },
	{ "warn", K_WARN },
	{ "warn-after", K_WARN_AFTER },
	{ "weight", K_WEIGHT },
	{ "when", K_WHEN },
	{ "xclient", K_XCLIENT },
};
#define NKEYWORDS	(sizeof(keywords) / sizeof(keywords[0]))

static int
keyword_cmp(const void *a, const void *b)
{
	return strcmp(a, ((const struct keyword *)b)->word);
}

const char *
lex_word_of(int token)
{
	for (size_t i = 0; i < NKEYWORDS; i++)
		if (keywords[i].token == token)
			return keywords[i].word;
	return NULL;
}

/* Letters to change, add or leave out between two short words. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned	 row[32], prev, cur;
	size_t		 la = strlen(a), lb = strlen(b);

	if (la > 30 || lb > 30)
		return 99;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		prev = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			cur = row[j];
			row[j] = prev + (a[i - 1] != b[j - 1]);
			if (cur + 1 < row[j])
				row[j] = cur + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			prev = cur;
		}
	}
	return row[lb];
}

const char *
lex_nearest(const char *w)
{
	const char	*best = NULL;
	unsigned	 d, least = strlen(w) < 4 ? 2 : 3;

	for (size_t i = 0; i < NKEYWORDS; i++)
		if ((d = distance(w, keywords[i].word)) < least) {
			least = d;
			best = keywords[i].word;
		}
	return best;
}

/* ---- messages ---------------------------------------------------------------- */

static struct span
line_of(const struct lex *l, const struct conf_pos *pos)
{
	struct span	 s, line = span(NULL, 0);
	unsigned	 n = 1;

	for (size_t i = 0; i < l->nseen; i++) {
		if (strcmp(l->seen[i].file, pos->file) != 0)
			continue;
		s = l->seen[i].text;
		while (span_word(&s, "\n", &line))
			if (n++ == pos->line)
				return line;
	}
	return span(NULL, 0);
}

static void
message(struct lex *l, const struct conf_pos *pos, const char *kind,
    const char *fmt, va_list ap)
{
	struct span	 line = line_of(l, pos);

	buf_fmt(l->msgs, "%s:%u:%u: %s: ", pos->file, pos->line, pos->col,
	    kind);
	buf_vfmt(l->msgs, fmt, ap);
	buf_str(l->msgs, "\n");
	if (line.len == 0 || line.len > 200)
		return;
	buf_str(l->msgs, "    ");
	for (size_t i = 0; i < line.len; i++)
		buf_byte(l->msgs, line.p[i] == '\t' ? ' ' :
		    line.p[i] < 0x20 || line.p[i] == 0x7f ? '?' : line.p[i]);
	buf_fmt(l->msgs, "\n    %*s^\n", (int)pos->col - 1, "");
}

void
lex_error(struct lex *l, const struct conf_pos *pos, const char *fmt, ...)
{
	va_list	 ap;

	if (++l->errors > LEX_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	message(l, pos, "error", fmt, ap);
	va_end(ap);
	if (l->errors == LEX_ERRORS_MAX)
		buf_str(l->msgs, "more errors are not shown\n");
}

void
lex_warning(struct lex *l, const struct conf_pos *pos, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	message(l, pos, "warning", fmt, ap);
	va_end(ap);
}

/* ---- sources ------------------------------------------------------------------ */

static bool
lex_push(struct lex *l, struct span name, struct span text)
{
	struct lex_source	*s;

	if (l->depth == LEX_DEPTH_MAX)
		return false;
	s = &l->stack[l->depth];
	*s = (struct lex_source){ .text = text, .line = 1 };
	if ((s->file = arena_str(l->mem, name)) == NULL)
		return false;
	if (l->nseen < sizeof(l->seen) / sizeof(l->seen[0]))
		l->seen[l->nseen++] = *s;
	l->depth++;
	return true;
}

static void
lex_macro_item(struct lex *l, struct span text)
{
	size_t		 eq = span_find(text, '=');
	const char	*n = arena_str(l->mem, span_sub(text, 0, eq));
	const char	*v = arena_str(l->mem, span_sub(text, eq + 1,
			    text.len));

	if (n != NULL && v != NULL)
		lex_macro_set(l, n, v);
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
	l->pos.file = "postern.conf";
	while (bundle_next(&bundle, &item))
		if (item.kind == BUNDLE_MAIN)
			lex_push(l, item.name, item.text);
		else if (item.kind == BUNDLE_MACRO)
			lex_macro_item(l, item.text);
	if (l->depth > 1)
		l->depth = 1;
}

bool
lex_include(struct lex *l, const char *pattern)
{
	struct bundle_item	 items[65];
	struct span		 s = l->bundle;
	size_t			 n = 0;

	while (n < 64 && bundle_next(&s, &items[n]))
		if (items[n].kind == BUNDLE_INCLUDE &&
		    span_is(items[n].key, pattern))
			n++;
	/* The last pushed is read first, so the order is turned round. */
	for (size_t i = n; i > 0; i--)
		if (!lex_push(l, items[i - 1].name, items[i - 1].text))
			return false;
	return n > 0;
}

bool
lex_macro_set(struct lex *l, const char *name, const char *value)
{
	for (size_t i = 0; i < l->nmacros; i++)
		if (strcmp(l->macros[i].name, name) == 0)
			return true;	/* the command line's goes first */
	if (l->nmacros == LEX_MACROS_MAX)
		return false;
	l->macros[l->nmacros++] = (struct lex_macro){ name, value };
	return true;
}

void
lex_skip(struct lex *l)
{
	/* At the end of a line there is nothing left of it. */
	l->skip = !l->at_newline;
	l->braces = 0;
}

/* ---- tokens -------------------------------------------------------------------- */

static int
peek(const struct lex_source *s)
{
	return s->pos < s->text.len ? s->text.p[s->pos] : -1;
}

static void
newline(struct lex_source *s)
{
	s->pos++;
	s->line++;
	s->bol = s->pos;
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
			while (peek(s) != -1 && peek(s) != '\n')
				s->pos++;
		} else if (c == '\\' && s->pos + 1 < s->text.len &&
		    s->text.p[s->pos + 1] == '\n') {
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

static const char *
keep(struct lex *l, struct span s)
{
	const char	*p = s.len > WORD_MAX || span_find(s, 0) != s.len ?
			    NULL : arena_str(l->mem, s);

	if (p == NULL) {
		lex_error(l, &l->pos, "this word is too long");
		p = "";
	}
	return p;
}

static int
lex_string(struct lex *l, struct lex_source *s, const char **text)
{
	char	 tmp[WORD_MAX + 1];
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
		if (n < WORD_MAX)
			tmp[n++] = (char)c;
	}
	if (c == '"')
		s->pos++;
	*text = l->word = keep(l, span(tmp, n));
	return STRING;
}

static int
lex_dollar(struct lex *l, struct lex_source *s, const char **text)
{
	size_t		 from = ++s->pos;
	const char	*name;
	int		 c;

	while ((c = peek(s)) != -1 && is_word(c) && c != '/' && c != ':')
		s->pos++;
	name = keep(l, span_sub(s->text, from, s->pos - from));
	l->quoted = true;
	for (size_t i = 0; i < l->nmacros; i++)
		if (strcmp(l->macros[i].name, name) == 0) {
			*text = l->word = l->macros[i].value;
			return STRING;
		}
	lex_error(l, &l->pos, "macro \"%s\" is not defined", name);
	*text = l->word = "";
	return STRING;
}

static int
lex_tableref(struct lex *l, struct lex_source *s, const char **text)
{
	size_t	 from = ++s->pos;

	while (is_word(peek(s)))
		s->pos++;
	*text = l->word = keep(l, span_sub(s->text, from, s->pos - from));
	if (peek(s) == '>')
		s->pos++;
	else
		lex_error(l, &l->pos, "a table stands as <name>");
	return TABLEREF;
}

static int
lex_word(struct lex *l, struct lex_source *s, const char **text, uint64_t *num)
{
	size_t			 from = s->pos;
	const struct keyword	*k;
	struct span		 w;

	while (is_word(peek(s)))
		s->pos++;
	w = span_sub(s->text, from, s->pos - from);
	*text = l->word = keep(l, w);
	k = bsearch(*text, keywords, NKEYWORDS, sizeof(keywords[0]),
	    keyword_cmp);
	if (k != NULL)
		return k->token;
	return span_u64(w, INT64_MAX, num) ? NUMBER : STRING;
}

/* The end of a text: its parent goes on, as if after a newline. */
static int
lex_end(struct lex *l)
{
	l->braces = 0;
	l->skip = false;
	l->word = "end of file";
	l->at_newline = true;
	if (l->depth > 1) {
		l->depth--;
		return '\n';
	}
	if (l->ended)
		return 0;
	l->ended = true;
	return '\n';
}

int
lex_next(struct lex *l, const char **text, uint64_t *num, struct conf_pos *pos)
{
	struct lex_source	*s;
	int			 c;

	*text = "";
	*num = 0;
	l->quoted = l->at_newline = false;
	if (l->depth == 0)
		return 0;
	s = &l->stack[l->depth - 1];
	if (l->skip) {
		while (peek(s) != -1 && peek(s) != '\n')
			s->pos++;
		l->skip = false;
	}
	skip_blank(l, s);
	l->pos = (struct conf_pos){ s->file, s->line,
	    (unsigned)(s->pos - s->bol) + 1 };
	*pos = l->pos;
	switch (c = peek(s)) {
	case -1:
		return lex_end(l);
	case '\n':
		newline(s);
		l->word = "end of line";
		l->at_newline = true;
		return '\n';
	case '"':
		return lex_string(l, s, text);
	case '$':
		return lex_dollar(l, s, text);
	case '<':
		return lex_tableref(l, s, text);
	case '{':
		l->braces++;
		break;
	case '}':
		if (l->braces > 0)
			l->braces--;
		break;
	case ',':
	case '=':
	case '!':
		break;
	default:
		if (is_word(c))
			return lex_word(l, s, text, num);
		s->pos++;
		l->word = "a byte that has no meaning here";
		return BAD;
	}
	s->pos++;
	l->word = c == '{' ? "{" : c == '}' ? "}" : c == ',' ? "," :
	    c == '=' ? "=" : "!";
	return c == '!' ? K_NOT : c;
}
