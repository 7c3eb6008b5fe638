/*
 * The configuration by words alone, without a parser: statement after statement,
 * with macros and includes done, whatever is wrong with the rest. For those who
 * look for a few words; errors are nobody's business here.
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "common/conf/lex.h"
#include "common/conf/gram.h"

#define SCAN_WORDS	4	/* of a statement that are kept */

struct scan {
	struct lex	 lex;
	struct conf_pos	 pos;
	int		 token[SCAN_WORDS];	/* of gram.h */
	const char	*text[SCAN_WORDS];	/* live as long as the scan */
	size_t		 n;
	/* Or NULL: has every string of it. */
	void		(*string)(const char *, void *);
	void		*arg;
	struct buf	 ignored;
	struct arena	*mem;
};

/* NULL: there is no memory. The bundle stays the caller's. */
struct scan *scan_new(struct span bundle);
void	 scan_free(struct scan *);	/* takes NULL */
/* The next statement; the one before it, if it defines a macro or includes
 * files, holds from here on. False: there is none. */
bool	 scan_next(struct scan *);

#endif
