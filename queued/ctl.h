/*
 * queued's answers to posternctl: lists, one message, changes by filter.
 */
#ifndef QUEUED_CTL_H
#define QUEUED_CTL_H

#include "common/ipc/ctl.h"
#include "queued/queue.h"

/* The verbs; q may change (a queue that was down is opened again). */
const struct ctl_verb *verbs_init(struct queue **q);

#endif
