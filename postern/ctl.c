/*
 * The control directory: one socket a daemon, all accepted here; the caller's
 * uid is the kernel's word. What the caller says is not read: the connection
 * goes on to the daemon with the classes of requests that the uid may make.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define ACCEPT_PAUSE_MS	100	/* when we have no descriptors left */

static struct gateway	*the_gateway;	/* for the verbs below alone */

/* ---- sockets ----------------------------------------------------------- */

static void
socket_path(const struct gateway *gw, const char *title, char *dst, size_t size)
{
	snprintf(dst, size, "%s/%s", gw->set->conf->control_path, title);
}

/* -1 with errno: a gateway that runs goes on without it. */
static int
socket_open(const struct gateway *gw, const char *title)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	int			 fd, saved;

	socket_path(gw, title, un.sun_path, sizeof(un.sun_path));
	(void)unlink(un.sun_path);
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1 || bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1 ||
	    (gw->root && chown(un.sun_path, 0, gw->adm_gid) == -1) ||
	    chmod(un.sun_path, 0660) == -1 || listen(fd, 64) == -1) {
		saved = errno;
		if (fd != -1)
			close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static bool
in_group(int fd, gid_t gid)
{
	gid_t		 list[256];
	socklen_t	 len = sizeof(list);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &len) == -1)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (list[i] == gid)
			return true;
	return false;
}

static uint8_t
classes_of(const struct gateway *gw, int fd, const struct ucred *who)
{
	if (who->uid == 0 || who->uid == getuid())
		return CTL_READ | CTL_CHANGE | CTL_STOP;
	if (gw->root && (who->gid == gw->adm_gid ||
	    in_group(fd, gw->adm_gid)))
		return CTL_READ | CTL_CHANGE;
	return 0;
}

/* The control sockets are listened to again. */
static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct gateway	*gw = arg;
	struct child	*c;

	(void)fd;
	(void)what;
	event_add(gw->ctl_event, NULL);
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->ctl_event != NULL)
			event_add(c->ctl_event, NULL);
}

/* No room for a caller: none of the sockets is looked at for a while, or the
 * loop would do nothing else (security.md, 9). */
static void
accept_pause(struct gateway *gw)
{
	const struct timeval	 tv = { 0, ACCEPT_PAUSE_MS * 1000 };
	struct child		*c;

	log_warn("event=control");
	event_del(gw->ctl_event);
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->ctl_event != NULL)
			event_del(c->ctl_event);
	event_base_once(gw->base, -1, EV_TIMEOUT, on_accept_again, gw, &tv);
}

/* An accepted caller, or -1. */
static int
caller(struct gateway *gw, int sock, struct ucred *who, uint8_t *classes)
{
	socklen_t	 len = sizeof(*who);
	int		 fd = accept4(sock, NULL, NULL, SOCK_NONBLOCK |
			    SOCK_CLOEXEC);

	if (fd == -1) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			accept_pause(gw);
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) == -1) {
		close(fd);
		return -1;
	}
	*classes = classes_of(gw, fd, who);
	return fd;
}

static void
on_child_accept(evutil_socket_t sock, short what, void *arg)
{
	struct child	*c = arg;
	struct ucred	 who;
	uint8_t		 classes;
	int		 fd;

	(void)what;
	if ((fd = caller(c->gw, sock, &who, &classes)) == -1)
		return;
	if (c->chan == NULL)
		close(fd);
	else
		CHAN_SEND_FD(c->chan, ctl, fd, .uid = who.uid,
		    .pid = (uint32_t)who.pid, .classes = classes);
}

void
control_child(struct child *c)
{
	if ((c->ctl_fd = socket_open(c->gw, c->title)) == -1) {
		log_warn("daemon=%s event=control", c->title);
		return;
	}
	if ((c->ctl_event = event_new(c->gw->base, c->ctl_fd, EV_READ |
	    EV_PERSIST, on_child_accept, c)) == NULL)
		fatalx("out of memory");
	event_add(c->ctl_event, NULL);
}

void
control_child_gone(struct child *c)
{
	char	 path[1100];

	if (c->ctl_fd == -1)
		return;
	socket_path(c->gw, c->title, path, sizeof(path));
	(void)unlink(path);
	event_free(c->ctl_event);
	close(c->ctl_fd);
	c->ctl_event = NULL;
	c->ctl_fd = -1;
}

/* ---- our own verbs ----------------------------------------------------- */

