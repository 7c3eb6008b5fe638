/*
 * What smtpd asks of keyd's `passwd` about users of our own: whether a password
 * is right, and what a table's users can be asked by.
 */
#ifndef SMTPD_LOGIN_H
#define SMTPD_LOGIN_H

#include "common/proc/start.h"
#include "common/conf/conf.h"

#define LOGINS_MAX	4096	/* questions at a time */
#define LOGIN_TIMEOUT_MS 20000

void	 login_init(struct proc *, const struct conf *);
/* A channel to passwd; the one before is dead. fd is taken. */
void	 login_peer(uint16_t worker, int fd);
/* Mechanisms for clients of this listener, one space between; plus: the channel
 * can be bound to. */
void	 login_mechs(const struct conf_listen *, bool plus, char to[512]);

struct login_answer {
	enum k_verdict	 verdict;
	struct span	 said;		/* borrowed, as why */
	struct span	 why;		/* for the log */
};
/*
 * Asks; what m says of tid is ours to fill in: 0 for a new exchange, else the
 * number of the one that goes on, which this gives again. done is called once,
 * never from within; nothing of m is kept. 0: passwd is away, or too much is
 * asked.
 */
uint32_t login_ask(const struct ipc_k_login *m,
	    void (*done)(void *arg, const struct login_answer *), void *arg);
/* The answer to the question of this number is not wanted any more. */
void	 login_cancel(uint32_t number);

#endif
