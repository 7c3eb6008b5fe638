/*
 * Recipients that are senders rewritten by us (`srs key`): what was returned
 * goes on to the sender that the address was made of. keyd says who that is.
 */
#ifndef SMTPD_SRS_H
#define SMTPD_SRS_H

#include "common/conf/conf.h"
#include "common/lookup/sender.h"

void	 srs_init(struct proc *, const struct conf *);
/* A channel to keyd; fd is taken. */
void	 srs_peer(uint16_t worker, int fd);
/* Does it look like one, in the domain of `srs key`? */
bool	 srs_is(struct span to);
/* As sender_ask(), for such a recipient. */
uint32_t srs_ask(struct span to, void (*done)(void *arg, enum sender_answer,
	    struct span address, struct span why), void *arg);
void	 srs_cancel(uint32_t number);

#endif
