/*
 * Finding a command by its words, with the shortest unambiguous beginning of
 * each word being enough, as in smtpctl(8) and bgpctl(8).
 */
#include <stdio.h>
#include <string.h>

#include "posternctl/words.h"

static const struct command *const tables[] = {
	commands_show, commands_queue, commands_message, commands_recipient,
	commands_backup, commands_offline, commands_gateway, commands_table,
	commands_mirror, commands_user, NULL
};

/*
 * How many of the given words spell the command: all its words in order, each
 * by its beginning. 0 if it is not this one; *exact if every word is whole.
 */
static int
words_match(const char *words, int argc, char **argv, bool *exact)
{
	struct span	 s = span_str(words), w;
	int		 n = 0;

	*exact = true;
	while (span_word(&s, " ", &w)) {
		if (n == argc || argv[n][0] == '\0' ||
		    !span_starts(w, span_str(argv[n])))
			return 0;
		if (strlen(argv[n]) != w.len)
			*exact = false;
		n++;
	}
	return n;
}

const struct command *
words_find(int argc, char **argv, int *used)
{
	const struct command	*best = NULL, *c;
	int			 n, count = 0;
	bool			 exact, best_exact = false;

	*used = 0;
	for (size_t t = 0; tables[t] != NULL; t++)
		for (c = tables[t]; c->words != NULL; c++) {
			n = words_match(c->words, argc, argv, &exact);
			if (n == 0 || n < *used)
				continue;
			if (n > *used || (exact && !best_exact)) {
				best = c;
				count = 1;
				best_exact = exact;
			} else if (exact == best_exact)
				count++;
			*used = n;
		}
	if (count == 1)
		return best;
	if (count > 1)
		fprintf(stderr, "posternctl: \"%s\" is ambiguous\n", argv[0]);
	else
		fprintf(stderr, "posternctl: no such command: %s\n", argv[0]);
	fprintf(stderr, "try: posternctl help\n");
	return NULL;
}

void
words_help(void)
{
	const struct command	*c;
	char			 line[80];

	for (size_t t = 0; tables[t] != NULL; t++)
		for (c = tables[t]; c->words != NULL; c++) {
			snprintf(line, sizeof(line), "%s %s", c->words,
			    c->args);
			printf("  %-34s %s\n", line, c->help);
		}
}
