/*
 * What an alias stands for: the value of an entry of an `expand aliases` table,
 * and the text of a file that an :include: names. A list, between commas (in a
 * file also between lines, where # begins a comment), of
 *
 *	user@domain	"quoted"@domain	an address
 *	user		"quoted"	the same domain as the alias's
 *	@domain				the same local part, in that domain
 *	:include:PATH			what stands in that file
 *
 * What other gateways also take, "|program" and "/file", is refused: postern
 * starts no program for mail and keeps none in files. Pure.
 */
#ifndef CONF_ALIAS_H
#define CONF_ALIAS_H

#include "common/conf/conf.h"

#define ALIAS_LOCAL_MAX	255	/* octets: SMTP_LOCAL_MAX, as at RCPT */
#define ALIAS_PATH_MAX	1000	/* bytes of a file's name */
#define ALIAS_DEPTH	10	/* files that include files */

enum alias_kind { ALIAS_ADDRESS, ALIAS_NAME, ALIAS_DOMAIN, ALIAS_INCLUDE };
struct alias {			/* borrowed from the list */
	enum alias_kind	 kind;
	struct span	 text;	/* the address, local part, domain or path */
};
/*
 * The next element; empty ones are passed over. PARSE_OK; PARSE_MORE: there is
 * none; PARSE_BAD: *why says what is wrong, in is behind it.
 */
enum parse alias_next(struct span *in, struct alias *, const char **why);
/*
 * The address that an element means for this recipient (with a domain, or
 * <postmaster>'s, which has none: then ours stands for it), in dst. by_user:
 * the entry is one of the recipient's name without his extension, which goes
 * along to names of his own domain that have none. False: it is longer than an
 * address may be.
 */
#define ALIAS_ADDR_MAX	CONF_PATH_MAX
bool	 alias_address(const struct conf *, const struct alias *,
	    struct span rcpt, bool by_user, char dst[ALIAS_ADDR_MAX]);
/* The text of an included file; false: the tree has none of this name. */
bool	 alias_file(const struct conf *, struct span path, struct span *text);
/*
 * The entry of a recipient: *value, and whether it is one of his name without
 * his extension (see above).
 */
bool	 alias_entry(const struct conf *, const struct conf_action *,
	    struct span rcpt, bool ours, struct span *value, bool *by_user);

#endif
