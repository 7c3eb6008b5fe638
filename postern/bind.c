/*
 * Listening sockets: made here, handed to the smtpd workers; one that the
 * generation before has too is taken over, so that no connection is refused at
 * a reload.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define BACKLOG	4096	/* the kernel lowers it to net.core.somaxconn */

static int
bind_inet(const struct addr *a)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = addr_to_sockaddr(a, &ss);
	int			 fd, one = 1;

	if ((fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0)) == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->family == 6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
		    sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/*
 * The submission socket: any local user may connect. Its mode comes from the
 * umask: chmod would follow a link that was put in its place.
 */
static int
bind_unix(const char *path)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	struct stat		 st;
	mode_t			 mask;
	int			 fd, rc, saved;

	if (strlen(path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path));
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || st.st_uid != getuid()) {
			errno = EEXIST;
			return -1;
		}
		unlink(path);
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1)
		return -1;
	mask = umask(0111);
	rc = bind(fd, (struct sockaddr *)&un, sizeof(un));
	saved = errno;
	(void)umask(mask);
	errno = saved;
	if (rc == -1 || listen(fd, BACKLOG) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static const struct listen_socket *
same(const struct set *from, const struct addr *a, const char *path)
{
	for (size_t i = 0; from != NULL && i < from->nsockets; i++) {
		const struct listen_socket *s = &from->sockets[i];

		if (path != NULL ? s->path != NULL &&
		    strcmp(s->path, path) == 0 : s->path == NULL &&
		    addr_eq(&s->addr, a) && s->addr.port == a->port)
			return s;
	}
	return NULL;
}

static bool
bind_one(struct set *set, const struct set *from, const struct conf_listen *l,
    const struct addr *a, struct buf *msgs)
{
	struct listen_socket		*s = &set->sockets[set->nsockets];
	const struct listen_socket	*old;
	char				 text[ADDR_STRLEN];

	memset(s, 0, sizeof(*s));
	s->index = l->index;
	s->passwords = l->takes_passwords;
	if (l->kind != LISTEN_UNIX)
		s->addr = *a;
	else if ((s->path = strdup(l->path)) == NULL)
		fatal("bind");
	/* Root makes and removes names in root's own folders alone. */
	if (s->path != NULL && !dir_is_safe(s->path, msgs)) {
		buf_fmt(msgs, "%s:%u:%u: error: cannot listen there\n",
		    l->pos.file, l->pos.line, l->pos.col);
		free(s->path);
		return false;
	}
	old = same(from, &s->addr, s->path);
	if (old != NULL) {
		s->fd = old->fd;
		s->paused = old->paused;
	} else
		s->fd = a == NULL ? bind_unix(s->path) : bind_inet(a);
	if (s->fd == -1 && l->kind == LISTEN_INET && a->family == 6 &&
	    l->naddrs == 2 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return true;	/* `*` on a machine without IPv6 */
	if (s->fd == -1) {
		buf_fmt(msgs, "%s:%u:%u: error: cannot listen on %s: %s\n",
		    l->pos.file, l->pos.line, l->pos.col, s->path != NULL ?
		    s->path : addr_str_port(&s->addr, text), strerror(errno));
		free(s->path);
		return false;
	}
	set->nsockets++;
	return true;
}

bool
bind_all(struct gateway *gw, struct set *set, const struct set *from,
    struct buf *msgs)
{
	const struct conf	*c = set->conf;
	size_t			 n = 0;
	bool			 ok = true;

	(void)gw;
	for (size_t i = 0; i < c->nlistens; i++)
		n += c->listens[i]->kind == LISTEN_UNIX ? 1 :
		    c->listens[i]->naddrs;
	if ((set->sockets = calloc(n, sizeof(*set->sockets))) == NULL)
		return false;
	for (size_t i = 0; i < c->nlistens; i++) {
		const struct conf_listen *l = c->listens[i];

		if (l->kind == LISTEN_UNIX)
			ok = bind_one(set, from, l, NULL, msgs) && ok;
		else
			for (size_t k = 0; k < l->naddrs; k++)
				ok = bind_one(set, from, l, &l->addrs[k],
				    msgs) && ok;
	}
	if (!ok)
		bind_close(set, from);
	return ok;
}

void
bind_close(struct set *set, const struct set *keep)
{
	for (size_t i = 0; i < set->nsockets; i++) {
		struct listen_socket *s = &set->sockets[i];

		if (s->fd == -1 || same(keep, &s->addr, s->path) != NULL)
			continue;
		close(s->fd);
		s->fd = -1;
		if (s->path != NULL)
			unlink(s->path);
	}
}
