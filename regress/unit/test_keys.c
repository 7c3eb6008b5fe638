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
#include <openssl/crypto.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keyd/set.h"
#include "regress/lib/certhelp.h"

static EVP_PKEY		*ec, *rsa, *small, *big, *ed, *p384, *p521;
static struct pem	 ec_key, ec_cert, rsa_key, rsa_cert, small_key,
			 small_cert, ed_key, ed_cert, locked_key, old_cert,
			 big_key, big_cert, p384_key, p384_cert, p521_key,
			 p521_cert, ec2_key, ec2_cert;

static void
cert_text(EVP_PKEY *k, const char *cn, int days, struct pem *t)
{
	struct ident	x = IDENT(.key = k, .cn = cn, .from_days = days - 100,
			    .to_days = days);

	pem_cert(x.cert, t);
	ident_free(&x);
}

static int
group_setup(void **state)
{
	EVP_PKEY	*k;

	(void)state;
	if (!key_setup())
		return -1;
	ec = key_make(TLS_P256);
	rsa = key_make(TLS_RSA);
	ed = key_make(TLS_ED25519);
	p384 = key_make(TLS_P384);
	p521 = EVP_EC_gen("P-521");
	small = EVP_RSA_gen(1024);
	big = EVP_RSA_gen(4104);
	pem_key(p384, NULL, &p384_key);
	pem_key(p521, NULL, &p521_key);
	pem_key(big, NULL, &big_key);
	cert_text(p384, "p384.example", 90, &p384_cert);
	cert_text(p521, "p521.example", 90, &p521_cert);
	cert_text(big, "big.example", 90, &big_cert);
	pem_key(ec, NULL, &ec_key);
	pem_key(ec, "secret", &locked_key);
	pem_key(rsa, NULL, &rsa_key);
	pem_key(small, NULL, &small_key);
	pem_key(ed, NULL, &ed_key);
	cert_text(ec, "ec.example", 90, &ec_cert);
	cert_text(ec, "old.example", -10, &old_cert);
	cert_text(rsa, "rsa.example", 90, &rsa_cert);
	cert_text(small, "small.example", 90, &small_cert);
	cert_text(ed, "ed.example", 90, &ed_cert);
	k = key_make(TLS_P256);
	pem_key(k, NULL, &ec2_key);
	cert_text(k, "ec.example", 90, &ec2_cert);
	EVP_PKEY_free(k);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(ec);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(small);
	EVP_PKEY_free(big);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(p521);
	return 0;
}

