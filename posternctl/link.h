/*
 * One SMTP session to the gateway over its submission socket: commands out,
 * replies back, each with a deadline. Blocking; common/smtp/client has the
 * protocol.
 */
#ifndef POSTERNCTL_LINK_H
#define POSTERNCTL_LINK_H

#include "common/base/clock.h"
#include "common/smtp/client.h"

struct link {
	int			 fd;		/* -1: none */
	struct smtp_client	*client;
	struct buf		 out;
	uint8_t			*in;		/* LINK_IN bytes */
	size_t			 in_at, in_len;
	bool			 verbose;	/* replies on standard output */
	char			 why[512];	/* what is wrong with it */
};
#define LINK_IN		8192
#define LINK_OUT	(256 << 10)

/* Where the gateway takes mail: at `socket`, or, if that is NULL, at the one
 * that belongs to `dir`: the control directory, or the socket itself. */
struct link_place {
	const char	*dir, *socket;
};
/* Its path. False: too long. */
bool	 link_path(const struct link_place *, char *dst, size_t size);
/* Connects; -1 and errno if nobody listens there. */
int	 link_connect(const struct link_place *);

/* All give false, with why, if the session is at an end; it is then closed. */
bool	 link_open(struct link *, const struct link_place *,
	    struct mono until);
/* The next reply. */
bool	 link_reply(struct link *, struct smtp_client_event *,
	    struct mono until);
/* Writes what is in out, the pieces of a message. quiet_ms: how long without
 * any progress. */
bool	 link_flush(struct link *, int64_t quiet_ms);
/* QUIT if it is still open, and the end. */
void	 link_close(struct link *);

#endif
