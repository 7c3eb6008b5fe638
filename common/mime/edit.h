/*
 * Changes to content as it passes, asked for by a listener: senders in the
 * header are rewritten, lines that are longer than a server must take are
 * folded. All other bytes stay as they are. Canonical content goes in, in any
 * pieces, and comes out. Pure.
 */
#ifndef MIME_EDIT_H
#define MIME_EDIT_H

#include "common/base/buf.h"

#define EDIT_LINE_MAX	998		/* RFC 5322, 2.1.1; without CR LF */
#define EDIT_FIELD_MAX	(64 << 10)	/* bytes of a field that is rewritten;
					 * longer ones stay as they are */
#define EDIT_ADDR_MAX	520

/* The address that stands in the place of this one, in dst; false: it stays. */
typedef bool edit_addr(struct span addr, char dst[EDIT_ADDR_MAX], void *arg);

struct edit {
	bool		 fold;
	edit_addr	*rewrite;	/* From, Sender, Reply-To; NULL: none */
	void		*arg;
	bool		 failed;	/* out was too small, or no memory */
	unsigned	 rewritten, folded;	/* addresses, lines */
	/* private */
	uint8_t		 state;
	struct buf	 hold;		/* the field so far */
	size_t		 line;		/* in it: where the last line begins */
	struct buf	 part;		/* the line so far, when folding */
	bool		 continues;	/* in the header: a fold is white space */
};

/* fold, rewrite and arg are the caller's choice. */
void	 edit_begin(struct edit *e, bool fold, edit_addr *rewrite,
	    void *arg);
/* Eats all of in. out should have room for EDIT_OUT bytes and as many as in
 * has. */
#define EDIT_OUT	(4 * EDIT_FIELD_MAX)
void	 edit_feed(struct edit *, struct span in, struct buf *out);
/* The end of the content. */
void	 edit_end(struct edit *, struct buf *out);
void	 edit_clear(struct edit *);

#endif
