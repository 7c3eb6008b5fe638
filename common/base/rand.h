/*
 * Message ids and random numbers. An id is 41 bits of milliseconds since 2020,
 * 10 bits worker, 13 bits counter; its short form is 13 characters of base32
 * (0-9 a-v) that sort by time.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "common/base/span.h"

#define ID_STRLEN	14	/* 13 characters and NUL */

/* Uniform in 0 .. bound-1 (bound > 0), from getrandom(2). */
uint32_t rand_below(uint32_t bound);
uint64_t rand_u64(void);

/* Ids of this process begin at floor_ms (unix ms) or now, whatever is later. */
void	 id_init(uint16_t worker, int64_t floor_ms);
uint64_t id_new(void);
int64_t	 id_wall_ms(uint64_t id);
char	*id_str(uint64_t id, char *dst);	/* gives dst, ID_STRLEN bytes */
bool	 id_parse(struct span, uint64_t *);

#endif
