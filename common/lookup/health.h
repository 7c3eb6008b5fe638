/*
 * Whether a server answers, as a machine without I/O: one that failed is left
 * alone, and tried by one probe at a time at an interval that grows; one success
 * and it is back.
 *
 *	UP ── failure ─▶ DOWN ── probe_ms reached, health_probe() ─▶ probing
 *	 ▲                 ▲────────────── failure: twice as long ──────┤
 *	 └──────────────────────── success (of whoever) ───────────────┘
 */
#ifndef LOOKUP_HEALTH_H
#define LOOKUP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct health {
	uint32_t	 failures;	/* in a row; 0: up */
	bool		 probing;
	int64_t		 since_ms;	/* of being up or down */
	int64_t		 probe_ms;	/* down: not tried before */
};
struct health_times {
	int64_t		 min_ms, max_ms;	/* of the interval */
};

static inline bool
health_is_down(const struct health *h)
{
	return h->failures > 0;
}

/* May it be tried now, as the one probe? */
bool	 health_due(const struct health *, int64_t now_ms);
/* The probe begins; should nobody tell of its end, another one may follow when
 * the interval has passed once more. */
void	 health_probe(struct health *, const struct health_times *,
	    int64_t now_ms, uint32_t random);
/*
 * A failure. True if it changed anything: one of a connection that was begun
 * before it was known to be down says nothing new. random is any number: the
 * interval is spread by a fifth both ways.
 */
bool	 health_failed(struct health *, bool probe, const struct health_times *,
	    int64_t now_ms, uint32_t random);
/* It answers. True if it was down. */
bool	 health_works(struct health *, int64_t now_ms);

#endif
