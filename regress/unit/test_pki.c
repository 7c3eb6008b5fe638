/*
 * smtpd's certificates with the real keyd at the other end of the channel: who
 * gets which, what is stapled, what a reload changes and what not; keyd that
 * dies, is silent, comes back, or lies.
 */
#include "regress/lib/chanhelp.h"

#include <sys/mman.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "keyd/peer.h"
#include "regress/lib/certhelp.h"
#include "smtpd/keyd.h"
#include "smtpd/pki.h"
#include "smtpd/pki_ask.h"
#include "smtpd/srs.h"

/* ---- stand-ins ----------------------------------------------------------- */

static int	reports, readies;
static bool	hurry;

int	 __real_event_add(struct event *, const struct timeval *);
int	 __wrap_event_add(struct event *, const struct timeval *);

/* Ten seconds pass in a tenth. */
int
__wrap_event_add(struct event *e, const struct timeval *tv)
{
	const struct timeval	 soon = { 0, 100000 };

	return __real_event_add(e, hurry && tv != NULL &&
	    tv->tv_sec == PKI_ASK_TIMEOUT_MS / 1000 ? &soon : tv);
}

struct event_base *
proc_base(const struct proc *p)
{
	(void)p;
	return base;
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	(void)p;
	(void)role;
	(void)worker;
	(void)why;
	reports++;
}

static void
certified(void)
{
	readies++;
}

/* ---- a world ------------------------------------------------------------- */

enum { A_EC, A_RSA, B_EC, C_ED, NEW_EC, NCERTS };
static const struct { const char *name, *names; enum tls_key kind; } made[] = {
	[A_EC] = { "a.example", "DNS:a.example", TLS_P256 },
	[A_RSA] = { "a.example", "DNS:a.example", TLS_RSA },
	[B_EC] = { "b.example", "DNS:*.b.example,DNS:b.example", TLS_P384 },
	[C_ED] = { "c.example", "DNS:x.b.example", TLS_ED25519 },
	[NEW_EC] = { "a.example", "DNS:a.example", TLS_P256 },
};
static struct ident	 ids[NCERTS];
static const char	*all[] = { "a.example", "b.example", "c.example" };
static struct conf_listen one = { .pkis = all, .npkis = 1 },
			 three = { .pkis = all, .npkis = 3 },
			 none = { .npkis = 0 };
static struct conf_listen *listens[] = { &one, &three, &none };
static struct conf	 conf = { .listens = listens, .nlistens = 3 };

static int
group_setup(void **state)
{
	EVP_PKEY	*k;

	(void)state;
	base = event_base_new();
	if (!key_setup())
		return -1;
	pki_setup();
	for (int i = 0; i < NCERTS; i++) {
		k = key_make(made[i].kind);
		ids[i] = IDENT(.key = k, .cn = made[i].name,
		    .san = made[i].names);
		EVP_PKEY_free(k);
	}
	srs_init(NULL, &conf);
	keyd_init(NULL);
	pki_ask_init(NULL);
	pki_init(&conf, certified);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < NCERTS; i++)
		ident_free(&ids[i]);
	return 0;
}

static void
add(struct set *s, enum ipc_secret_kind kind, const char *name,
    const char *path, const void *p, size_t n)
{
	int	 fd = memfd_create("secret", MFD_CLOEXEC);

	assert_int_equal(write(fd, p, n), n);
	set_add(s, kind, name, path, fd);
}

