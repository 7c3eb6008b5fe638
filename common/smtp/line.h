/*
 * CRLF framing of commands (RFC 5321, 2.3.8): only CR LF ends a line. A byte
 * machine over a growing input; the caller keeps the bytes. An over-long line
 * is consumed without being stored.
 */
#ifndef SMTP_LINE_H
#define SMTP_LINE_H

#include "common/base/span.h"

#define SMTP_LINE_MAX		512	/* with CRLF: RFC 5321, 4.5.3.1.4 */
#define SMTP_LINE_MAIL_MAX	2048	/* MAIL and RCPT with all extensions */
#define SMTP_LINE_AUTH_MAX	12288	/* RFC 4954, 4 */

enum smtp_line {
	SMTP_LINE_OK,		/* *line is without CRLF; bytes eaten */
	SMTP_LINE_MORE,		/* no end yet */
	SMTP_LINE_LONG,		/* longer than max; eaten up to its CRLF */
	SMTP_LINE_BARE,		/* a bare CR or LF or a NUL stands in it; told
				 * once and at once, the rest of it up to its
				 * CRLF is eaten by this and later calls */
	SMTP_LINE_SKIP		/* part of such a line eaten, go on */
};
struct smtp_line_state {
	bool	skipping;	/* inside an over-long line */
	bool	told;		/* inside a line that was told to be bare */
};

/* Takes one line from the front of in. max includes CRLF. */
enum smtp_line smtp_line_next(struct smtp_line_state *, struct span *in,
	    size_t max, struct span *line);

#endif
