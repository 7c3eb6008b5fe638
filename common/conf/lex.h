/*
 * Words of the configuration, with the position of each: the lexer that the
 * grammar and conf_wants() share. It works on the texts of a bundle and keeps a
 * stack of them for includes.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include "common/base/arena.h"
#include "common/conf/conf.h"

#define LEX_DEPTH_MAX	16	/* includes within includes */
#define LEX_MACROS_MAX	256
#define LEX_ERRORS_MAX	50	/* shown; more are only counted */

struct lex_source {
	const char	*file;
	struct span	 text;		/* whole, for the line of an error */
	size_t		 pos;
	unsigned	 line;
	size_t		 bol;		/* where the current line begins */
};
struct lex_macro {
	const char	*name, *value;
};
struct lex {
	struct arena	*mem;		/* of all strings */
	struct span	 bundle;
	struct lex_source stack[LEX_DEPTH_MAX];
	size_t		 depth;
	struct lex_source seen[256];	/* every text, to show lines of errors */
	size_t		 nseen;
	struct lex_macro macros[LEX_MACROS_MAX];
	size_t		 nmacros;
	unsigned	 braces;	/* newlines within them mean nothing */
	bool		 skip;		/* to the end of this statement */
	bool		 ended;		/* the final newline was given */
	/* the token that was given last */
	struct conf_pos	 pos;
	const char	*word;		/* its text, for "unexpected …" */
	bool		 quoted, at_newline;
	/* messages */
	struct buf	*msgs;
	unsigned	 errors;
};

void	 lex_init(struct lex *, struct arena *, struct span bundle,
	    struct buf *msgs);
/* The next token; its text (STRING, TABLEREF) or number goes to *text, *num. */
int	 lex_next(struct lex *, const char **text, uint64_t *num,
	    struct conf_pos *);
/* Reads the bundle's files of this pattern next. False if there are none. */
bool	 lex_include(struct lex *, const char *pattern);
bool	 lex_macro_set(struct lex *, const char *name, const char *value);
/* Gives up the rest of this statement. */
void	 lex_skip(struct lex *);
void	 lex_error(struct lex *, const struct conf_pos *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
void	 lex_warning(struct lex *, const struct conf_pos *, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
/* The reserved word nearest to w, NULL if none is near. */
const char *lex_nearest(const char *w);
/* The reserved word of a token, NULL if it is none. */
const char *lex_word_of(int token);

#endif
