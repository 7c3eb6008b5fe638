/*
 * The daemon's side of the control socket. The parent has accepted and
 * identified the caller; here one request at a time is read, held against the
 * classes that the caller's uid has, and answered by rows. A long answer is
 * made piece by piece, only as fast as the caller reads.
 */
#ifndef IPC_CTL_H
#define IPC_CTL_H

#include "common/ipc/chan.h"

enum ctl_class {
	CTL_READ	= 1 << 0,
	CTL_CHANGE	= 1 << 1,
	CTL_STOP	= 1 << 2
};

#define CTL_CONNS_MAX	16	/* connections of one daemon at a time */
#define CTL_ARGS_MAX	32	/* words of one request */

struct ctl;			/* one request being answered */

struct ctl_verb {
	const char	*name;		/* "queue list"; table ends with NULL */
	enum ctl_class	 class;
	/* Answers at once, or sets ctl_more() and goes on later. argv are C
	 * strings that live until the request has ended. */
	void		(*run)(struct ctl *, int argc, char **argv);
};

/* Serves the connection fd (taken) with this daemon's verbs. role is ours. */
void	 ctl_serve(struct event_base *, int fd, enum ipc_role role,
	    uint32_t uid, uint8_t classes, const struct ctl_verb *verbs);
uint32_t ctl_uid(const struct ctl *);
/* A row: begin, fields, end. Values may be any bytes (posternctl quotes). */
void	 ctl_row(struct ctl *, const char *kind);
void	 ctl_field(struct ctl *, const char *key, struct span value);
void	 ctl_str(struct ctl *, const char *key, const char *value);
void	 ctl_num(struct ctl *, const char *key, int64_t value);
void	 ctl_row_end(struct ctl *);
void	 ctl_data(struct ctl *, struct span bytes);	/* any length */
/* The answer is complete; status as sysexits(3). Ends the request: the pointer
 * is dead afterwards. text may be NULL. */
void	 ctl_end(struct ctl *, int status, const char *text);
/*
 * For long answers: more(arg) is called whenever the caller can take more, some
 * milliseconds a pass of the loop; it adds rows (or works and adds none) and
 * returns, or calls ctl_end(). gone(arg) is called instead when
 * the caller went away (and after ctl_end), to free arg. Either may be set
 * once.
 */
void	 ctl_more(struct ctl *, void (*more)(struct ctl *, void *arg),
	    void (*gone)(void *arg), void *arg);

/* Reading side of the fields blob, for posternctl: pairs until false. */
bool	 ctl_pair(struct span *fields, struct span *key, struct span *value,
	    bool *number);

#endif
