/*
 * keyd's channels: what smtpd asks and is answered, whoever else may not ask;
 * keys that a reload has replaced; a peer that lies.
 */
#include "regress/lib/chanhelp.h"

#include <sys/mman.h>

#include "keyd/peer.h"
#include "regress/lib/certhelp.h"

/* ---- stand-ins ----------------------------------------------------------- */

static int	reports;
static char	report_why[100];

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
	assert_int_equal(role, IPC_SMTPD);
	assert_int_equal(worker, 7);
	reports++;
	strlcpy(report_why, why, sizeof(report_why));
}

/* ---- a set, and an smtpd ------------------------------------------------- */

static struct pem	 pem_k[2], pem_c[2];
static EVP_PKEY		*keys[2];
static struct chan	*smtpd;
static int		 answers, gone;
static bool		 ok;
static uint32_t		 tid;
static uint8_t		 sig[SIGNATURE_MAX];
static size_t		 sig_len;

static void
add(struct set *s, enum ipc_secret_kind kind, const char *path,
    const char *text)
{
	int	 fd = memfd_create("secret", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	set_add(s, kind, "mx", path, fd);
}

/* One pki "mx" with the n-th key. */
static struct set *
set_of(int n)
{
	char		 name[] = "mx", cert[] = "/c", key[] = "/k";
	struct conf_pki	 pki = { .name = name, .cert = cert, .key = key };
	struct conf	 c = { .pkis = &pki, .npkis = 1 };
	struct set	*s = set_new();
	const char	*why;

	add(s, IPC_SECRET_CERT, "/c", pem_c[n].s);
	add(s, IPC_SECRET_KEY, "/k", pem_k[n].s);
	assert_true(set_finish(s, &c, &why));
	return s;
}

static void
on_signed(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_signed	*m = msg;

	(void)c;
	assert_int_equal(fd, -1);
	answers++;
	ok = m->ok;
	tid = m->tid;
	sig_len = m->signature.len;
	memcpy(sig, m->signature.p, sig_len);
}

/* "mx/0:len", one word a message. */
static char	pushed[2000];

static void
on_pki(struct chan *c, const void *msg, int fd)
{
	const struct ipc_k_pki	*m = msg;
	size_t			 n = strlen(pushed);

	(void)c;
	(void)fd;
	assert_true(m->der.len > 0);
	snprintf(pushed + n, sizeof(pushed) - n, " %.*s/%d:%zu%s",
	    (int)m->pki.len, (const char *)m->pki.p, m->kind, m->der.len,
	    m->until > 0 ? "!" : "");
}

static void
on_pki_end(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)msg;
	(void)fd;
	strlcat(pushed, " end", sizeof(pushed));
}

static void
on_gone(struct chan *c, const char *why)
{
	(void)c;
	(void)why;
	gone++;
}

static const struct chan_row	rows[] = {
	{ IPC_T_k_signed, on_signed },
	{ IPC_T_k_pki, on_pki },
	{ IPC_T_k_pki_end, on_pki_end },
	{ 0, NULL }
};

static int
group_setup(void **state)
{
	struct ident	x;

	(void)state;
	base = event_base_new();
	for (int i = 0; i < 2; i++) {
		keys[i] = key_make(i == 0 ? TLS_P256 : TLS_RSA);
		x = IDENT(.key = keys[i], .cn = "mx");
		pem_cert(x.cert, &pem_c[i]);
		pem_key(keys[i], NULL, &pem_k[i]);
		ident_free(&x);
	}
	return key_setup() ? 0 : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		EVP_PKEY_free(keys[i]);
	event_base_free(base);
	return 0;
}

/* The socket of an smtpd that keyd has just been given. */
static int
join(void)
{
	int	 sv[2];

	answers = gone = reports = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    sv), 0);
	peer_add(NULL, IPC_SMTPD, 7, "smtpd.7", sv[0]);
	return sv[1];
}

static void
come(void)
{
	pushed[0] = '\0';
	smtpd = chan_new(base, join(), IPC_SMTPD, IPC_KEYD, rows, on_gone,
	    NULL);
	assert_non_null(smtpd);
	pass(3);
}

static void
leave(void)
{
	chan_free(smtpd);
	smtpd = NULL;
	pass(3);
	assert_int_equal(reports, 0);
}

static void
ask(const char *pki, struct span key, uint16_t scheme, struct span statement)
{
	static uint32_t	 n;
	int		 before = answers;

	CHAN_SEND(smtpd, k_sign, .tid = ++n, .pki = span_str(pki), .key = key,
	    .scheme = scheme, .statement = statement);
	pass(4);
	assert_int_equal(answers, before + 1);
	assert_int_equal(tid, n);
}

