/*
 * Which names `posternctl pause destination` means: an action, or a server by
 * its name or address as the configuration has it, with or without its port.
 */
#ifndef LOOKUP_PAUSED_H
#define LOOKUP_PAUSED_H

#include "common/base/addr.h"
#include "common/base/map.h"

#define PAUSED_NAMES_MAX	1000

/* The map's keys are the names. name or addr NULL: the action alone. */
bool	 paused_has(const struct map *, const char *action, const char *name,
	    const struct addr *);

#endif
