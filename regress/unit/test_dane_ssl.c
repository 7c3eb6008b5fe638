/*
 * DANE in a handshake: which servers prove themselves by which records, by
 * their key, by their certificate, by a CA of their own and the name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/tls/dane_ssl.h"
#include "regress/lib/certhelp.h"

#define BASE	"mx.example.org"

static struct ident	 ca, other, leaf, old, strange;
static SSL_CTX		*client;

static int
start(void **state)
{
	(void)state;
	ca = IDENT(.cn = "Our CA", .ca = true);
	other = IDENT(.cn = "Other CA", .ca = true);
	leaf = IDENT(.san = "DNS:" BASE, .issuer = &ca);
	old = IDENT(.san = "DNS:else.example", .from_days = -30, .to_days = -2);
	strange = IDENT(.san = "DNS:else.example", .issuer = &ca);
	client = SSL_CTX_new(TLS_client_method());
	assert_non_null(client);
	assert_true(dane_ssl_context(client));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	SSL_CTX_free(client);
	ident_free(&ca);
	ident_free(&other);
	ident_free(&leaf);
	ident_free(&old);
	ident_free(&strange);
	return 0;
}

/* One record of this certificate, "U S M", with a wrong byte if so asked. */
static size_t
record(uint8_t *p, const char *kind, X509 *cert, bool wrong)
{
	uint8_t		*der = NULL;
	unsigned	 mdlen = 0;
	int		 n;

	for (int i = 0; i < 3; i++)
		p[i] = (uint8_t)(kind[i] - '0');
	n = p[1] == 0 ? i2d_X509(cert, &der) :
	    i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	assert_true(n > 0 && n < 2000);
	if (p[2] == 0) {
		memcpy(p + 3, der, (size_t)n);
		mdlen = (unsigned)n;
	} else
		assert_int_equal(EVP_Digest(der, (size_t)n, p + 3, &mdlen,
		    p[2] == 1 ? EVP_sha256() : EVP_sha512(), NULL), 1);
	OPENSSL_free(der);
	if (wrong)
		p[3] ^= 1;
	return 3 + mdlen;
}

/* Both sides until neither has anything more to say. */
static void
shake(SSL *a, SSL *b)
{
	for (int i = 0; i < 20; i++) {
		(void)SSL_do_handshake(a);
		(void)SSL_do_handshake(b);
	}
	assert_true(SSL_is_init_finished(a) && SSL_is_init_finished(b));
}

struct given {
	const struct ident *server;
	const struct ident *above;	/* sent along; NULL: nothing */
	const char	*kind[2];	/* of records */
	X509		*of[2];
	bool		 wrong[2];
	const char	*host, *domain;
};

/* "" or why not. */
static const char *
verdict(const struct given *g)
{
	static char	 why[DANE_WHY_MAX];
	static uint8_t	 rdata[2][2048];
	struct span	 rr[2];
	struct dane_set	*set;
	SSL_CTX		*ctx = ident_server(g->server, g->above != NULL ?
			    g->above->cert : NULL);
	SSL		*s, *c = SSL_new(client);
	BIO		*x, *y;
	size_t		 n = 0;
	bool		 proved;

	if (g->above == NULL)
		SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	s = SSL_new(ctx);
	assert_int_equal(BIO_new_bio_pair(&x, 0, &y, 0), 1);
	SSL_set_bio(s, x, x);
	SSL_set_bio(c, y, y);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	for (; n < 2 && g->kind[n] != NULL; n++)
		rr[n] = span(rdata[n], record(rdata[n], g->kind[n], g->of[n],
		    g->wrong[n]));
	if (n > 0) {
		assert_int_equal(dane_decide(DNS_OK, true, rr, n, &set),
		    DANE_REQUIRED);
		assert_true(dane_ssl_begin(c, set, BASE,
		    g->host != NULL ? g->host : BASE,
		    g->domain != NULL ? g->domain : ""));
		free(set);
	}
	shake(c, s);
	proved = dane_ssl_proved(c, why);
	assert_int_equal(proved, why[0] == '\0');
	SSL_free(c);
	SSL_free(s);
	SSL_CTX_free(ctx);
	return why;
}

#define V(...)	verdict(&(struct given){ __VA_ARGS__ })

static void
has(const char *why, const char *want)
{
	if (strstr(why, want) == NULL)
		fail_msg("\"%s\" has no \"%s\"", why, want);
}

/* Usage 3: the key or the certificate, whoever signed it, whatever its name and
 * dates. */
static void
by_itself(void **state)
{
	static const char *const kinds[] = { "311", "312", "310", "301",
	    "302", "300" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		assert_string_equal(V(.server = &leaf, .kind = { kinds[i] },
		    .of = { leaf.cert }), "");
		assert_string_equal(V(.server = &old, .kind = { kinds[i] },
		    .of = { old.cert }), "");
		/* A full certificate with a wrong byte can't be added. */
		if (kinds[i][2] != '0')
			has(V(.server = &leaf, .kind = { kinds[i] },
			    .of = { leaf.cert }, .wrong = { true }),
			    "matches none");
		has(V(.server = &leaf, .kind = { kinds[i] },
		    .of = { old.cert }), "matches none");
	}
	/* The next key is announced already. */
	assert_string_equal(V(.server = &leaf, .kind = { "311", "311" },
	    .of = { old.cert, leaf.cert }), "");
	/* Of two digests of the same the stronger one counts alone. */
	has(V(.server = &leaf, .kind = { "311", "312" },
	    .of = { leaf.cert, leaf.cert }, .wrong = { false, true }),
	    "matches none");
}

/* Usage 2: a CA in the chain that the server sends, and a name. */
static void
by_ca(void **state)
{
	static const char *const kinds[] = { "201", "211", "202", "212" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		assert_string_equal(V(.server = &leaf, .above = &ca,
		    .kind = { kinds[i] }, .of = { ca.cert }), "");
		assert_string_not_equal(V(.server = &leaf, .above = &ca,
		    .kind = { kinds[i] }, .of = { other.cert }), "");
		/* The CA has to be sent. */
		assert_string_not_equal(V(.server = &leaf,
		    .kind = { kinds[i] }, .of = { ca.cert }), "");
		has(V(.server = &strange, .above = &ca, .kind = { kinds[i] },
		    .of = { ca.cert }), "ostname");
	}
	/* RFC 7672, 3.2.2: the host's own name, and the domain's. */
	assert_string_equal(V(.server = &strange, .above = &ca,
	    .kind = { "211" }, .of = { ca.cert }, .host = "else.example"),
	    "");
	assert_string_equal(V(.server = &strange, .above = &ca,
	    .kind = { "211" }, .of = { ca.cert }, .domain = "else.example"),
	    "");
}

static void
without(void **state)
{
	struct dane_set	none = { .n = 0 };
	SSL		*c = SSL_new(client);

	(void)state;
	assert_string_not_equal(V(.server = &leaf), "");
	assert_false(dane_ssl_begin(c, &none, BASE, BASE, ""));
	SSL_free(c);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(by_itself),
		cmocka_unit_test(by_ca),
		cmocka_unit_test(without),
	};

	return cmocka_run_group_tests(tests, start, end);
}
