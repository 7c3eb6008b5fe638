/*
 * posternctl: the administrator's tool. Options, then one command of words.c.
 * Under the names sendmail, mailq and newaliases it is what they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/places.h"
#include "posternctl/sendmail.h"
#include "posternctl/words.h"

#include "common/base/clock.h"

#ifdef POSTERN_NO_SANDBOX
#define BUILD_KIND	" (sanitizer or coverage build, without sandbox)"
#else
#define BUILD_KIND	""
#endif

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: posternctl [-jpqy] [-f FILE] [-S SCHEME] "
	    "[-s DIR] command [argument ...]\n       posternctl help\n");
	exit(EX_USAGE);
}

int
main(int argc, char **argv)
{
	struct call		 call = { 0 };
	struct conf_places	 places;
	const char		*conf = CONFFILE;
	const struct command	*c;
	int			 ch, used;
	const char		*name;

	name = basename(argv[0] != NULL ? argv[0] : "");
	if (sendmail_named(name))
		return sendmail_main(name, argc, argv);
	while ((ch = getopt(argc, argv, "+f:jpqS:s:Vy")) != -1)
		switch (ch) {
		case 'f':
			conf = optarg;
			break;
		case 'j':
			call.json = true;
			break;
		case 'p':
			call.progress = true;
			break;
		case 'q':
			call.quiet = true;
			break;
		case 'y':
			call.yes = true;
			break;
		case 'S':
			call.scheme = optarg;
			break;
		case 's':
			call.dir = optarg;
			break;
		case 'V':
			printf("posternctl %s%s\n", VERSION, BUILD_KIND);
			return 0;
		default:
			usage();
		}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		usage();
	if (strcmp(argv[0], "help") == 0) {
		words_help();
		return 0;
	}
	if ((c = words_find(argc, argv, &used)) == NULL)
		return EX_USAGE;
	call.conf = conf;
	call.argc = argc - used;
	call.argv = argv + used;
	if (call.argc < c->min || (c->max != -1 && call.argc > c->max)) {
		fprintf(stderr, "usage: posternctl %s %s\n", c->words, c->args);
		return EX_USAGE;
	}
	if (call.dir == NULL) {
		places_find(conf, &places);
		call.dir = places.control;
	}
	return c->run(&call);
}
