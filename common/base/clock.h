/*
 * The two clocks, kept apart by type: monotonic time for waiting and wall time
 * for people and headers. A test may set both (clock_fake()).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct mono { int64_t ms; };	/* CLOCK_BOOTTIME, ms since boot */
struct wall { int64_t ms; };	/* ms since 1970-01-01 UTC */

struct mono clock_mono(void);
struct wall clock_wall(void);
/* From now on both clocks stand still at these values; NULLs: real again. */
void	 clock_fake(const struct mono *, const struct wall *);

/* "30s", "5m", "4h", "5d", "1w", sums as "1h30m"; plain digits are seconds.
 * False if it is none or exceeds 10 years. */
bool	 clock_parse_duration(const char *, int64_t *ms);
/* The inverse, its two largest units at most, "1d4h"; returns dst. */
char	*clock_format_duration(int64_t ms, char *dst, size_t size);

#endif
