/*
 * See push.h.
 */
#include "keyd/push.h"

static void
push_pki(struct chan *c, struct span name, const struct pki *p)
{
	const struct ocsp_info	*ocsp = pki_ocsp(p);
	struct span		 der;

	for (unsigned n = 0; (der = pki_cert(p, n)).len > 0; n++)
		CHAN_SEND(c, k_pki, .pki = name, .kind = n == 0 ? K_PKI_CERT :
		    K_PKI_CHAIN, .der = der);
	if (ocsp != NULL)
		CHAN_SEND(c, k_pki, .pki = name, .kind = K_PKI_OCSP,
		    .until = (uint64_t)(ocsp->next_update.ms / 1000),
		    .der = pki_ocsp_der(p));
}

void
push_set(struct chan *c, const struct set *s)
{
	const struct pki	*p;
	const char		*name;

	for (size_t i = 0; i < set_pkis(s); i++) {
		p = set_at(s, i, &name);
		push_pki(c, span_str(name), p);
	}
	CHAN_SEND(c, k_pki_end, .tid = 0);
}
