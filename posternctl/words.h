/*
 * The commands of posternctl: one table row each. A command file exports its
 * rows; words.c has the table of tables, finds the row and prints the help.
 */
#ifndef POSTERNCTL_WORDS_H
#define POSTERNCTL_WORDS_H

#include "posternctl/ask.h"

struct call {
	const char	*dir;		/* control directory */
	const char	*conf;		/* the configuration's file */
	const char	*scheme;	/* of -S; or NULL */
	bool		 json, quiet, yes, progress;
	int		 argc;		/* words behind the command's own */
	char	       **argv;
};

struct command {
	const char	*words;		/* "queue list"; table ends with NULL */
	const char	*args;		/* as the manual writes them */
	const char	*help;
	int		 min, max;	/* number of arguments; max -1: any */
	int		(*run)(const struct call *);
};

extern const struct command commands_show[], commands_queue[],
    commands_message[], commands_recipient[], commands_backup[],
    commands_offline[], commands_gateway[], commands_table[],
    commands_mirror[], commands_user[];

/* Finds the command at the front of the words; *used tells how many words it
 * took. NULL: none, and what is possible has been said on standard error. */
const struct command *words_find(int argc, char **argv, int *used);
void	 words_help(void);

#endif
