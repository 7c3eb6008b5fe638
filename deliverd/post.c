/*
 * See post.h. Whose certificate it is does not matter (RFC 8460, 3 allows
 * that): the report may be the one that tells of a bad one.
 */
#include "deliverd/post.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/tls/http.h"
#include "common/tls/rpt.h"
#include "deliverd/https.h"
#include "deliverd/job.h"

struct post {
	uint8_t		 key[300];
	size_t		 key_len;
};

static unsigned	nposts;

static void
answer(struct span key, const char *why)
{
	job_tell(IPC_T_d_posted, &(struct ipc_d_posted){ .key = key,
	    .why = span_sub(span_str(why), 0, 200) });
}

static void
done(void *arg, const struct https_answer *a)
{
	struct post	*p = arg;

	answer(span(p->key, p->key_len), a->why != NULL ? a->why : "");
	nposts--;
	free(p);
}

static bool
request(struct buf *b, const struct ipc_d_post *m,
    char host[DNS_NAME_MAX + 1])
{
	struct span	target;

	if (!rpt_url(m->url, host, &target))
		return false;
	buf_str(b, "POST ");
	buf_span(b, target);
	buf_fmt(b, " HTTP/1.1\r\nHost: %s\r\nUser-Agent: postern\r\n"
	    "Content-Type: application/tlsrpt+json\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n", host, m->body.len);
	return buf_span(b, m->body);
}

void
post_asked(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_post	*m = msg;
	char			 host[DNS_NAME_MAX + 1];
	struct post		*p;
	struct buf		 text;

	(void)c;
	(void)fd;
	if (nposts == POSTS_MAX) {
		answer(m->key, "too many at a time");
		return;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal("post");
	if (m->key.len > 0)
		memcpy(p->key, m->key.p, m->key.len);
	p->key_len = m->key.len;
	buf_init(&text, 32 << 10);
	if (request(&text, m, host) && https_begin(&(struct https_request){
	    .host = host, .text = buf_content(&text), .answer_max = 1,
	    .take = http_accepted }, done, p))
		nposts++;
	else {
		answer(m->key, "it could not be begun");
		free(p);
	}
	buf_clear(&text);
}
