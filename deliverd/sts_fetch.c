/*
 * One policy: https://mta-sts.DOMAIN/.well-known/mta-sts.txt. The certificate
 * has to be good for that name, by the CAs that `ca` names; nothing is followed
 * elsewhere, and a minute is all the time there is (RFC 8461, 3.3).
 */
#include "deliverd/sts_i.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/io/tls.h"
#include "common/tls/client.h"
#include "common/tls/http.h"

#define PORT		443
#define ADDRS_MAX	4
#define IN_MAX		(STS_BYTES_MAX + HTTP_HEAD_MAX + 8192)
#define CONNECT_MS	10000

struct sts_fetch {
	char		 host[DNS_NAME_MAX + 1];
	uint32_t	 tid[2];	/* questions: A, AAAA */
	struct addr	 addrs[ADDRS_MAX];
	size_t		 naddrs, next;
	struct stream	*s;
	struct event	*timer;		/* for all of it */
	char		 why[VERIFY_WHY_MAX];
	enum rpt_result	 fault;
	void		(*done)(void *, const struct sts_fetched *);
	void		*arg;
};

static struct event_base	*base;
static const struct conf	*conf;
static struct ask		*ask;

static void	 try_next(struct sts_fetch *);

void
sts_fetch_init(struct proc *p, const struct conf *c, struct ask *a)
{
	base = proc_base(p);
	conf = c;
	ask = a;
}

static void
fetch_free(struct sts_fetch *f)
{
	ask_cancel(ask, f->tid[0]);
	ask_cancel(ask, f->tid[1]);
	stream_free(f->s);
	event_free(f->timer);
	free(f);
}

static void
finish(struct sts_fetch *f, struct span text, const char *why)
{
	f->done(f->arg, &(struct sts_fetched){ text, why, f->fault });
	fetch_free(f);
}

static void
failed(struct sts_fetch *f, const char *why)
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
look(struct sts_fetch *f, bool eof)
{
	static struct buf	 body;
	const char		*why;

	if (body.max == 0)
		buf_init(&body, STS_BYTES_MAX);
	switch (http_text(stream_in(f->s), eof, &body, &why)) {
	case PARSE_OK:
		finish(f, buf_content(&body), NULL);
		break;
	case PARSE_BAD:
		finish(f, span(NULL, 0), why);
		break;
	case PARSE_MORE:
		break;
	}
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
	struct sts_fetch	*f = arg;
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

static void
on_connected(struct stream *s, void *arg)
{
	const struct conf_tls	 tls = { .mode = TLS_VERIFY };
	struct sts_fetch	*f = arg;
	SSL			*ssl = tls_client_new(&tls, f->host);

	stream_timeout(s, STS_FETCH_MS);
	if (ssl == NULL || !stream_tls(s, ssl, false))
		failed(f, "no memory for TLS");
}

static void
on_secured(struct stream *s, void *arg)
{
	const struct conf_tls	 tls = { .mode = TLS_VERIFY };
	struct sts_fetch	*f = arg;
	struct tls_facts	 facts;
	char			 why[VERIFY_WHY_MAX];

	if (!tls_client_check(stream_ssl(s), conf, &tls, f->host, &facts,
	    why)) {
		f->fault = RPT_STS_WEBPKI;
		failed(f, why);
		return;
	}
	stream_fmt(s, "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
	    "Host: %s\r\nUser-Agent: postern\r\nAccept: text/plain\r\n"
	    "Connection: close\r\n\r\n", f->host);
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
try_next(struct sts_fetch *f)
{
	while (f->next < f->naddrs) {
		struct addr	*a = &f->addrs[f->next++];

		a->port = PORT;
		f->fault = RPT_STS_FETCH;
		f->s = stream_connect(base, a, NULL, IN_MAX, 4096, &ops, f);
		if (f->s != NULL) {
			stream_timeout(f->s, CONNECT_MS);
			return;
		}
	}
	finish(f, span(NULL, 0), f->why);
}

/* ---- its addresses ---- */

static void
take_addrs(struct sts_fetch *f, int family, const struct ask_answer *ans)
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
sts_fetch(const char *domain,
    void (*done)(void *, const struct sts_fetched *), void *arg)
{
	static const struct timeval	 tv = { STS_FETCH_MS / 1000, 0 };
	struct sts_fetch		*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal("sts");
	f->done = done;
	f->arg = arg;
	f->fault = RPT_STS_FETCH;
	strlcpy(f->why, "its host has no address", sizeof(f->why));
	if ((f->timer = evtimer_new(base, too_late, f)) == NULL ||
	    evtimer_add(f->timer, &tv) == -1)
		fatalx("evtimer_new");
	if (sts_host_name(domain, f->host, sizeof(f->host)) &&
	    (f->tid[0] = ask_send(ask, DNS_A, f->host, answered_a, f)) != 0 &&
	    (f->tid[1] = ask_send(ask, DNS_AAAA, f->host, answered_aaaa,
	    f)) != 0)
		return true;
	fetch_free(f);
	return false;
}
