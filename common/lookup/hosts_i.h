/*
 * What hosts.c (which servers, which addresses) and hosts_dane.c (what their
 * TLSA records say) share; for them alone.
 */
#ifndef LOOKUP_HOSTS_I_H
#define LOOKUP_HOSTS_I_H

#include "common/lookup/hosts.h"

#define Q_ADDRS	1000	/* numbers of questions: MX below, addresses, then */
#define Q_DANE	2000	/* those for DANE from here */

struct source {				/* one entry of the list */
	bool		 mx;
	char		 name[DNS_NAME_MAX + 1];
	struct addr	 addr;		/* family 0: a name */
	uint16_t	 port;
	uint8_t		 scheme, weight;
	bool		 standby;
	const char	*login;
	bool		 login_plaintext;
	struct conf_tls	 tls;		/* what is asked of a session */
	bool		 by_policy;
	bool		 ad;		/* the MX answer is validated */
	enum mx_result	 result;
	struct mx_host	*hosts;		/* of the MX answer */
	size_t		 nhosts;
};

/* Where the questions for DANE of a host stand (RFC 7672, 2.1.3 and 2.2). */
enum dane_step {
	STEP_ADDRS,		/* its addresses are not all known */
	STEP_ALIAS,		/* an alias into where nothing is validated: is
				 * the alias itself? */
	STEP_CANON,		/* TLSA at the end of the alias */
	STEP_NAME,		/* TLSA at the host's own name */
	STEP_DONE
};
struct host {
	size_t		 source;
	uint16_t	 pref;
	struct hosts_cand id;		/* name; addr if literal */
	enum dns_status	 status[2];	/* A, AAAA */
	bool		 answered[2], ad[2];
	char		 canon[DNS_NAME_MAX + 1];
	struct addr	 addrs[HOSTS_ADDRS_MAX];
	size_t		 naddrs;
	bool		 cut;		/* at or behind ourselves */
	enum dane_step	 step;
	bool		 asked;		/* this step's question */
	char		 tlsa[DANE_NAME_MAX];
	enum dane_verdict verdict;
	struct dane_set	*set;
	const char	*base;		/* where the set was found */
};
struct hosts {
	const struct conf *conf;
	const struct conf_action *action;
	uint32_t	 (*rnd)(uint32_t);
	struct source	*sources;
	size_t		 nsources;
	bool		 listed;	/* by a list, not by the domain */
	bool		 lax;		/* hosts_lax() */
	struct host	*hosts;
	size_t		 nhosts, hosts_max;
	size_t		 asked_mx, asked;	/* cursors */
	size_t		 waiting;
	bool		 built;
	uint32_t	 ttl;
};

/* ---- hosts_dane.c ---- */
/* Is nobody able to have made up the names of its hosts? A name out of an MX
 * answer that anybody may have made proves nothing. */
bool	 hosts_named(const struct source *);
/* Both answers for its addresses are here, or it is a literal. */
void	 hosts_dane_begin(struct hosts *, struct host *);
/* As hosts_question(), for DANE alone. */
bool	 hosts_dane_question(struct hosts *, unsigned *number,
	    enum dns_type *, const char **name);
void	 hosts_dane_answer(struct hosts *, unsigned number,
	    const struct hosts_reply *);
bool	 hosts_dane_done(const struct hosts *);
/* May the host be used? NULL: yes; else a reply of ours that says why not. */
const char *hosts_dane_refuses(const struct hosts *, const struct host *);

#endif
