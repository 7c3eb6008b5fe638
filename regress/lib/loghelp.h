/*
 * Reads the log for a while, what it says at its usual level. For cmocka.
 */
#ifndef REGRESS_LOGHELP_H
#define REGRESS_LOGHELP_H

#include <stdbool.h>

void	 log_begin(void);
/* The end; was this in it? */
bool	 log_end(const char *what);

#endif