/* A set of these, up to -1; with an OCSP response for the first if der is. */
static struct set *
set_of(const int *which, struct span der)
{
	static char		 paths[NCERTS][3][8];
	static char		 ocsp_path[] = "/o";
	struct conf_pki		 pkis[NCERTS];
	struct conf		 c = { .pkis = pkis };
	struct set		*s = set_new();
	struct pem		 pem;
	const char		*why;

	for (; which[c.npkis] != -1; c.npkis++) {
		int		 i = which[c.npkis];
		const char	*name = made[i].name;

		snprintf(paths[i][0], 8, "/c%d", i);
		snprintf(paths[i][1], 8, "/k%d", i);
		pkis[c.npkis] = (struct conf_pki){
		    .name = (char *)(uintptr_t)name, .cert = paths[i][0],
		    .key = paths[i][1], .ocsp = c.npkis == 0 && der.len > 0 ?
		    ocsp_path : NULL };
		pem_cert(ids[i].cert, &pem);
		add(s, IPC_SECRET_CERT, name, paths[i][0], pem.s,
		    strlen(pem.s));
		pem_key(ids[i].key, NULL, &pem);
		add(s, IPC_SECRET_KEY, name, paths[i][1], pem.s,
		    strlen(pem.s));
		if (pkis[c.npkis].ocsp != NULL)
			add(s, IPC_SECRET_OCSP, name, ocsp_path, der.p,
			    der.len);
	}
	assert_true(set_finish(s, &c, &why));
	return s;
}

/* keyd's end is its real one, or `far`, where the test is keyd. */
static void
wire(bool real)
{
	int	 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    sv), 0);
	far = -1;
	if (real)
		peer_add(NULL, IPC_SMTPD, 7, "smtpd.7", sv[0]);
	else
		far = sv[0];
	keyd_peer(0, sv[1]);
	pass(4);
}

/* ---- handshakes ---------------------------------------------------------- */

static SSL_CTX	*client_ctx;
static SSL	*client, *server;
static int	 wakes;

static int
on_wake(SSL *s, void *arg)
{
	(void)arg;
	assert_ptr_equal(s, server);
	wakes++;
	return 1;
}

static void
tls_begin(const struct conf_listen *l, const char *sni, const char *sigalgs)
{
	BIO	*a, *b;

	wakes = 0;
	client_ctx = SSL_CTX_new(TLS_client_method());
	if (sigalgs != NULL)
		SSL_CTX_set1_sigalgs_list(client_ctx,
		    (char *)(uintptr_t)sigalgs);
	client = SSL_new(client_ctx);
	if (sni != NULL)
		SSL_set_tlsext_host_name(client, (char *)(uintptr_t)sni);
	server = pki_ssl(l);
	assert_non_null(server);
	SSL_set_async_callback(server, on_wake);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
}

/* True: both are done. False: one failed, or (*waits) waits for keyd. */
static bool
step(bool *waits)
{
	int	 r, e;

	*waits = false;
	for (int n = 0; n < 30; n++) {
		r = SSL_do_handshake(client);
		if (r != 1 && SSL_get_error(client, r) != SSL_ERROR_WANT_READ)
			return false;
		r = SSL_do_handshake(server);
		e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(server, r);
		if (e == SSL_ERROR_NONE && SSL_is_init_finished(client))
			return true;
		if (e == SSL_ERROR_WANT_ASYNC) {
			*waits = true;
			return false;
		}
		if (e != SSL_ERROR_NONE && e != SSL_ERROR_WANT_READ)
			return false;
	}
	return false;
}

static bool
shake(void)
{
	bool	 done, waits;

	while (!(done = step(&waits)) && waits) {
		int	 before = wakes;

		for (int n = 0; n < 1000 && wakes == before; n++)
			event_base_loop(base, EVLOOP_ONCE);
		assert_int_equal(wakes, before + 1);
	}
	return done;
}

static void
end_tls(void)
{
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_ctx);
	client = server = NULL;
	ERR_clear_error();
}

static int
shown(void)
{
	X509	*x = SSL_get1_peer_certificate(client);
	int	 is = -1;

	for (int i = 0; i < NCERTS; i++)
		if (x != NULL && X509_cmp(x, ids[i].cert) == 0)
			is = i;
	X509_free(x);
	return is;
}

/* The certificate that such a client is shown; -1: there was no handshake. */
static int
try(const struct conf_listen *l, const char *sni, const char *sigalgs)
{
	int	 is = -1;

	tls_begin(l, sni, sigalgs);
	if (shake())
		is = shown();
	end_tls();
	return is;
}

/* ---- tests --------------------------------------------------------------- */

static const int	everything[] = { A_EC, A_RSA, B_EC, C_ED, -1 };

