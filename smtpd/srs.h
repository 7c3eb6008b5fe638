/*
 * Recipients that are senders rewritten by us (`srs key`): what was returned
 * goes on to the sender that the address was made of. keyd says who that is.
 */
#ifndef SMTPD_SRS_H
#define SMTPD_SRS_H

#include "common/conf/conf.h"
#include "common/lookup/sender.h"

void	 srs_init(struct proc *, const struct conf *);
/* keyd's channel; NULL: it is gone. */
void	 srs_join(struct chan *);
chan_handler srs_on_sender;
/* Does it look like one, in the domain of `srs key`? */
bool	 srs_is(struct span to);
/* As sender_ask(), for such a recipient. */
uint32_t srs_ask(struct span to, void (*done)(void *arg, enum sender_answer,
	    struct span address, struct span why), void *arg);
void	 srs_cancel(uint32_t number);

#endif
