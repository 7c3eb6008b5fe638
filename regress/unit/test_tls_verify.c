/*
 * common/tls/verify.c and trust.c: which certificates are taken for the server
 * that is meant, and what is said of the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/tls/client.h"
#include "common/tls/pubkey.h"
#include "common/tls/trust.h"
#include "regress/lib/loghelp.h"
#include "regress/lib/certhelp.h"

static struct ident	ca, other, middle;
static const char	*missing;

static int
start(void **state)
{
	(void)state;
	tls_client_init();
	ca = IDENT(.cn = "Our CA", .ca = true);
	other = IDENT(.cn = "Other CA", .ca = true);
	middle = IDENT(.cn = "Middle CA", .ca = true, .issuer = &ca);
	trust_add("/ca", pem_file(ca.cert, NULL, NULL));
	trust_add("/both", pem_file(other.cert, ca.cert, NULL));
	trust_add("/none", pem_file(NULL, NULL, NULL));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	trust_forget();
	ident_free(&ca);
	ident_free(&other);
	ident_free(&middle);
	return 0;
}

static enum verify_fault	fault;	/* of the last one */

/* What is said of this certificate when it has to be for that name; "": it is
 * taken. */
static const char *
verdict(struct ident leaf, X509 *above, const char *file, const char *name)
{
	static char		 why[VERIFY_WHY_MAX];
	struct verify_want	 w = { .name = name, .fault = &fault,
				    .store = trust_store(file, &missing) };
	STACK_OF(X509)		*chain = sk_X509_new_null();
	bool			 ok;

	assert_non_null(w.store);
	if (above != NULL)
		sk_X509_push(chain, above);
	ok = verify_cert(leaf.cert, chain, &w, why);
	assert_int_equal(ok, why[0] == '\0');
	assert_int_equal(ok, fault == VERIFY_GOOD);
	sk_X509_free(chain);
	ident_free(&leaf);
	return why;
}

static void
has(const char *why, const char *want)
{
	if (strstr(why, want) == NULL)
		fail_msg("\"%s\" has no \"%s\"", why, want);
}

static void
names(void **state)
{
	static const struct {
		const char	*san, *name;
		bool		 good;
	} t[] = {
		{ "DNS:mx.example", "mx.example", true },
		{ "DNS:mx.example", "MX.Example", true },
		{ "DNS:MX.EXAMPLE", "mx.example", true },
		{ "DNS:mx.example", "mx.example.org", false },
		{ "DNS:mx.example", "a.mx.example", false },
		{ "DNS:a.example,DNS:b.example", "b.example", true },
		{ "DNS:*.corp.example", "mx.corp.example", true },
		{ "DNS:*.corp.example", "corp.example", false },
		{ "DNS:*.corp.example", "a.mx.corp.example", false },
		{ "DNS:m*.corp.example", "mx.corp.example", false },
		{ "DNS:*x.corp.example", "mx.corp.example", false },
		{ "DNS:a.*.example", "a.mx.example", false },
		{ "DNS:*", "mx.example", false },
		{ "DNS:*.example", "mx.example", false },
		{ "DNS:xn--bcher-kva.example", "xn--bcher-kva.example", true },
		{ "email:mx.example@mx.example", "mx.example", false },
		{ "IP:192.0.2.1", "192.0.2.1", true },
		{ "IP:192.0.2.1", "192.0.2.2", false },
		{ "IP:2001:db8::1", "2001:db8::1", true },
		{ "DNS:192.0.2.1", "192.0.2.1", false },
		{ "IP:192.0.2.1", "mx.example", false },
		/* RFC 6125, 6.4.4: the common name is no name. */
		{ "DNS:a.example", "cn.example", false },
		{ NULL, "cn.example", false },
		{ "DNS:mx.example", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *why = verdict(IDENT(.issuer = &ca, .san = t[i].san,
		    .cn = "cn.example"), NULL, "/ca", t[i].name);

		if ((why[0] == '\0') != t[i].good)
			fail_msg("%s for %s: \"%s\"", t[i].san, t[i].name,
			    why);
	}
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san =
	    "DNS:a.example,DNS:b.example"), NULL, "/ca", "mx.example"),
	    "the certificate is for a.example, b.example, not for mx.example");
	assert_string_equal(verdict(IDENT(.issuer = &ca), NULL, "/ca",
	    "mx.example"),
	    "the certificate is for no host by name, not for mx.example");
	assert_int_equal(fault, VERIFY_NAME);
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a,DNS:b,"
	    "DNS:c,DNS:d,DNS:e"), NULL, "/ca", "mx.example"),
	    "the certificate is for a, b, c, d ..., not for mx.example");
}