static struct span
id_of(const struct set *s)
{
	const char	*name;

	return span(pki_id(set_at(s, 0, &name)), PUBKEY_HASH_LEN);
}

static void
requests(void **state)
{
	struct peer_counts	 then = *peer_counts();
	struct set		*s = set_of(0);
	uint8_t			 p[400];
	struct span		 st = span(p, statement_tls13(p, 32));

	(void)state;
	quiet(true);
	peer_set(s, NULL);
	come();
	ask("mx", id_of(s), 0x0403, st);
	assert_true(ok);
	assert_true(signature_is(keys[0], scheme_find(0x0403), st,
	    span(sig, sig_len)));
	/* Another name, another key, another scheme, no statement. */
	ask("mx2", id_of(s), 0x0403, st);
	assert_false(ok);
	assert_int_equal(sig_len, 0);
	ask("", id_of(s), 0x0403, st);
	assert_false(ok);
	ask("mx", span("12345678901234567890123456789012", 32), 0x0403, st);
	assert_false(ok);
	ask("mx", span(NULL, 0), 0x0403, st);
	assert_false(ok);
	ask("mx", id_of(s), 0x0804, st);
	assert_false(ok);
	ask("mx", id_of(s), 0x0403, span(p + 98, 32));
	assert_false(ok);
	ask("mx", id_of(s), 0x0403, span(NULL, 0));
	assert_false(ok);
	assert_int_equal(peer_counts()->signatures, then.signatures + 1);
	assert_int_equal(peer_counts()->refusals, then.refusals + 7);
	/* The channel has outlived it all. */
	ask("mx", id_of(s), 0x0403, st);
	assert_true(ok);
	/* None at all. */
	peer_set(NULL, NULL);
	ask("mx", id_of(s), 0x0403, st);
	assert_false(ok);
	leave();
	set_free(s);
	quiet(false);
}

static void
reloaded(void **state)
{
	struct set	*old = set_of(0), *now = set_of(1);
	uint8_t		 p[400];
	struct span	 st = span(p, statement_tls13(p, 48));

	(void)state;
	quiet(true);
	come();
	peer_set(now, old);
	ask("mx", id_of(now), 0x0804, st);
	assert_true(ok);
	assert_true(signature_is(keys[1], scheme_find(0x0804), st,
	    span(sig, sig_len)));
	ask("mx", id_of(old), 0x0403, st);
	assert_true(ok);
	assert_true(signature_is(keys[0], scheme_find(0x0403), st,
	    span(sig, sig_len)));
	peer_set(now, NULL);
	ask("mx", id_of(old), 0x0403, st);
	assert_false(ok);
	leave();
	peer_set(NULL, NULL);
	set_free(old);
	set_free(now);
	quiet(false);
}

/* Certificates go to each smtpd, keys never. */
static void
certificates(void **state)
{
	struct set	*old = set_of(0), *now = set_of(1);
	char		 want[300];
	const char	*name;
	size_t		 a = pki_cert(set_at(old, 0, &name), 0).len,
			 b = pki_cert(set_at(now, 0, &name), 0).len;

	(void)state;
	/* Before keyd has anything, and when it has. */
	come();
	assert_string_equal(pushed, "");
	peer_set(old, NULL);
	pass(3);
	snprintf(want, sizeof(want), " mx/0:%zu end", a);
	assert_string_equal(pushed, want);
	/* A reload, and the end of the keys before it, which is none. */
	peer_set(now, old);
	peer_set(now, NULL);
	pass(3);
	snprintf(want, sizeof(want), " mx/0:%zu end mx/0:%zu end", a, b);
	assert_string_equal(pushed, want);
	leave();
	/* One that comes later. */
	come();
	snprintf(want, sizeof(want), " mx/0:%zu end", b);
	assert_string_equal(pushed, want);
	leave();
	peer_set(NULL, NULL);
	set_free(old);
	set_free(now);
}

