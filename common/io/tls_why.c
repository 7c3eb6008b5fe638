/*
 * Words for what ended a handshake or a session. See tls_why.h.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "common/io/tls_why.h"

#define RECORD_ALERT		0x15
#define RECORD_HANDSHAKE	0x16

/* Reasons of our own side that stand for one thing each. */
static const struct {
	int		 reason;
	const char	*words;
} reasons[] = {
	{ SSL_R_UNSUPPORTED_PROTOCOL, "no common protocol" },
	{ SSL_R_VERSION_TOO_LOW, "no common protocol" },
	{ SSL_R_VERSION_TOO_HIGH, "no common protocol" },
	{ SSL_R_WRONG_SSL_VERSION, "no common protocol" },
	{ SSL_R_NO_PROTOCOLS_AVAILABLE, "no protocol is enabled" },
	{ SSL_R_NO_SHARED_CIPHER, "no common cipher" },
	{ SSL_R_NO_CIPHERS_AVAILABLE, "no cipher is enabled" },
	{ SSL_R_NO_SHARED_GROUPS, "no common group" },
	{ SSL_R_NO_SUITABLE_GROUPS, "no common group" },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, "no common group" },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
	    "no common signature algorithm" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	    "no common signature algorithm" },
	{ SSL_R_INAPPROPRIATE_FALLBACK, "inappropriate fallback" },
	{ SSL_R_NO_APPLICATION_PROTOCOL, "no common application protocol" },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
	    "a record was damaged on its way" },
	{ SSL_R_BAD_RECORD_TYPE, "not TLS in the middle of TLS" },
	{ SSL_R_RENEGOTIATION_MISMATCH, "unsafe renegotiation" },
	{ SSL_R_NO_RENEGOTIATION, "renegotiation" }
};

/* Alerts by which the peer says that it does not take our certificate. */
static bool
alert_distrusts(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
		return true;
	default:
		return false;
	}
}

static void
why_alert(char *dst, size_t size, int alert, const char *peer, bool secured)
{
	const char	*name = SSL_alert_desc_string_long(alert);

	if (alert_distrusts(alert))
		snprintf(dst, size, "the %s does not trust our certificate: %s",
		    peer, name);
	else if (alert == SSL_AD_PROTOCOL_VERSION)
		snprintf(dst, size, "no common protocol: the %s says so", peer);
	else if (alert == SSL_AD_CERTIFICATE_REQUIRED)
		snprintf(dst, size, "the %s asks for a certificate", peer);
	else
		snprintf(dst, size, "the %s ended the %s: %s", peer,
		    secured ? "session" : "handshake", name);
}

static void
why_reason(char *dst, size_t size, const struct tls_failure *f,
    const char *peer)
{
	int		 reason = ERR_GET_REASON(f->error);
	const char	*words = ERR_reason_error_string(f->error);

	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(dst, size, "the certificate of the %s does not hold: "
		    "%s", peer, X509_verify_cert_error_string(f->verify));
		return;
	}
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		snprintf(dst, size, "the %s sent no certificate", peer);
		return;
	}
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].reason == reason)
			words = reasons[i].words;
	snprintf(dst, size, "%s", words != NULL ? words : "TLS failed");
}

void
tls_why(char *dst, size_t size, const struct tls_failure *f)
{
	const char	*peer = f->server ? "client" : "server";
	int		 reason = ERR_GET_REASON(f->error);

	if (!f->secured && f->first != -1 && f->first != RECORD_HANDSHAKE &&
	    f->first != RECORD_ALERT)
		snprintf(dst, size, f->server ? "plain text on a TLS port" :
		    "the server does not answer with TLS");
	else if (f->error != 0 && ERR_GET_LIB(f->error) == ERR_LIB_SSL &&
	    reason >= SSL_AD_REASON_OFFSET)
		why_alert(dst, size, reason - SSL_AD_REASON_OFFSET, peer,
		    f->secured);
	else if (f->error != 0 && ERR_GET_LIB(f->error) == ERR_LIB_SSL)
		why_reason(dst, size, f, peer);
	else if (f->error != 0 && ERR_reason_error_string(f->error) != NULL)
		snprintf(dst, size, "%s", ERR_reason_error_string(f->error));
	else if (f->sys != 0)
		snprintf(dst, size, "%s", strerror(f->sys));
	else if (f->secured)
		snprintf(dst, size, "the %s closed without close_notify", peer);
	else
		snprintf(dst, size, "the %s closed during the handshake", peer);
}
