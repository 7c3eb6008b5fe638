/*
 * The certificates of listeners.
 */
#ifndef SMTPD_PKI_H
#define SMTPD_PKI_H

#include <openssl/ssl.h>

#include "common/conf/conf.h"

/* A server's SSL for a new session of this listener, which the caller owns;
 * NULL: there is no certificate. */
SSL	*pki_ssl(const struct conf_listen *);

#endif
