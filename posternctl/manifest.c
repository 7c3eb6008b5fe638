/*
 * A backup's manifest, written and read: see manifest.h.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "posternctl/manifest.h"

#define FIRST_LINE	"postern-backup 1\n"
#define LINE_MAX_LEN	200

bool
manifest_name_ok(const char *name)
{
	const char	*p = strncmp(name, "seg.", 4) == 0 ? name + 4 :
			    strncmp(name, "body.", 5) == 0 ? name + 5 : NULL;

	return p != NULL && strlen(p) == 16 &&
	    strspn(p, "0123456789abcdef") == 16;
}

int
manifest_begin(FILE *f)
{
	char		 when[32];
	time_t		 t = time(NULL);
	struct tm	 tm;

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return fprintf(f, FIRST_LINE "taken %s\n", when) < 0 ? -1 : 0;
}

int
manifest_file(FILE *f, const char *name, int64_t size, int64_t bytes,
    uint32_t crc)
{
	return fprintf(f, "file %s %" PRId64 " %" PRId64 " %08" PRIx32 "\n",
	    name, size, bytes, crc) < 0 ? -1 : 0;
}

int
manifest_end(FILE *f, int64_t files)
{
	return fprintf(f, "end %" PRId64 "\n", files) < 0 ? -1 : 0;
}

static bool
entry_parse(const char *line, struct manifest_entry *e)
{
	int	 n = 0;

	return sscanf(line, "file %31s %" SCNd64 " %" SCNd64 " %" SCNx32
	    " %n", e->name, &e->size, &e->bytes, &e->crc, &n) == 4 &&
	    line[n] == '\0' && manifest_name_ok(e->name) && e->bytes >= 0 &&
	    e->size >= e->bytes;
}

/* Reads it once without f: it is whole, or not used. */
static int
read_all(FILE *m, int (*f)(const struct manifest_entry *, void *), void *arg)
{
	struct manifest_entry e;
	char		 line[LINE_MAX_LEN], extra;
	int64_t		 files = 0, said;
	int		 st;

	rewind(m);
	if (fgets(line, sizeof(line), m) == NULL ||
	    strcmp(line, FIRST_LINE) != 0 ||
	    fgets(line, sizeof(line), m) == NULL ||
	    strncmp(line, "taken ", 6) != 0)
		return -1;
	while (fgets(line, sizeof(line), m) != NULL) {
		if (sscanf(line, "end %" SCNd64 "%c", &said, &extra) == 2)
			return said == files && fgetc(m) == EOF ? 0 : -1;
		if (!entry_parse(line, &e))
			return -1;
		files++;
		if (f != NULL && (st = f(&e, arg)) != 0)
			return st;
	}
	return -1;
}

int
manifest_each(int dirfd, int (*f)(const struct manifest_entry *, void *),
    void *arg)
{
	FILE	*m;
	int	 fd, st;

	fd = openat(dirfd, MANIFEST, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if ((m = fdopen(fd, "r")) == NULL) {
		close(fd);
		return -1;
	}
	if ((st = read_all(m, NULL, NULL)) == 0)
		st = read_all(m, f, arg);
	fclose(m);
	return st;
}
