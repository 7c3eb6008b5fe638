/*
 * The servers that mail goes to, by address and port, whatever the destinations
 * that they belong to: whether each answers, how many connections it has, what
 * it took. queued hears of each change and tells the other deliverds and
 * proxyds, so all of them know, and a new one does.
 */
#ifndef LOOKUP_SRV_H
#define LOOKUP_SRV_H

#include "common/conf/conf.h"
#include "common/dns/answer.h"
#include "common/ipc/chan.h"
#include "common/lookup/health.h"

#define SRVS_MAX	20000		/* remembered */
#define SRV_TLS_MAX	300
#define SRVS_KEEP_MS	1800000		/* of no use: one that is down */

struct srv {
	struct addr	 addr;
	char		 name[DNS_NAME_MAX + 1];
	char		 label[65];	/* its pool or action, for people */
	struct health	 health;
	struct health_times times;
	unsigned	 refs;		/* candidates and connections */
	unsigned	 conns;		/* this process's */
	bool		 news;		/* queued has not heard all of it */
	uint32_t	 delivered, failed;	/* recipients, not told yet */
	int64_t		 used_ms;
	char		 why[512];	/* the last failure, "CODE TEXT" */
	char		 tls[SRV_TLS_MAX];	/* of the last session, for people */
	/* deliverd: the last label whose login was told of; why it fails. */
	char		 login[256], login_why[512];
};

/* changed is called when one goes down or comes back, whoever saw it. */
void	 srvs_init(void (*changed)(const struct srv *));
/* The queued that hears of them, or NULL. It gets all that there is. */
void	 srvs_peer(struct chan *);
/* What another deliverd saw; a row of the channel to queued. */
chan_handler srvs_heard;
/* Tells queued what is new; forgets what is of no use. Each second. */
void	 srvs_tick(void);
/* Forgets all that was known of their health. */
void	 srvs_clear(void);

/* One that is known; NULL: nothing is, so it is up. */
struct srv *srv_find(const struct addr *);
/* Made if need be; one more reference. NULL: too many. */
struct srv *srv_ref(const struct addr *, const char *name,
	    const char *label, const struct health_times *);
void	 srv_unref(struct srv *);
/* One more connection, or one less. */
void	 srv_conns(struct srv *, int by);
/* What TLS was asked for and came of it: "require: TLSv1.3 …". */
void	 srv_tls(struct srv *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	 srv_count(struct srv *, bool delivered);
/* It greeted us and knows EHLO or HELO. */
void	 srv_works(struct srv *);
/* It could not be reached or did not welcome us. */
void	 srv_failed(struct srv *, bool probe, const char *why);
void	 srv_probe(struct srv *);
/* It takes our login by this label ("" for why), or does not; for queued. */
void	 srv_login(struct srv *, const char *label, const char *why);

#endif
