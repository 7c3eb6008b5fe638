/*
 * What the files of mirror.h share: twin.c, a command of both servers;
 * mirror_pace.c, the second one's way through them; mirror.c.
 */
#ifndef SMTPD_MIRROR_I_H
#define SMTPD_MIRROR_I_H

#include "smtpd/compare.h"
#include "smtpd/mirror.h"

/* What one of the two servers said. */
struct said {
	uint16_t	 code;		/* 0: nothing yet */
	char		*text;
};

/* A command that goes to both, in the order of the session; or content. */
struct twin {
	STAILQ_ENTRY(twin) entry;
	struct mirror	*m;
	enum compare_what what;
	bool		 keywords;	/* its replies came with keywords */
	uint64_t	 id;		/* of its message, or 0 */
	uint16_t	 type;		/* IPC_T_…; p_chunk: content */
	struct buf	 msg;		/* encoded; or the content's bytes */
	bool		 sent;		/* to the mirror */
	bool		 lost;		/* the session's answer will not come */
	struct said	 actual, mirror;
	struct smtp_caps *caps;		/* the actual server's */
};

enum state { M_OPENING, M_READY, M_HELLO, M_ASKED, M_FLOW, M_SKIP, M_CUT,
    M_OVER };

struct mirror {
	struct link	*front;		/* whose mirror it is; NULL: gone */
	struct link	*link;		/* NULL: cut, or over */
	const struct conf_action *action;	/* the session's */
	struct compare_counts *counts;
	enum state	 state;
	bool		 dirty;		/* a transaction may be open there */
	bool		 failed;	/* its greeting was none */
	char		 session[ID_STRLEN];
	char		*helo;		/* the client's last */
	char		*server;	/* the actual one, when front is gone */
	STAILQ_HEAD(, twin) twins;
	unsigned	 ncmds;		/* of them commands */
	size_t		 bytes;		/* of them content */
	struct event	*timer;		/* front is gone */
};

/* ---- twin.c ---- */
/* At the end of the queue. msg is encoded; NULL: it has none. */
struct twin *twin_new(struct mirror *, enum compare_what, uint16_t type,
	    const void *msg);
void	 twin_free(struct twin *);
void	 twin_free_all(struct mirror *);
/* Compared, when both have answered, and done with then; or when one of them
 * never will. */
void	 twin_settle(struct twin *);

/* ---- mirror_pace.c ---- */
/* Sends what can be sent now; ends what has nothing more to come: the mirror
 * may be freed in it if its front is gone. */
void	 mirror_pump(struct mirror *);

/* ---- mirror.c ---- */
void	 mirror_free(struct mirror *);
/* After content that had to be cut: anew, for the next transaction. */
bool	 mirror_reopen(struct mirror *);

#endif
