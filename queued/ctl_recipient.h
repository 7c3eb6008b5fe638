/*
 * The control socket's verbs about recipients: "recipient show", "recipient
 * forget".
 */
#ifndef QUEUED_CTL_RECIPIENT_H
#define QUEUED_CTL_RECIPIENT_H

#include "common/ipc/ctl.h"

struct queue;
struct verify;

void	 verify_ctl_init(struct queue **, struct verify *);
/* Handlers of ctl_verb. */
void	 verify_run_show(struct ctl *, int argc, char **argv);
void	 verify_run_forget(struct ctl *, int argc, char **argv);

#endif
