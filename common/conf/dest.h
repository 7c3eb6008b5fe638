/*
 * Destinations as they are written: "host", "host:port", "[IPv6]:port",
 * "mx:domain", with or without a scheme; and lists of them, as the values of a
 * table have them (`to <T> by …`). Pure functions.
 */
#ifndef CONF_DEST_H
#define CONF_DEST_H

#include "common/conf/conf.h"

#define DEST_NAME_MAX	256	/* bytes of a host, with its NUL */
#define DEST_LABEL_MAX	64	/* bytes of a label of the credentials */
#define DEST_LIST_MAX	16	/* destinations of one table's value */

/*
 * Reads one destination; d->host then is `host`, which the caller owns. False:
 * it is none. *later is what a later version brings (a scheme, "unix:
 * destinations"), else NULL.
 */
bool	 dest_read(struct span text, struct conf_dest *d,
	    char host[DEST_NAME_MAX], const char **later);
/*
 * "DEST [weight N] [standby] [auth LABEL [auth-plaintext]], …" as a pool of its
 * own, to be given to dest_list_free(). NULL with *why (static): it is none, or
 * no memory.
 */
struct conf_pool *dest_list(struct span text, const char **why);
void	 dest_list_free(struct conf_pool *);	/* takes NULL */

#endif
