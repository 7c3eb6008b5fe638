/*
 * TLS of a session: STARTTLS (RFC 3207), or from its first byte on (`smtps`).
 * What was said before it is forgotten, whoever said it.
 */
#ifndef SMTPD_TLS_H
#define SMTPD_TLS_H

#include "smtpd/session.h"

#define TLS_WAIT_MS	60000	/* for a whole handshake */

/* Does the listener begin with TLS? */
bool	 tls_at_once(const struct session *);
/* Begins the handshake of such a session. */
void	 tls_begin(struct session *);
/* May this client ask for STARTTLS now? */
bool	 tls_offered(const struct session *);
/* May nothing of worth be said before TLS stands? */
bool	 tls_needed(const struct session *);
/* The handshake is done. */
void	 tls_done(struct session *);
/* It failed, and the session ends; why: NULL: as the stream has it. */
void	 tls_failed(struct session *, const char *why);
/* " tls=TLSv1.3 cipher=…" for the log, or nothing. */
#define TLS_LOG_MAX	100
const char *tls_log(const struct session *, char dst[TLS_LOG_MAX]);

#endif
