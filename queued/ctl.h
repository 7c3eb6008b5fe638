/*
 * queued's answers to posternctl: lists, one message, changes by filter.
 */
#ifndef QUEUED_CTL_H
#define QUEUED_CTL_H

#include "common/ipc/ctl.h"
#include "queued/proxies.h"

/* The verbs; q may change (a queue that was down is opened again). */
const struct ctl_verb *verbs_init(struct queue **q, struct proxies *);
/* ctl_hosts.c; done by verbs_init(). */
void	 hosts_ctl_init(struct queue **q, const struct proxies *);

#endif
