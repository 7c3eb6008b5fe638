/*
 * SMTP replies (RFC 5321, 4.2), both ways. Reading is strict: three digits,
 * 2..5 first, the same code on all lines, CRLF; 512 octets a line (the rest is
 * cut), 64 lines (more are counted and cut), printable bytes (others become
 * "?", UTF-8 stays if allowed). May be cut at every byte.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "common/base/buf.h"

#define SMTP_REPLY_LINE_MAX	512	/* octets kept of a line */
#define SMTP_REPLY_LINES_MAX	64

/* Kept by the caller between reads; text is the lines so far, LF between. */
struct smtp_reply {
	uint16_t	 code;		/* 0: nothing read yet */
	unsigned	 lines;
	struct buf	 text;		/* without code and separator */
	bool		 cut;		/* something was left out */
	bool		 complete;
	/* private */
	uint16_t	 first;
	struct buf	 line;
	bool		 cr, over;
};

void	 smtp_reply_init(struct smtp_reply *);
/* Octets kept of each line from here on; 512 without it. */
void	 smtp_reply_line_max(struct smtp_reply *, size_t);
void	 smtp_reply_clear(struct smtp_reply *);	/* frees */
/* Eats from in until one reply is whole (PARSE_OK; the next call begins a new
 * one), in is empty (PARSE_MORE), or it is no SMTP (PARSE_BAD). */
enum parse smtp_reply_feed(struct smtp_reply *, struct span *in, bool utf8,
	    const char **why);
/* "5.1.1" at the front of text, if it is one: class equal to code's first. */
bool	 smtp_enhanced(uint16_t code, struct span text, struct span *enh);
/* Writes a reply: text's lines (LF between) each with code, CRLF. */
bool	 smtp_reply_write(struct buf *, uint16_t code, struct span text);
/* "550 5.1.1 No such user" on one line for log or DSN, lines joined by " / " */
bool	 smtp_reply_flat(struct buf *, uint16_t code, struct span text);

#endif
