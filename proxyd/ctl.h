/*
 * What proxyd answers on its control socket.
 */
#ifndef PROXYD_CTL_H
#define PROXYD_CTL_H

#include "common/ipc/ctl.h"

struct conf;

extern const struct ctl_verb ctl_verbs[];
/* The actions that "stats" shows. */
void	 ctl_init(const struct conf *);

#endif
