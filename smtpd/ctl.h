/*
 * What smtpd answers on its control socket.
 */
#ifndef SMTPD_CTL_H
#define SMTPD_CTL_H

#include "common/ipc/ctl.h"

extern const struct ctl_verb ctl_verbs[];

#endif
