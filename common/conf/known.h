/*
 * Who says whether a recipient is known (`recipients { … }` of an action): what
 * tables say at once, and the name under which a server's answers are kept.
 * Pure.
 */
#ifndef CONF_KNOWN_H
#define CONF_KNOWN_H

#include "common/conf/conf.h"

#define KNOWN_WHERE_MAX	80	/* bytes of a place's name, with its NUL */

/* Is there anything that says whether a recipient of this action is known? */
bool	 conf_verifies(const struct conf_action *);
/* Is its server asked? backup-mx asks without being told. */
bool	 conf_asks_server(const struct conf_action *);
/*
 * Where a server's answers belong: "pool NAME", so that actions of one pool
 * share them, else "action NAME". Gives dst.
 */
char	*conf_known_where(const struct conf_action *,
	    char dst[KNOWN_WHERE_MAX]);

enum known_says {
	KNOWN_SAYS_YES,
	KNOWN_SAYS_NO,		/* a directory that is whole for the domain */
	KNOWN_SAYS_ASK,		/* the server, and if it says no go on behind */
	KNOWN_SAYS_END		/* nobody knows it */
};
/*
 * What the sources from number *next on say of the address; *next is then
 * behind the one that said it. An action that verifies without sources asks its
 * server.
 */
enum known_says conf_known(const struct conf *, const struct conf_action *,
	    struct span to, size_t *next);

#endif
