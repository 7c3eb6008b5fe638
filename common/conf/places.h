/*
 * Where the sockets of a gateway are, by its configuration: for programs that
 * talk to it and need nothing else of it. Pure.
 */
#ifndef CONF_PLACES_H
#define CONF_PLACES_H

#include "common/base/span.h"

#define PLACE_MAX	108	/* bytes of a path with its NUL */

struct conf_places {
	char	 control[PLACE_MAX];	/* folder of the control sockets */
	char	 submission[PLACE_MAX];	/* the first socket of `listen` */
};
/*
 * The file of the users' table of this name; NULL: of the only one that there
 * is. False: there is none, or it is not clear which.
 */
#define USERS_PATH_LEN	1001	/* bytes of a path with its NUL */
bool	 conf_users(struct span bundle, const char *name,
	    char path[USERS_PATH_LEN]);
/* What a bundle says, or the defaults; errors in it are passed over. */
void	 conf_places(struct span bundle, struct conf_places *);

#endif
