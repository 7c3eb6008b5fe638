/*
 * The users' tables of one configuration: they come as descriptors, are read at
 * once, and are held against the configuration at the end; taken or thrown away
 * as a whole, as set.h does with keys.
 */
#ifndef KEYD_TABLES_H
#define KEYD_TABLES_H

#include "common/conf/conf.h"
#include "common/sasl/users.h"

#define TABLES_FILE_MAX	(128UL << 20)	/* bytes of one file */
#define TABLES_MAX	100

struct tables;

/* NULL: out of memory. */
struct tables *tables_new(void);
void	 tables_free(struct tables *);	/* wipes the texts; takes NULL */
/* Reads fd (taken) whole; path is for messages. A fault is remembered. */
void	 tables_add(struct tables *, const char *name, const char *path,
	    int fd);
/* Is each users' table of the configuration there, and well-formed? On false
 * *why lives as long as the tables. */
bool	 tables_finish(struct tables *, const struct conf *, const char **why);

size_t	 tables_count(const struct tables *);
/* The n-th: its name and users, borrowed. */
const struct users *tables_at(const struct tables *, size_t n,
	    const char **name);
/* NULL: there is none of this name. */
const struct users *tables_get(const struct tables *, struct span name);

#endif
