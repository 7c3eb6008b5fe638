/*
 * See trust.h.
 */
#include "common/tls/trust.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "common/base/buf.h"
#include "common/base/log.h"

struct file {
	char		*path;
	struct buf	 text;		/* until there is the store */
	X509_STORE	*store;
	bool		 bad;		/* it was tried */
};

static struct file	 files[TRUST_FILES_MAX];
static size_t		 nfiles;

static void
clear(struct file *f)
{
	free(f->path);
	buf_clear(&f->text);
	X509_STORE_free(f->store);
	*f = (struct file){ 0 };
}

void
trust_forget(void)
{
	while (nfiles > 0)
		clear(&files[--nfiles]);
}

static bool
read_all(struct buf *b, int fd)
{
	uint8_t	*p;
	ssize_t	 n = 0;

	buf_init(b, TRUST_BYTES_MAX);
	while ((p = buf_room(b, 16384)) != NULL && (n = read(fd, p,
	    16384)) > 0)
		buf_added(b, (size_t)n);
	if (p == NULL)
		errno = EFBIG;
	return p != NULL && n == 0;
}

static struct file *
find(const char *path)
{
	for (size_t i = 0; i < nfiles; i++)
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	return NULL;
}

void
trust_add(const char *path, int fd)
{
	struct file	*f = find(path);
	struct buf	 text;

	if (!read_all(&text, fd)) {
		log_warn("event=trust path=%s result=failed",
		    log_quote(span_str(path)));
		buf_clear(&text);
	} else if (f == NULL && nfiles == TRUST_FILES_MAX) {
		buf_clear(&text);
	} else {
		if (f == NULL)
			f = &files[nfiles++];
		else
			clear(f);
		f->text = text;
		if ((f->path = strdup(path)) == NULL)
			fatal("trust");
	}
	close(fd);
}

/* A CA without a list has revoked nothing that we could know of. */
static int
no_list_is_fine(int ok, X509_STORE_CTX *ctx)
{
	return ok || X509_STORE_CTX_get_error(ctx) ==
	    X509_V_ERR_UNABLE_TO_GET_CRL;
}

static X509_STORE *
parse(struct span text)
{
	STACK_OF(X509_INFO)	*all = NULL;
	X509_STORE		*store = X509_STORE_new();
	X509_INFO		*i;
	BIO			*bio = BIO_new_mem_buf(text.p, (int)text.len);
	int			 certs = 0, lists = 0;

	if (store != NULL && bio != NULL)
		all = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
	for (int k = 0; all != NULL && k < sk_X509_INFO_num(all); k++) {
		i = sk_X509_INFO_value(all, k);
		if (i->x509 != NULL)
			certs += X509_STORE_add_cert(store, i->x509);
		if (i->crl != NULL)
			lists += X509_STORE_add_crl(store, i->crl);
	}
	if (lists > 0) {
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK |
		    X509_V_FLAG_CRL_CHECK_ALL);
		X509_STORE_set_verify_cb(store, no_list_is_fine);
	}
	if (certs == 0) {
		X509_STORE_free(store);
		store = NULL;
	}
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	BIO_free(bio);
	ERR_clear_error();
	return store;
}

X509_STORE *
trust_store(const char *path, const char **why)
{
	struct file	*f = find(path);

	*why = "there is no file of CAs to hold it against";
	if (f == NULL)
		return NULL;
	if (f->store == NULL && !f->bad) {
		f->store = parse(buf_content(&f->text));
		f->bad = f->store == NULL;
		buf_clear(&f->text);
	}
	if (f->bad)
		*why = "there is no certificate in the file of CAs";
	return f->store;
}