static void
chains(void **state)
{
	struct ident	stolen;

	(void)state;
	assert_string_equal(verdict(IDENT(.issuer = &middle, .san = "DNS:a"),
	    middle.cert, "/ca", "a"), "");
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a"),
	    NULL, "/both", "a"), "");
	assert_string_equal(verdict(IDENT(.issuer = &other, .san = "DNS:a"),
	    NULL, "/ca", "a"),
	    "the CA is not one of those that are trusted: Other CA");
	assert_int_equal(fault, VERIFY_UNTRUSTED);
	/* What the server sends beside it is no anchor. */
	has(verdict(IDENT(.issuer = &other, .san = "DNS:a"), other.cert,
	    "/ca", "a"), "the CA is not one of those that are trusted");
	has(verdict(IDENT(.issuer = &middle, .san = "DNS:a"), NULL, "/ca",
	    "a"), "Middle CA");
	assert_string_equal(verdict(IDENT(.san = "DNS:a"), NULL, "/ca", "a"),
	    "the certificate is self-signed");
	assert_int_equal(fault, VERIFY_UNTRUSTED);
	has(verdict(IDENT(.issuer = &ca, .san = "DNS:a", .from_days = -9,
	    .to_days = -2), NULL, "/ca", "a"),
	    "the certificate has expired on 20");
	assert_int_equal(fault, VERIFY_EXPIRED);
	has(verdict(IDENT(.issuer = &ca, .san = "DNS:a", .from_days = 2,
	    .to_days = 9), NULL, "/ca", "a"),
	    "the certificate is not valid before 20");
	assert_int_equal(fault, VERIFY_OTHER);
	/* One that may not sign others. */
	stolen = IDENT(.issuer = &ca, .san = "DNS:stolen", .cn = "stolen");
	assert_string_not_equal(verdict(IDENT(.issuer = &stolen,
	    .san = "DNS:a"), stolen.cert, "/ca", "a"), "");
	ident_free(&stolen);
	/* One for clients alone. */
	assert_string_not_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a",
	    .usage = "clientAuth"), NULL, "/ca", "a"), "");
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a",
	    .usage = "serverAuth"), NULL, "/ca", "a"), "");
	/* A CA that has expired. */
	stolen = IDENT(.issuer = &ca, .ca = true, .from_days = -9,
	    .to_days = -2, .cn = "Old CA");
	has(verdict(IDENT(.issuer = &stolen, .san = "DNS:a"), stolen.cert,
	    "/ca", "a"), "a CA's certificate has expired on 20");
	ident_free(&stolen);
}

/* A server's own certificate in the file is its anchor. */
static void
itself(void **state)
{
	struct ident	self = IDENT(.san = "DNS:a");

	(void)state;
	trust_add("/self", pem_file(self.cert, NULL, NULL));
	X509_up_ref(self.cert);
	EVP_PKEY_up_ref(self.key);
	assert_string_equal(verdict(self, NULL, "/self", "a"), "");
	has(verdict(self, NULL, "/self", "b"), "not for b");
}

