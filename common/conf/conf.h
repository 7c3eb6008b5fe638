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

/* `tls` of an action or a pool: what is asked of a session with a server. */
enum conf_tls_mode { TLS_UNSET, TLS_OFF, TLS_OPPORTUNISTIC, TLS_REQUIRE,
    TLS_VERIFY, TLS_DANE };
#define CONF_PINS_MAX	4
#define CONF_PIN_LEN	32		/* SHA-256 */
struct conf_tls {
	enum conf_tls_mode mode;	/* TLS_UNSET: no word was said */
	bool		 at_once;	/* smtps: before the greeting */
	char		*name;		/* of the certificate; NULL: the host's */
	char		*ca;		/* path; NULL: that of `ca` */
	uint8_t		 pins[CONF_PINS_MAX][CONF_PIN_LEN];
	unsigned	 npins;		/* 0: the CAs decide */
};

struct conf_dest {
	enum conf_dest_kind kind;
	enum conf_scheme scheme;
	char		*host;		/* name, address, domain or path */
	struct addr	 addr;		/* set where host is a literal */
	uint16_t	 port;		/* 25 by default */
	unsigned	 weight;	/* its share; 0: none was given */
	bool		 standby;	/* only while no other one answers */
	char		*auth;		/* label of the credentials to log in with;
					 * NULL: the action's */
	bool		 auth_plaintext;	/* over any connection */
};

/* Servers that stand for each other: a `pool`, or the list of one action. */
struct conf_pool {
	char		*name;		/* NULL: a list */
	struct conf_pos	 pos;
	struct conf_dest *dests;
	size_t		 ndests;
	int64_t		 probe_min_ms, probe_max_ms;	/* 10s..5m */
	unsigned	 max_connections;	/* to each server; 0: none */
	struct conf_tls	 tls;
};

enum conf_action_type { ACT_RELAY, ACT_PROXY, ACT_DISCARD, ACT_EXPAND,
    /* reserved words until their issue: refused by the parser */
    ACT_MAILBOX, ACT_LMTP };
/* `to <T> by …`: what is looked up; its value is a list of destinations. */
enum conf_by { BY_NONE, BY_RCPT_DOMAIN, BY_RCPT_TO, BY_MAIL_FROM,
    BY_AUTH_USER };
/* `recipients { … }`: who says whether a recipient is known. A directory is
 * whole for each domain that it names: who is not in it is unknown. */
enum conf_known { KNOWN_TABLE, KNOWN_DIRECTORY, KNOWN_SERVER };
struct conf_known_source {
	enum conf_known	 kind;
	const struct conf_table *table;	/* NULL for KNOWN_SERVER */
};

/* `identity`: how the actual server is told who the client is. */
enum conf_identity { IDENTITY_NONE, IDENTITY_HEADER, IDENTITY_XCLIENT,
    IDENTITY_PROXY_V1, IDENTITY_PROXY_V2 };
/* `mirror`: what goes to the second server. */
enum conf_mirror { MIRROR_RCPT, MIRROR_CONTENT };

struct conf_action {
	char		*name;
	enum conf_action_type type;
	struct conf_pos	 pos;
	const struct conf_pool *pool;	/* NULL: by MX, or by to_table */
	const struct conf_dest *dests;	/* the pool's; none: as above */
	size_t		 ndests;
	const struct conf_table *to_table;	/* NULL: not by a table */
	enum conf_by	 by;
	char		*helo;		/* NULL: hostname */
	struct addr	 source;	/* family 0: any */
	unsigned	 max_connections;	/* 0: default of the daemon */
	int64_t		 ttl_ms;	/* 0: queue ttl */
	bool		 open;
	struct conf_known_source *known;	/* `recipients`, asked in order */
	size_t		 nknown;	/* 0: every recipient is taken */
	int64_t		 known_cache_ms;	/* of a server's yes: 4h */
	int64_t		 known_good_ms;	/* taken while it is down: 30d */
	uint16_t	 unknown_code;	/* 550 or 450 */
	bool		 backup_mx;
	/* The reverse-path that leaves: "@domain" keeps the local part, or a
	 * map of addresses and domains to such; both NULL: as it came. */
	char		*mail_from;
	const struct conf_table *mail_from_table;
	bool		 srs;
	char		*auth;		/* label to log in with; NULL: no login */
	bool		 auth_plaintext;	/* over any connection */
	const struct conf_table *aliases;	/* ACT_EXPAND */
	enum conf_identity identity;
	struct conf_tls	 tls;		/* before that of its pool */
	/* ACT_PROXY */
	const struct conf_action *on_failure;	/* NULL: 4xx */
	const struct conf_action *on_slow;	/* NULL: 4xx */
	int64_t		 patience_ms;		/* 25s */
	bool		 replies_plain;		/* no names of inner hosts */
	unsigned	 idle_connections;	/* kept, without a client */
	const struct conf_action *mirror;	/* NULL: none */
	enum conf_mirror mirror_what;
	unsigned	 mirror_percent;	/* of the sessions, 1 to 100 */
};