static const char *
state_name(const struct child *c)
{
	switch (c->state) {
	case CHILD_STARTING:	return "starting";
	case CHILD_READY:	return "ready";
	case CHILD_DRAINING:	return "draining";
	case CHILD_WAITING:	return "waiting";
	case CHILD_ENDING:	return "ending";
	}
	return "?";
}

static void
process_row(struct ctl *ctl, const char *title, pid_t pid, const char *state,
    int64_t uptime_ms, unsigned restarts, uint32_t generation)
{
	ctl_row(ctl, "process");
	ctl_str(ctl, "title", title);
	ctl_num(ctl, "pid", pid);
	ctl_str(ctl, "state", state);
	ctl_num(ctl, "uptime_s", uptime_ms / 1000);
	ctl_num(ctl, "restarts", restarts);
	ctl_num(ctl, "generation", generation);
	ctl_row_end(ctl);
}

static void
run_status(struct ctl *ctl, int argc, char **argv)
{
	static const char *const modes[] = { "any", "standalone", "firewall",
	    "hybrid" };
	struct gateway	*gw = the_gateway;
	struct child	*c;
	int64_t		 now = clock_mono().ms;
	unsigned	 paused = 0;
	struct buf	 names;

	(void)argc;
	(void)argv;
	process_row(ctl, "postern", getpid(), "ready", clock_wall().ms -
	    gw->since.ms, 0, gw->set->generation);
	TAILQ_FOREACH(c, &gw->children, next)
		process_row(ctl, c->title, c->pid, state_name(c),
		    c->pid == 0 ? 0 : now - c->started.ms, c->restarts,
		    c->set != NULL ? c->set->generation : gw->set->generation);
	ctl_row(ctl, "gateway");
	ctl_str(ctl, "version", VERSION);
	ctl_str(ctl, "hostname", gw->set->conf->hostname);
	ctl_num(ctl, "since_ms", gw->since.ms);
	ctl_str(ctl, "config", gw->conf_path);
	ctl_num(ctl, "generation", gw->set->generation);
	ctl_str(ctl, "mode", modes[gw->set->conf->mode]);
	ctl_str(ctl, "separation", gw->root ? "full" : "no users, no chroot");
#ifdef POSTERN_NO_SANDBOX
	ctl_str(ctl, "sandbox", "off: a build with sanitizers");
#else
	ctl_str(ctl, "sandbox", "on");
#endif
	for (size_t i = 0; i < gw->set->nsockets; i++)
		paused += gw->set->sockets[i].paused;
	if (paused > 0)
		ctl_num(ctl, "paused", paused);
	if (gw->nfallbacks > 0) {
		buf_init(&names, 4096);
		fallback_names(gw, &names);
		ctl_field(ctl, "fallback", buf_content(&names));
		buf_clear(&names);
	}
	ctl_row_end(ctl);
	ctl_end(ctl, 0, NULL);
}

static void
run_listeners(struct ctl *ctl, int argc, char **argv)
{
	const struct set	*set = the_gateway->set;
	char			 text[ADDR_STRLEN];

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < set->nsockets; i++) {
		const struct listen_socket *s = &set->sockets[i];
		const struct conf_listen *l = set->conf->listens[s->index];

		ctl_row(ctl, "listener");
		ctl_str(ctl, "address", s->path != NULL ? s->path :
		    addr_str_port(&s->addr, text));
		ctl_str(ctl, "state", s->paused ? "paused" : "open");
		ctl_str(ctl, "way", l->proxy != NULL ? "proxy" : "regular");
		if (l->proxy != NULL)
			ctl_str(ctl, "action", l->proxy->name);
		if (l->tag[0] != '\0')
			ctl_str(ctl, "tag", l->tag);
		ctl_row_end(ctl);
	}
	ctl_end(ctl, 0, NULL);
}

static void
run_reload(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	reload_begin(the_gateway, ctl);
}

/* Another file may be named by those who may read it anyway. */
static void
run_check(struct ctl *ctl, int argc, char **argv)
{
	struct gateway	*gw = the_gateway;
	const char	*saved = gw->conf_path;
	struct buf	 msgs;
	struct set	*set;
	bool		 ok;

	if (argc > 1 || (argc == 1 && argv[0][0] != '/')) {
		ctl_end(ctl, EX_USAGE, "one absolute path");
		return;
	}
	if (argc == 1 && ctl_uid(ctl) != 0 && ctl_uid(ctl) != getuid()) {
		ctl_end(ctl, EX_NOPERM, "only root may name a file; "
		    "`postern -n -f FILE` checks one of your own");
		return;
	}
	if (argc == 1)
		gw->conf_path = argv[0];
	buf_init(&msgs, 65536);
	set = set_load(gw, gw->generation + 1, &msgs);
	gw->conf_path = saved;
	ok = set != NULL;
	if (set != NULL && set->conf->nactions != gw->set->conf->nactions)
		buf_fmt(&msgs, "a reload would change %zu actions to %zu\n",
		    gw->set->conf->nactions, set->conf->nactions);
	set_free(set);
	if (ok && buf_len(&msgs) == 0)
		buf_str(&msgs, "configuration OK");
	ctl_end(ctl, ok ? 0 : EX_CONFIG, buf_cstr(&msgs));
	buf_clear(&msgs);
}

