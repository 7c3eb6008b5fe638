/*
 * The configuration as a tree: what postern.conf(5) says, checked, with all
 * defaults filled in. Made by the parser from a bundle; read-only afterwards.
 * No I/O, no log, no clock, no globals.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdio.h>

#include "common/base/addr.h"
#include "common/base/buf.h"
#include "common/conf/bundle.h"

struct conf_pos {			/* where a statement stands */
	const char	*file;
	unsigned	 line, col;	/* from 1 */
};

enum conf_mode { MODE_ANY, MODE_STANDALONE, MODE_FIREWALL, MODE_HYBRID };

/* ---- tables: static and file lists and maps (table.h looks up) ---- */
struct conf_table;

/* ---- destinations ---- */
enum conf_dest_kind { DEST_HOST, DEST_MX, DEST_UNIX };
enum conf_scheme { SCHEME_NONE, SCHEME_SMTP, SCHEME_SMTP_NOTLS,
    SCHEME_SMTP_TLS, SCHEME_SMTPS, SCHEME_LMTP };
struct conf_dest {
	enum conf_dest_kind kind;
	enum conf_scheme scheme;
	char		*host;		/* name, address, domain or path */
	struct addr	 addr;		/* set where host is a literal */
	uint16_t	 port;		/* 25 by default */
};

enum conf_action_type { ACT_RELAY, ACT_PROXY, ACT_DISCARD,
    /* reserved words until their issue: refused by the parser */
    ACT_MAILBOX, ACT_LMTP, ACT_EXPAND };

struct conf_action {
	char		*name;
	enum conf_action_type type;
	struct conf_pos	 pos;
	struct conf_dest *dests;	/* in order; none: relay by MX */
	size_t		 ndests;
	char		*helo;		/* NULL: hostname */
	struct addr	 source;	/* family 0: any */
	unsigned	 max_connections;	/* 0: default of the daemon */
	int64_t		 ttl_ms;	/* 0: queue ttl */
	bool		 open;
};

enum conf_listen_kind { LISTEN_INET, LISTEN_UNIX };
struct conf_listen {
	unsigned	 index;		/* counts listen statements from 0 */
	struct conf_pos	 pos;
	enum conf_listen_kind kind;
	struct addr	*addrs;		/* to bind, with ports; "*" gives :: */
	size_t		 naddrs;	/*   and 0.0.0.0 */
	char		*path;		/* LISTEN_UNIX */
	char		*hostname;	/* never NULL */
	char		*tag;		/* "" if none */
	const struct conf_action *proxy;	/* NULL: regular */
	bool		 proxy_at_rcpt;
	bool		 auth_plaintext;
	bool		 takes_passwords; /* can offer AUTH: own workers */
	const struct conf_table *recipients;	/* NULL: all */
	uint64_t	 max_message_size;
	int64_t		 greet_delay_ms;
};

enum conf_from { FROM_LOCAL, FROM_ANY, FROM_AUTH, FROM_SOURCE, FROM_HOST,
    FROM_EXPANDED };
enum conf_for { FOR_ANY, FOR_DOMAIN, FOR_RCPT, FOR_LOCAL };
struct conf_cond {			/* <T> with "not" */
	const struct conf_table *table;	/* NULL: the condition is not there */
	bool		 not;
};
struct conf_rule {
	struct conf_pos	 pos;
	enum conf_from	 from;
	struct conf_cond from_table;	/* source, host; not also for local … */
	enum conf_for	 fors;
	struct conf_cond for_table;
	struct conf_cond auth_user, mail_from, helo, tag;
	bool		 tls_set, tls_not;	/* not before TLS is there */
	const struct conf_action *action;	/* NULL: reject */
	uint16_t	 reject_code;	/* 550 by default */
	char		*reject_text;	/* with enhanced code */
};

/* A limit for what stands in a table. */
struct conf_limit_for {
	struct conf_table *table;
	unsigned	 n;
	int64_t		 per_ms;	/* rate; else 0 */
};
struct conf_limits_for {
	struct conf_limit_for *v;
	size_t		 n;
};
struct conf_limits {
	unsigned	 sessions;		/* all workers, 4,000 */
	unsigned	 sessions_per_source;	/* 50 */
	unsigned	 auth_failures_per_source;
	unsigned	 recipients;		/* a transaction, 1,000 */
	uint64_t	 message_size;		/* 50 MiB */
	unsigned	 errors;		/* 20 */
	unsigned	 received;		/* 50 Received fields */
	unsigned	 deliveries;		/* all, 200 */
	unsigned	 deliveries_per_dest;	/* 20 */
	struct conf_limits_for sessions_for;	/* of sources */
	struct conf_limits_for rate_for, auth_failures_for;
	struct conf_limits_for deliveries_for;	/* of destinations */
	unsigned	 rate_per_source;	/* connections; 0: none */
	int64_t		 rate_per_ms;
};

struct conf {
	char		*hostname;
	enum conf_mode	 mode;
	uint32_t	 generation;
	struct addr	*self;		/* interfaces' and `self`'s addresses */
	size_t		 nself;
	char		*subaddress;	/* "+" */
	struct addr	*resolvers;
	size_t		 nresolvers;
	bool		 resolver_trust_ad;
	struct conf_table **tables;
	size_t		 ntables;
	struct conf_action **actions;
	size_t		 nactions;
	struct conf_listen **listens;
	size_t		 nlistens;
	struct conf_rule **rules;
	size_t		 nrules;
	struct conf_limits limits;
	char		*queue_path;	/* /var/spool/postern */
	int64_t		 ttl_ms, bounce_ttl_ms, warn_after_ms;
	int64_t		 retry_min_ms, retry_max_ms;
	uint64_t	 reserve;	/* bytes */
	char		*control_path;	/* /run/postern */
	int		 log_level;	/* enum log_level */
	char		*credentials;	/* path or NULL */
	struct conf_pki	{ char *name, *cert, *key; struct conf_pos pos; } *pkis;
	size_t		 npkis;
};

/*
 * Parses and checks a bundle. Gives the tree, or NULL if there is any error.
 * All errors and warnings of all files are appended to msgs as text, each
 *	FILE:LINE:COL: error: what was expected
 *	    the line
 *	        ^
 * so msgs may be non-empty on success (warnings).
 */
struct conf *conf_parse(struct span bundle, struct buf *msgs);
void	 conf_free(struct conf *);
const struct conf_action *conf_action_find(const struct conf *,
	    struct span name);
/* The tree written back as a configuration that parses to the same tree. */
void	 conf_print(const struct conf *, struct buf *);
/*
 * Files that the bundle still lacks (tables, includes), found in the texts it
 * has: the parent reads them, adds them and asks again until there are none.
 * f is called with the pattern or path as written.
 */
void	 conf_wants(struct span bundle,
	    void (*f)(enum bundle_kind, struct span key, void *arg), void *arg);

#endif
