/*
 * Asking as a stranger would be answered: where the server is told who the
 * client is (`identity`), it is told an address that is nobody's. It has to
 * take a recipient from him before he may be thought to be one of its own.
 */
#include "common/smtp/xclient.h"
#include "proxyd/identity.h"
#include "proxyd/verify_i.h"

/* RFC 5737: of documents, and of no network. */
static const struct identity	 nobody = {
	.client = { .family = 4, .port = 25, .ip = { 192, 0, 2, 1 } },
	.local = { .family = 4, .port = 25, .ip = { 192, 0, 2, 2 } }
};

void
stranger_connect(struct vconn *v)
{
	struct identity	who = nobody;

	identity_connect(v->dest->stranger ? &who : NULL,
	    v->dest->action->identity, stream_out(v->s));
}

/* A server that does not offer it, or refuses it, has us for all clients. */
bool
stranger_helloed(struct vconn *v)
{
	const struct smtp_caps	*caps = smtp_client_caps(v->c);
	struct xclient		 x = { .given = XC_ADDR, .none = XC_NAME,
				    .client = nobody.client };
	struct buf		 arg;
	bool			 ok;

	if (!v->dest->stranger || v->told ||
	    v->dest->action->identity != IDENTITY_XCLIENT ||
	    (caps->xclient & XC_ADDR) == 0)
		return false;
	v->told = true;
	buf_init(&arg, XCLIENT_ARG_MAX);
	ok = xclient_write(&arg, &x, caps->xclient) &&
	    smtp_client_xclient(v->c, buf_content(&arg));
	buf_clear(&arg);
	if (ok)
		stream_kick(v->s);
	return ok;
}
