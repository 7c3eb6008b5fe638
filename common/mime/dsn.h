/*
 * Delivery status notifications as bytes (RFC 3464, 6522, 6533): a
 * multipart/report of a text for people, fields for programs, and the message
 * that it is about or its header. Pure; who is told what and when is for the
 * caller. All that others said (addresses, replies, header) is taken for
 * hostile: it makes no line, field or part of its own.
 */
#ifndef MIME_DSN_H
#define MIME_DSN_H

#include "common/base/buf.h"

#define DSN_MAX		65536	/* bytes that a notification needs at most */

enum dsn_action {		/* RFC 3464, 2.3.3 */
	DSN_NONE,		/* nobody is told */
	DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED
};
#define DSN_ACTIONS	(DSN_EXPANDED + 1)

struct dsn_rcpt {
	enum dsn_action	 action;
	bool		 expired;	/* failed as its time was over */
	struct span	 to;		/* where it went, without <> */
	struct span	 orig;		/* what the client gave, if it was
					 * rewritten to `to`; else empty */
	struct span	 orcpt;		/* "type;xtext" as it came, or empty */
	struct span	 reply;		/* "550 5.1.1 text"; empty: no attempt */
	struct span	 server;	/* whose that is, "name[address]:port";
					 * empty: our own words */
	uint64_t	 tried_ms;	/* unix time of the last attempt, or 0 */
};
struct dsn {
	struct span	 host;		/* our name */
	struct span	 id;		/* of the notification, at most 40 bytes */
	struct span	 of;		/* of the message */
	struct span	 to;		/* who is notified, without <> */
	bool		 double_bounce;	/* to is no sender, but a postmaster */
	bool		 utf8;		/* the message was sent with SMTPUTF8 */
	bool		 full;		/* and with RET=FULL */
	struct span	 envid;		/* its ENVID, xtext as it came, or empty */
	uint64_t	 now_ms;	/* unix time; the same below */
	uint64_t	 arrived_ms, until_ms;
	int		 zone_min;	/* our time, minutes east of UTC */
	/* The message, as much as there is; whole: all of it. */
	struct span	 prefix, content;
	bool		 whole;
	const struct dsn_rcpt *rcpts;	/* none of them with DSN_NONE */
	size_t		 nrcpts;
};
struct dsn_form {
	size_t		 told;		/* recipients, from the first, that went
					 * in: at least one */
	bool		 eightbit;	/* needs 8BITMIME */
	bool		 smtputf8;	/* needs SMTPUTF8 */
};

/*
 * Writes the notification to an empty buffer of a maximum of DSN_MAX or more.
 * Recipients that don't fit are for another one. False: no memory.
 */
bool	 dsn_write(struct buf *, const struct dsn *, struct dsn_form *);

/*
 * The enhanced status code (RFC 3463) for a recipient, "5.1.1": what its reply
 * says, or what the basic code stands for, with the class of the action.
 */
#define DSN_STATUSLEN	12
char	*dsn_status(const struct dsn_rcpt *, char buf[DSN_STATUSLEN]);

#endif
