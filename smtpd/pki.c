/*
 * See pki.h.
 */
#include "smtpd/pki.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/pki_ask.h"
#include "smtpd/pki_ctx.h"

/* One name of the set in force. */
struct named {
	char		 name[256];
	SSL_CTX		*ctx;
};

static const struct conf *conf;
static void		(*on_ready)(void);
static struct named	*set;
static size_t		 nset;
/* What is arriving. */
static struct pki_cert	*certs;
static size_t		 ncerts, bytes;

static int
listen_index(void)
{
	static int	 idx = -1;

	if (idx == -1)
		idx = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return idx;
}

void
pki_setup(void)
{
	uint8_t	 seed[32];

	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL) != 1 || !provider_load(&pki_ask_ops) ||
	    RAND_bytes(seed, sizeof(seed)) != 1 || listen_index() == -1)
		fatalx("OpenSSL could not be set up");
}

void
pki_init(const struct conf *c, void (*ready)(void))
{
	conf = c;
	on_ready = ready;
}

/* ---- what keyd sends ----------------------------------------------------- */

static void
forget(void)
{
	for (size_t i = 0; i < ncerts; i++)
		pki_cert_clear(&certs[i]);
	free(certs);
	certs = NULL;
	ncerts = bytes = 0;
}

void
pki_join(void)
{
	forget();
}

/* Is it of use here? Workers of other listeners have other names. */
static bool
is_wanted(struct span name)
{
	for (size_t i = 0; i < conf->nlistens; i++)
		for (size_t k = 0; k < conf->listens[i]->npkis; k++)
			if (span_is(name, conf->listens[i]->pkis[k]))
				return true;
	return false;
}

static const char *
add_cert(const struct ipc_k_pki *m, X509 *x)
{
	struct pki_cert	*a;

	a = recallocarray(certs, ncerts, ncerts + 1, sizeof(*certs));
	if (a == NULL) {
		X509_free(x);
		return "out of memory";
	}
	certs = a;
	a = &certs[ncerts++];
	a->own = x;
	(void)span_cstr(m->pki, a->name, sizeof(a->name));
	return (a->chain = sk_X509_new_null()) == NULL ? "out of memory" : NULL;
}

static const char *
add_ocsp(struct pki_cert *c, const struct ipc_k_pki *m)
{
	if (c->ocsp != NULL || m->der.len == 0)
		return "an OCSP response is not expected";
	if ((c->ocsp = malloc(m->der.len)) == NULL)
		return "out of memory";
	memcpy(c->ocsp, m->der.p, m->der.len);
	c->ocsp_len = m->der.len;
	c->until = (int64_t)(m->until > INT64_MAX ? INT64_MAX : m->until);
	return NULL;
}

/* Why not, a static string; NULL: it was taken. */
static const char *
add(const struct ipc_k_pki *m)
{
	struct pki_cert	*last = ncerts == 0 ? NULL : &certs[ncerts - 1];
	const uint8_t	*p = m->der.p;
	X509		*x;

	if ((bytes += m->der.len) > PKI_BYTES_MAX ||
	    (m->kind == K_PKI_CERT && ncerts == PKI_CERTS_MAX))
		return "too many certificates";
	if (m->kind > K_PKI_OCSP)
		return "no kind of certificate";
	if (m->kind != K_PKI_CERT && (last == NULL ||
	    !span_is(m->pki, last->name)))
		return "it belongs to no certificate";
	if (m->kind == K_PKI_OCSP)
		return add_ocsp(last, m);
	x = d2i_X509(NULL, &p, (long)m->der.len);
	ERR_clear_error();
	if (x == NULL || p != m->der.p + m->der.len) {
		X509_free(x);
		return "no certificate in DER";
	}
	if (m->kind == K_PKI_CERT)
		return add_cert(m, x);
	if (sk_X509_push(last->chain, x) > 0)
		return NULL;
	X509_free(x);
	return "out of memory";
}

