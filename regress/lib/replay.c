/*
 * main() for a fuzz target without a fuzzer: runs it over each file named on
 * the command line, or over each file of each folder named.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static unsigned	done;

static void
replay(const char *path)
{
	struct stat	 st;
	FILE		*f;
	uint8_t		*p;
	size_t		 n;

	if ((f = fopen(path, "rb")) == NULL || fstat(fileno(f), &st) == -1)
		err(1, "%s", path);
	if ((p = malloc(st.st_size ? (size_t)st.st_size : 1)) == NULL)
		err(1, NULL);
	n = fread(p, 1, (size_t)st.st_size, f);
	LLVMFuzzerTestOneInput(p, n);
	free(p);
	fclose(f);
	done++;
}

int
main(int argc, char **argv)
{
	char		 path[4096];
	struct dirent	*e;
	DIR		*d;

	for (int i = 1; i < argc; i++) {
		if ((d = opendir(argv[i])) == NULL) {
			replay(argv[i]);
			continue;
		}
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i],
			    e->d_name);
			replay(path);
		}
		closedir(d);
	}
	printf("%u inputs\n", done);
	return done == 0;
}