static void
run_level(struct ctl *ctl, int argc, char **argv)
{
	static const char *const levels[] = { "warn", "info", "debug" };
	struct gateway	*gw = the_gateway;
	struct child	*c;
	int		 level;

	if (argc == 0) {
		ctl_row(ctl, "log");
		ctl_str(ctl, "level", levels[log_get_level()]);
		ctl_row_end(ctl);
		ctl_end(ctl, 0, NULL);
		return;
	}
	for (level = 2; level >= 0; level--)
		if (strcmp(argv[0], levels[level]) == 0)
			break;
	if (level == -1) {
		ctl_end(ctl, EX_USAGE, "a level is warn, info or debug");
		return;
	}
	gw->log_level = level;
	log_set_level((enum log_level)level);
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->chan != NULL)
			CHAN_SEND(c->chan, log_level, .level = (uint8_t)level);
	ctl_end(ctl, 0, NULL);
}

static void
pause_listener(struct ctl *ctl, int argc, char **argv, bool on)
{
	struct gateway	*gw = the_gateway;
	char		 text[ADDR_STRLEN];
	struct child	*c;
	bool		 found = false;

	if (argc != 1) {
		ctl_end(ctl, EX_USAGE, "one listener's address:port");
		return;
	}
	for (size_t i = 0; i < gw->set->nsockets; i++) {
		struct listen_socket *s = &gw->set->sockets[i];

		if (strcmp(argv[0], s->path != NULL ? s->path :
		    addr_str_port(&s->addr, text)) != 0)
			continue;
		found = true;
		s->paused = on;
		TAILQ_FOREACH(c, &gw->children, next)
			if (c->role == IPC_SMTPD && c->set == gw->set &&
			    c->chan != NULL)
				CHAN_SEND(c->chan, pause_listener,
				    .index = (uint16_t)s->index, .on = on);
	}
	ctl_end(ctl, found ? 0 : EX_DATAERR, found ? NULL :
	    "no listener has this address; `listeners` shows them");
}

static void
run_pause(struct ctl *ctl, int argc, char **argv)
{
	pause_listener(ctl, argc, argv, true);
}

static void
run_resume(struct ctl *ctl, int argc, char **argv)
{
	pause_listener(ctl, argc, argv, false);
}

static void
run_fallback(struct ctl *ctl, int argc, char **argv)
{
	fallback_run(the_gateway, ctl, argc, argv);
}

static const struct ctl_verb	verbs[] = {
	{ "status", CTL_READ, run_status },
	{ "listeners", CTL_READ, run_listeners },
	{ "check", CTL_READ, run_check },
	{ "reload", CTL_CHANGE, run_reload },
	{ "log level", CTL_CHANGE, run_level },
	{ "pause listener", CTL_CHANGE, run_pause },
	{ "resume listener", CTL_CHANGE, run_resume },
	{ "fallback", CTL_CHANGE, run_fallback },
	{ NULL, 0, NULL }
};

static void
on_accept(evutil_socket_t sock, short what, void *arg)
{
	struct gateway	*gw = arg;
	struct ucred	 who;
	uint8_t		 classes;
	int		 fd;

	(void)what;
	if ((fd = caller(gw, sock, &who, &classes)) != -1)
		ctl_serve(gw->base, fd, IPC_PARENT, who.uid, classes, verbs);
}

void
control_open(struct gateway *gw)
{
	the_gateway = gw;
	if ((gw->ctl_fd = socket_open(gw, "postern")) == -1)
		fatal("the control socket in %s", gw->set->conf->control_path);
	if ((gw->ctl_event = event_new(gw->base, gw->ctl_fd, EV_READ |
	    EV_PERSIST, on_accept, gw)) == NULL)
		fatalx("out of memory");
	event_add(gw->ctl_event, NULL);
}

void
control_close(struct gateway *gw)
{
	char	 path[1100];

	socket_path(gw, "postern", path, sizeof(path));
	(void)unlink(path);
	socket_path(gw, "lock", path, sizeof(path));
	(void)unlink(path);
}
