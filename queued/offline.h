/*
 * queued by hand, for posternctl: a queue that nobody runs on is checked, or
 * made ready for a start after damage.
 *
 *	queued verify DIR	queued recover DIR
 *
 * DIR is the folder of the segments. As root this is done as its owner.
 */
#ifndef QUEUED_OFFLINE_H
#define QUEUED_OFFLINE_H

#include <stdbool.h>

bool	 offline_wanted(int argc, char **argv);
/* An exit status of sysexits(3). */
int	 offline_main(int argc, char **argv);

#endif
