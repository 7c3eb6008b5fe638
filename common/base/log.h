/*
 * The log: one line an event to file descriptor 2, which is either a terminal
 * or file (-d) or a datagram socket to the system's logger. Lines are at most
 * 2,048 bytes. What comes from outside goes through log_quote().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "common/base/span.h"

enum log_level { LOG_LV_WARN, LOG_LV_INFO, LOG_LV_DEBUG };
enum log_form {
	LOG_FORM_TEXT,		/* "2026-11-24T10:00:00.123 smtpd[12]: ..." */
	LOG_FORM_SYSLOG		/* RFC 3164 datagrams, facility mail */
};

#define LOG_LINE_MAX	2048
#define LOG_VALUE_MAX	256	/* bytes of one quoted value */
#define LOG_REPLY_MAX	1024	/* the same for an SMTP reply */

/* name is the title, as "smtpd.1"; it is copied. */
void	 log_init(const char *name, enum log_form, enum log_level);
void	 log_set_level(enum log_level);
enum log_level log_get_level(void);
/* Called when a datagram is refused (the logger restarted); may be NULL. */
void	 log_on_lost(void (*)(void));

/* warn adds ": strerror(errno)", warnx does not. fatal ends the process with
 * status 1: start-up, out of memory, own broken promises only. */
void	 log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_warnx(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fatal(const char *, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fatalx(const char *, ...) __attribute__((format(printf, 1, 2)));

/*
 * The bytes as a log value: printable ASCII as it is, all else (and `"`, `\`)
 * as \xNN; put between double quotes if there is a space, a "=" or nothing;
 * at most max input bytes are shown, then "...". The result lives in one of 8
 * rotating static buffers of each function, so up to 8 may stand in one call.
 */
const char *log_quote(struct span);
const char *log_quote_reply(struct span);
/* An SMTP reply as one value, "250 2.0.0 Ok"; its lines joined by " / ". */
const char *log_reply(uint16_t code, struct span text);

#endif
