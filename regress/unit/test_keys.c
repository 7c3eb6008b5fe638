/*
 * keyd's secrets: certificates and keys made here, held against each other;
 * the credentials file; what a descriptor may be.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keyd/set.h"

struct text { char s[8192]; };

static EVP_PKEY		*ec, *rsa, *small, *ed;
static struct text	 ec_key, ec_cert, rsa_key, rsa_cert, small_key,
			 small_cert, ed_key, ed_cert, locked_key, old_cert;

static void
put_bio(struct text *t, BIO *bio)
{
	int	n = BIO_read(bio, t->s, sizeof(t->s) - 1);

	assert_true(n > 0);
	t->s[n] = '\0';
	BIO_free(bio);
}

static void
key_text(EVP_PKEY *k, const char *pass, struct text *t)
{
	BIO	*bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PrivateKey(bio, k,
	    pass == NULL ? NULL : EVP_aes_128_cbc(),
	    (const unsigned char *)pass, pass == NULL ? 0 : (int)strlen(pass),
	    NULL, NULL), 1);
	put_bio(t, bio);
}

/* A self-signed certificate that ends `days` from now. */
static void
cert_text(EVP_PKEY *k, const char *cn, long days, struct text *t)
{
	X509	*x = X509_new();
	BIO	*bio = BIO_new(BIO_s_mem());

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), (days - 100) * 86400);
	X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, k);
	assert_true(X509_sign(x, k, EVP_PKEY_is_a(k, "ED25519") ? NULL :
	    EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	X509_free(x);
	put_bio(t, bio);
}

static int
group_setup(void **state)
{
	(void)state;
	if (!key_setup())
		return -1;
	ec = EVP_EC_gen("P-256");
	rsa = EVP_RSA_gen(2048);
	small = EVP_RSA_gen(1024);
	ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	key_text(ec, NULL, &ec_key);
	key_text(ec, "secret", &locked_key);
	key_text(rsa, NULL, &rsa_key);
	key_text(small, NULL, &small_key);
	key_text(ed, NULL, &ed_key);
	cert_text(ec, "ec.example", 90, &ec_cert);
	cert_text(ec, "old.example", -10, &old_cert);
	cert_text(rsa, "rsa.example", 90, &rsa_cert);
	cert_text(small, "small.example", 90, &small_cert);
	cert_text(ed, "ed.example", 90, &ed_cert);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(ec);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ed);
	return 0;
}

static void
pairs(void **state)
{
	const struct { const char *cert, *key, *type, *why; } t[] = {
		{ ec_cert.s, ec_key.s, "EC prime256v1", NULL },
		{ rsa_cert.s, rsa_key.s, "RSA 2048", NULL },
		{ old_cert.s, ec_key.s, "EC prime256v1", NULL },
		{ ec_cert.s, rsa_key.s, NULL, "not this key's" },
		{ rsa_cert.s, ec_key.s, NULL, "not this key's" },
		{ small_cert.s, small_key.s, NULL, "shorter" },
		{ ed_cert.s, ed_key.s, NULL, "neither RSA nor EC" },
		{ ec_cert.s, locked_key.s, NULL, "passphrase" },
		{ ec_cert.s, ec_cert.s, NULL, "no private key" },
		{ ec_key.s, ec_key.s, NULL, "no certificate" },
		{ "", ec_key.s, NULL, "no certificate" },
		{ ec_cert.s, "", NULL, "no private key" },
		{ "junk", "junk", NULL, "no certificate" },
	};
	struct key_info	 info;
	struct pki	*p;
	const char	*why;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		why = NULL;
		p = pki_new(span_str(t[i].cert), span_str(t[i].key), &why);
		if (t[i].why != NULL) {
			assert_null(p);
			assert_non_null(strstr(why, t[i].why));
			continue;
		}
		assert_non_null(p);
		pki_info(p, &info);
		assert_string_equal(info.type, t[i].type);
		pki_free(p);
	}
}

