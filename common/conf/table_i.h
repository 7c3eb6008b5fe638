/*
 * Making tables; for the parser alone.
 */
#ifndef CONF_TABLE_I_H
#define CONF_TABLE_I_H

#include <cdb.h>

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
	/* A file of makemap's, in the bundle: entries and maps are empty. */
	bool		 is_cdb;
	bool		 is_users;	/* of logins: its entries are keyd's */
	bool		 is_dovecot;	/* the same, behind a socket: its path */
	bool		 judges;	/* stands behind `auth` */
	struct cdb	 cdb;
	size_t		 ncdb;		/* its entries */
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
/* A key as it is compared: ASCII in lower case, a domain with A-labels; in
 * dst. */
#define TABLE_CANON_MAX	(TABLE_KEY_MAX + 256)	/* a domain may grow */
struct span table_canon(struct span key, char dst[TABLE_CANON_MAX]);
/* The key of a prefix: family, bits, the address's first bits; in dst. */
struct span table_prefix_key(const struct addr *, uint8_t bits,
	    uint8_t dst[18]);

/* ---- table_cdb.c: tables made by `posternctl makemap` ---- */
/* The bytes of such a file, which must outlive the table. NULL, or why not. */
const char *table_cdb_open(struct conf_table *, struct span file);
/* What stands behind a key of this kind: 'k' as compared, 'p' a prefix's, 'd'
 * the domain of an address. */
bool	 table_cdb_get(const struct conf_table *, char kind, struct span key,
	    struct span *value);
void	 table_cdb_each(const struct conf_table *,
	    bool (*f)(struct span key, struct span value, void *arg),
	    void *arg);
/* The records of the file that this table, which is none, would be. False: f
 * said so. */
bool	 table_cdb_records(const struct conf_table *,
	    bool (*f)(struct span key, struct span value, void *arg),
	    void *arg);

/* Does exactly this prefix stand in it? */
bool	 table_has_prefix(const struct conf_table *, const struct addr *,
	    uint8_t bits);

#endif