static void
pairs(void **state)
{
	const struct { const char *cert, *key, *type, *why; } t[] = {
		{ ec_cert.s, ec_key.s, "EC P-256", NULL },
		{ rsa_cert.s, rsa_key.s, "RSA 2048", NULL },
		{ old_cert.s, ec_key.s, "EC P-256", NULL },
		{ ec_cert.s, rsa_key.s, NULL, "not this key's" },
		{ rsa_cert.s, ec_key.s, NULL, "not this key's" },
		{ small_cert.s, small_key.s, NULL, "shorter" },
		{ big_cert.s, big_key.s, NULL, "longer" },
		{ ed_cert.s, ed_key.s, "Ed25519", NULL },
		{ p384_cert.s, p384_key.s, "EC P-384", NULL },
		{ p521_cert.s, p521_key.s, NULL, "neither P-256 nor P-384" },
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
	struct span	 der;
	struct pki	*p;
	const char	*why;
	X509		*x;

	(void)state;
	snprintf(text, sizeof(text), "%s%s", ec_cert.s, rsa_cert.s);
	p = pki_new(span_str(text), span_str(ec_key.s), &why);
	assert_non_null(p);
	pki_info(p, &info);
	assert_int_equal(info.chain, 1);
	assert_string_equal(info.subject, "CN=ec.example");
	assert_true(info.not_before.ms < info.not_after.ms);
	/* As smtpd gets them. */
	assert_true(pki_cert(p, 0).len > 0);
	der = pki_cert(p, 1);
	x = d2i_X509(NULL, &der.p, (long)der.len);
	assert_non_null(x);
	assert_int_equal(X509_check_private_key(x, rsa), 1);
	X509_free(x);
	assert_int_equal(pki_cert(p, 2).len, 0);
	assert_int_equal(pki_cert(p, KEY_CHAIN_MAX + 1).len, 0);
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
add_at(struct set *s, enum ipc_secret_kind kind, const char *name,
    const char *path, const char *text)
{
	set_add(s, kind, name, path, memfd(text, strlen(text)));
}

static void
add(struct set *s, enum ipc_secret_kind kind, const char *name,
    const char *text)
{
	add_at(s, kind, name, kind == IPC_SECRET_KEY ? "/x/k" :
	    kind == IPC_SECRET_CERT ? "/x/c" : "/x/file", text);
}

static void
sets(void **state)
{
	char		*longest;
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
	const char	*why, *found;
	char		*large;
	int		 fds[2];

	(void)state;
	s = set_new();
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", ec_key.s);
	add(s, IPC_SECRET_CREDENTIALS, "", "a u s\n");
	assert_true(set_finish(s, &c, &why));
	assert_int_equal(set_pkis(s), 1);
	pki_info(set_at(s, 0, &found), &info);
	assert_string_equal(found, "mx");
	assert_int_equal(creds_count(set_creds(s)), 1);
	set_free(s);

	s = set_new();				/* a wrong pair */
	add(s, IPC_SECRET_CERT, "mx", ec_cert.s);
	add(s, IPC_SECRET_KEY, "mx", rsa_key.s);
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "/x/c: the certificate is not this key's");
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
	longest = calloc(1, 8194);
	memset(longest, 'x', 8193);
	assert_false(set_renew(s, "anna", "/x", memfd(longest, 8193), &why));
	assert_true(set_renew(s, "anna", "/x", memfd(longest, 8192), &why));
	free(longest);
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
	large = calloc(1, SET_FILE_MAX + 1);
	set_add(s, IPC_SECRET_KEY, "mx", "/x/big",
	    memfd(large, SET_FILE_MAX + 1));
	free(large);
	assert_false(set_finish(s, &c, &why));
	assert_string_equal(why, "/x/big: larger than 1 MiB");
	set_free(s);
	set_free(NULL);
}

/* Kinds of key side by side under one name, each but once. */
static void
side_by_side(void **state)
{
	char		 name[] = "mx", other[] = "mx2", c1[] = "/c1",
			 k1[] = "/k1", c2[] = "/c2", k2[] = "/k2";
	struct conf_pki	 pki[] = { { .name = name, .cert = c1, .key = k1 },
			    { .name = name, .cert = c2, .key = k2 } };
	struct conf	 c = { .pkis = pki, .npkis = 2 };
	const struct {
		const char	*cert, *key;
		bool		 ok;
	} t[] = {
		{ rsa_cert.s, rsa_key.s, true },
		{ ed_cert.s, ed_key.s, true },
		{ ec2_cert.s, ec2_key.s, false },
		/* A client that can one can the other. */
		{ p384_cert.s, p384_key.s, false },
	};
	const struct pki	*found;
	struct key_info		 info;
	struct set		*s;
	const char		*why, *at;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		s = set_new();
		/* They come in any order. */
		add_at(s, IPC_SECRET_KEY, "mx", "/k2", t[i].key);
		add_at(s, IPC_SECRET_CERT, "mx", "/c2", t[i].cert);
		add_at(s, IPC_SECRET_KEY, "mx", "/k1", ec_key.s);
		add_at(s, IPC_SECRET_CERT, "mx", "/c1", ec_cert.s);
		assert_int_equal(set_finish(s, &c, &why), t[i].ok);
		if (!t[i].ok) {
			assert_string_equal(why, "/k2: another key of this "
			    "pki is of the same kind");
			set_free(s);
			continue;
		}
		pki_info(set_at(s, 0, &at), &info);
		assert_string_equal(at, "mx");
		assert_string_equal(info.type, "EC P-256");
		set_free(s);
	}
	/* Under two names it is another matter; a key is found by its own. */
	pki[1].name = other;
	s = set_new();
	add_at(s, IPC_SECRET_KEY, "mx", "/k1", ec_key.s);
	add_at(s, IPC_SECRET_CERT, "mx", "/c1", ec_cert.s);
	add_at(s, IPC_SECRET_KEY, "mx2", "/k2", ec2_key.s);
	add_at(s, IPC_SECRET_CERT, "mx2", "/c2", ec2_cert.s);
	assert_true(set_finish(s, &c, &why));
	found = set_at(s, 1, &at);
	assert_string_equal(at, "mx2");
	assert_ptr_equal(set_key(s, span_str("mx2"), span(pki_id(found),
	    PUBKEY_HASH_LEN)), found);
	assert_null(set_key(s, span_str("mx"), span(pki_id(found),
	    PUBKEY_HASH_LEN)));
	assert_null(set_key(s, span_str("mx2"), span(pki_id(found),
	    PUBKEY_HASH_LEN - 1)));
	assert_null(set_key(s, span(NULL, 0), span(NULL, 0)));
	set_free(s);
}

/* 100 keys of RSA 4096 with their texts, while two such sets are there. */
static void
room(void **state)
{
	static struct pem	 key, cert;
	static struct conf_pki	 pki[100];
	static char		 names[100][16];
	char			 path[] = "/c", kpath[] = "/k";
	struct conf		 c = { .pkis = pki, .npkis = 100 };
	EVP_PKEY		*k = EVP_RSA_gen(4096);
	struct set		*s[3];
	const char		*why;
	size_t			 used = CRYPTO_secure_used();

	(void)state;
	pem_key(k, NULL, &key);
	cert_text(k, "many.example", 90, &cert);
	for (size_t i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "mx%zu", i);
		pki[i] = (struct conf_pki){ .name = names[i], .cert = path,
		    .key = kpath };
	}
	for (size_t n = 0; n < 3; n++) {
		s[n] = set_new();
		for (size_t i = 0; i < 100; i++) {
			add_at(s[n], IPC_SECRET_CERT, names[i], "/c", cert.s);
			add_at(s[n], IPC_SECRET_KEY, names[i], "/k", key.s);
		}
		assert_true(set_finish(s[n], &c, &why));
		assert_int_equal(set_pkis(s[n]), 100);
	}
	/* Without room nothing is taken to other memory. */
	assert_true(CRYPTO_secure_used() > 3 * 100 * 1024);
	for (size_t n = 0; n < 3; n++)
		set_free(s[n]);
	assert_int_equal(CRYPTO_secure_used(), used);
	s[0] = set_new();
	for (size_t i = 0; i < 1000; i++)
		set_add(s[0], IPC_SECRET_CREDENTIALS, "", "/cred",
		    memfd(key.s, sizeof(key.s)));
	assert_false(set_finish(s[0], &c, &why));
	assert_string_equal(why, "/cred: no protected memory is left");
	set_free(s[0]);
	EVP_PKEY_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(chains),
		cmocka_unit_test(credentials),
		cmocka_unit_test(sets),
		cmocka_unit_test(side_by_side),
		cmocka_unit_test(room),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