static void
chains(void **state)
{
	static char	 text[65536];
	struct key_info	 info;
	struct pki	*p;
	const char	*why;

	(void)state;
	snprintf(text, sizeof(text), "%s%s", ec_cert.s, rsa_cert.s);
	p = pki_new(span_str(text), span_str(ec_key.s), &why);
	assert_non_null(p);
	pki_info(p, &info);
	assert_int_equal(info.chain, 1);
	assert_string_equal(info.subject, "CN=ec.example");
	assert_true(info.not_before.ms < info.not_after.ms);
	pki_free(p);
	/* Certificate and key in one file. */
	snprintf(text, sizeof(text), "%s%s", ec_key.s, ec_cert.s);
	p = pki_new(span_str(text), span_str(text), &why);
	assert_non_null(p);
	pki_free(p);
	/* A broken second certificate is not passed over. */
	snprintf(text, sizeof(text), "%s-----BEGIN CERTIFICATE-----\nAAAA\n"
	    "-----END CERTIFICATE-----\n", ec_cert.s);
	assert_null(pki_new(span_str(text), span_str(ec_key.s), &why));
	assert_non_null(strstr(why, "malformed"));
	text[0] = '\0';
	for (int i = 0; i < 20; i++)
		strcat(text, ec_cert.s);
	assert_null(pki_new(span_str(text), span_str(ec_key.s), &why));
}

static void
credentials(void **state)
{
	static const struct { const char *in; unsigned bad, n; } t[] = {
		{ "", 0, 0 },
		{ "# nothing\n\n   \n", 0, 0 },
		{ "a u s\n", 0, 1 },
		{ "a u s", 0, 1 },
		{ "a u s\r\nb\tu\t s s \r\n", 0, 2 },
		{ "a u\n", 1, 0 },
		{ "\na\n", 2, 0 },
		{ "a u s\n\na u s\n", 3, 0 },
		{ "a u s\x01\n", 1, 0 },
		{ "A u s\na u s\n", 0, 2 },
	};
	struct span	 user, secret;
	struct creds	*c;
	const char	*why;
	char		*many;
	unsigned	 line;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		c = creds_parse(span_str(t[i].in), &why, &line);
		if (t[i].bad > 0) {
			assert_null(c);
			assert_int_equal(line, t[i].bad);
			continue;
		}
		assert_non_null(c);
		assert_int_equal(creds_count(c), t[i].n);
		creds_free(c);
	}
	c = creds_parse(span_str("isp  me@isp.example \t a b # c \n"), &why,
	    &line);
	assert_true(creds_get(c, span_str("isp"), &user, &secret));
	assert_true(span_is(user, "me@isp.example"));
	assert_true(span_is(secret, "a b # c"));
	assert_false(creds_get(c, span_str("ISP"), &user, &secret));
	creds_free(c);
	many = calloc(CRED_MAX + 1, 16);
	for (int i = 0; i <= CRED_MAX; i++)
		sprintf(many + strlen(many), "l%d u s\n", i);
	assert_null(creds_parse(span_str(many), &why, &line));
	assert_int_equal(line, CRED_MAX + 1);
	free(many);
}

