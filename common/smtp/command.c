/*
 * Command lines: the verb, its argument, and the arguments that are so small
 * that they have no file of their own (RFC 5321, 4.1.1; RFC 3030, 2).
 */
#include "common/smtp/command.h"

#include "common/smtp/path.h"

static const char *const verbs[VERB_MAX] = {
	[VERB_NONE] = "",
	[VERB_EHLO] = "EHLO",
	[VERB_HELO] = "HELO",
	[VERB_MAIL] = "MAIL",
	[VERB_RCPT] = "RCPT",
	[VERB_DATA] = "DATA",
	[VERB_BDAT] = "BDAT",
	[VERB_RSET] = "RSET",
	[VERB_NOOP] = "NOOP",
	[VERB_QUIT] = "QUIT",
	[VERB_VRFY] = "VRFY",
	[VERB_EXPN] = "EXPN",
	[VERB_HELP] = "HELP",
	[VERB_AUTH] = "AUTH",
	[VERB_STARTTLS] = "STARTTLS",
	[VERB_XCLIENT] = "XCLIENT",
};

bool
smtp_command_parse(struct span line, struct smtp_command *cmd)
{
	size_t	n = 0;

	while (n < line.len && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	cmd->verb = VERB_NONE;
	cmd->word = span_sub(line, 0, n);
	/* 4.1.1: trailing white space should be tolerated. */
	cmd->arg = span_trim(span_sub(line, n, line.len));
	for (int v = VERB_NONE + 1; v < VERB_MAX; v++) {
		if (span_caseis(cmd->word, verbs[v])) {
			cmd->verb = (enum smtp_verb)v;
			break;
		}
	}
	return n > 0;
}

const char *
smtp_verb_name(enum smtp_verb v)
{
	return (unsigned)v < VERB_MAX ? verbs[v] : "";
}

/* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF */
enum parse
smtp_bdat_parse(struct span arg, uint64_t *size, bool *last,
    const char **why)
{
	struct span	word;

	*last = false;
	if (!span_word(&arg, " ", &word) ||
	    !span_u64(word, INT64_MAX, size)) {
		*why = "BDAT needs a chunk size";
		return PARSE_BAD;
	}
	arg = span_trim(arg);
	if (arg.len == 0)
		return PARSE_OK;
	if (!span_caseis(arg, "LAST")) {
		*why = "only LAST may follow the chunk size";
		return PARSE_BAD;
	}
	*last = true;
	return PARSE_OK;
}

/* The characters of host names as they are met, "_" of some clients too. */
static bool
host_chars(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		    c == '_'))
			return false;
	}
	return s.len > 0;
}

enum parse
smtp_helo_parse(struct span arg, bool ehlo, const char **why)
{
	const char	*ignored;

	if (arg.len == 0) {
		*why = "a domain or an address literal is missing";
		return PARSE_BAD;
	}
	if (arg.len > SMTP_DOMAIN_MAX) {
		*why = "the name is too long";
		return PARSE_BAD;
	}
	for (size_t i = 0; i < arg.len; i++) {
		if (arg.p[i] <= ' ' || arg.p[i] >= 127) {
			*why = "a byte that no host name has";
			return PARSE_BAD;
		}
	}
	/* RFC 6531, 3.7.1: no U-labels here. */
	if (ehlo && !host_chars(arg) &&
	    smtp_domain_parse(arg, false, &ignored) != PARSE_OK) {
		*why = "neither a domain nor an address literal";
		return PARSE_BAD;
	}
	return PARSE_OK;
}
