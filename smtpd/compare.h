/*
 * What two servers say to the same commands: counted, logged where they
 * differ, and the last differences kept for posternctl(8). They are the same if
 * their codes are.
 */
#ifndef SMTPD_COMPARE_H
#define SMTPD_COMPARE_H

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "common/conf/conf.h"
#include "common/smtp/ehlo.h"

#define COMPARE_KEPT	100	/* differences */
#define COMPARE_PAIRS	64	/* of servers whose keywords were told */

enum compare_what { CMP_EHLO, CMP_MAIL, CMP_RCPT, CMP_DATA, CMP_CONTENT,
    CMP_RSET, CMP_NOOP, CMP_VRFY, CMP_EXPN, CMP_HELP, CMP_MAX };

/* Of one action, since this worker began. */
struct compare_counts {
	const struct conf_action *action;
	uint64_t	 sessions;	/* at its mirror's server */
	uint64_t	 skipped;	/* there were too many */
	uint64_t	 failed;	/* of sessions: no server, connection lost */
	uint64_t	 gave_up;	/* it was too far behind */
	struct {
		uint64_t same, differ;
	} what[CMP_MAX];
};

/* A command and two answers; pointers are borrowed. */
struct comparison {
	const struct conf_action *action;	/* that has the mirror */
	enum compare_what what;
	const char	*session;
	uint64_t	 id;		/* of the message; 0: none */
	struct span	 arg;		/* address, or what was asked for */
	struct {
		const char	*server;	/* NULL: not known */
		uint16_t	 code;
		struct span	 text;
	} actual, mirror;
};

/* One that differed. */
struct difference {
	int64_t		 time_ms;	/* wall clock */
	const struct conf_action *action;
	enum compare_what what;
	char		 session[ID_STRLEN], id[ID_STRLEN];
	char		 arg[256], server[301], mirror[301];
	char		 reply[301], mirror_reply[301];
};

const char *compare_name(enum compare_what);
/* Of this action, made if there are none yet. */
struct compare_counts *compare_counts(const struct conf_action *);
void	 compare(const struct comparison *);
/* Keywords of both servers: what one has and the other has not is logged,
 * once for each pair of servers until it changes. */
void	 compare_keywords(const char *session, const char *server,
	    const struct smtp_caps *, const char *mirror,
	    const struct smtp_caps *);
void	 compare_each_count(void (*)(const struct compare_counts *, void *),
	    void *arg);
/* From the oldest that is kept to the newest. */
void	 compare_each_difference(void (*)(const struct difference *, void *),
	    void *arg);
/* Forgets all of it. */
void	 compare_reset(void);

#endif
