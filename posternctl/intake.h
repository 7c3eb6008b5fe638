/*
 * A message as a program hands it in, line by line: header and body apart, in
 * canonical form, where CR LF alone ends a line. A byte machine without I/O,
 * which may be cut at every byte.
 */
#ifndef POSTERNCTL_INTAKE_H
#define POSTERNCTL_INTAKE_H

#include "posternctl/spill.h"

#define INTAKE_HEADER_MAX	(1 << 20)	/* bytes; smtpd has the same */
#define INTAKE_BODY_MAX		(1UL << 30)	/* the gateway's is smaller */
#define INTAKE_PART		65536	/* longer lines of a body are not kept */
#define INTAKE_LINE_MAX		998	/* without CR LF: RFC 5322, 2.1.1 */

struct intake {
	struct buf	 head;		/* fields alone; may be empty */
	struct spill	 body;		/* behind the empty line */
	bool		 eight;		/* a byte above 127 */
	bool		 done;		/* a line "." was read */
	const char	*why;		/* what is wrong, static */
	/* private */
	struct buf	 line;
	bool		 dots, begun, in_body;
	bool		 within;	/* a line of which a part is done … */
	bool		 blank;		/* … and whose rest gets one */
};

/* dots: a line of nothing but a point ends the message. */
void	 intake_begin(struct intake *, bool dots);
/*
 * Eats the next bytes. A line ends in LF with any number of CR before it; a CR
 * elsewhere is a blank in the header and ends a line in the body. "From " on
 * the first line is an mbox's and dropped. The first line that is no field and
 * does not go on with one begins the body. Longer lines than RFC 5322 allows
 * are folded: before a blank, or else with one. False: why.
 */
bool	 intake_feed(struct intake *, struct span);
/* The end of the input, also within a line. */
bool	 intake_end(struct intake *);
void	 intake_clear(struct intake *);

#endif
