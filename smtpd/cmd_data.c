/*
 * DATA (RFC 5321, 4.1.1.4) and BDAT (RFC 3030, 2).
 */
#include <stdio.h>

#include "common/base/log.h"
#include "smtpd/cmd.h"
#include "smtpd/reader.h"
#include "smtpd/txn.h"

void
cmd_data(struct cmd *c, struct span arg)
{
	if (arg.len > 0)
		session_reply(c, 501, "5.5.4 DATA has no argument");
	else
		content_data(c->s->txn, c);
}

/*
 * Bytes follow whatever the line says, and must not be read as commands: they
 * are eaten if their number can be made out, else the session ends.
 */
static bool
parse(struct cmd *c, struct span arg, uint64_t *size, bool *last)
{
	const char	*why = "";
	char		 text[100];

	*size = UINT64_MAX;
	if (smtp_bdat_parse(arg, size, last, &why) == PARSE_OK)
		return true;
	log_info("session=%s event=error what=\"BDAT\" arg=%s", c->s->id,
	    log_quote(arg));
	snprintf(text, sizeof(text), "5.5.4 %s", why);
	if (*size <= INT64_MAX) {
		reader_swallow(c, *size, 501, span_str(text));
		return false;
	}
	if (arg.len > 0)
		session_last(c->s, "BDAT without a size");
	session_reply(c, 501, "%s", text);
	return false;
}

void
cmd_bdat(struct cmd *c, struct span arg)
{
	uint64_t	size;
	bool		last;

	if (parse(c, arg, &size, &last))
		content_chunk(c->s->txn, c, size, last);
}

void
cmd_bdat_refuse(struct cmd *c, struct span arg, uint16_t code,
    const char *text)
{
	uint64_t	size;
	bool		last;

	if (parse(c, arg, &size, &last))
		reader_swallow(c, size, code, span_str(text));
}
