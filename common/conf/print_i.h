/*
 * What the files that write a configuration share; for them alone.
 */
#ifndef CONF_PRINT_I_H
#define CONF_PRINT_I_H

#include "common/conf/conf.h"

/* ---- print_word.c ---- */
/* As it stands between quotes; with them. */
void	 put_escaped(struct buf *, struct span);
void	 put_quoted(struct buf *, const char *);
void	 put_quoted_span(struct buf *, struct span);
void	 put_duration(struct buf *, int64_t ms);
void	 put_size(struct buf *, uint64_t);
void	 put_addr(struct buf *, const struct addr *);
/* A table's entries, in braces. */
void	 put_entries(struct buf *, const struct conf_table *);
/* The same or its name, where <T> stands. */
void	 put_tspec(struct buf *, const struct conf_table *);
/* ---- print_action.c: statements ---- */
void	 print_pool(struct buf *, const struct conf_pool *);
void	 print_action(struct buf *, const struct conf_action *);

#endif
