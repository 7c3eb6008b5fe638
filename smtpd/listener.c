/*
 * See listener.h. All workers of a class share each listening socket, so one
 * that is full just stops accepting, and the others, or the backlog, have them.
 */
#include "smtpd/listener.h"

#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "smtpd/balancer.h"
#include "smtpd/source.h"

struct listener {
	LIST_ENTRY(listener) entry;
	uint16_t	 index;
	const struct conf_listen *conf;
	struct addr	 addr;
	int		 fd;
	struct event	*ev;
	bool		 paused;
};

static struct proc		*proc;
static const struct conf	*conf;
static LIST_HEAD(listeners, listener) listeners =
    LIST_HEAD_INITIALIZER(listeners);
static size_t			 sessions_max;
static struct event		*rest_timer;
static bool			 resting, full, certified;

static void	on_accept(evutil_socket_t, short, void *);

static void
wake(struct listener *l)
{
	if (l->paused || resting || full || (l->conf->npkis > 0 && !certified))
		event_del(l->ev);
	else
		event_add(l->ev, NULL);
}

static void
wake_all(void)
{
	struct listener	*l;

	LIST_FOREACH(l, &listeners, entry)
		wake(l);
}

static void
rested(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	resting = false;
	wake_all();
}

void
listener_init(struct proc *p, const struct conf *c)
{
	proc = p;
	conf = c;
	certified = false;
	sessions_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.sessions;
	balancer_init(proc_base(p));
	if ((rest_timer = evtimer_new(proc_base(p), rested, NULL)) == NULL)
		fatalx("evtimer_new");
}

void
listener_add(uint16_t index, const struct addr *addr, int fd)
{
	struct listener	*l = calloc(1, sizeof(*l));

	if (index >= conf->nlistens) {
		log_warnx("event=listener what=\"no such statement\"");
		close(fd);
		free(l);
		return;
	}
	if (l == NULL || (l->ev = event_new(proc_base(proc), fd,
	    EV_READ | EV_PERSIST, on_accept, l)) == NULL)
		fatal("listener");
	l->index = index;
	l->conf = conf->listens[index];
	l->addr = *addr;
	l->fd = fd;
	LIST_INSERT_HEAD(&listeners, l, entry);
	wake(l);
}

void
listener_pause(uint16_t index, bool on)
{
	struct listener	*l;

	LIST_FOREACH(l, &listeners, entry)
		if (index == UINT16_MAX || l->index == index) {
			l->paused = on;
			wake(l);
		}
}

void
listener_certified(void)
{
	certified = true;
	wake_all();
}

void
listener_close_all(void)
{
	struct listener	*l;

	while ((l = LIST_FIRST(&listeners)) != NULL) {
		LIST_REMOVE(l, entry);
		event_free(l->ev);
		close(l->fd);
		free(l);
	}
	balancer_close_all();
}

/* Sessions, and connections that wait to be one. */
static size_t
connections(void)
{
	return session_count() + balancer_count();
}

void
listener_room(void)
{
	if (full && connections() < sessions_max) {
		full = false;
		wake_all();
	}
}

void
listener_session_gone(const struct session *s)
{
	source_leave(&s->client);
	listener_room();
}

/* Nothing is spent on it but these bytes. */
static void
turn_away(int fd, const struct conf_listen *l, const struct addr *client,
    const char *text)
{
	char	line[512], from[ADDR_STRLEN];
	int	n;

	log_info("event=refused client=%s reply=\"421 %s\"",
	    addr_str(client, from), text);
	n = snprintf(line, sizeof(line), "421 %s %s\r\n", text,
	    l->hostname);
	(void)send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* The others, or the backlog, have the next ones. Told once a while: each
 * session that ends makes room for the one that fills it again. */
static void
is_full(void)
{
	static struct mono	told;
	int64_t			 now = clock_mono().ms;

	full = true;
	wake_all();
	if (told.ms != 0 && now - told.ms < LISTENER_FULL_MS)
		return;
	told.ms = now;
	log_warnx("event=full sessions=%zu", connections());
}

void
listener_enter(const struct conf_listen *l, const struct origin *from, int fd)
{
	const char	*no = source_enter(&from->client);

	if (no == NULL) {
		session_new(l, from, fd);
		return;
	}
	turn_away(fd, l, &from->client, no);
	listener_room();
}

/* One connection; false: no more now. */
static bool
accept_one(struct listener *l)
{
	const struct timeval	 tv = { 0, LISTENER_REST_MS * 1000 };
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);
	struct origin		 from = { .local = l->addr };
	int			 fd;

	fd = accept4(l->fd, (struct sockaddr *)&ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_warn("accept");
			resting = true;
			wake_all();
			evtimer_add(rest_timer, &tv);
		}
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (l->conf->kind == LISTEN_INET)
		addr_from_sockaddr(&from.client, (struct sockaddr *)&ss);
	if (balancer_is(l->conf, &from.client))
		balancer_wait(l->conf, &from, fd);
	else
		listener_enter(l->conf, &from, fd);
	if (connections() >= sessions_max)
		is_full();
	return !full;
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	for (unsigned i = 0; i < LISTENER_BATCH; i++)
		if (!accept_one(arg))
			return;
}
