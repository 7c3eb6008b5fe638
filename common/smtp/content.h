/*
 * Content framing, both ways (RFC 5321, 4.5.2; 3030). Reading: DATA bytes with
 * dot-stuffing, or BDAT bytes, become canonical content, in which only CR LF
 * ends a line and no NUL stands. Writing: canonical content becomes DATA bytes,
 * dot-stuffed, written anew. Byte machines that may be cut at every byte; only
 * CR LF . CR LF ends a message, whatever else looks like it.
 */
#ifndef SMTP_CONTENT_H
#define SMTP_CONTENT_H

#include "common/base/buf.h"

/* What was wrong with the content, remembered until its end. */
enum smtp_content_fault {
	CONTENT_BARE_CR	= 1 << 0,
	CONTENT_BARE_LF	= 1 << 1,
	CONTENT_NUL	= 1 << 2,
	CONTENT_BIG	= 1 << 3	/* set by the caller */
};
struct smtp_content_in {
	unsigned	 faults;	/* enum smtp_content_fault */
	uint64_t	 size;		/* canonical bytes so far */
	size_t		 line;		/* length of the current line */
	size_t		 line_max;	/* longest seen, without CRLF */
	bool		 eight;		/* a byte above 127 was seen */
	bool		 done;		/* the final dot was read (DATA) */
	/* Set by the caller behind begin: a bare CR or LF is no fault but is
	 * made a CR LF. It still ends no message, nor a line that a dot may
	 * begin. */
	bool		 normalize;
	bool		 mended;	/* one was */
	/* private */
	uint8_t		 state;
	bool		 bdat;
};

void	 smtp_content_begin(struct smtp_content_in *, bool bdat);
/*
 * Eats bytes of in and appends what they mean to out (at most as many as fit
 * in out's maximum, which leaves room for 2 or nothing moves; the rest stays in
 * in). DATA: stops behind the final dot, with done set. BDAT: the caller gives
 * no more than the chunk. The faults are sticky; bytes go on being eaten so
 * that the end is found. Faulty bytes are left out.
 */
void	 smtp_content_feed(struct smtp_content_in *, struct span *in,
	    struct buf *out);
/* BDAT after LAST: content that does not end in CR LF gets one (out needs room
 * for 2 bytes; empty content stays empty); half a CR LF is a fault. */
void	 smtp_content_bdat_end(struct smtp_content_in *, struct buf *out);

struct smtp_content_out {
	bool		 bol;		/* at the beginning of a line */
	bool		 cr;		/* the last byte was CR */
};
void	 smtp_content_out_begin(struct smtp_content_out *);
/* Appends canonical bytes dot-stuffed; eats as many as fit. */
void	 smtp_content_write(struct smtp_content_out *, struct span *in,
	    struct buf *out);
/* The final ".": CR LF before it if the content did not end a line. */
bool	 smtp_content_finish(struct smtp_content_out *, struct buf *out);

#endif
