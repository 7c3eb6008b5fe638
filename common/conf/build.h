/*
 * Between the grammar and the tree: what the actions of gram.y call. For the
 * parser alone.
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include "common/conf/lex.h"
#include "common/conf/table_i.h"

#define ACTION_NAME_MAX	64	/* fits msg.def */

/* An action by name: known as soon as something names it. */
struct build_action {
	struct conf_action	 act;		/* first: the tree points here */
	struct conf_pos		 used_pos;
	bool			 defined, used;
	struct build_action	*next;
};

struct build {
	struct lex		 lex;
	struct conf		*conf;
	struct arena		*mem;
	struct build_action	*actions;
	struct conf_listen	*listen;	/* the statement in work */
	struct build_action	*action;
	struct conf_rule	*rule;
	struct conf_table	*table;
	const char		*listen_on;
	struct conf_pos		 listen_pos;
	uint64_t		 port;
	bool			 submission;	/* a listen on socket was seen */
	bool			 seen_for, seen_from;
	bool			 nat;		/* `not` stands before the value */
};

/* The union of conf, with what the tree's owner frees. */
struct conf_full {
	struct conf		 conf;		/* first */
	struct arena		*mem;
};

/* "pki is not supported yet" at pos. */
void	 build_later(struct build *, const struct conf_pos *, const char *what);
void	*build_alloc(struct build *, size_t);
/* Appends p to an array of pointers of the tree. */
void	 build_push(struct build *, void ***array, size_t *n, void *p);

/* Values of words; an error at pos and a harmless value if they are none. */
int64_t	 build_duration(struct build *, const struct conf_pos *, const char *);
uint64_t build_size(struct build *, const struct conf_pos *, const char *);
unsigned build_number(struct build *, const struct conf_pos *, uint64_t,
	    unsigned min, unsigned max);
struct addr build_addr(struct build *, const struct conf_pos *, const char *,
	    uint16_t port);
const char *build_hostname(struct build *, const struct conf_pos *,
	    const char *);

/* Tables: by name, or of one string. */
struct conf_table *build_table(struct build *, const struct conf_pos *,
	    const char *name);
struct conf_table *build_inline(struct build *, const struct conf_pos *);
void	 build_entry(struct build *, const struct conf_pos *,
	    struct conf_table *, const char *key, const char *value);
void	 build_table_begin(struct build *, const struct conf_pos *,
	    const char *name);
void	 build_table_file(struct build *, const struct conf_pos *,
	    const char *path);

void	 build_action_begin(struct build *, const struct conf_pos *,
	    const char *name, enum conf_action_type);
void	 build_dest(struct build *, const struct conf_pos *, const char *);
const struct conf_action *build_action_named(struct build *,
	    const struct conf_pos *, const char *name);

void	 build_listen_begin(struct build *, const struct conf_pos *,
	    const char *where);
void	 build_listen_socket(struct build *, const struct conf_pos *,
	    const char *path);
void	 build_listen_end(struct build *);

void	 build_rule_begin(struct build *, const struct conf_pos *);
void	 build_rule_end(struct build *);
void	 build_reject(struct build *, const struct conf_pos *, const char *);

/* Everything that a grammar can't check; defaults that depend on the whole. */
void	 check_all(struct build *);

#endif
