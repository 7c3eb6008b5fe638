/*
 * Who the client is: the confirmed reverse name of its address (PTR, and one of
 * that name's addresses is the client's). Asked for once a session, and never
 * waited for unless a rule hangs on it.
 */
#ifndef SMTPD_PEER_H
#define SMTPD_PEER_H

#include "common/lookup/ask.h"

#define PEER_NAMES_MAX	3	/* names of one address that are looked at */

struct peer {
	struct addr	 addr;
	bool		 asked, known;	/* known: name is final */
	bool		 failed;	/* DNS had no answer: none for now */
	char		*name;		/* lower case; NULL: none */
	char		*names[PEER_NAMES_MAX];
	unsigned	 nnames, next;
	uint32_t	 question;
	void		(*done)(void *arg);
	void		*arg;
};

void	 peer_init(struct ask *);
void	 peer_begin(struct peer *, const struct addr *);
void	 peer_clear(struct peer *);
/* Starts the look-up if it was not. */
void	 peer_look(struct peer *);
/* done(arg) is called once the name is known; never from within. Only one
 * waits. False: it is known already, and nothing will be called. */
bool	 peer_wait(struct peer *, void (*done)(void *), void *arg);
struct span peer_name(const struct peer *);	/* empty: none (yet) */
/* Has it that name, or none, for good? */
bool	 peer_settled(const struct peer *);
/* Another one, which we trust, has looked: NULL, it has no name. */
void	 peer_told(struct peer *, const char *name);

#endif
