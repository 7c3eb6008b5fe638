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
/* What a bundle says, or the defaults; errors in it are passed over. */
void	 conf_places(struct span bundle, struct conf_places *);

#endif
