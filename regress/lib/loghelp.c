/*
 * See loghelp.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "regress/lib/loghelp.h"

static int	 stderr_fd = -1;
static FILE	*logfile;
static enum log_level	 level;

void
log_begin(void)
{
	assert_non_null(logfile = tmpfile());
	stderr_fd = dup(2);
	dup2(fileno(logfile), 2);
	level = log_get_level();
	log_set_level(LOG_LV_INFO);
}

bool
log_end(const char *what)
{
	char	line[4096];
	bool	found = false;

	dup2(stderr_fd, 2);
	close(stderr_fd);
	log_set_level(level);
	rewind(logfile);
	while (fgets(line, sizeof(line), logfile) != NULL)
		found |= strstr(line, what) != NULL;
	fclose(logfile);
	return found;
}
