/*
 * Bytes of a client: lines, commands, and the arguments of each.
 */
#include <stdlib.h>

#include "common/smtp/command.h"
#include "common/smtp/line.h"
#include "common/smtp/param.h"
#include "common/smtp/path.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_line_state	 st = { 0 };
	struct smtp_command	 cmd;
	struct smtp_mail_params	 mp;
	struct smtp_rcpt_params	 rp;
	struct smtp_path	 path;
	struct span		 in = span(data, size), line;
	enum smtp_line		 res;
	const char		*why;
	uint64_t		 n;
	uint16_t		 code;
	bool			 last;

	while ((res = smtp_line_next(&st, &in, 512, &line)) !=
	    SMTP_LINE_MORE) {
		if (res != SMTP_LINE_OK || !smtp_command_parse(line, &cmd))
			continue;
		(void)smtp_helo_parse(cmd.arg, true, &why);
		(void)smtp_helo_parse(cmd.arg, false, &why);
		(void)smtp_bdat_parse(cmd.arg, &n, &last, &why);
		if (smtp_mail_parse(cmd.arg, &path, &mp, &code, &why) ==
		    PARSE_BAD && code < 500)
			abort();
		if (smtp_rcpt_parse(cmd.arg, true, &path, &rp, &code, &why) ==
		    PARSE_BAD && code < 500)
			abort();
	}
	return 0;
}
