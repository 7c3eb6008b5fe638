/*
 * The log: one write(2) a line to descriptor 2, no stdio, no allocation. See
 * log.h.
 */
#include <errno.h>
#include <pthread.h>
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
#define QUOTED_MAX(n)	(4 * (n) + 8)	/* bytes that n quoted ones take */
#define QUOTES		8		/* results that stay at a time */

static char		title[64] = "postern";
static enum log_form	form = LOG_FORM_TEXT;
static enum log_level	level = LOG_LV_INFO;
static void		(*on_lost)(void);
#define MS_AT		20		/* behind "2026-01-31T23:59:59." */
static struct {
	time_t		 second;
	enum log_level	 level;
	size_t		 len;		/* 0: to be made */
	char		 text[160];
} head;
static unsigned long	lost;		/* lines that did not get through */

/* The lines of this second that came most often, by their hash. */
#define PLACES		16
#define PLACE_TEXT	160	/* bytes of a line kept to name it by */
static struct place {
	uint64_t	 hash;
	unsigned	 count, hidden;
	enum log_level	 level;
	char		 text[PLACE_TEXT];
} places[PLACES];
static int64_t		places_second;

/* Another process, another pid. */
static void
log_forked(void)
{
	head.len = 0;
}

void
log_init(const char *name, enum log_form f, enum log_level l)
{
	static bool	 told;

	if (!told)
		told = pthread_atfork(NULL, NULL, log_forked) == 0;
	snprintf(title, sizeof(title), "%s", name);
	form = f;
	level = l;
	head.len = 0;
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

/* Time, name and pid in front of a line; milliseconds are filled in later. */
static size_t
log_head_make(char *dst, size_t size, enum log_level l, time_t t)
{
	static const int	severity[] = { 4, 6, 7 };	/* RFC 5424 */
	struct tm		tm;
	size_t			n = 0;

	localtime_r(&t, &tm);
	if (form == LOG_FORM_SYSLOG) {
		n = (size_t)snprintf(dst, size, "<%d>",
		    FACILITY_MAIL | severity[l]);
		n += strftime(dst + n, size - n, "%b %e %H:%M:%S ", &tm);
		return n + (size_t)snprintf(dst + n, size - n,
		    "postern-%s[%d]: ", title, (int)getpid());
	}
	n = strftime(dst, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)snprintf(dst + n, size - n, ".000 %s[%d]: ", title,
	    (int)getpid());
}

/* The head of the last line serves for all of its second. */
static size_t
log_head(char *dst, size_t size, enum log_level l)
{
	struct wall	 now = clock_wall();
	time_t		 t = (time_t)(now.ms / 1000);
	unsigned	 ms = (unsigned)(now.ms % 1000);

	if (head.len == 0 || head.second != t || head.level != l) {
		head.len = log_head_make(head.text, sizeof(head.text), l, t);
		head.second = t;
		head.level = l;
	}
	if (size < head.len)
		return 0;
	memcpy(dst, head.text, head.len);
	if (form == LOG_FORM_TEXT) {
		dst[MS_AT] = (char)('0' + ms / 100);
		dst[MS_AT + 1] = (char)('0' + ms / 10 % 10);
		dst[MS_AT + 2] = (char)('0' + ms % 10);
	}
	return head.len;
}

/* Whatever the caller forgot to quote, a line stays one line. */
static size_t
log_body(char *dst, size_t size, const char *text)
{
	size_t	 n;

	for (n = 0; n < size && text[n] != '\0'; n++)
		dst[n] = (uint8_t)text[n] < ' ' || text[n] == 0x7f ? '?' :
		    text[n];
	return n;
}

static bool
log_emit(enum log_level l, const char *text)
{
	static bool	 telling;	/* on_lost may log itself */
	char		 line[LOG_LINE_MAX];
	size_t		 n = log_head(line, sizeof(line), l);
	ssize_t		 did;

	n += log_body(line + n, sizeof(line) - n - 1, text);
	if (form == LOG_FORM_TEXT)
		line[n++] = '\n';
	while ((did = write(2, line, n)) == -1 && errno == EINTR)
		;
	if (did != -1)
		return true;
	/* The logger has gone. EAGAIN is only one that is slow. */
	if ((errno == ECONNREFUSED || errno == ENOTCONN || errno == EPIPE ||
	    errno == ECONNRESET) && on_lost != NULL && !telling) {
		telling = true;
		on_lost();
		telling = false;
	}
	return false;
}

/* A line, and before it the number of those that did not get through. */
static void
log_send(enum log_level l, const char *text)
{
	char		 note[64];
	unsigned long	 was = lost;

	if (was > 0) {
		snprintf(note, sizeof(note), "event=lost lines=%lu", was);
		if (!log_emit(LOG_LV_WARN, note)) {
			lost++;
			return;
		}
		lost -= was;
	}
	if (!log_emit(l, text))
		lost++;
}

/* Puts at most max bytes of s, quoted, into text; gives where it begins. */
static const char *
quote(struct span s, size_t max, char *text)
{
	static const char	hex[] = "0123456789abcdef";
	char			*p = text + 1;
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

/* Tells how many were held back, and forgets them. */
static void
log_tell_hidden(struct place *p)
{
	char	 text[QUOTED_MAX(PLACE_TEXT)], note[sizeof(text) + 64];

	if (p->hidden > 0) {
		snprintf(note, sizeof(note), "event=repeated count=%u line=%s",
		    p->hidden, quote(span_str(p->text), PLACE_TEXT, text));
		log_send(p->level, note);
	}
	p->count = p->hidden = 0;
}

/* The place of this hash, or the one that is missed least. */
static struct place *
log_place(uint64_t hash)
{
	struct place	*p = &places[0];

	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].hash == hash)
			return &places[i];
		if (places[i].count < p->count)
			p = &places[i];
	}
	return p;
}

