/*
 * Between the grammar and the tree: what the actions of gram.y call, in
 * build.c, and what checks the whole. For the parser alone.
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include "common/conf/lex.h"
#include "common/conf/table_i.h"

#define NAME_MAX_LEN		64	/* of a name: fits msg.def */
#define SOCKET_PATH_MAX		107	/* sun_path without its NUL */
#define CONTROL_PATH_MAX	80	/* sockets' names lie below it */
#define REPORT_WORD_MAX		200	/* bytes in a report of TLS */
#define QUEUE_PATH_MAX		1000
#define CA_PATH_MAX		1000
#define USERS_PATH_MAX		1000
#define GREET_DELAY_MAX_MS	(5 * 60000)	/* RFC 5321, 4.5.3.2.1: clients
						 * wait five minutes */
#define TTL_MIN_MS		10000	/* a number without its unit is less */
#define TTL_MAX_MS		(365 * 86400000LL)
#define RATE_MAX_MS		3600000
#define CACHE_MAX_MS		(30 * 86400000LL)
#define PROBE_MAX_MS		3600000
#define WEIGHT_MAX		100
#define SIZE_MAX_BYTES		(1ULL << 40)
#define TREE_MAX		(512UL << 20)	/* bytes of a tree */

/* An action by name: known as soon as something names it. */
struct build_action {
	struct conf_action	 act;		/* first: the tree has it */
	struct conf_pos		 used_pos;
	bool			 defined, used;
	struct build_action	*next;
};
/* A pool likewise. */
struct build_pool {
	struct conf_pool	 pool;		/* first: the tree has it */
	struct conf_pos		 used_pos;
	bool			 defined, used;
	struct build_pool	*next;
};

enum build_limit { LIMIT_SESSIONS, LIMIT_SESSIONS_SOURCE, LIMIT_AUTH_SOURCE,
    LIMIT_AUTH_USER,
    LIMIT_RATE_SOURCE, LIMIT_RECIPIENTS, LIMIT_MESSAGES, LIMIT_ERRORS,
    LIMIT_RECEIVED,
    LIMIT_DELIVERIES, LIMIT_DELIVERIES_DEST };

struct build {
	struct lex		 lex;
	struct conf		*conf;
	struct arena		*mem;
	struct build_action	*actions;
	struct build_pool	*pools;
	/* the statement in work */
	struct conf_listen	*listen;
	struct build_action	*action;
	struct conf_pool	*pool;		/* its destinations */
	struct conf_tls		 tls;
	struct conf_archive	*archive;
	struct conf_rule	*rule;
	struct conf_table	*table;
	const char		*listen_on;
	uint16_t		 port;
	bool			 muted;		/* not supported as a whole */
	bool			 seen[256];	/* options of this statement */
	/* of the whole file */
	bool			 seen_all[256];
	unsigned		 seen_limits;	/* bits of enum build_limit */
	bool			 submission;	/* a listen on socket: seen */
	bool			 full;		/* the arena is at its end */
	/* Where the arena is at its end, an error is told and this is written
	 * to instead, so that no caller has to ask. */
	struct conf_table	*spare;
	_Alignas(max_align_t) uint8_t nowhere[1024];
};

/* The union of conf, with what the tree's owner frees. */
struct conf_full {
	struct conf		 conf;		/* first */
	struct arena		*mem;
};

/* "pool" is not supported yet, at pos. */
void	 build_later(struct build *, const struct conf_pos *, const char *what);
/* An option (a token) stands once in a statement, or in all files. */
void	 build_once(struct build *, const struct conf_pos *, int token);
void	 build_once_all(struct build *, const struct conf_pos *, int token,
	    const char *what);
/* What stood there, and what could have: names as bison has them. */
void	 build_unexpected(struct build *, const struct conf_pos *,
	    const char **names, size_t n);
/* Zeroed bytes of the tree, at most those of `nowhere`. */
void	*build_alloc(struct build *, size_t);
/* An array of n elements with room for one more; NULL at the arena's end. */
void	*build_grow(struct build *, void *array, size_t n, size_t size);
/* Appends p to an array of pointers of the tree. */
void	 build_push(struct build *, void ***array, size_t *n, void *p);
char	*build_str(struct build *, struct span);

/* Values of words; an error at pos and a harmless value if they are none. */
int64_t	 build_duration(struct build *, const struct conf_pos *, const char *,
	    int64_t min_ms, int64_t max_ms);
uint64_t build_size(struct build *, const struct conf_pos *, const char *);
unsigned build_number(struct build *, const struct conf_pos *, const char *,
	    unsigned min, unsigned max);
/* "10%": from 1 to 100. */
unsigned build_percent(struct build *, const struct conf_pos *, const char *);
struct addr build_addr(struct build *, const struct conf_pos *, const char *,
	    uint16_t port);
char	*build_hostname(struct build *, const struct conf_pos *, const char *);
char	*build_path(struct build *, const struct conf_pos *, const char *,
	    size_t max);

/* Statements of a single value. */
void	 build_macro(struct build *, const struct conf_pos *, const char *name,
	    const char *value);
void	 build_include(struct build *, const struct conf_pos *, const char *);
void	 build_self(struct build *, const struct conf_pos *, const char *);
void	 build_subaddress(struct build *, const struct conf_pos *,
	    const char *);
void	 build_resolver(struct build *, const struct conf_pos *, const char *);
void	 build_pki(struct build *, const struct conf_pos *, const char *name,
	    const char *cert, const char *key, const char *ocsp);
void	 build_listen_pki(struct build *, const struct conf_pos *,
	    const char *name);
