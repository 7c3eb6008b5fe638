/*
 * Clocks and durations. See clock.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"

#define DURATION_MAX_MS	(3650LL * 86400 * 1000)	/* 10 years */

static struct mono	fake_mono;
static struct wall	fake_wall;
static bool		mono_faked, wall_faked;

static int64_t
now_ms(clockid_t id)
{
	struct timespec	 ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct mono
clock_mono(void)
{
	return mono_faked ? fake_mono : (struct mono){ now_ms(CLOCK_BOOTTIME) };
}

struct wall
clock_wall(void)
{
	return wall_faked ? fake_wall : (struct wall){ now_ms(CLOCK_REALTIME) };
}

void
clock_fake(const struct mono *m, const struct wall *w)
{
	if ((mono_faked = m != NULL))
		fake_mono = *m;
	if ((wall_faked = w != NULL))
		fake_wall = *w;
}

static const struct unit {
	char	 letter;
	int64_t	 ms;
} units[] = {
	{ 'w', 7 * 86400000LL }, { 'd', 86400000 }, { 'h', 3600000 },
	{ 'm', 60000 }, { 's', 1000 }
};
#define NUNITS	(sizeof(units) / sizeof(units[0]))

static int64_t
unit_ms(char letter)
{
	for (size_t i = 0; i < NUNITS; i++)
		if (units[i].letter == letter)
			return units[i].ms;
	return 0;
}

bool
clock_parse_duration(const char *s, int64_t *ms)
{
	int64_t	 total = 0, v, unit;

	if (*s == '\0')
		return false;
	while (*s != '\0') {
		if (*s < '0' || *s > '9')
			return false;
		for (v = 0; *s >= '0' && *s <= '9'; s++)
			if ((v = v * 10 + (*s - '0')) > DURATION_MAX_MS)
				return false;
		if (*s == '\0')
			unit = 1000;
		else if ((unit = unit_ms(*s++)) == 0)
			return false;
		if (v > DURATION_MAX_MS / unit)
			return false;
		if ((total += v * unit) > DURATION_MAX_MS)
			return false;
	}
	*ms = total;
	return true;
}

char *
clock_format_duration(int64_t ms, char *dst, size_t size)
{
	size_t	 len = 0, shown = 0;
	int	 n;

	if (size > 0)
		dst[0] = '\0';
	if (ms > 0 && ms < 1000)
		snprintf(dst, size, "%" PRId64 "ms", ms);
	for (size_t i = 0; i < NUNITS && shown < 2; i++) {
		int64_t v = ms / units[i].ms;

		if (v == 0) {
			if (shown > 0)
				break;
			continue;
		}
		ms -= v * units[i].ms;
		n = snprintf(dst + len, size - len, "%" PRId64 "%c", v,
		    units[i].letter);
		if (n < 0 || (size_t)n >= size - len)
			break;
		len += (size_t)n;
		shown++;
	}
	if (size > 0 && dst[0] == '\0')
		snprintf(dst, size, "0s");
	return dst;
}
