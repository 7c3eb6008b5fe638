/*
 * The configuration as it travels from the parent to each daemon: the texts of
 * all files with includes resolved and tables read, macros given on the command
 * line, and facts of the machine. Every daemon parses the same bytes, so none
 * opens a file. Pure functions over bytes.
 */
#ifndef CONF_BUNDLE_H
#define CONF_BUNDLE_H

#include "common/base/buf.h"

#define BUNDLE_MAX	(3UL << 30)	/* bytes in all */

enum bundle_kind {
	BUNDLE_MAIN,		/* name: path of the main file; text */
	BUNDLE_INCLUDE,		/* name: the pattern as written; each match */
	BUNDLE_TABLE,		/* key: the path as written; text, or a cdb */
	BUNDLE_MACRO,		/* name=value of -D */
	BUNDLE_HOSTNAME,	/* the machine's fully qualified name */
	BUNDLE_ADDRESS,		/* key: an interface; text: its address */
	BUNDLE_RESOLVER,	/* text: a nameserver of resolv.conf */
	BUNDLE_GENERATION,	/* text: decimal number of this configuration */
	BUNDLE_LIST		/* key: the path as written in an :include: of
				 * an alias; text */
};
struct bundle_item {
	enum bundle_kind kind;
	struct span	 name;	/* of the file that really was opened */
	struct span	 key;	/* how it is referred to (pattern, path) */
	struct span	 text;
};

void	 bundle_begin(struct buf *);
bool	 bundle_add(struct buf *, enum bundle_kind, struct span name,
	    struct span key, struct span text);
/* The next item; s begins as the whole bundle. False: the end, or broken. */
bool	 bundle_next(struct span *s, struct bundle_item *);

#endif
