/*
 * The protocol of Dovecot's auth socket, version 1, the client's side: what the
 * server says, a line at a time, and what is said to it. An exchange's data is
 * base64 and stays what it is. Pure functions.
 *
 *	server	VERSION 1 N · MECH … · … · DONE
 *	client	VERSION 1 N · CPID pid
 *	client	AUTH id mech service=smtp … resp=base64
 *	server	CONT id base64 | OK id user=… | FAIL id …
 *	client	CONT id base64 | CANCEL id
 */
#ifndef SASL_DOVECOT_H
#define SASL_DOVECOT_H

#include "common/base/addr.h"
#include "common/base/buf.h"

#define DOVECOT_LINE_MAX	16384	/* octets, and with it of a challenge */
#define DOVECOT_USER_MAX	255

enum dovecot_kind {
	DOVECOT_VERSION,	/* one that we know */
	DOVECOT_MECH,		/* mech */
	DOVECOT_DONE,		/* all that comes first has come */
	DOVECOT_CONT,		/* id, data */
	DOVECOT_OK,		/* id, user */
	DOVECOT_FAIL,		/* id, temp, reason */
	DOVECOT_OTHER		/* nothing that matters here */
};
struct dovecot_line {
	enum dovecot_kind kind;
	uint32_t	 id;
	struct span	 mech;		/* of the line */
	struct span	 data;		/* base64; of the line */
	/* Empty: none, or none that can be shown: UTF-8 without control
	 * characters. */
	char		 user[DOVECOT_USER_MAX + 1];
	bool		 temp;		/* it could not be found out */
	char		 reason[256];	/* for the log; may be empty */
};
/* The next line; its spans live as long as `in`. PARSE_BAD: no such server. */
enum parse dovecot_read(struct span *in, struct dovecot_line *,
	    const char **why);

/* What is asked. */
struct dovecot_auth {
	uint32_t	 id;
	struct span	 mech;
	const struct addr *client, *local;	/* family 0: not said */
	bool		 secured;		/* over TLS */
	bool		 has_initial;
	struct span	 initial;		/* base64, "=" for an empty one */
};
/* Append to buf; false: no room, or a word that can't stand there. pid tells
 * this client from others. */
bool	 dovecot_hello(struct buf *, uint32_t pid);
bool	 dovecot_auth(struct buf *, const struct dovecot_auth *);
bool	 dovecot_cont(struct buf *, uint32_t id, struct span base64);
bool	 dovecot_cancel(struct buf *, uint32_t id);

#endif
