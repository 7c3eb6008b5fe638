/*
 * See pki.h. No certificate has been handed over.
 */
#include "smtpd/pki.h"

SSL *
pki_ssl(const struct conf_listen *l)
{
	(void)l;
	return NULL;
}