/* An attacker's favourite line may come 100 times a second, then it is only
 * counted. */
static bool
log_too_many(enum log_level l, const char *text)
{
	uint64_t	 h = 14695981039346656037ULL;
	int64_t		 second = clock_mono().ms / 1000;
	struct place	*p;

	if (second != places_second) {
		for (size_t i = 0; i < PLACES; i++)
			log_tell_hidden(&places[i]);
		places_second = second;
	}
	for (const char *c = text; *c != '\0'; c++)
		h = (h ^ (uint8_t)*c) * 1099511628211ULL;
	p = log_place(h);
	if (p->hash != h || p->count == 0) {
		log_tell_hidden(p);
		p->hash = h;
		p->level = l;
		strlcpy(p->text, text, sizeof(p->text));
	}
	if (++p->count <= SAME_PER_SECOND)
		return false;
	p->hidden++;
	return true;
}

__attribute__((format(printf, 2, 0)))
static void
log_line(enum log_level l, const char *fmt, va_list ap, int err)
{
	char	 text[LOG_LINE_MAX];
	int	 saved = errno, n;

	if (l > level)
		return;
	text[0] = '\0';
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (err != 0 && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
		    strerrordesc_np(err) != NULL ? strerrordesc_np(err) :
		    "unknown error");
	if (!log_too_many(l, text))
		log_send(l, text);
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

const char *
log_quote(struct span s)
{
	static char	 texts[QUOTES][QUOTED_MAX(LOG_VALUE_MAX)];
	static unsigned	 turn;

	return quote(s, LOG_VALUE_MAX, texts[turn++ % QUOTES]);
}

const char *
log_quote_reply(struct span s)
{
	static char	 texts[QUOTES][QUOTED_MAX(LOG_REPLY_MAX)];
	static unsigned	 turn;

	return quote(s, LOG_REPLY_MAX, texts[turn++ % QUOTES]);
}

const char *
log_reply(uint16_t code, struct span text)
{
	char	 flat[LOG_REPLY_MAX + 16];
	size_t	 n;

	n = (size_t)snprintf(flat, sizeof(flat), "%03u ", (unsigned)code);
	for (size_t i = 0; i < text.len && n + 3 < sizeof(flat); i++) {
		if (text.p[i] == '\n') {
			memcpy(flat + n, " / ", 3);
			n += 3;
		} else
			flat[n++] = (char)text.p[i];
	}
	return log_quote_reply(span(flat, n));
}
