/*
 * The secrets of one configuration, from descriptors to checked keys. See
 * set.h. Texts are kept in the secure heap where they fit.
 */
#include <sys/queue.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keyd/file.h"
#include "keyd/set.h"
#include "keyd/srs.h"
#include "keyd/token.h"

#define TEXT_SECURE_MAX	(32 << 10)	/* larger ones are no keys */

struct file {
	TAILQ_ENTRY(file) link;
	enum ipc_secret_kind kind;
	bool		 secure;	/* text is in the secure heap */
	uint8_t		*text;
	size_t		 len;
	char		*name, *path;
};
struct entry {
	char		*name;
	struct pki	*pki;
};

struct set {
	TAILQ_HEAD(, file) files;
	size_t		 nfiles;
	struct entry	*pkis;
	size_t		 npkis, der;	/* der: bytes of certificates */
	struct creds	*creds;
	struct tokens	*tokens;
	struct span	 srs;		/* of its file's text */
	char		 srs_domain[256];
	char		 why[768];	/* the first fault */
};

struct set *
set_new(void)
{
	struct set	*s;

	if ((s = calloc(1, sizeof(*s))) != NULL)
		TAILQ_INIT(&s->files);
	return s;
}

static void
file_free(struct set *s, struct file *f)
{
	TAILQ_REMOVE(&s->files, f, link);
	if (f->secure)
		OPENSSL_secure_clear_free(f->text, f->len);
	else
		freezero(f->text, f->len);
	free(f->name);
	free(f->path);
	free(f);
}

void
set_free(struct set *s)
{
	struct file	*f;

	if (s == NULL)
		return;
	creds_free(s->creds);
	tokens_free(s->tokens);
	for (size_t i = 0; i < s->npkis; i++) {
		free(s->pkis[i].name);
		pki_free(s->pkis[i].pki);
	}
	free(s->pkis);
	while ((f = TAILQ_FIRST(&s->files)) != NULL)
		file_free(s, f);
	free(s);
}

static bool
fault(struct set *s, const char *path, const char *what)
{
	if (s->why[0] == '\0')
		snprintf(s->why, sizeof(s->why), "%.600s: %s", path, what);
	return false;
}

/* A certificate is no secret, unless its file has the key as well. */
static bool
unprotect(struct set *s, struct file *f)
{
	static const char	 key[] = "PRIVATE KEY-----";
	uint8_t			*copy;

	if (memmem(f->text, f->len, key, sizeof(key) - 1) != NULL)
		return true;
	if ((copy = malloc(f->len + 1)) == NULL)
		return fault(s, f->path, "out of memory");
	memcpy(copy, f->text, f->len + 1);
	OPENSSL_secure_clear_free(f->text, f->len);
	f->text = copy;
	f->secure = false;
	return true;
}

static bool
read_text(struct set *s, struct file *f, int fd)
{
	const char	*why;

	if ((why = file_size(fd, SET_FILE_MAX, &f->len)) != NULL)
		return fault(s, f->path, why);
	f->secure = f->len <= TEXT_SECURE_MAX;
	f->text = f->secure ? OPENSSL_secure_zalloc(f->len + 1) :
	    calloc(1, f->len + 1);
	if (f->text == NULL)
		return fault(s, f->path, f->secure ?
		    "no protected memory is left" : "out of memory");
	if ((why = file_read(fd, f->text, f->len)) != NULL)
		return fault(s, f->path, why);
	return !f->secure ||
	    (f->kind != IPC_SECRET_CERT && f->kind != IPC_SECRET_OCSP) ||
	    unprotect(s, f);
}

void
set_add(struct set *s, enum ipc_secret_kind kind, const char *name,
    const char *path, int fd)
{
	struct file	*f = NULL;

	if (s->nfiles >= SET_FILES_MAX)
		fault(s, path, "too many secrets");
	else if ((f = calloc(1, sizeof(*f))) == NULL)
		fault(s, path, "out of memory");
	if (f == NULL) {
		close(fd);
		return;
	}
	f->kind = kind;
	f->name = strdup(name);
	f->path = strdup(path);
	TAILQ_INSERT_TAIL(&s->files, f, link);
	s->nfiles++;
	if (f->name == NULL || f->path == NULL)
		fault(s, path, "out of memory");
	else
		(void)read_text(s, f, fd);
	close(fd);
}

