/*
 * Landlock: what the running kernel's ABI can take away, taken away. The only
 * fence that may be missing (containers and old kernels lack it).
 */
#ifndef PROC_LANDLOCK_H
#define PROC_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

/*
 * All file rights are refused, but below dir (NULL: nowhere); TCP is refused
 * but connecting to the ports, from an address of one's choice. no_new_privs
 * must be set. Gives the ABI, 0 where the kernel has none, -1 with errno where
 * it has one and a step failed.
 */
int	 landlock_install(const char *dir, const uint16_t *ports,
	    size_t nports);

#endif
