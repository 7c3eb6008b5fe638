/*
 * Files for contents longer than a record takes. Their names say the message's
 * id; one without a message in the index is left over from a crash and goes at
 * the next start.
 */
#include <fcntl.h>
#include <stdio.h>

#include "queued/diskio.h"
#include "queued/queue.h"

static char *
name_of(uint64_t id, char *dst, size_t size)
{
	snprintf(dst, size, "body.%016llx", (unsigned long long)id);
	return dst;
}

int
body_open(uint64_t id, bool create)
{
	char	 name[32];

	name_of(id, name, sizeof(name));
	if (create)	/* what an aborted transaction left has no owner */
		dio_unlink(name);
	return dio_open(name, create ? O_RDWR | O_CREAT | O_EXCL : O_RDONLY);
}

void
body_unlink(uint64_t id)
{
	char	 name[32];

	dio_unlink(name_of(id, name, sizeof(name)));
}

bool
body_name(const char *name, uint64_t *id)
{
	unsigned long long n;
	char	 check[32];

	if (sscanf(name, "body.%16llx", &n) != 1 ||
	    strcmp(name_of(n, check, sizeof(check)), name) != 0)
		return false;
	*id = n;
	return true;
}
