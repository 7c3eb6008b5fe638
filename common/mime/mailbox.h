/*
 * Address lists as people and programs write them (RFC 5322, 3.4 and 4.4):
 * display names, groups, comments, folding, routes, empty elements; and the
 * writer of a display name. Whether what is found may stand in an envelope is
 * for smtp_mailbox_parse(). Pure.
 */
#ifndef MIME_MAILBOX_H
#define MIME_MAILBOX_H

#include "common/base/buf.h"

/* One mailbox of a list. */
struct mailbox {
	struct span	 addr;		/* addr-spec without comments, blanks
					 * and folds, in the list's own buffer
					 * until the next call */
	bool		 domain;	/* it has one; "root" has none */
	bool		 doubtful;	/* a route before it (4.4), or "@" in
					 * its display name: readers may see
					 * another address there */
	size_t		 start, end;	/* in the input: the addr-spec, and
					 * behind it */
};
struct mailbox_list {
	struct span	 all;		/* borrowed */
	struct span	 in;		/* what is left of it */
	bool		 group;		/* between ":" and ";" of one */
	struct buf	 addr;
	const char	*why;		/* what is wrong; NULL: nothing */
};

/* Begins with the text of a list, lines of it folded or not. */
void	 mailbox_list_begin(struct mailbox_list *, struct span);
/*
 * The next mailbox. False at the end, and where the text is no list: why is
 * then set, and what came before has been good.
 */
bool	 mailbox_next(struct mailbox_list *, struct mailbox *);
void	 mailbox_list_clear(struct mailbox_list *);	/* frees */

/*
 * A display name in front of an address, as atoms, quoted string or encoded
 * words (RFC 2047) as it needs; control characters are left out. False if it
 * does not fit.
 */
bool	 mailbox_phrase_write(struct buf *, struct span name);

#endif
