/*
 * Words of the configuration, with the position of each: the lexer that the
 * grammar and conf_wants() share. It works on the texts of a bundle and keeps a
 * stack of them for includes. It also writes the messages, since it has the
 * lines.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include "common/base/arena.h"
#include "common/conf/conf.h"

#define LEX_DEPTH_MAX	16	/* includes within includes */
#define LEX_FILES_MAX	256	/* texts read in all, so that files which
				 * include each other many times end */
#define LEX_MACROS_MAX	256
#define LEX_WORD_MAX	4096	/* bytes of one word or string */
#define LEX_SHOWN_MAX	50	/* errors, and warnings; more are counted */

struct lex_source {
	const char	*file;
	struct span	 text;		/* whole, for the line of an error */
	size_t		 pos;
	unsigned	 line;
	size_t		 bol;		/* where the current line begins */
	unsigned	 depth;		/* of includes */
	bool		 fresh;		/* no token on this line yet */
};
struct lex_macro {
	const char	*name, *value;
	bool		 given;		/* on the command line: that one wins */
};
struct lex {
	struct arena	*mem;		/* of all strings */
	struct span	 bundle;
	struct lex_source stack[LEX_FILES_MAX];
	size_t		 depth;
	struct lex_source seen[LEX_FILES_MAX];	/* to show lines of errors */
	size_t		 nseen;
	struct lex_macro macros[LEX_MACROS_MAX];
	size_t		 nmacros;
	unsigned	 braces;	/* newlines within them mean nothing */
	unsigned	 brace_line;	/* of the first one that is open */
	bool		 in_table;	/* these are `table NAME { … }` */
	bool		 skip;		/* to the end of this statement */
	bool		 newline;	/* give a newline first */
	bool		 ended;		/* the final newline was given */
	/* the token that was given last */
	int		 token;
	int		 before;	/* the token before it */
	size_t		 start;		/* where it begins in its text */
	struct conf_pos	 pos;
	const char	*word;		/* its text, for "unexpected …" */
	bool		 quoted, first;	/* first of its line */
	const char	*prev_word;	/* the token before it */
	struct conf_pos	 prev_pos;
	/* messages */
	struct buf	*msgs;
	unsigned	 errors, warnings;
};

/* Begins with the bundle's main file; takes macros of the command line. */
void	 lex_init(struct lex *, struct arena *, struct span bundle,
	    struct buf *msgs);
/* The next token, 0 at the end; the text of a STRING, NUMBER or TABLEREF goes
 * to *text and lives as long as the arena. */
int	 lex_next(struct lex *, const char **text, struct conf_pos *);
/* Does a statement begin with this token? */
bool	 lex_is_statement(int token);
/* Reads the bundle's files of this pattern next, in their order. */
void	 lex_include(struct lex *, const struct conf_pos *,
	    const char *pattern);
void	 lex_macro_set(struct lex *, const struct conf_pos *, const char *name,
	    const char *value);
/* Gives up the rest of this statement: the next token is its newline. */
void	 lex_skip(struct lex *);
void	 lex_error(struct lex *, const struct conf_pos *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
void	 lex_warning(struct lex *, const struct conf_pos *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));

#endif