static void
pins(void **state)
{
	struct ident		 leaf = IDENT(.san = "DNS:a", .from_days = -9,
				    .to_days = -2);
	uint8_t			 pin[2][CONF_PIN_LEN] = { { 0 }, { 0 } };
	struct verify_want	 w = { .name = "b", .pins = pin, .npins = 1 };
	char			 why[VERIFY_WHY_MAX];

	(void)state;
	assert_false(verify_cert(leaf.cert, NULL, &w, why));
	has(why, "its key is not a pinned one: its pin is ");
	assert_int_equal(strlen(strstr(why, "pin is ") + 7), 64);
	/* The key is all that counts. */
	assert_true(pubkey_hash(leaf.cert, pin[1]));
	w.npins = 2;
	assert_true(verify_cert(leaf.cert, NULL, &w, why));
	assert_string_equal(why, "");
	pin[1][31] ^= 1;
	assert_false(verify_cert(leaf.cert, NULL, &w, why));
	assert_false(verify_cert(NULL, NULL, &w, why));
	assert_string_equal(why, "it has no certificate");
	ident_free(&leaf);
}

static void
revoked(void **state)
{
	X509_CRL	*crl = crl_make(&ca, (const long[]){ 7, 9, 0 });

	(void)state;
	trust_add("/crl", pem_file(ca.cert, other.cert, crl));
	X509_CRL_free(crl);
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a",
	    .serial = 9), NULL, "/crl", "a"),
	    "the certificate has been revoked");
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a",
	    .serial = 8), NULL, "/crl", "a"), "");
	/* A CA without a list. */
	assert_string_equal(verdict(IDENT(.issuer = &other, .san = "DNS:a",
	    .serial = 9), NULL, "/crl", "a"), "");
}

static void
files(void **state)
{
	const char	*why;
	int		 p[2];

	(void)state;
	assert_null(trust_store("/missing", &why));
	has(why, "no file of CAs");
	assert_null(trust_store("/none", &why));
	has(why, "no certificate in the file");
	assert_null(trust_store("/none", &why));
	/* The second of one path takes the first one's place. */
	trust_add("/twice", pem_file(other.cert, NULL, NULL));
	assert_non_null(trust_store("/twice", &why));
	trust_add("/twice", pem_file(ca.cert, NULL, NULL));
	assert_string_equal(verdict(IDENT(.issuer = &ca, .san = "DNS:a"),
	    NULL, "/twice", "a"), "");
	/* One that can't be read. */
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	trust_add("/unreadable", p[1]);
	assert_null(trust_store("/unreadable", &why));
}

/* What is done with a server that does, or does not, offer STARTTLS. */
static void
ways(void **state)
{
	static const struct {
		enum conf_tls_mode	mode;
		bool			offered, plain;
		enum tls_way		way;
	} t[] = {
		{ TLS_OFF, true, false, TLS_WAY_PLAIN },
		{ TLS_OPPORTUNISTIC, false, false, TLS_WAY_PLAIN },
		{ TLS_OPPORTUNISTIC, true, false, TLS_WAY_START },
		{ TLS_OPPORTUNISTIC, true, true, TLS_WAY_PLAIN },
		{ TLS_REQUIRE, true, false, TLS_WAY_START },
		{ TLS_REQUIRE, true, true, TLS_WAY_START },
		{ TLS_REQUIRE, false, false, TLS_WAY_NONE },
		{ TLS_VERIFY, true, true, TLS_WAY_START },
		{ TLS_VERIFY, false, true, TLS_WAY_NONE },
		{ TLS_DANE, false, false, TLS_WAY_NONE },
	};
	struct addr	a;

	(void)state;
	assert_true(addr_parse_port(span_str("192.0.2.1:25"), 25, &a));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct conf_tls	c = { .mode = t[i].mode };

		tls_plain_forget();
		if (t[i].plain)
			tls_plain_note(&a);
		assert_int_equal(tls_client_way(&c, t[i].offered, &a),
		    t[i].way);
	}
	tls_plain_forget();
	/* More than there is room for: the oldest go. */
	for (uint16_t i = 0; i < TLS_PLAIN_MAX + 10; i++) {
		a.port = (uint16_t)(1000 + i);
		tls_plain_note(&a);
	}
	assert_true(tls_plain_is(&a));
	a.port = 999;
	assert_false(tls_plain_is(&a));
	tls_plain_forget();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(chains),
		cmocka_unit_test(itself),
		cmocka_unit_test(pins),
		cmocka_unit_test(revoked),
		cmocka_unit_test(files),
		cmocka_unit_test(ways),
	};

	return cmocka_run_group_tests_name("tls_verify", tests, start, end);
}