/* A chain, and what is stapled. */
static void
whole(void **state)
{
	char		 name[] = "mx", cert[] = "/c", key[] = "/k",
			 ocsp[] = "/o", want[300];
	struct conf_pki	 pki = { .name = name, .cert = cert, .key = key,
			    .ocsp = ocsp };
	struct conf	 c = { .pkis = &pki, .npkis = 1 };
	struct set	*s = set_new();
	struct ident	 own = IDENT(.key = keys[0], .cn = "mx");
	struct pem	 text, more;
	const char	*why;
	uint8_t		*der;
	struct span	 r;
	int		 fd = memfd_create("ocsp", MFD_CLOEXEC);

	(void)state;
	pem_cert(own.cert, &text);
	pem_cert(own.cert, &more);
	strlcat(text.s, more.s, sizeof(text.s));
	r = ocsp_make(&own, V_OCSP_CERTSTATUS_GOOD, -60, 3600, &der);
	assert_int_equal(write(fd, r.p, r.len), (ssize_t)r.len);
	add(s, IPC_SECRET_CERT, "/c", text.s);
	add(s, IPC_SECRET_KEY, "/k", pem_k[0].s);
	set_add(s, IPC_SECRET_OCSP, "mx", "/o", fd);
	assert_true(set_finish(s, &c, &why));
	peer_set(s, NULL);
	come();
	snprintf(want, sizeof(want), " mx/0:%zu mx/1:%zu mx/2:%zu! end",
	    pki_cert(set_at(s, 0, &why), 0).len,
	    pki_cert(set_at(s, 0, &why), 1).len, r.len);
	assert_string_equal(pushed, want);
	leave();
	peer_set(NULL, NULL);
	set_free(s);
	OPENSSL_free(der);
	ident_free(&own);
}

static void
ocsp(void **state)
{
	static const struct { int status; long from, to; const char *is; }
	t[] = {
		{ V_OCSP_CERTSTATUS_GOOD, -60, 3600, "valid" },
		{ V_OCSP_CERTSTATUS_GOOD, -3600, -60, "out of date" },
		{ V_OCSP_CERTSTATUS_GOOD, 3600, 7200, "not yet valid" },
		{ V_OCSP_CERTSTATUS_UNKNOWN, -60, 3600, "revoked" },
	};
	struct ident		 x = IDENT(.key = keys[0], .cn = "mx"),
				 y = IDENT(.key = keys[1], .cn = "mx");
	struct ocsp_info	 info;
	const char		*why;
	uint8_t			*der;
	struct span		 r;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r = ocsp_make(&x, t[i].status, t[i].from, t[i].to, &der);
		assert_true(ocsp_read(r, x.cert, x.cert, &info, &why));
		assert_true(ocsp_read(r, x.cert, NULL, &info, &why));
		assert_string_equal(ocsp_state(&info, clock_wall()), t[i].is);
		/* Another certificate, another issuer. */
		assert_false(ocsp_read(r, y.cert, y.cert, &info, &why));
		assert_string_equal(why, "the OCSP response is of another "
		    "certificate");
		assert_false(ocsp_read(r, x.cert, y.cert, &info, &why));
		/* Cut anywhere, or with more behind it. */
		for (size_t n = 0; n < r.len; n++)
			assert_false(ocsp_read(span_sub(r, 0, n), x.cert,
			    x.cert, &info, &why));
		assert_string_equal(why, "no OCSP response in DER");
		OPENSSL_free(der);
	}
	assert_false(ocsp_read(span("\x30\x03\x0a\x01\x03", 5), x.cert, x.cert,
	    &info, &why));			/* tryLater */
	assert_string_equal(why, "the OCSP responder gave no answer");
	ident_free(&x);
	ident_free(&y);
}

/* A packet of this message from an smtpd that says what it likes. */
static void
lie(uint16_t type, const void *m, size_t cut)
{
	struct buf	 b;

	far = join();
	buf_init(&b, IPC_PACKET_MAX);
	assert_true(ipc_encode(&b, type, m));
	send_raw(buf_content(&b).p, buf_len(&b) - cut, NULL, 0);
	pass(3);
	buf_clear(&b);
	close(far);
	pass(3);
}

static void
lies(void **state)
{
	uint8_t			 p[400];
	struct ipc_k_sign	 m = { .tid = 1, .pki = span_str("mx"),
				    .key = span("k", 1), .statement =
				    span(p, statement_tls13(p, 32)) };
	struct ipc_k_srs	 srs = { .tid = 1 };

	(void)state;
	quiet(true);
	lie(IPC_T_k_sign, &m, 0);
	assert_int_equal(reports, 0);
	for (size_t cut = 1; cut < 60; cut++) {
		lie(IPC_T_k_sign, &m, cut);
		assert_int_equal(reports, 1);
	}
	/* deliverd's question. */
	lie(IPC_T_k_srs, &srs, 0);
	assert_int_equal(reports, 1);
	quiet(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(reloaded),
		cmocka_unit_test(certificates),
		cmocka_unit_test(whole),
		cmocka_unit_test(ocsp),
		cmocka_unit_test(lies),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
