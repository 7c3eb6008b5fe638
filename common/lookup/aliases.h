/*
 * From a recipient to those whom it stands for: the walk over rules and aliases
 * (common/conf/alias.h), with loops found, and to postmaster's reader (RFC
 * 5321, 4.5.1; RFC 2142). What is done with each is the owner's: smtpd makes
 * copies for a session, queued for mail of its own. Pure but for its memory.
 */
#ifndef LOOKUP_ALIASES_H
#define LOOKUP_ALIASES_H

#include "common/base/map.h"
#include "common/conf/match.h"

#define ALIASES_DEPTH	10	/* aliases of aliases */

/* A recipient on the walk. */
struct aliases_step {
	struct span	 to;		/* canonical, without <> */
	unsigned	 depth;		/* 0: as the client gave it */
	size_t		 skip;		/* rules passed over */
};
struct aliases_ops {
	/* What the rules behind the first `skip` say of it. */
	void	(*match)(void *arg, const struct aliases_step *,
		    struct match_out *);
	/* The actions of a rule, none of them an alias's. */
	void	(*found)(void *arg, const struct aliases_step *,
		    const struct match_out *);
	/* text is static, or the configuration's; rule NULL: none said so. */
	void	(*refused)(void *arg, const struct aliases_step *,
		    uint16_t code, const char *text,
		    const struct conf_pos *rule);
};
struct aliases {
	const struct conf *conf;
	const struct aliases_ops *ops;
	void		*arg;
	size_t		 max;		/* addresses that are looked at */
	/* The walk ends: set by it, and by the owner where it has enough. */
	bool		 stop;
	bool		 too_many;	/* there were more than max */
	bool		 need_rdns;	/* once more when the peer is known */
	bool		 memory;	/* there was none */
	struct span	 first;		/* the walk's own, and so is */
	struct map	*seen;
};

/* Each address is looked at once. */
void	 aliases_walk(struct aliases *, const struct aliases_step *first);
/* What one gets that is more than ALIASES_DEPTH away. */
extern const char aliases_too_far[];
/* Is it postmaster, or abuse in a domain? */
bool	 aliases_is_role(struct span to);
/* An address in the form that sessions have; false: it can be none. */
bool	 aliases_canonical(struct span address, struct buf *out);

#endif
