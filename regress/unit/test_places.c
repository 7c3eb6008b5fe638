/*
 * Where programs look for the gateway's sockets: by its configuration, as far as
 * it is there, may be read, and says something.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "posternctl/places.h"

static char	dir[] = "/tmp/placesXXXXXX";

static const char *
at(const char *name)
{
	static char	 path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
file(const char *name, const char *text)
{
	FILE	*f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
are(const char *conf, const char *control, const char *submission, int line)
{
	struct conf_places p;

	places_find(at(conf), &p);
	if (strcmp(p.control, control) != 0 ||
	    strcmp(p.submission, submission) != 0)
		fail_msg("line %d: \"%s\", \"%s\"", line, p.control,
		    p.submission);
}
#define ARE(conf, control, submission)					\
	are((conf), (control), (submission), __LINE__)
#define SAYS(text, control, submission) do {				\
	file("c", (text));						\
	ARE("c", (control), (submission));				\
} while (0)
#define RUN	"/run/postern"
#define SUB	"/run/postern-submission"

static void
texts(void **state)
{
	(void)state;
	ARE("none", RUN, SUB);
	ARE("", RUN, SUB);		/* a folder */
	SAYS("", RUN, SUB);
	SAYS("hostname gw.example.org\n", RUN, SUB);
	SAYS("control path \"/c/d\"\n", "/c/d", "/c/d-submission");
	SAYS("control path /c/d\n", "/c/d", "/c/d-submission");
	SAYS("dir = \"/m\"\ncontrol path $dir\n", "/m", "/m-submission");
	SAYS("listen on socket \"/s\" tag t\nlisten on socket \"/t\"\n", RUN,
	    "/s");
	SAYS("listen on socket\nlisten on 192.0.2.1 port 25\n", RUN, SUB);
	SAYS("listen on socket tag t\ncontrol path /c\n", "/c",
	    "/c-submission");
	/* Whatever else is wrong with it. */
	SAYS("nonsense } {{ \"\ncontrol path \"/c\"\nmatch\n", "/c",
	    "/c-submission");
	SAYS("action \"x\" rely\ncontrol path \"/c\"\nmatch\n", "/c",
	    "/c-submission");
	SAYS("table t { a, b\ncontrol path \"/c\"\n", "/c", "/c-submission");
	SAYS("control path \"relative\"\n", RUN, SUB);
	SAYS("control path\n", RUN, SUB);
	SAYS("# control path \"/c\"\n", RUN, SUB);
	SAYS("control path \"/a2345678901234567890123456789012345678901234567"
	    "8901234567890123456789012345678901234567890123456789012345678901"
	    "\"\n", RUN, SUB);
}

static void
included(void **state)
{
	char	 text[300];

	(void)state;
	file("one.inc", "d = \"/one\"\ninclude \"two.inc\"\n");
	file("two.inc", "control path $d\n");
	SAYS("include \"one.inc\"\nlisten on socket \"/s\"\n", "/one", "/s");
	SAYS("include \"*.inc\"\n", "/one", "/one-submission");
	snprintf(text, sizeof(text), "include \"%s\"\n", at("one.inc"));
	SAYS(text, "/one", "/one-submission");
	SAYS("include \"three.inc\"\n", RUN, SUB);
	/* Itself, without an end. */
	SAYS("control path /c\ninclude \"c\"\n", "/c", "/c-submission");
	/* A file that this user may not read says nothing. */
	assert_int_equal(unlink(at("two.inc")), 0);
	assert_int_equal(mkfifo(at("two.inc"), 0600), 0);
	SAYS("include \"one.inc\"\nlisten on socket \"/s\"\n", RUN, "/s");
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "c", "one.inc", "two.inc" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		(void)unlink(at(names[i]));
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts), cmocka_unit_test(included)
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