static int
memfd(const char *text, size_t len)
{
	int	fd = memfd_create("secret", MFD_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	return fd;
}

static void
add(struct set *s, enum ipc_secret_kind kind, const char *name,
    const char *text)
{
	set_add(s, kind, name, "/x/file", memfd(text, strlen(text)));
}

static void
sets(void **state)
{
	char		 name[] = "mx", cert[] = "/x/c", key[] = "/x/k",
			 creds[] = "/x/cred", anna[] = "anna",
			 bert[] = "bert", carl[] = "carl", host[] = "h";
	struct conf_dest dest = { .host = host, .auth = bert };
	struct conf_pool pool = { .dests = &dest, .ndests = 1 };
	struct conf_action action = { .type = ACT_RELAY, .auth = anna,
			    .pool = &pool }, *actions[] = { &action };
	struct conf_pki	 pki = { .name = name, .cert = cert, .key = key };
	struct conf	 c = { .pkis = &pki, .npkis = 1,
			    .credentials = creds };
	char		 path[] = "/x/token", u[] = "u";
	struct conf_token token = { .label = anna, .user = u, .path = path };
	const char *const renewed[] = { "new\n", "", "\n", "two words", "a\nb",
	    "a\1b", "\xc3\xa4" };
	struct span	 user, secret;
	bool		 is_token;
	struct key_info	 info;
	struct set	*s;
	const char	*why;
	char		*big;
	int		 fds[2];

	(void)state;
	s = set_new();
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "a u s\n");
	assert_true(set_finish(s, &c, &why));
	assert_int_equal(set_pkis(s), 1);
	assert_string_equal(set_pki(s, 0, &info), "mx");
	assert_int_equal(creds_count(set_creds(s)), 1);
	set_free(s);

	s = set_new();				/* a wrong pair */
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", rsa_key.s);
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "/x/file: the certificate is not this key's");
	set_free(s);

	s = set_new();				/* one is missing */
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "other", ec_key.s);
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "/x/k: was not handed over");
	set_free(s);

	s = set_new();				/* a fault in the credentials */
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "a u s\nb\n");
	assert_false(set_finish(s, &c, &why));
	assert_non_null(strstr(why, "line 2"));
	set_free(s);

	s = set_new();				/* who logs in as whom */
	c.actions = actions;
	c.nactions = 1;
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "anna u s\nbert u s\n");
	assert_true(set_finish(s, &c, &why));
	set_free(s);
	dest.auth = carl;
	s = set_new();
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "anna u s\nbert u s\n");
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "credentials: there is no label \"carl\", "
	    "by which an action logs in");
	set_free(s);
	c.nactions = 0;

	c.tokens = &token;			/* a token */
	c.ntokens = 1;
	s = set_new();
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "a u s\n");
	add(s, IPC_SECRET_TOKEN, "anna", " abc.def-1~2/=\r\n");
	assert_true(set_finish(s, &c, &why));
	assert_true(set_login(s, span_str("anna"), &user, &secret, &is_token));
	assert_true(is_token && span_is(user, "u") &&
	    span_is(secret, "abc.def-1~2/="));
	assert_true(set_login(s, span_str("a"), &user, &secret, &is_token));
	assert_true(!is_token && span_is(secret, "s"));
	assert_false(set_login(s, span_str("b"), &user, &secret, &is_token));
	/* Renewed, and not by what is none. */
	for (size_t i = 0; i < sizeof(renewed) / sizeof(renewed[0]); i++) {
		assert_int_equal(set_renew(s, "anna", "/x", memfd(renewed[i],
		    strlen(renewed[i])), &why), i == 0);
		assert_true(set_login(s, span_str("anna"), &user, &secret,
		    &is_token) && span_is(secret, "new"));
	}
	big = calloc(1, 8194);
	memset(big, 'x', 8193);
	assert_false(set_renew(s, "anna", "/x", memfd(big, 8193), &why));
	assert_true(set_renew(s, "anna", "/x", memfd(big, 8192), &why));
	free(big);
	assert_false(set_renew(s, "other", "/x", memfd("x", 1), &why));
	set_free(s);

	s = set_new();				/* its label stands twice */
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "anna u s\n");
	add(s, IPC_SECRET_TOKEN, "anna", "abc");
	assert_false(set_finish(s, &c, &why));
	set_free(s);
	s = set_new();				/* it is empty */
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "a u s\n");
	add(s, IPC_SECRET_TOKEN, "anna", " \n");
	assert_false(set_finish(s, &c, &why));
	set_free(s);
	c.ntokens = 0;

	s = set_new();				/* no regular file */
	assert_int_equal(pipe(fds), 0);
	set_add(s, IPC_SECRET_KEY, "mx", "/x/pipe", fds[0]);
	close(fds[1]);
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "/x/pipe: not a regular file");
	set_free(s);

	s = set_new();				/* too large */
	big = calloc(1, SET_FILE_MAX + 1);
	set_add(s, IPC_SECRET_KEY, "mx", "/x/big",
	    memfd(big, SET_FILE_MAX + 1));
	free(big);
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "/x/big: larger than 1 MiB");
	set_free(s);
	set_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(chains),
		cmocka_unit_test(credentials),
		cmocka_unit_test(sets),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
