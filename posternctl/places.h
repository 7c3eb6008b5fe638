/*
 * Where the gateway's sockets are: what postern.conf(5) says as far as the caller
 * may read it, else the defaults.
 */
#ifndef POSTERNCTL_PLACES_H
#define POSTERNCTL_PLACES_H

#include "common/conf/places.h"

/* By the configuration in this file and those that it includes. */
void	 places_find(const char *file, struct conf_places *);
/* The same for the file of a users' table; see conf_users(). */
bool	 places_users(const char *file, const char *name,
	    char path[USERS_PATH_LEN]);

#endif
