/*
 * See https.h.
 */
#include "deliverd/https.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "common/tls/client.h"
#include "common/tls/http.h"

#define PORT		443
#define ADDRS_MAX	4
#define IN_MORE		(HTTP_HEAD_MAX + 8192)	/* beside the body */
#define OUT_MAX		(128 << 10)
#define CONNECT_MS	10000

struct https {
	struct https_request req;	/* its strings are those below */
	char		 host[DNS_NAME_MAX + 1];
	uint32_t	 tid[2];	/* questions: A, AAAA */
	struct addr	 addrs[ADDRS_MAX];
	size_t		 naddrs, next;
	struct stream	*s;
	struct event	*timer;		/* for all of it */
	char		 why[VERIFY_WHY_MAX];
	bool		 untrusted;
	struct buf	 text;
	void		(*done)(void *, const struct https_answer *);
	void		*arg;
};

static struct event_base	*base;
static const struct conf	*conf;
static struct ask		*ask;

static void	 try_next(struct https *);

void
https_init(struct proc *p, const struct conf *c, struct ask *a)
{
	base = proc_base(p);
	conf = c;
	ask = a;
}

static void
fetch_free(struct https *f)
{
	ask_cancel(ask, f->tid[0]);
	ask_cancel(ask, f->tid[1]);
	stream_free(f->s);
	event_free(f->timer);
	buf_clear(&f->text);
	free(f);
}

static void
finish(struct https *f, struct span text, const char *why)
{
	f->done(f->arg, &(struct https_answer){ text, why, f->untrusted });
	fetch_free(f);
}

static void
failed(struct https *f, const char *why)
{
	strlcpy(f->why, why, sizeof(f->why));
	stream_free(f->s);
	f->s = NULL;
	try_next(f);
}

/* ---- the stream ---- */

/* The document, when all of it is there; a failure of the server's is the
 * end: another address is the same server. */
static void
look(struct https *f, bool eof)
{
	struct buf	 body;
	const char	*why;

	buf_init(&body, f->req.answer_max);
	switch (f->req.take(stream_in(f->s), eof, &body, &why)) {
	case PARSE_OK:
		finish(f, buf_content(&body), NULL);
		break;
	case PARSE_BAD:
		finish(f, span(NULL, 0), why);
		break;
	case PARSE_MORE:
		break;
	}
	buf_clear(&body);
}

static void
on_readable(struct stream *s, void *arg)
{
	(void)s;
	look(arg, false);
}

static void
on_closed(struct stream *s, void *arg, int error)
{
	struct https	*f = arg;
	const char		*why = stream_tls_why(s);

	if (error == 0 && why == NULL && stream_secured(s))
		look(f, true);
	else
		failed(f, why != NULL ? why : error != 0 ? strerror(error) :
		    "connection lost");
}

static void
on_timeout(struct stream *s, void *arg)
{
	(void)s;
	failed(arg, "timed out");
}

static struct conf_tls
tls_of(const struct https *f)
{
	return (struct conf_tls){ .mode = f->req.verify ? TLS_VERIFY :
	    TLS_REQUIRE };
}

static void
on_connected(struct stream *s, void *arg)
{
	struct https	*f = arg;
	struct conf_tls	 tls = tls_of(f);
	SSL		*ssl = tls_client_new(&tls, f->host);

	stream_timeout(s, HTTPS_MS);
	if (ssl == NULL || !stream_tls(s, ssl, false))
		failed(f, "no memory for TLS");
}

static void
on_secured(struct stream *s, void *arg)
{
	struct https	*f = arg;
	struct conf_tls	 tls = tls_of(f);
	struct tls_facts facts;
	char		 why[VERIFY_WHY_MAX];

	if (!tls_client_check(stream_ssl(s), conf, &tls, f->host, &facts,
	    why)) {
		f->untrusted = true;
		failed(f, why);
		return;
	}
	if (!buf_span(stream_out(s), buf_content(&f->text)))
		failed(f, "no memory for the request");
	else
		stream_kick(s);
}

static const struct stream_ops ops = {
	.readable = on_readable,
	.closed = on_closed,
	.timeout = on_timeout,
	.connected = on_connected,
	.secured = on_secured
};

static void
try_next(struct https *f)
{
	while (f->next < f->naddrs) {
		struct addr	*a = &f->addrs[f->next++];

		a->port = PORT;
		f->untrusted = false;
		f->s = stream_connect(base, a, NULL, f->req.answer_max +
		    IN_MORE, OUT_MAX, &ops, f);
		if (f->s != NULL) {
			stream_timeout(f->s, CONNECT_MS);
			return;
		}
	}
	finish(f, span(NULL, 0), f->why);
}

/* ---- its addresses ---- */

static void
take_addrs(struct https *f, int family, const struct ask_answer *ans)
{
	f->tid[family] = 0;
	/* Half of the room for each family. */
	for (size_t i = 0; i < ans->n && i < ADDRS_MAX / 2; i++)
		f->addrs[f->naddrs++] = ans->rr[i].addr;
	if (f->tid[0] == 0 && f->tid[1] == 0)
		try_next(f);
}

static void
answered_a(void *arg, const struct ask_answer *ans)
{
	take_addrs(arg, 0, ans);
}

static void
answered_aaaa(void *arg, const struct ask_answer *ans)
{
	take_addrs(arg, 1, ans);
}

static void
too_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg, span(NULL, 0), "timed out");
}

bool
https_begin(const struct https_request *req,
    void (*done)(void *, const struct https_answer *), void *arg)
{
	static const struct timeval	 tv = { HTTPS_MS / 1000, 0 };
	struct https			*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal("https");
	f->req = *req;
	f->done = done;
	f->arg = arg;
	strlcpy(f->why, "its host has no address", sizeof(f->why));
	strlcpy(f->host, req->host, sizeof(f->host));
	buf_init(&f->text, OUT_MAX);
	if ((f->timer = evtimer_new(base, too_late, f)) == NULL ||
	    evtimer_add(f->timer, &tv) == -1)
		fatalx("evtimer_new");
	if (buf_span(&f->text, req->text) && (f->tid[0] = ask_send(ask, DNS_A,
	    f->host, answered_a, f)) != 0 && (f->tid[1] = ask_send(ask,
	    DNS_AAAA, f->host, answered_aaaa, f)) != 0)
		return true;
	fetch_free(f);
	return false;
}