void	 build_ttl(struct build *, const struct conf_pos *, const char *,
	    int64_t *);
/* "1m..2h": the first at most the second. */
void	 build_range(struct build *, const struct conf_pos *, const char *,
	    int64_t *min, int64_t *max, int64_t most);
/* A mail address without <>, or, if so allowed, "@domain". */
char	*build_mail(struct build *, const struct conf_pos *, const char *,
	    bool domain_alone);
void	 build_postmaster(struct build *, const struct conf_pos *,
	    const char *, bool double_bounces);
void	 build_report(struct build *, const struct conf_pos *, const char *);
/* What reports of TLS say of us besides, to *at; once each. */
void	 build_report_word(struct build *, const struct conf_pos *, char **at,
	    const char *);
void	 build_srs(struct build *, const struct conf_pos *, const char *path,
	    const char *domain);
void	 build_limit(struct build *, const struct conf_pos *, enum build_limit,
	    const char *);
void	 build_limit_for(struct build *, const struct conf_pos *,
	    enum build_limit, const char *, int64_t per_ms,
	    struct conf_table *);

/* Tables: by name, in place, of a file. */
struct conf_table *build_table(struct build *, const struct conf_pos *,
	    const char *name);
/* The same, for logins. */
struct conf_table *build_users(struct build *, const struct conf_pos *,
	    const char *name);
struct conf_table *build_inline(struct build *, const struct conf_pos *);
void	 build_entry(struct build *, const struct conf_pos *,
	    struct conf_table *, const char *key, const char *value);
void	 build_table_begin(struct build *, const struct conf_pos *,
	    const char *name);
void	 build_table_file(struct build *, const struct conf_pos *,
	    const char *path);
void	 build_table_cdb(struct build *, const struct conf_pos *,
	    const char *path);
void	 build_table_dovecot(struct build *, const struct conf_pos *,
	    const char *path);
void	 build_table_users(struct build *, const struct conf_pos *,
	    const char *path);

void	 build_action_begin(struct build *, const struct conf_pos *,
	    const char *name, enum conf_action_type);
/* action.c: a list of destinations of its own begins; the next ones are its. */
void	 build_dests(struct build *, const struct conf_pos *);
void	 build_dest(struct build *, const struct conf_pos *, const char *);
/* Of the destination before. */
struct conf_dest *build_dest_last(struct build *);
void	 build_pool_begin(struct build *, const struct conf_pos *,
	    const char *name);
void	 build_to_pool(struct build *, const struct conf_pos *,
	    const char *name);
void	 build_to_table(struct build *, const struct conf_pos *,
	    const char *name, enum conf_by);
void	 build_known(struct build *, enum conf_known, struct conf_table *);
void	 build_unknown(struct build *, const struct conf_pos *, const char *);
/* `credentials LABEL user … file …` */
void	 build_token(struct build *, const struct conf_pos *,
	    const char *label, const char *user, const char *path);
char	*build_label(struct build *, const struct conf_pos *, const char *);
void	 build_mail_from(struct build *, const struct conf_pos *,
	    const char *);
/* One more action of the rule. */
void	 build_rule_action(struct build *, const struct conf_pos *,
	    const char *name);
void	 build_archive_begin(struct build *, const struct conf_pos *,
	    const char *action);
const struct conf_action *build_action_named(struct build *,
	    const struct conf_pos *, const char *name);

/* tls.c: a word behind `tls`, which build.tls collects. */
void	 build_tls_begin(struct build *);
void	 build_tls_ca(struct build *, const struct conf_pos *, const char *);
void	 build_tls_pin(struct build *, const struct conf_pos *, const char *);
/* The whole of it; and what schemes of destinations say beside it. */
void	 check_tls(struct build *, const struct conf_pos *,
	    const struct conf_tls *);
void	 check_schemes(struct build *, const struct conf_action *,
	    const struct conf_pool *);

void	 build_listen_begin(struct build *, const struct conf_pos *,
	    const char *where);
void	 build_listen_socket(struct build *, const struct conf_pos *,
	    char *path);
void	 build_port(struct build *, const struct conf_pos *, const char *);
void	 build_listen_end(struct build *);

void	 build_rule_begin(struct build *, const struct conf_pos *);
void	 build_cond(struct build *, const struct conf_pos *, int token,
	    struct conf_cond *, struct conf_table *, unsigned negated);
void	 build_from(struct build *, enum conf_from, struct conf_table *,
	    unsigned negated);
void	 build_for(struct build *, enum conf_for, struct conf_table *,
	    unsigned negated);
/* `not` may stand before or behind the word, not at both places. */
void	 build_not(struct build *, const struct conf_pos *, struct conf_cond *,
	    unsigned negated);
void	 build_rule_end(struct build *);
void	 build_reject(struct build *, const struct conf_pos *, const char *);

/* Everything that a grammar can't check; defaults that depend on the whole. */
void	 check_all(struct build *);
/* Are the values of a map of senders addresses, or "@domain"? */
void	 check_senders(struct build *, const struct conf_pos *,
	    const struct conf_table *);
/* Who authenticates where, and what is announced. */
void	 check_auth(struct build *, struct conf_listen *);
/* The entries of `tls policy`. */
void	 check_policy(struct build *);
/* Who logs in where, by which label. */
void	 check_logins(struct build *);
/* What the entries of `expand aliases` tables stand for, and the files that
 * they include. */
void	 check_aliases(struct build *);
/* Are the pkis of listeners there? */
void	 check_pki(struct build *);
/* The part of it that looks at the rules; `regular`: not all listeners on
 * addresses are proxied. */
void	 check_rules(struct build *, bool regular);

#endif
