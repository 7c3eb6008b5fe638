/*
 * Making tables; for the parser alone.
 */
#ifndef CONF_TABLE_I_H
#define CONF_TABLE_I_H

#include "common/base/arena.h"
#include "common/base/map.h"
#include "common/conf/table.h"

#define TABLE_KEY_MAX	1000	/* bytes of a key */

struct table_entry {
	struct span	 key, value;
};
struct conf_table {
	const char	*name;		/* NULL: stands in a statement */
	const char	*path;		/* of a file; NULL: in place */
	struct conf_pos	 pos;		/* where it is defined, or first used */
	bool		 defined, used;
	bool		 is_map;	/* some entry has a value */
	struct table_entry *entries;
	size_t		 n, cap;
	struct map	*index;		/* key as compared → number + 1 */
	struct map	*prefixes;	/* family, bits, address → number + 1 */
	struct map	*domains;	/* of keys with an @ */
	bool		 bits4[33], bits6[129];
	bool		 told;		/* its entries were looked at */
};

/* NULL: out of memory. The table is the arena's, but for its maps. */
struct conf_table *table_new(struct arena *, const char *name);
void	 table_clear(struct conf_table *);
/* Adds an entry; a key that is there already keeps its first value. False: out
 * of memory, an empty key, or one longer than TABLE_KEY_MAX. */
bool	 table_add(struct arena *, struct conf_table *, struct span key,
	    struct span value);
/* Reads a file's text: "key", "key value" or "key: value" on a line; # at the
 * beginning of a word begins a comment. Gives the line number of the first bad
 * line, 0 if all are good. */
unsigned table_load(struct arena *, struct conf_table *, struct span text);
/* Does exactly this prefix stand in it? */
bool	 table_has_prefix(const struct conf_table *, const struct addr *,
	    uint8_t bits);

#endif