/* First: before there is anything. */
static void
comes(void **state)
{
	struct set	*s = set_of(everything, span(NULL, 0));

	(void)state;
	assert_null(pki_ssl(&one));
	assert_false(pki_has(&one));
	wire(true);
	assert_null(pki_ssl(&one));
	assert_int_equal(readies, 0);
	peer_set(s, NULL);
	pass(4);
	assert_int_equal(readies, 1);
	assert_null(pki_ssl(&none));
	assert_false(pki_has(&none));
	assert_true(pki_has(&one));
	assert_int_equal(try(&one, NULL, NULL), A_EC);
	assert_int_equal(try(&one, NULL, "rsa_pss_rsae_sha256"), A_RSA);
	assert_int_equal(try(&one, NULL, "ed25519"), -1);
	peer_set(NULL, NULL);
	set_free(s);
}

static void
sni(void **state)
{
	static const struct { const char *sni, *sigalgs; int one, three; }
	t[] = {
		{ NULL, NULL, A_EC, A_EC },
		{ "a.example", NULL, A_EC, A_EC },
		{ "A.EXAMPLE", NULL, A_EC, A_EC },
		{ "b.example", NULL, A_EC, B_EC },
		{ "mx.b.example", NULL, A_EC, B_EC },
		/* The name itself goes before a wildcard that is earlier. */
		{ "x.b.example", NULL, A_EC, C_ED },
		{ "b.b.b.example", NULL, A_EC, A_EC },
		{ "c.example", NULL, A_EC, A_EC },	/* no CN beside SANs */
		{ "elsewhere.example", NULL, A_EC, A_EC },
		{ "a.example", "rsa_pss_rsae_sha384", A_RSA, A_RSA },
	};
	struct set	*s = set_of(everything, span(NULL, 0));

	(void)state;
	wire(true);
	peer_set(s, NULL);
	pass(4);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(try(&one, t[i].sni, t[i].sigalgs), t[i].one);
		assert_int_equal(try(&three, t[i].sni, t[i].sigalgs),
		    t[i].three);
	}
	assert_int_equal(readies, 1);
	peer_set(NULL, NULL);
	set_free(s);
}

/* Versions, ciphers, tickets, ALPN. */
static void
settings(void **state)
{
	static const uint8_t	 http[] = "\x08http/1.1",
				 both[] = "\x08http/1.1\x04smtp";
	struct set		*s = set_of(everything, span(NULL, 0));
	const uint8_t		*chosen;
	unsigned		 len;
	char			 c;

	(void)state;
	wire(true);
	peer_set(s, NULL);
	pass(4);
	for (int v = TLS1_VERSION; v <= TLS1_3_VERSION; v++) {
		tls_begin(&one, NULL, NULL);
		SSL_set_security_level(client, 0);
		SSL_set_min_proto_version(client, v);
		SSL_set_max_proto_version(client, v);
		assert_int_equal(shake(), v >= TLS1_2_VERSION);
		end_tls();
	}
	/* CBC, no forward secrecy, DHE: none. */
	for (int i = 0; i < 3; i++) {
		static const char *const list[] = { "AES128-GCM-SHA256",
		    "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256" };

		tls_begin(&one, NULL, NULL);
		SSL_set_max_proto_version(client, TLS1_2_VERSION);
		SSL_set_cipher_list(client, list[i]);
		assert_false(shake());
		end_tls();
	}
	/* The client's order. */
	tls_begin(&one, NULL, NULL);
	SSL_set_max_proto_version(client, TLS1_2_VERSION);
	SSL_set_cipher_list(client, "ECDHE-ECDSA-CHACHA20-POLY1305:"
	    "ECDHE-ECDSA-AES128-GCM-SHA256");
	assert_true(shake());
	assert_string_equal(SSL_get_cipher_name(client),
	    "ECDHE-ECDSA-CHACHA20-POLY1305");
	end_tls();
	/* No ticket comes behind a handshake, and no id to resume. */
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		tls_begin(&one, NULL, NULL);
		SSL_set_max_proto_version(client, v);
		assert_true(shake());
		assert_int_equal(SSL_read(client, &c, 1), -1);
		assert_int_equal(SSL_SESSION_has_ticket(SSL_get_session(
		    client)), 0);
		assert_int_equal(SSL_SESSION_is_resumable(SSL_get_session(
		    client)), 0);
		end_tls();
	}
	tls_begin(&one, NULL, NULL);
	SSL_set_alpn_protos(client, both, sizeof(both) - 1);
	assert_true(shake());
	SSL_get0_alpn_selected(client, &chosen, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(chosen, "smtp", 4);
	end_tls();
	tls_begin(&one, NULL, NULL);
	SSL_set_alpn_protos(client, http, sizeof(http) - 1);
	assert_false(shake());
	end_tls();
	peer_set(NULL, NULL);
	set_free(s);
}

