/*
 * From an action and a domain to the addresses to try, in order: the decision,
 * as a machine without I/O. It names the questions, the caller asks and hands
 * the answers back; then it gives the list or the reason why there is none
 * (RFC 5321, 5.1; RFC 7505), and what is asked of TLS at each host: what the
 * configuration says, and its TLSA records (RFC 7672).
 */
#ifndef LOOKUP_HOSTS_H
#define LOOKUP_HOSTS_H

#include "common/conf/conf.h"
#include "common/dns/mx.h"
#include "common/tls/dane.h"

#define HOSTS_MAX	40	/* names and literals of one list */
#define HOSTS_ADDRS_MAX	8	/* addresses of one host */
#define HOSTS_CANDS_MAX	64	/* addresses in all */
#define HOSTS_TTL_MAX	60	/* seconds that a list is used */

/* What is asked of a session with a host. */
struct hosts_tls {
	struct conf_tls	 tls;		/* its strings are the configuration's */
	bool		 by_policy;	/* `tls policy` says so */
	bool		 by_sts;	/* the domain's MTA-STS policy does */
	bool		 named;		/* nobody can have made up its name: it
					 * is configured, the domain itself, or
					 * of a validated MX answer */
	bool		 requiretls;	/* it is for mail with REQUIRETLS */
	enum dane_verdict dane;		/* never DANE_DEFER */
	/* With DANE_REQUIRED; borrowed like the list. Names for usage 2: where
	 * the records stand, and the domain ("": its MX is not validated). */
	struct dane_set *set;
	char		 base[DNS_NAME_MAX + 1];
	char		 domain[DNS_NAME_MAX + 1];
};

struct hosts_cand {
	struct addr	 addr;			/* with port */
	char		 name[DNS_NAME_MAX + 1];/* a literal: the address */
	uint16_t	 group;		/* those of one destination share it */
	uint8_t		 scheme;	/* enum conf_scheme, its destination's */
	uint8_t		 weight;	/* its destination's; 0: none given */
	bool		 standby;
	uint8_t		 host;		/* place in hosts_list's tls */
	const char	*login;		/* label of the credentials, or NULL; the
					 * configuration's or the list's */
	bool		 login_plaintext;	/* over any connection */
};
struct hosts_list {
	size_t		 n;
	uint32_t	 ttl;			/* seconds, at most the above */
	/* With n == 0: a reply of ours, 4xx or 5xx with its enhanced code. */
	uint16_t	 code;
	const char	*text;
	/* A host that DANE leaves out, though others may be there; NULL: none.
	 * It has no records of use, which `tls dane` asks for; else there was
	 * no answer to the question for them. */
	const char	*left_out;
	bool		 dane_missing;
	struct hosts_cand cand[HOSTS_CANDS_MAX];
	struct hosts_tls tls[HOSTS_MAX];
};
/* An answer. What does not belong to the question's type is NULL. */
struct hosts_reply {
	enum dns_status	 status;
	uint32_t	 ttl;
	bool		 ad;		/* validated */
	const char	*canon;		/* where an alias ends; NULL or "": none */
	const struct addr *addrs;	/* A, AAAA */
	const struct mx_host *mx;	/* in any order */
	const struct span *texts;	/* TLSA */
	size_t		 n;
};

struct hosts;

/* domain is what mail is for, in A-labels or a literal in brackets; it matters
 * only where there is no DEST list. pool: the list that a table has for it, or
 * NULL: the action's own. rnd(bound) shuffles equals. conf, action and pool
 * outlive it. NULL: no memory. */
struct hosts *hosts_new(const struct conf *, const struct conf_action *,
	    const struct conf_pool *pool, const char *domain,
	    uint32_t (*rnd)(uint32_t bound));
/* Before the first question: TLSA records are asked for only where the
 * configuration demands them (`tls dane`). */
void	 hosts_lax(struct hosts *);
void	 hosts_free(struct hosts *);
/* The next question and its number; false: none now (answers may make more).
 * The name lives until hosts_free(). */
bool	 hosts_question(struct hosts *, unsigned *number, enum dns_type *,
	    const char **name);
void	 hosts_answer(struct hosts *, unsigned number,
	    const struct hosts_reply *);
/* No question is open or to come. */
bool	 hosts_done(const struct hosts *);
/* Borrows from the machine. */
void	 hosts_result(struct hosts *, struct hosts_list *);

#endif
