/*
 * Waiting for PROXY headers. See balancer.h.
 */
#include "smtpd/balancer.h"

#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/conf/table.h"
#include "common/smtp/proxyhdr.h"
#include "smtpd/listener.h"

struct waiting {
	LIST_ENTRY(waiting) entry;
	const struct conf_listen *listen;
	struct origin	 from;		/* client: the balancer */
	int		 fd;
	struct event	*ev;
	struct mono	 since;
	struct buf	 in;		/* of the header, so far */
};

static struct event_base	*base;
static LIST_HEAD(, waiting)	 all = LIST_HEAD_INITIALIZER(all);
static size_t			 nwaiting;

void
balancer_init(struct event_base *b)
{
	base = b;
}

size_t
balancer_count(void)
{
	return nwaiting;
}

bool
balancer_is(const struct conf_listen *l, const struct addr *a)
{
	struct span	ignored;

	return l->proxy_protocol != NULL && a->family != 0 &&
	    table_get_addr(l->proxy_protocol, a, &ignored);
}

/* Its socket is the caller's. */
static int
release(struct waiting *w)
{
	int	fd = w->fd;

	LIST_REMOVE(w, entry);
	nwaiting--;
	event_free(w->ev);
	buf_clear(&w->in);
	free(w);
	return fd;
}

void
balancer_close_all(void)
{
	while (!LIST_EMPTY(&all))
		close(release(LIST_FIRST(&all)));
}

/* Who does not keep to the protocol has nothing to be told in SMTP. */
static void
turn_away(struct waiting *w, const char *why)
{
	char	from[ADDR_STRLEN];

	log_info("event=refused client=%s why=%s",
	    addr_str(&w->from.client, from), log_quote(span_str(why)));
	close(release(w));
	listener_room();
}

/* It has connected and gone: that is how balancers look whether we live. */
static void
gone(struct waiting *w)
{
	if (buf_len(&w->in) > 0) {
		turn_away(w, "closed within the PROXY header");
		return;
	}
	close(release(w));
	listener_room();
}

static void
announced(struct waiting *w, const struct proxyhdr *h)
{
	const struct conf_listen	*l = w->listen;
	struct origin			 from = w->from;

	from.via = from.client;
	from.nameless = !h->known;
	if (h->known) {
		from.client = h->src;
		from.dest = h->dst;
	}
	listener_enter(l, &from, release(w));
}

static void
wait_more(struct waiting *w)
{
	int64_t		left = BALANCER_WAIT_MS -
			    (clock_mono().ms - w->since.ms);
	struct timeval	tv = { 0, 1 };

	if (left > 0)
		tv = (struct timeval){ left / 1000, left % 1000 * 1000 };
	event_add(w->ev, &tv);
}

/* Looks at what is there, and takes of it what belongs to the header. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct waiting	*w = arg;
	uint8_t		 bytes[PROXYHDR_MAX];
	size_t		 had = buf_len(&w->in), take;
	struct proxyhdr	 h;
	struct span	 in;
	const char	*why = "";
	enum parse	 res;
	ssize_t		 n;

	if ((what & EV_READ) == 0) {
		turn_away(w, "no PROXY header in time");
		return;
	}
	n = recv(fd, bytes, sizeof(bytes) - had, MSG_PEEK);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		wait_more(w);
		return;
	}
	if (n <= 0 || !buf_add(&w->in, bytes, (size_t)n)) {
		gone(w);
		return;
	}
	in = buf_content(&w->in);
	res = proxyhdr_parse(&in, &h, &why);
	take = res == PARSE_OK ? (size_t)n - in.len : (size_t)n;
	if (res == PARSE_BAD)
		turn_away(w, why);
	else if (recv(fd, bytes, take, 0) != (ssize_t)take)
		gone(w);
	else if (res == PARSE_OK)
		announced(w, &h);
	else
		wait_more(w);
}

void
balancer_wait(const struct conf_listen *l, const struct origin *from, int fd)
{
	struct waiting	*w = calloc(1, sizeof(*w));

	if (w == NULL || (w->ev = event_new(base, fd, EV_READ, on_readable,
	    w)) == NULL)
		fatal("balancer");
	w->listen = l;
	w->from = *from;
	w->fd = fd;
	w->since = clock_mono();
	buf_init(&w->in, PROXYHDR_MAX);
	LIST_INSERT_HEAD(&all, w, entry);
	nwaiting++;
	wait_more(w);
}