static void
stapled(void **state)
{
	static const struct { long to; const char *sigalgs; bool there; } t[] = {
		{ 3600, NULL, true },
		{ -60, NULL, false },			/* out of date */
		{ 3600, "rsa_pss_rsae_sha256", false },	/* another one's */
	};
	const uint8_t	*p;
	uint8_t		*der;
	struct span	 r;
	struct set	*s;
	long		 n;

	(void)state;
	wire(true);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
			r = ocsp_make(&ids[A_EC], V_OCSP_CERTSTATUS_GOOD,
			    -120, t[i].to, &der);
			s = set_of(everything, r);
			peer_set(s, NULL);
			pass(4);
			tls_begin(&three, "a.example", t[i].sigalgs);
			SSL_set_max_proto_version(client, v);
			SSL_set_tlsext_status_type(client,
			    TLSEXT_STATUSTYPE_ocsp);
			assert_true(shake());
			n = SSL_get_tlsext_status_ocsp_resp(client, &p);
			assert_int_equal(n, t[i].there ? (long)r.len : -1);
			if (n > 0)
				assert_memory_equal(p, r.p, r.len);
			end_tls();
			OPENSSL_free(der);
			peer_set(NULL, NULL);
			set_free(s);
		}
}

/* A session that is there, one that is being begun, and the next one. */
static void
reloaded(void **state)
{
	static const int	 other[] = { NEW_EC, -1 };
	struct set		*s = set_of(everything, span(NULL, 0)),
				*next = set_of(other, span(NULL, 0));
	SSL			*old_client, *old_server;
	SSL_CTX			*old_ctx;
	char			 got[8];
	bool			 waits;

	(void)state;
	wire(true);
	peer_set(s, NULL);
	pass(4);
	tls_begin(&three, NULL, NULL);
	assert_true(shake());
	old_client = client;
	old_server = server;
	old_ctx = client_ctx;
	tls_begin(&three, NULL, NULL);
	assert_false(step(&waits));
	assert_true(waits);
	peer_set(next, s);
	assert_true(shake());
	assert_int_equal(shown(), A_EC);
	end_tls();
	pass(4);
	assert_int_equal(try(&three, NULL, NULL), NEW_EC);
	assert_int_equal(try(&three, "b.example", NULL), NEW_EC);
	assert_int_equal(try(&three, NULL, "rsa_pss_rsae_sha256"), -1);
	peer_set(NULL, NULL);
	assert_int_equal(SSL_write(old_client, "NOOP", 4), 4);
	assert_int_equal(SSL_read(old_server, got, sizeof(got)), 4);
	client = old_client;
	server = old_server;
	client_ctx = old_ctx;
	end_tls();
	set_free(s);
	set_free(next);
}