enum conf_listen_kind { LISTEN_INET, LISTEN_UNIX };
/* `on-conflict`: recipients of one transaction whose ways differ. */
enum conf_conflict { CONFLICT_DEFER, CONFLICT_QUEUE, CONFLICT_FAN_OUT };
/* `tls`, `tls-require`: STARTTLS; `smtps`: before the greeting. */
enum conf_listen_tls { LISTEN_PLAIN, LISTEN_TLS, LISTEN_TLS_REQUIRE,
    LISTEN_SMTPS };
enum conf_long_lines { LONG_PASS, LONG_FOLD, LONG_REJECT };
struct conf_listen {
	unsigned	 index;		/* counts listen statements from 0 */
	struct conf_pos	 pos;
	enum conf_listen_kind kind;
	/* To bind, with ports; "*" gives :: and 0.0.0.0, an interface all of
	 * its addresses. */
	struct addr	*addrs;
	size_t		 naddrs;
	char		*interface;	/* NULL: an address or "*" */
	char		*path;		/* LISTEN_UNIX */
	char		*hostname;	/* never NULL */
	char		*tag;		/* "" if none */
	const struct conf_action *proxy;	/* NULL: regular */
	bool		 proxy_at_rcpt;
	const struct conf_table *announce;	/* keywords and mechanisms
					 * beyond the usual; NULL: none */
	enum conf_conflict on_conflict;
	const struct conf_action *copy;	/* NULL: none */
	enum conf_listen_tls tls;
	bool		 tls_verify;	/* clients by certificates of `ca` */
	bool		 auth;		/* before MAIL, unless `optional` */
	bool		 auth_optional;
	const struct conf_action *auth_via;	/* whose server is asked */
	const struct conf_table *auth_users;	/* `auth <T>`; or NULL */
	const struct conf_table *senders;	/* by who logged in; or NULL */
	bool		 senders_strict;	/* those of the header too */
	bool		 auth_plaintext;
	/* Whose certificates; the first is for clients that name no other. Names
	 * as in conf_pki, borrowed. */
	const char	**pkis;
	size_t		 npkis;
	bool		 takes_passwords; /* can offer AUTH: own workers */
	const struct conf_table *recipients;	/* NULL: all */
	uint64_t	 max_message_size;
	int64_t		 greet_delay_ms;
	enum conf_long_lines long_lines;	/* over 998 bytes */
	bool		 bare_normalize;	/* bare CR, LF: made CR LF */
	bool		 complete_headers;	/* for others than local too */
	bool		 mask_source;
	bool		 recognise_retry;
	const struct conf_table *masquerade;	/* senders; NULL: none */
	/* Who may tell us that it speaks for somebody else; NULL: nobody. */
	const struct conf_table *proxy_protocol, *xclient;
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
	bool		 tls_set, tls_not;
	const struct conf_table *tls_certs;	/* SHA-256 of certificates, in
					 * hex; NULL: TLS is enough */
	const struct conf_action *action;	/* the first; NULL: reject */
	const struct conf_action **actions;	/* each gets a copy */
	size_t		 nactions;
	bool		 accept_all;	/* known to all of them, not to any */
	uint16_t	 reject_code;	/* 550 by default */
	char		*reject_text;	/* with enhanced code */
};

/* `archive`: a copy of each message that fits, with its envelope. */
struct conf_archive {
	struct conf_pos	 pos;
	const struct conf_action *action;
	char		*as;		/* NULL: the recipients themselves */
	bool		 journal;	/* else fields on top */
	bool		 ignore;	/* if it can't be: else 4xx */
	const struct conf_rule *when;	/* its conditions; NULL: always */
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
	unsigned	 auth_failures_per_source;	/* an hour, 20 */
	unsigned	 auth_failures_per_user;	/* an hour, 50 */
	unsigned	 recipients;		/* a transaction, 1,000 */
	unsigned	 messages;		/* a session; 0: none */
	uint64_t	 message_size;		/* 50 MiB */
	unsigned	 errors;		/* 20 */
	unsigned	 received;		/* 50 Received fields */
	unsigned	 deliveries;		/* all, 200 */
	unsigned	 deliveries_per_dest;	/* 20 */
	struct conf_limits_for sessions_for;	/* of sources */
	struct conf_limits_for rate_for, auth_failures_for;
	struct conf_limits_for auth_users_for;	/* of names */
	struct conf_limits_for deliveries_for;	/* of destinations */
	unsigned	 rate_per_source;	/* connections; 0: none */
	int64_t		 rate_per_ms;
};

#define PKI_KEYS_MAX	3		/* of one name: RSA, EC, Ed25519 */