/* By name, and by path where a name has several files. */
static const struct file *
find(const struct set *s, enum ipc_secret_kind kind, const char *name,
    const char *path)
{
	const struct file	*f;

	TAILQ_FOREACH(f, &s->files, link) {
		if (f->kind == kind && strcmp(f->name, name) == 0 &&
		    (path == NULL || strcmp(f->path, path) == 0))
			return f;
	}
	return NULL;
}

/* A client that can use a kind of key gets the one certificate for it. */
static bool
is_alone(const struct set *s, const struct entry *e)
{
	for (size_t i = 0; i < s->npkis; i++) {
		enum tls_key	 a = pki_kind(s->pkis[i].pki),
				 b = pki_kind(e->pki);

		if (strcmp(s->pkis[i].name, e->name) == 0 &&
		    (a == b || (a == TLS_P256 && b == TLS_P384) ||
		    (a == TLS_P384 && b == TLS_P256)))
			return false;
	}
	return true;
}

static bool
make_ocsp(struct set *s, const struct conf_pki *p, struct pki *pki)
{
	const struct file	*f;
	const char		*why;

	if (p->ocsp == NULL)
		return true;
	if ((f = find(s, IPC_SECRET_OCSP, p->name, p->ocsp)) == NULL)
		return fault(s, p->ocsp, "was not handed over");
	return pki_set_ocsp(pki, span(f->text, f->len), &why) ||
	    fault(s, f->path, why);
}

/* A channel takes so much at once (ipc/chan.h). */
static bool
can_be_sent(struct set *s, const struct pki *p)
{
	size_t	 n;

	for (unsigned i = 0; (n = pki_cert(p, i).len) > 0; i++)
		s->der += n;
	s->der += pki_ocsp_der(p).len;
	return s->der <= SET_DER_MAX;
}

static bool
make_pki(struct set *s, const struct conf_pki *p)
{
	const struct file	*cert, *key;
	struct entry		*e = &s->pkis[s->npkis];
	const char		*why;

	cert = find(s, IPC_SECRET_CERT, p->name, p->cert);
	key = find(s, IPC_SECRET_KEY, p->name, p->key);
	if (cert == NULL || key == NULL)
		return fault(s, cert == NULL ? p->cert : p->key,
		    "was not handed over");
	e->pki = pki_new(span(cert->text, cert->len),
	    span(key->text, key->len), &why);
	if (e->pki == NULL)
		return fault(s, strstr(why, "ertificate") != NULL ?
		    cert->path : key->path, why);
	if ((e->name = strdup(p->name)) == NULL)
		fault(s, key->path, "out of memory");
	else if (!is_alone(s, e))
		fault(s, key->path, "another key of this pki is of the same "
		    "kind");
	else if (!can_be_sent(s, e->pki))
		fault(s, cert->path, "all certificates are more than 4 MiB");
	else if (make_ocsp(s, p, e->pki)) {
		s->npkis++;
		return true;
	}
	pki_free(e->pki);
	free(e->name);
	return false;
}

static bool
make_creds(struct set *s, const struct conf *c)
{
	const struct file	*f;
	const char		*why;
	char			 text[128];
	unsigned		 line;

	if (c->credentials == NULL)
		return true;
	if ((f = find(s, IPC_SECRET_CREDENTIALS, "", NULL)) == NULL)
		return fault(s, c->credentials, "was not handed over");
	s->creds = creds_parse(span(f->text, f->len), &why, &line);
	if (s->creds == NULL) {
		snprintf(text, sizeof(text), "line %u: %s", line, why);
		return fault(s, f->path, text);
	}
	return true;
}

static bool
make_tokens(struct set *s, const struct conf *c)
{
	const struct file	*f;
	struct span		 user, secret;
	const char		*why;

	if (c->ntokens == 0)
		return true;
	if ((s->tokens = tokens_new(c->ntokens)) == NULL)
		return fault(s, "tokens", "out of memory");
	for (size_t i = 0; i < c->ntokens; i++) {
		const struct conf_token	*t = &c->tokens[i];

		if (creds_get(s->creds, span_str(t->label), &user, &secret))
			return fault(s, t->path, "its label stands in the "
			    "credentials too");
		if ((f = find(s, IPC_SECRET_TOKEN, t->label, NULL)) == NULL)
			return fault(s, t->path, "was not handed over");
		why = "out of memory";
		if (!tokens_add(s->tokens, t->label, t->user) ||
		    !tokens_set(s->tokens, t->label, span(f->text, f->len),
		    &why))
			return fault(s, t->path, why);
	}
	return true;
}