void
pki_on_cert(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_pki	*m = msg;
	const char		*why;

	(void)fd;
	if (is_wanted(m->pki) && (why = add(m)) != NULL) {
		forget();
		chan_reject(c, why);
	}
}

/* ---- the set in force ---------------------------------------------------- */

static const struct named *
find(const struct named *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

/*
 * The first of the listener's pkis whose certificate has this very name, else
 * the first that has it by a wildcard. What replaces the context here has the
 * same settings.
 */
static int
on_sni(SSL *ssl, int *alert, void *arg)
{
	const struct conf_listen *l = SSL_get_ex_data(ssl, listen_index());
	const char		*name = SSL_get_servername(ssl,
				    TLSEXT_NAMETYPE_host_name);
	const struct named	*n;
	SSL_CTX			*best = NULL;
	X509_STORE		*store = NULL;
	int			 has = 0;

	(void)alert;
	(void)arg;
	if (name == NULL || l == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t i = 0; i < l->npkis && has != 1; i++) {
		if ((n = find(set, nset, l->pkis[i])) == NULL)
			continue;
		has = pki_ctx_has(n->ctx, name);
		if (has == 1 || (has == 2 && best == NULL))
			best = n->ctx;
	}
	if (best == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	/* What clients' certificates are held against is the session's, and
	 * would go with the certificate. */
	(void)SSL_get0_verify_cert_store(ssl, &store);
	if (store != NULL && X509_STORE_up_ref(store) != 1)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	if (SSL_set_SSL_CTX(ssl, best) == NULL) {
		X509_STORE_free(store);
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return store == NULL || SSL_set0_verify_cert_store(ssl, store) == 1 ?
	    SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The context of all certificates that have the name of the first. */
static SSL_CTX *
make(size_t first)
{
	const struct pki_cert	*side[PKI_KEYS_MAX];
	const char		*why = "too many keys";
	size_t			 n = 0;
	SSL_CTX			*ctx = NULL;

	for (size_t i = first; i < ncerts; i++)
		if (strcmp(certs[i].name, certs[first].name) == 0) {
			if (n == PKI_KEYS_MAX)
				goto out;
			side[n++] = &certs[i];
		}
	ctx = pki_ctx_new(side, n, on_sni, &why);
out:
	if (ctx == NULL)
		log_warnx("event=pki pki=%s why=%s",
		    log_quote(span_str(certs[first].name)),
		    log_quote(span_str(why)));
	return ctx;
}

static bool
is_first(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(certs[k].name, certs[i].name) == 0)
			return false;
	return true;
}

void
pki_on_end(struct chan *c, const void *msg, int fd)
{
	struct named	*next = calloc(ncerts + 1, sizeof(*next));
	size_t		 n = 0;
	void		(*ready)(void) = on_ready;

	(void)c;
	(void)msg;
	(void)fd;
	if (next == NULL)
		fatal("certificates");
	for (size_t i = 0; i < ncerts; i++) {
		if (!is_first(i) || (next[n].ctx = make(i)) == NULL)
			continue;
		strlcpy(next[n].name, certs[i].name, sizeof(next[n].name));
		n++;
	}
	forget();
	for (size_t i = 0; i < nset; i++)
		SSL_CTX_free(set[i].ctx);
	free(set);
	set = next;
	nset = n;
	on_ready = NULL;
	if (ready != NULL)
		ready();
}

static const struct named *
first_of(const struct conf_listen *l)
{
	const struct named	*n = NULL;

	for (size_t i = 0; i < l->npkis && n == NULL; i++)
		n = find(set, nset, l->pkis[i]);
	return n;
}

bool
pki_has(const struct conf_listen *l)
{
	return first_of(l) != NULL;
}

SSL *
pki_ssl(const struct conf_listen *l)
{
	const struct named	*n = first_of(l);
	SSL			*ssl;

	if (n == NULL)
		return NULL;
	if ((ssl = SSL_new(n->ctx)) == NULL ||
	    SSL_set_ex_data(ssl, listen_index(),
	    (void *)(uintptr_t)l) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	return ssl;
}
