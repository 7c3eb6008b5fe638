/*
 * Private keys that are elsewhere: an OpenSSL provider, built in, whose keys are
 * a public key and a name. To sign, it hands the whole statement to whoever was
 * set for it, pauses the ASYNC job that the handshake runs in, and goes on when
 * the answer has come. So libssl needs nothing but SSL_MODE_ASYNC; outside of a
 * job a signature fails. All else, ephemeral keys too, is the default
 * provider's. It knows no channel, no stream and no clock.
 */
#ifndef TLS_PROVIDER_H
#define TLS_PROVIDER_H

#include <openssl/types.h>

#include "common/tls/pubkey.h"

#define PROVIDER_NAME_MAX	255

struct provider_key {
	enum tls_key	 kind;
	uint8_t		 id[PUBKEY_HASH_LEN];
	char		 name[PROVIDER_NAME_MAX + 1];	/* of the pki */
};

struct provider_request;	/* a signature that a handshake waits for */

struct provider_ops {
	/*
	 * Asks for a signature. key and statement are borrowed until it
	 * returns. True: provider_answer() will be called once for it, unless
	 * cancel() is before. False: there is none.
	 */
	bool	(*sign)(struct provider_request *, const struct provider_key *,
		    const struct scheme *, struct span statement);
	/* The SSL was freed meanwhile: no answer is wanted, and the request is
	 * dead when this returns. */
	void	(*cancel)(struct provider_request *);
};

/*
 * Loads the default provider and this one into OpenSSL's default context, as
 * long as files can be opened. ops outlives it. False: OpenSSL could not.
 */
bool	 provider_load(const struct provider_ops *);
void	 provider_unload(void);

/*
 * The private key of this certificate as SSL_CTX_use_PrivateKey() takes it; its
 * owner knows it by name and the hash of its public key. Free with
 * EVP_PKEY_free(). NULL: a kind of key that we have no scheme for (*why is a
 * static string), or out of memory.
 */
EVP_PKEY *provider_key(X509 *, const char *name, const char **why);

/*
 * The signature that was asked for; empty: there will be none, and the
 * handshake fails. The request is dead. What SSL_set_async_callback() has set is
 * called from within.
 */
void	 provider_answer(struct provider_request *, struct span signature);
/* One pointer for who signs. */
void	 provider_set_arg(struct provider_request *, void *);
void	*provider_arg(const struct provider_request *);

#endif