/* A file that an :include: of an alias names; in the bundle. */
struct conf_list {
	struct span	 path;		/* as written */
	struct span	 text;
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
	struct conf_pool **pools;	/* those with a name */
	size_t		 npools;
	struct conf_list *lists;	/* of aliases */
	size_t		 nlists;
	struct conf_archive **archives;
	size_t		 narchives;
	char		*postmaster;	/* NULL: none */
	bool		 double_bounces;	/* go to it */
	/* Reports of TLS to domains (RFC 8460) come from there; NULL: none are
	 * made. The others: what they say besides, or NULL. */
	char		*report_from, *report_contact, *report_organization;
	char		*srs_key;	/* a path; NULL: no `srs` */
	char		*srs_domain;	/* of the addresses made; never NULL */
	struct conf_limits limits;
	char		*queue_path;	/* /var/spool/postern */
	int64_t		 ttl_ms, bounce_ttl_ms, warn_after_ms;
	int64_t		 retry_min_ms, retry_max_ms;
	uint64_t	 reserve;	/* bytes */
	int64_t		 keep_ms;	/* delivered mail; 0: not kept */
	uint64_t	 queue_size;	/* bytes of content; 0: no limit */
	char		*control_path;	/* /run/postern */
	int		 log_level;	/* enum log_level */
	char		*credentials;	/* path or NULL */
	/* Credentials whose secret is a token in a file of its own. */
	struct conf_token { char *label, *user, *path; } *tokens;
	size_t		 ntokens;
	char		*ca;		/* path; NULL: the system's */
	const struct conf_table *tls_policy;	/* NULL: none */
	struct conf_pos	 tls_policy_pos;
	bool		 tls_certs;	/* a rule asks for a client's */
	/* Those of one name stand side by side for different kinds of key. */
	struct conf_pki	{ char *name, *cert, *key;
		char		*ocsp;		/* NULL: none */
		struct conf_pos	 pos;
	} *pkis;
	size_t		 npkis;
};

/*
 * Parses and checks a bundle, which must outlive the tree: tables of the kind
 * cdb are read where they lie in it. Gives the tree, or NULL if there is any
 * error.
 * All errors and warnings of all files are appended to msgs as text, each
 *	FILE:LINE:COL: error: what was expected
 *	    the line
 *	        ^
 * so msgs may be non-empty on success (warnings).
 */
struct conf *conf_parse(struct span bundle, struct buf *msgs);
/* The same for a daemon, whose parent has told everybody of the errors. NULL:
 * *why (static) says that there are some. */
struct conf *conf_accept(struct span bundle, const char **why);
/* Its word; "off" where none was said. */
const char *conf_tls_mode_name(enum conf_tls_mode);
void	 conf_free(struct conf *);
const struct conf_action *conf_action_find(const struct conf *,
	    struct span name);
/* What a session with a server asks of TLS: the action's `tls`, else its pool's
 * (NULL: it has none), else opportunistic; and tighter where the destination's
 * scheme says so. The mode is never TLS_UNSET. Strings are borrowed from the
 * tree. */
struct conf_tls conf_tls_of(const struct conf_action *,
	    const struct conf_pool *, enum conf_scheme);
/* The file of CAs that stands for a NULL. */
#define CONF_CA_SYSTEM	"/etc/ssl/certs/ca-certificates.crt"
const char *conf_ca(const struct conf *, const struct conf_tls *);
/* The next file of CAs that actions or pools name; *at begins with 0. NULL:
 * there are no more. */
const char *conf_ca_next(const struct conf *, size_t *at);
/* Each label of the credentials that an action or a destination logs in with,
 * maybe several times; pos: of the statement. False from f: no more. */
void	 conf_labels(const struct conf *, bool (*f)(const char *label,
	    const struct conf_pos *, void *arg), void *arg);
/* Is there an action with a mirror: a second session behind some sessions? */
bool	 conf_mirrors(const struct conf *);
/*
 * What mail by this action goes to, beside the action: "" for its pool, the
 * table's value (`to <T> by …`, a list for dest_list()), or the recipient's
 * domain in A-labels (a literal as it is, in lower case). False: no entry, or
 * longer than dst.
 */
#define CONF_TARGET_MAX	256
bool	 conf_target(const struct conf *, const struct conf_action *,
	    struct span to, struct span from, struct span auth_user,
	    char dst[CONF_TARGET_MAX]);
/*
 * The address that stands for this one (without <>) by a map as that of
 * `masquerade`: the value, or its "@domain" behind the local part, in dst.
 * False: it stays as it is.
 */
#define CONF_PATH_MAX	520
bool	 conf_masquerade(const struct conf *, const struct conf_table *,
	    struct span address, char dst[CONF_PATH_MAX]);
/*
 * The reverse-path that leaves by this action (`mail-from`), without <>: from
 * itself, or what stands in dst then. <> stays what it is, and so does a path
 * whose new form has no room in dst.
 */
struct span conf_sender(const struct conf *, const struct conf_action *,
	    struct span from, char dst[CONF_PATH_MAX]);
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
