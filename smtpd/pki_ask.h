/*
 * Signatures of handshakes, asked of keyd. It is what the provider
 * (common/tls/provider.h) signs with.
 */
#ifndef SMTPD_PKI_ASK_H
#define SMTPD_PKI_ASK_H

#include "common/proc/start.h"
#include "common/tls/provider.h"

#define PKI_ASK_MAX		1024	/* signatures under way; then none */
#define PKI_ASK_TIMEOUT_MS	10000

extern const struct provider_ops pki_ask_ops;

void	 pki_ask_init(struct proc *);
/* keyd's channel, or NULL: it is gone, and what waits fails. */
void	 pki_ask_join(struct chan *);
chan_handler pki_ask_on_signed;

struct pki_ask_counts {			/* since this worker began */
	uint64_t	 asked;
	uint64_t	 failed;	/* refused, too late, keyd away */
};
const struct pki_ask_counts *pki_ask_counts(void);

#endif
