/*
 * What deliverd answers on its control socket.
 */
#ifndef DELIVERD_CTL_H
#define DELIVERD_CTL_H

#include "common/ipc/ctl.h"

extern const struct ctl_verb ctl_verbs[];

#endif