bool
set_login(const struct set *s, struct span label, struct span *user,
    struct span *secret, bool *token)
{
	*token = tokens_get(s->tokens, label, user, secret);
	return *token || creds_get(s->creds, label, user, secret);
}

bool
set_renew(struct set *s, const char *label, const char *path, int fd,
    const char **why)
{
	struct set	*tmp = set_new();	/* one that reads it */
	bool		 ok;

	*why = "out of memory";
	if (tmp == NULL) {
		close(fd);
		return false;
	}
	set_add(tmp, IPC_SECRET_TOKEN, label, path, fd);
	ok = tmp->why[0] == '\0' && !TAILQ_EMPTY(&tmp->files);
	if (!ok)
		*why = "the file can't be read";
	else
		ok = tokens_set(s->tokens, label,
		    span(TAILQ_FIRST(&tmp->files)->text,
		    TAILQ_FIRST(&tmp->files)->len), why);
	set_free(tmp);
	return ok;
}

size_t
set_tokens(const struct set *s)
{
	return tokens_count(s->tokens);
}

void
set_token(const struct set *s, size_t n, struct span *label,
    struct span *user)
{
	tokens_at(s->tokens, n, label, user);
}

static bool
has_label(const char *label, const struct conf_pos *pos, void *arg)
{
	struct set	*s = arg;
	struct span	 user, secret;
	char		 text[160];
	bool		 token;

	(void)pos;
	if (set_login(s, span_str(label), &user, &secret, &token))
		return true;
	snprintf(text, sizeof(text), "there is no label \"%s\", by which an "
	    "action logs in", label);
	return fault(s, "credentials", text);
}

static bool
make_srs(struct set *s, const struct conf *c)
{
	const struct file	*f;

	if (c->srs_key == NULL)
		return true;
	if ((f = find(s, IPC_SECRET_SRS, "", NULL)) == NULL)
		return fault(s, c->srs_key, "was not handed over");
	s->srs = span(f->text, f->len);
	while (s->srs.len > 0 && (s->srs.p[s->srs.len - 1] == '\n' ||
	    s->srs.p[s->srs.len - 1] == '\r'))
		s->srs.len--;
	if (s->srs.len < SRS_KEY_MIN)
		return fault(s, f->path, "has less than 16 bytes");
	strlcpy(s->srs_domain, c->srs_domain, sizeof(s->srs_domain));
	return true;
}

bool
set_finish(struct set *s, const struct conf *c, const char **why)
{
	struct file	*f, *next;
	bool		 ok = s->why[0] == '\0';

	*why = s->why;
	if (ok && c->npkis > 0 &&
	    (s->pkis = calloc(c->npkis, sizeof(*s->pkis))) == NULL)
		ok = fault(s, "pki", "out of memory");
	for (size_t i = 0; ok && i < c->npkis; i++)
		ok = make_pki(s, &c->pkis[i]);
	ok = ok && make_creds(s, c) && make_tokens(s, c) && make_srs(s, c);
	if (ok) {
		conf_labels(c, has_label, s);
		ok = s->why[0] == '\0';
	}
	/* What OpenSSL has read is in its own form now, and a token copied; the
	 * others are spans of their text. */
	for (f = TAILQ_FIRST(&s->files); f != NULL; f = next) {
		next = TAILQ_NEXT(f, link);
		if (f->kind == IPC_SECRET_CERT || f->kind == IPC_SECRET_KEY ||
		    f->kind == IPC_SECRET_OCSP || f->kind == IPC_SECRET_TOKEN)
			file_free(s, f);
	}
	return ok;
}

size_t
set_pkis(const struct set *s)
{
	return s->npkis;
}

const struct pki *
set_at(const struct set *s, size_t n, const char **name)
{
	*name = s->pkis[n].name;
	return s->pkis[n].pki;
}

const struct pki *
set_key(const struct set *s, struct span name, struct span id)
{
	for (size_t i = 0; i < s->npkis; i++)
		if (span_is(name, s->pkis[i].name) &&
		    span_eq(id, span(pki_id(s->pkis[i].pki), PUBKEY_HASH_LEN)))
			return s->pkis[i].pki;
	return NULL;
}

const struct creds *
set_creds(const struct set *s)
{
	return s->creds;
}

struct span
set_srs(const struct set *s, const char **domain)
{
	*domain = s->srs_domain;
	return s->srs;
}
