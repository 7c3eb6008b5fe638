/*
 * See ocsp.h.
 */
#include "keyd/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>

#define SKEW_MS		300000		/* clocks may differ so much */

struct wall
asn1_wall(const ASN1_TIME *t)
{
	struct tm	tm;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return (struct wall){ 0 };
	return (struct wall){ (int64_t)timegm(&tm) * 1000 };
}

static bool
hash_is(const ASN1_OCTET_STRING *have, const uint8_t *md, unsigned len)
{
	return (unsigned)ASN1_STRING_length(have) == len &&
	    memcmp(ASN1_STRING_get0_data(have), md, len) == 0;
}

/* RFC 6960, 4.1.1: CertID. */
static bool
is_of(OCSP_CERTID *id, X509 *cert, X509 *issuer)
{
	ASN1_OCTET_STRING	*name, *key;
	ASN1_INTEGER		*serial;
	ASN1_OBJECT		*alg;
	const EVP_MD		*md;
	uint8_t			 hash[EVP_MAX_MD_SIZE];
	unsigned		 len;

	if (OCSP_id_get0_info(&name, &alg, &key, &serial, id) != 1 ||
	    (md = EVP_get_digestbyobj(alg)) == NULL ||
	    ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)) != 0 ||
	    X509_NAME_digest(X509_get_issuer_name(cert), md, hash, &len) != 1 ||
	    !hash_is(name, hash, len))
		return false;
	return issuer == NULL || (X509_pubkey_digest(issuer, md, hash, &len) ==
	    1 && hash_is(key, hash, len));
}

static bool
find(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer, struct ocsp_info *info)
{
	ASN1_GENERALIZEDTIME	*this_update, *next_update;
	OCSP_SINGLERESP		*one;
	int			 status;

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		one = OCSP_resp_get0(basic, i);
		/* It gives a constant, and is asked for what is not. */
		if (!is_of((OCSP_CERTID *)(uintptr_t)
		    OCSP_SINGLERESP_get0_id(one), cert, issuer))
			continue;
		status = OCSP_single_get0_status(one, NULL, NULL,
		    &this_update, &next_update);
		*info = (struct ocsp_info){ asn1_wall(this_update),
		    asn1_wall(next_update), status != V_OCSP_CERTSTATUS_GOOD };
		return status != -1;
	}
	return false;
}

bool
ocsp_read(struct span der, X509 *cert, X509 *issuer, struct ocsp_info *info,
    const char **why)
{
	const uint8_t	*p = der.p;
	OCSP_RESPONSE	*r = NULL;
	OCSP_BASICRESP	*basic = NULL;
	bool		 ok = false;

	if (der.len > OCSP_MAX)
		*why = "an OCSP response of more than 16 KiB";
	else if ((r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.len)) == NULL ||
	    p != der.p + der.len)
		*why = "no OCSP response in DER";
	else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
	    (basic = OCSP_response_get1_basic(r)) == NULL)
		*why = "the OCSP responder gave no answer";
	else if (!find(basic, cert, issuer, info))
		*why = "the OCSP response is of another certificate";
	else
		ok = true;
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	return ok;
}

const char *
ocsp_state(const struct ocsp_info *info, struct wall now)
{
	if (info->revoked)
		return "revoked";
	if (info->next_update.ms != 0 && now.ms > info->next_update.ms)
		return "out of date";
	return now.ms + SKEW_MS < info->this_update.ms ? "not yet valid" :
	    "valid";
}
