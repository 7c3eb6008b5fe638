/*
 * What each source does over all smtpd workers: its sessions, how often it came
 * and failed to log in lately. Every worker reports, and hears the sums.
 */
#ifndef QUEUED_SOURCES_H
#define QUEUED_SOURCES_H

#include "common/base/addr.h"

#define SOURCES_PEERS	64	/* smtpd workers, by slot */
#define SOURCES_MAX	200000	/* of more, their worker alone knows */
#define SOURCES_KEEP_MS	3700000	/* without sessions: a window of an hour */

struct sources;

/* Times that something happened in the window of that number. */
struct source_count {
	uint64_t	 window;
	uint32_t	 n;
};
/* In a report: sessions of the worker, and how often more than said before. As
 * a sum: of all workers, in the newest window. */
struct source_state {
	uint32_t	 sessions;
	struct source_count came, failed;
};

struct sources *sources_new(void);
/*
 * Worker `slot` reports. tell is called for each slot with the sums; what is no
 * worker it passes over.
 */
typedef void sources_tell(unsigned slot, const struct addr *,
	    const struct source_state *, void *arg);
void	 sources_report(struct sources *, unsigned slot, const struct addr *,
	    const struct source_state *, sources_tell *tell, void *arg);
/* The worker is gone with its sessions. */
void	 sources_gone(struct sources *, unsigned slot, sources_tell *tell,
	    void *arg);
size_t	 sources_count(const struct sources *);

#endif
