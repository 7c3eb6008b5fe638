/*
 * Between the files of smtpdhelp.h's world.
 */
#ifndef REGRESS_SMTPDHELP_I_H
#define REGRESS_SMTPDHELP_I_H

#include "regress/lib/smtpdhelp.h"

/* A breach of the protocol: of smtpd, or of a test. */
void	 must(bool good, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* One more piece of what a stand-in has heard. */
void	 note(char *log, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
#define SV(s)	(int)(s).len, (const char *)(s).p
/* Content so far, up to WORLD_CONTENT_MAX bytes with a NUL. */
void	 keep(char **content, size_t *len, struct span);
/* "" is family 0. */
struct addr address(const char *);
/* The stand-in's end of a new channel, smtpd's in *fd. */
struct chan *channel(enum ipc_role self, const struct chan_row *,
	    void (*closed)(struct chan *, const char *), int *fd);
void	 peer_closed(struct chan *, const char *why);

#endif
