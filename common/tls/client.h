/*
 * TLS towards servers, as deliverd and proxyd speak it: what makes the session
 * that a stream then runs, and what is thought of it once it is there. What is
 * asked of it is conf_tls_of()'s.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <openssl/types.h>

#include "common/base/addr.h"
#include "common/conf/conf.h"
#include "common/tls/verify.h"

/* What came of the handshake. */
struct tls_facts {
	char		 protocol[16];	/* "TLSv1.3"; "": no TLS */
	char		 cipher[48];
	bool		 verified;
	enum verify_fault fault;	/* if a certificate was looked at */
};
#define TLS_TEXT_MAX	96

/* OpenSSL is set up; before the process is confined. Fatal if it can't be. */
void	 tls_client_init(void);
/* A session to the host of that name (or address), SNI and all; for
 * stream_tls(); `name` of the configuration goes before. NULL: no memory. */
SSL	*tls_client_new(const struct conf_tls *, const char *host);
/* The handshake is done. False: what is asked for is not there, and why tells
 * what is missing. With TLS_DANE the session was given its records by
 * dane_ssl_begin(); without them it proves nothing. */
bool	 tls_client_check(SSL *, const struct conf *, const struct conf_tls *,
	    const char *host, struct tls_facts *, char why[VERIFY_WHY_MAX]);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified", "none". */
void	 tls_facts_text(const struct tls_facts *, char text[TLS_TEXT_MAX]);

/* What to do with a server that has answered EHLO. */
enum tls_way {
	TLS_WAY_PLAIN,		/* go on as it is */
	TLS_WAY_START,		/* STARTTLS */
	TLS_WAY_NONE		/* it does not offer what is asked for */
};
enum tls_way tls_client_way(const struct conf_tls *, bool offered,
	    const struct addr *);
#define TLS_NOT_OFFERED	"STARTTLS is not offered"
/* What a session that did not come about means. shaking: the handshake had
 * begun. */
enum tls_failed {
	TLS_FAILED_PLAIN,	/* the mail may go there without TLS */
	TLS_FAILED_REFUSED,	/* the server answers, but may not be used */
	TLS_FAILED_DOWN		/* it has not said a word yet */
};
enum tls_failed tls_client_failed(const struct conf_tls *, bool shaking);
/* Does the server want TLS with this reply, and has none (RFC 3207, 4)? */
bool	 tls_client_wanted(const struct tls_facts *, uint16_t code,
	    struct span text);
/* "off" … "dane" */
const char *tls_mode_name(const struct conf_tls *);

/*
 * A server with which opportunistic TLS failed gets its mail in plain, on a new
 * connection, and for so long without being asked again (RFC 7435, 3: some
 * protection where it works).
 */
#define TLS_PLAIN_MS	600000
#define TLS_PLAIN_MAX	1000		/* servers; the oldest makes room */

void	 tls_plain_note(const struct addr *);
bool	 tls_plain_is(const struct addr *);
void	 tls_plain_forget(void);	/* all; for tests */

#endif