/* keyd is away, comes back, is silent; clients leave. */
static void
away(void **state)
{
	struct pki_ask_counts	 then;
	struct set		*s = set_of(everything, span(NULL, 0));
	bool			 waits;

	(void)state;
	quiet(true);
	wire(true);
	peer_set(s, NULL);
	pass(4);
	/* In the middle of a handshake. */
	wire(false);
	tls_begin(&one, NULL, NULL);
	assert_false(step(&waits));
	assert_true(waits);
	then = *pki_ask_counts();
	close(far);
	assert_false(shake());
	assert_int_equal(wakes, 1);
	assert_int_equal(pki_ask_counts()->failed, then.failed + 1);
	end_tls();
	/* The certificates are still there, but nobody signs. */
	assert_int_equal(try(&one, NULL, NULL), -1);
	assert_int_equal(pki_ask_counts()->failed, then.failed + 2);
	wire(true);
	assert_int_equal(try(&one, NULL, NULL), A_EC);
	/* Replaced while one waits. */
	wire(false);
	tls_begin(&one, NULL, NULL);
	assert_false(step(&waits));
	close(far);
	wire(true);
	assert_int_equal(wakes, 1);
	assert_false(shake());
	end_tls();
	/* It says nothing. */
	wire(false);
	hurry = true;
	tls_begin(&one, NULL, NULL);
	assert_false(shake());
	end_tls();
	hurry = false;
	close(far);
	pass(2);
	peer_set(NULL, NULL);
	set_free(s);
	quiet(false);
}

/* What a keyd that was taken over may send. */
static void
send_pki(struct buf *b, const char *name, uint8_t kind, struct span der)
{
	const struct ipc_k_pki	 m = { .pki = span_str(name), .kind = kind,
				    .der = der };

	assert_true(ipc_encode(b, IPC_T_k_pki, &m));
}

static void
lies(void **state)
{
	const struct ipc_k_pki_end	 the_end = { .tid = 0 };
	const struct ipc_k_signed	 answer = { .tid = 12345, .ok = true };
	uint8_t				*der = NULL;
	int				 n = i2d_X509(ids[A_EC].cert, &der);
	struct span			 x = span(der, (size_t)n);
	struct set			*s = set_of(everything, span(NULL, 0));
	struct buf			 b;

	(void)state;
	quiet(true);
	buf_init(&b, IPC_PACKET_MAX);
	wire(true);
	peer_set(s, NULL);
	pass(4);
	for (int what = 0; what < 8; what++) {
		reports = 0;
		wire(false);
		switch (what) {
		case 0:			/* a chain of nothing */
			send_pki(&b, "a.example", K_PKI_CHAIN, x);
			break;
		case 1:			/* of another name */
			send_pki(&b, "a.example", K_PKI_CERT, x);
			send_pki(&b, "b.example", K_PKI_CHAIN, x);
			break;
		case 2:			/* cut */
			send_pki(&b, "a.example", K_PKI_CERT, span_sub(x, 0,
			    x.len - 1));
			break;
		case 3:			/* none */
			send_pki(&b, "a.example", K_PKI_CERT, span(NULL, 0));
			break;
		case 4:			/* no such kind */
			send_pki(&b, "a.example", 3, x);
			break;
		case 5:			/* two responses */
			send_pki(&b, "a.example", K_PKI_CERT, x);
			send_pki(&b, "a.example", K_PKI_OCSP, x);
			send_pki(&b, "a.example", K_PKI_OCSP, x);
			break;
		case 6:			/* a name that is not ours: no matter */
			send_pki(&b, "elsewhere.example", K_PKI_CHAIN, x);
			break;
		case 7:			/* an answer that nobody waits for */
			assert_true(ipc_encode(&b, IPC_T_k_signed, &answer));
			break;
		}
		send_raw_buf(&b, NULL, 0);
		pass(4);
		assert_int_equal(reports, what < 6);
		close(far);
		pass(2);
		/* What was in force is. */
		wire(true);
		assert_int_equal(try(&one, NULL, NULL), A_EC);
	}
	/* Four of one name, and an end: that name is no more. */
	wire(false);
	for (int i = 0; i < 4; i++)
		send_pki(&b, "a.example", K_PKI_CERT, x);
	assert_true(ipc_encode(&b, IPC_T_k_pki_end, &the_end));
	send_raw_buf(&b, NULL, 0);
	pass(4);
	assert_null(pki_ssl(&one));
	close(far);
	pass(2);
	buf_clear(&b);
	OPENSSL_free(der);
	peer_set(NULL, NULL);
	set_free(s);
	quiet(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes),
		cmocka_unit_test(sni),
		cmocka_unit_test(settings),
		cmocka_unit_test(stapled),
		cmocka_unit_test(reloaded),
		cmocka_unit_test(away),
		cmocka_unit_test(lies),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
