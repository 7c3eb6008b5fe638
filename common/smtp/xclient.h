/*
 * XCLIENT (Postfix's XCLIENT_README): a mail server that is trusted tells who
 * its client is. The attributes, read and written. Pure functions.
 */
#ifndef SMTP_XCLIENT_H
#define SMTP_XCLIENT_H

#include "common/base/addr.h"
#include "common/base/buf.h"

#define XCLIENT_VALUE_MAX 255	/* octets of a name, decoded */
#define XCLIENT_ARG_MAX	502	/* of all: a line of 512 with verb and CR LF */

enum xclient_attr {
	XC_NAME		= 1 << 0,	/* confirmed reverse name */
	XC_ADDR		= 1 << 1,
	XC_PORT		= 1 << 2,
	XC_PROTO	= 1 << 3,	/* SMTP or ESMTP */
	XC_HELO		= 1 << 4,
	XC_LOGIN	= 1 << 5,
	XC_DESTADDR	= 1 << 6,
	XC_DESTPORT	= 1 << 7,
	XC_REVERSE_NAME	= 1 << 8,	/* not confirmed */
	XC_ALL		= (1 << 9) - 1
};

struct xclient {
	/* enum xclient_attr: with a value; [UNAVAILABLE], there is none for
	 * good; [TEMPUNAVAIL], it is not known now. */
	uint32_t	 given, none, later;
	struct addr	 client, dest;	/* family 0: not given; with ports */
	bool		 esmtp;
	char		 name[XCLIENT_VALUE_MAX + 1];
	char		 reverse_name[XCLIENT_VALUE_MAX + 1];
	char		 helo[XCLIENT_VALUE_MAX + 1];
	char		 login[XCLIENT_VALUE_MAX + 1];
};

/* The argument of XCLIENT: attributes with a blank between, each once, names
 * without case, values in xtext. */
enum parse xclient_parse(struct span arg, struct xclient *, const char **why);
/* Appends those that have something to say and are among `listed`, as long as
 * they fit in XCLIENT_ARG_MAX, the more important first. False: none of them,
 * or no memory. */
bool	 xclient_write(struct buf *, const struct xclient *, uint32_t listed);
/* The attributes that a server lists behind its EHLO keyword, and the other
 * way: unknown ones are passed over. */
uint32_t xclient_listed(struct span args);
bool	 xclient_list(struct buf *, uint32_t attrs);	/* " NAME ADDR" */

#endif
