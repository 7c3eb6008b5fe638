/*
 * TLS of the connections that ask for recipients: as that of the mail they are
 * for. See verify_i.h.
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "proxyd/servers.h"
#include "proxyd/verify_i.h"

static const struct hosts_cand *
cand(const struct vconn *v)
{
	return &v->cands[v->next - 1];
}

static void
tell(const struct vconn *v, const char *result, const char *why)
{
	log_info("event=tls server=%s result=%s mode=%s why=%s",
	    log_quote(span_str(v->server)), result, tls_mode_name(&v->tls),
	    log_quote(span_str(why)));
}

/* It is there, but another one has to be asked. */
static void
refuse(struct vconn *v, const char *why)
{
	char	text[700];

	tell(v, "refused", why);
	servers_works(v->dest->action, cand(v));
	snprintf(text, sizeof(text), "%s: %s", v->server, why);
	vconn_next(v, text);
}

void
vtls_failed(struct vconn *v, const char *what)
{
	char	why[600];

	snprintf(why, sizeof(why), "no TLS session: %s", what);
	switch (tls_client_failed(&v->tls, v->phase == V_TLS)) {
	case TLS_FAILED_PLAIN:
		tell(v, "plain", what);
		tls_plain_note(&cand(v)->addr);
		v->next--;
		vconn_next(v, why);
		break;
	case TLS_FAILED_DOWN:
		vconn_unusable(v, why);
		break;
	case TLS_FAILED_REFUSED:
		refuse(v, why);
		break;
	}
}

bool
vtls_helloed(struct vconn *v)
{
	bool	offered = (smtp_client_caps(v->c)->bits & CAP_STARTTLS) != 0;

	switch (tls_client_way(&v->tls, offered, &cand(v)->addr)) {
	case TLS_WAY_PLAIN:
		return false;
	case TLS_WAY_START:
		if (!smtp_client_starttls(v->c)) {
			vtls_failed(v, "STARTTLS could not be sent");
			break;
		}
		v->phase = V_STARTTLS;
		stream_timeout(v->s, VERIFY_HELLO_MS);
		stream_kick(v->s);
		break;
	case TLS_WAY_NONE:
		refuse(v, TLS_NOT_OFFERED);
		break;
	}
	return true;
}

void
vtls_replied(struct vconn *v, const struct smtp_client_event *ev)
{
	char	why[64];

	if (ev->code == 220) {
		vtls_begin(v);
		return;
	}
	snprintf(why, sizeof(why), "it refuses STARTTLS: %u", ev->code);
	vtls_failed(v, why);
}

void
vtls_begin(struct vconn *v)
{
	SSL	*ssl = tls_client_new(&v->tls, cand(v)->name);

	if (ssl == NULL || !stream_tls(v->s, ssl, false)) {
		vtls_failed(v, "no memory for TLS");
		return;
	}
	v->phase = V_TLS;
	stream_timeout(v->s, VERIFY_HELLO_MS);
}

bool
vtls_done(struct vconn *v)
{
	char	why[VERIFY_WHY_MAX];

	if (tls_client_check(stream_ssl(v->s), verify_conf(), &v->tls,
	    cand(v)->name, &v->secured, why))
		return true;
	refuse(v, why);
	return false;
}
