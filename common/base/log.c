/*
 * The log: one write(2) a line to descriptor 2, no stdio, no allocation. See
 * log.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

#define SAME_PER_SECOND	100	/* equal lines let through */
#define FACILITY_MAIL	(2 << 3)

static char		title[64] = "postern";
static enum log_form	form = LOG_FORM_TEXT;
static enum log_level	level = LOG_LV_INFO;
static void		(*on_lost)(void);
static unsigned long	lost;		/* lines that did not get through */

/* Of the line before: how often it came within this second. */
static uint64_t		same_hash;
static int64_t		same_second;
static unsigned		same_count, same_hidden;

void
log_init(const char *name, enum log_form f, enum log_level l)
{
	snprintf(title, sizeof(title), "%s", name);
	form = f;
	level = l;
}

void
log_set_level(enum log_level l)
{
	level = l;
}

enum log_level
log_get_level(void)
{
	return level;
}

void
log_on_lost(void (*f)(void))
{
	on_lost = f;
}

static size_t
log_head(char *dst, size_t size, enum log_level l)
{
	static const int	severity[] = { 4, 6, 7 };	/* RFC 5424 */
	struct wall		now = clock_wall();
	time_t			t = (time_t)(now.ms / 1000);
	struct tm		tm;
	size_t			n;

	localtime_r(&t, &tm);
	if (form == LOG_FORM_SYSLOG) {
		n = (size_t)snprintf(dst, size, "<%d>",
		    FACILITY_MAIL | severity[l]);
		n += strftime(dst + n, size - n, "%b %e %H:%M:%S ", &tm);
		n += (size_t)snprintf(dst + n, size - n, "postern-%s[%d]: ",
		    title, (int)getpid());
	} else {
		n = strftime(dst, size, "%Y-%m-%dT%H:%M:%S", &tm);
		n += (size_t)snprintf(dst + n, size - n, ".%03d %s[%d]: ",
		    (int)(now.ms % 1000), title, (int)getpid());
	}
	return n;
}

static void
log_emit(enum log_level l, const char *text)
{
	char	 line[LOG_LINE_MAX];
	size_t	 n = log_head(line, sizeof(line), l), len = strlen(text);
	ssize_t	 did;

	if (len > sizeof(line) - n - 1)
		len = sizeof(line) - n - 1;
	memcpy(line + n, text, len);
	n += len;
	if (form == LOG_FORM_TEXT)
		line[n++] = '\n';
	while ((did = write(2, line, n)) == -1 && errno == EINTR)
		;
	if (did == -1) {
		lost++;
		if (errno != EAGAIN && on_lost != NULL)
			on_lost();
	}
}

/* An attacker's favourite line may come 100 times a second, then it is only
 * counted. */
static bool
log_too_many(const char *text)
{
	uint64_t	 h = 14695981039346656037ULL;
	int64_t		 second = clock_mono().ms / 1000;
	char		 note[64];
	unsigned	 hidden;

	for (const char *p = text; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ULL;
	if (h == same_hash && second == same_second) {
		if (++same_count > SAME_PER_SECOND) {
			same_hidden++;
			return true;
		}
		return false;
	}
	hidden = same_hidden;
	same_hash = h;
	same_second = second;
	same_count = 1;
	same_hidden = 0;
	if (hidden > 0) {
		snprintf(note, sizeof(note), "event=repeated count=%u", hidden);
		log_emit(LOG_LV_WARN, note);
	}
	return false;
}

static void
log_line(enum log_level l, const char *fmt, va_list ap, int err)
{
	char	 text[LOG_LINE_MAX];
	int	 saved = errno, n;

	if (l > level)
		return;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (err != 0 && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
		    strerrordesc_np(err) != NULL ? strerrordesc_np(err) :
		    "unknown error");
	if (!log_too_many(text)) {
		if (lost > 0) {
			char	 note[64];
			unsigned long was = lost;

			snprintf(note, sizeof(note), "event=lost lines=%lu",
			    was);
			log_emit(LOG_LV_WARN, note);
			if (lost == was)
				lost = 0;
		}
		log_emit(l, text);
	}
	errno = saved;
}

void
log_warn(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LV_WARN, fmt, ap, errno);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LV_WARN, fmt, ap, 0);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LV_INFO, fmt, ap, 0);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LV_DEBUG, fmt, ap, 0);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LV_WARN, fmt, ap, errno);
	va_end(ap);
	_exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LV_WARN, fmt, ap, 0);
	va_end(ap);
	_exit(1);
}

#define QUOTES		8
#define QUOTED_MAX	(4 * LOG_REPLY_MAX + 8)

static const char *
quote(struct span s, size_t max)
{
	static const char	hex[] = "0123456789abcdef";
	static char		texts[QUOTES][QUOTED_MAX];
	static unsigned		turn;
	char			*text = texts[turn++ % QUOTES], *p = text + 1;
	bool			 cut = s.len > max, quotes = s.len == 0;

	if (cut)
		s.len = max;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	 c = s.p[i];

		if (c == ' ' || c == '=')
			quotes = true;
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	if (cut) {
		memcpy(p, "...", 3);
		p += 3;
	}
	if (!quotes) {
		*p = '\0';
		return text + 1;
	}
	text[0] = '"';
	*p++ = '"';
	*p = '\0';
	return text;
}

const char *
log_quote(struct span s)
{
	return quote(s, LOG_VALUE_MAX);
}

const char *
log_quote_reply(struct span s)
{
	return quote(s, LOG_REPLY_MAX);
}
