/*
 * The decision for one recipient: a pure function from the rules and what is
 * known of the session to an action or a reply, with the rules that were looked
 * at. smtpd asks it for each RCPT; posternctl will explain with the same code.
 */
#ifndef CONF_MATCH_H
#define CONF_MATCH_H

#include "common/conf/conf.h"

struct match_in {
	struct addr	 client;	/* family 0: the submission socket */
	bool		 local;		/* `from local` holds */
	bool		 rdns_known;	/* rdns is final (it may be empty) */
	struct span	 rdns;		/* confirmed reverse name or empty */
	struct span	 helo;
	bool		 auth;		/* authenticated, whoever it is */
	struct span	 auth_user;	/* empty: nobody, or not known who */
	struct span	 mail_from;	/* without <> */
	struct span	 rcpt_to;	/* without <> */
	struct span	 tag;
	bool		 tls;
	struct span	 cert;		/* SHA-256 in hex of the client's
					 * certificate; empty: it has none */
	bool		 expanded;
	size_t		 skip;		/* rules passed over, from the first */
};

enum match_kind {
	MATCH_ACTION,
	MATCH_REJECT,		/* a reject rule */
	MATCH_NONE,		/* 550 5.7.1, or 5.1.1 for a served domain */
	MATCH_NEED_RDNS		/* ask again when rdns_known */
};
enum match_miss { MISS_FROM, MISS_FOR, MISS_AUTH_USER, MISS_MAIL_FROM,
    MISS_HELO, MISS_TAG, MISS_TLS, MISS_TABLE /* the action's has no entry */,
    MISS_NOTHING /* it matched */ };
#define MATCH_LOOKED_MAX	64	/* rules told; more are only counted */

struct match_out {
	enum match_kind	 kind;
	const struct conf_rule *rule;		/* NULL for MATCH_NONE */
	const struct conf_action *action;	/* the rule's first */
	struct span	 aliases;	/* ACT_EXPAND: the entry's value */
	uint16_t	 code;			/* reply of reject and none */
	const char	*text;		/* with enhanced code, no code */
	struct { const struct conf_rule *rule; enum match_miss miss; }
			 looked[MATCH_LOOKED_MAX];
	size_t		 nlooked;		/* may exceed the array */
};

void	 conf_match(const struct conf *, const struct match_in *,
	    struct match_out *);
/* Do the conditions of one rule, not its action, hold? *need: that hangs on a
 * reverse name that is not known. */
bool	 conf_holds(const struct conf *, const struct conf_rule *,
	    const struct match_in *, bool *need);
/* Is this recipient's domain the gateway itself (`for local`)? */
bool	 conf_is_local(const struct conf *, struct span rcpt);

#endif
