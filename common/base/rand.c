/*
 * Random numbers and message ids. See rand.h.
 */
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"

#define EPOCH_MS	1577836800000LL	/* 2020-01-01 UTC */
#define COUNTER_BITS	13
#define WORKER_BITS	10

static const char	digits[] = "0123456789abcdefghijklmnopqrstuv";
static int64_t		last_ms;	/* of the id before, since 2020 */
static uint16_t		counter, worker;

uint64_t
rand_u64(void)
{
	static uint64_t	 pool[32];
	static size_t	 left;

	if (left == 0) {
		if (getrandom(pool, sizeof(pool), 0) != sizeof(pool))
			fatal("getrandom");
		left = sizeof(pool) / sizeof(pool[0]);
	}
	return pool[--left];
}

uint32_t
rand_below(uint32_t bound)
{
	/* Multiply and shift: the bias is below 2^-32. */
	return (uint32_t)((rand_u64() >> 32) * bound >> 32);
}

void
id_init(uint16_t w, int64_t floor_ms)
{
	worker = w & ((1 << WORKER_BITS) - 1);
	last_ms = floor_ms > EPOCH_MS ? floor_ms - EPOCH_MS : 0;
	counter = 0;
}

uint64_t
id_new(void)
{
	int64_t	 now = clock_wall().ms - EPOCH_MS;

	if (now > last_ms) {
		last_ms = now;
		counter = 0;
	} else if (++counter == 1 << COUNTER_BITS) {
		last_ms++;
		counter = 0;
	}
	return (uint64_t)last_ms << (COUNTER_BITS + WORKER_BITS) |
	    (uint64_t)worker << COUNTER_BITS | counter;
}

int64_t
id_wall_ms(uint64_t id)
{
	return (int64_t)(id >> (COUNTER_BITS + WORKER_BITS)) + EPOCH_MS;
}

char *
id_str(uint64_t id, char *dst)
{
	/* 13 digits of 5 bits are 65: the first one has 4. */
	for (int i = 12; i >= 0; i--, id >>= 5)
		dst[i] = digits[id & 31];
	dst[13] = '\0';
	return dst;
}

bool
id_parse(struct span s, uint64_t *id)
{
	uint64_t	 v = 0;
	const char	*p;

	if (s.len != 13)
		return false;
	for (size_t i = 0; i < 13; i++) {
		if (s.p[i] == '\0' || (p = strchr(digits, s.p[i])) == NULL ||
		    (i == 0 && p - digits > 15))
			return false;
		v = v << 5 | (uint64_t)(p - digits);
	}
	*id = v;
	return true;
}
