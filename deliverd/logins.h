/*
 * Whether a server takes our login, by its address and the label: one that
 * refuses is left alone for a time that grows, and what it is to get waits or
 * goes to another server. Apart from srv.h, since the same server may be well
 * for whoever does not log in, or does as another.
 */
#ifndef DELIVERD_LOGINS_H
#define DELIVERD_LOGINS_H

#include "common/lookup/hosts.h"
#include "common/lookup/srv.h"

#define LOGINS_MAX	100000
#define LOGINS_MIN_MS	60000		/* of the back-off: */
#define LOGINS_MAX_MS	900000

struct logins;

/* changed is called when one is refused or taken again. */
void	 logins_init(void (*changed)(const struct srv *));
/* Of a candidate with a login; one more reference. NULL: too many. */
struct logins *logins_ref(const struct hosts_cand *);
void	 logins_unref(struct logins *);		/* takes NULL */
const char *logins_label(const struct logins *);
/* Why it is refused, "CODE TEXT"; NULL: it is not known to be. Like most that
 * follow it takes NULL: no login. */
const char *logins_refused(const struct logins *);
/* It may be tried once more; it is being tried. */
bool	 logins_due(const struct logins *, int64_t now_ms);
bool	 logins_probed(const struct logins *);
void	 logins_probe(struct logins *);
void	 logins_failed(struct logins *, struct srv *, bool probe,
	    const char *why);
void	 logins_work(struct logins *, struct srv *);
/* Forgets what was known: for tests, which begin anew. */
void	 logins_clear(void);

#endif
