/*
 * The children: started by fork and exec of descriptors opened long ago, told
 * who they are, started again when they die.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define YOUNG_MS	10000	/* who lives longer is started at once again */

static void	on_ready(struct chan *, const void *, int);
static void	on_reloaded(struct chan *, const void *, int);
static void	on_report(struct chan *, const void *, int);
static void	on_log_lost(struct chan *, const void *, int);

static const struct chan_row	rows[] = {
	{ IPC_T_ready, on_ready },
	{ IPC_T_reloaded, on_reloaded },
	{ IPC_T_report, on_report },
	{ IPC_T_log_lost, on_log_lost },
	{ 0, NULL }
};

void
executables_open(struct gateway *gw)
{
	char	 path[4096];

	for (unsigned i = 1; i < NROLES; i++) {
		snprintf(path, sizeof(path), "%s/%s", gw->libexec,
		    role_name((enum ipc_role)(1 << i)));
		if ((gw->exe[i] = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			fatal("%s", path);
	}
}

const struct conf *
child_conf(const struct child *c)
{
	return c->set != NULL ? c->set->conf : c->gw->set->conf;
}

/* The lowest number that no living child of the role has. */
static uint16_t
free_worker(const struct gateway *gw, enum ipc_role role)
{
	const struct child	*c;
	uint16_t		 n = 1;
again:
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->role == role && c->worker == n) {
			n++;
			goto again;
		}
	return n;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	child_start(arg);
}

struct child *
child_new(struct gateway *gw, enum ipc_role role, unsigned class,
    struct set *set)
{
	struct child	*c = calloc(1, sizeof(*c));

	if (c == NULL)
		fatalx("out of memory");
	c->gw = gw;
	c->role = role;
	c->class = class;
	c->set = set;
	c->ctl_fd = -1;
	c->state = CHILD_WAITING;
	if (set != NULL) {
		c->worker = free_worker(gw, role);
		snprintf(c->title, sizeof(c->title), "%s.%u", role_name(role),
		    c->worker);
	} else
		snprintf(c->title, sizeof(c->title), "%s", role_name(role));
	if ((c->timer = event_new(gw->base, -1, 0, on_timer, c)) == NULL)
		fatalx("out of memory");
	TAILQ_INSERT_TAIL(&gw->children, c, next);
	return c;
}

void
child_free(struct child *c)
{
	control_child_gone(c);
	chan_free(c->chan);
	event_free(c->timer);
	TAILQ_REMOVE(&c->gw->children, c, next);
	free(c);
}

/* In the child: exactly descriptors 0 to 3, nothing of our environment. */
static _Noreturn void
child_exec(const struct child *c, int sock)
{
	char		*argv[] = { (char *)(uintptr_t)c->title, NULL };
	char		*envp[8] = { (char *)(uintptr_t)"TZ=:/etc/localtime",
			    (char *)(uintptr_t)"LC_ALL=C", NULL };
	int		 exe = c->gw->exe[role_index(c->role)], null;
	sigset_t	 none;

#ifdef POSTERN_NO_SANDBOX
	static const char *const pass[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS",
	    "LSAN_OPTIONS", "GCOV_PREFIX", NULL };
	int		 n = 2;

	for (int i = 0; pass[i] != NULL; i++) {
		const char	*v = getenv(pass[i]);

		if (v != NULL && asprintf(&envp[n], "%s=%s", pass[i], v) > 0)
			envp[++n] = NULL;
	}
#endif
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
	    dup2(null, 0) == -1 || dup2(null, 1) == -1)
		_exit(126);
	/* Out of the way of 3 and 4 first. */
	if ((exe = fcntl(exe, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    (sock = fcntl(sock, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    dup2(sock, 3) == -1 || dup3(exe, 4, O_CLOEXEC) == -1 ||
	    close_range(5, ~0U, 0) == -1)
		_exit(126);
	execveat(4, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

static void
chan_closed(struct chan *chan, const char *why)
{
	struct child	*c = chan_arg(chan);

	/* The end itself is told by SIGCHLD. */
	if (why != NULL) {
		log_warnx("daemon=%s event=malformed why=%s", c->title,
		    log_quote(span_str(why)));
		(void)kill(c->pid, SIGKILL);
	}
}

/* Ports of TCP that this daemon may connect to (Landlock). */
static void
send_ports(struct child *c)
{
	const struct conf	*conf = child_conf(c);
	uint16_t		 seen[256];
	size_t			 n = 0;

	if (c->role == IPC_LOOKUPD) {
		for (size_t i = 0; i < conf->nresolvers && n < 256; i++)
			seen[n++] = conf->resolvers[i].port;
	} else if (c->role == IPC_DELIVERD || c->role == IPC_PROXYD) {
		if (c->role == IPC_DELIVERD)
			seen[n++] = 25;
		for (size_t i = 0; i < conf->nactions; i++)
			for (size_t k = 0; k < conf->actions[i]->ndests &&
			    n < 256; k++)
				seen[n++] = conf->actions[i]->dests[k].port;
	}
	for (size_t i = 0; i < n; i++) {
		bool	 before = false;

		for (size_t k = 0; k < i; k++)
			before = before || seen[k] == seen[i];
		if (!before)
			CHAN_SEND(c->chan, boot_port, .port = seen[i]);
	}
}

static void
send_boot(struct child *c)
{
	struct gateway		*gw = c->gw;
	const struct set	*set = c->set != NULL ? c->set : gw->set;
	const struct conf	*conf = set->conf;
	unsigned		 r = role_index(c->role);
	const struct plan_role	*p = &set->plan.role[r];
	bool			 queued = c->role == IPC_QUEUED;
	char			 workdir[1100];
	struct ipc_boot		 m = { .title = span_str(c->title),
		.role = (uint8_t)c->role, .worker = c->worker,
		.generation = set->generation, .uid = gw->uid[r],
		.gid = gw->gid[r], .nofile = p->nofile, .fsize = p->fsize,
		.as = p->as, .memlock = p->memlock,
		.syslog = !gw->foreground,
		.sessions = (uint16_t)set->plan.sessions };
	int64_t			 now = clock_wall().ms;

	/* No two lives of a worker number make the same id. */
	gw->id_floor_ms = now > gw->id_floor_ms ? now : gw->id_floor_ms + 1;
	m.id_floor_ms = (uint64_t)gw->id_floor_ms;
	m.log_level = (uint8_t)(gw->log_level >= 0 ? gw->log_level :
	    conf->log_level);
	if (gw->root)
		m.root = span_str(queued ? conf->queue_path : gw->empty);
	if (queued) {
		snprintf(workdir, sizeof(workdir), "%s/queue", gw->root ? "" :
		    conf->queue_path);
		m.workdir = span_str(workdir);
	}
	chan_send(c->chan, IPC_T_boot, &m, -1);
	send_ports(c);
	CHAN_SEND_FD(c->chan, boot_conf, fcntl(set->conf_fd, F_DUPFD_CLOEXEC,
	    3), .tid = 0);
}

static void
send_listeners(struct child *c)
{
	for (size_t i = 0; i < c->set->nsockets; i++) {
		const struct listen_socket *s = &c->set->sockets[i];

		if (s->passwords != (c->class == 1) || s->fd == -1)
			continue;
		CHAN_SEND_FD(c->chan, listener, fcntl(s->fd, F_DUPFD_CLOEXEC,
		    3), .index = (uint16_t)s->index, .addr = s->addr);
	}
}

void
child_start(struct child *c)
{
	struct gateway	*gw = c->gw;
	int		 sv[2];

	if (gw->stopping)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1)
		fatal("socketpair");
	switch (c->pid = fork()) {
	case -1:
		fatal("fork");
	case 0:
		child_exec(c, sv[1]);
	}
	close(sv[1]);
	c->started = clock_mono();
	c->state = CHILD_STARTING;
	if ((c->chan = chan_new(gw->base, sv[0], IPC_PARENT, c->role, rows,
	    chan_closed, c)) == NULL)
		fatalx("out of memory");
	send_boot(c);
	if (c->role == IPC_SMTPD)
		send_listeners(c);
	if (c->role == IPC_KEYD)
		secrets_send(c, child_conf(c));
	wire_all(c);
	CHAN_SEND(c->chan, boot_end, .tid = 0);
}

static void
on_ready(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_ready	*m = msg;
	struct child		*c = chan_arg(chan);

	(void)fd;
	if (c->state != CHILD_STARTING) {
		chan_reject(chan, "ready twice");
		return;
	}
	c->state = CHILD_READY;
	if ((int64_t)m->id_floor_ms > c->gw->id_floor_ms &&
	    c->role == IPC_QUEUED)
		c->gw->id_floor_ms = (int64_t)m->id_floor_ms;
	log_debug("daemon=%s event=ready pid=%d", c->title, (int)c->pid);
	control_child(c);
	for (size_t i = 0; c->role == IPC_SMTPD && i < c->set->nsockets; i++)
		if (c->set->sockets[i].paused)
			CHAN_SEND(chan, pause_listener, .index = (uint16_t)
			    c->set->sockets[i].index, .on = true);
	gateway_child_ready(c->gw, c);
}

static void
on_reloaded(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_reloaded	*m = msg;

	(void)fd;
	reload_answer(chan_arg(chan), m->ok, m->why);
}

static void
on_report(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_report	*m = msg;
	char			 why[257];

	(void)fd;
	span_cstr(m->why, why, sizeof(why));
	wire_report(chan_arg(chan), (enum ipc_role)m->role, m->worker, why);
}

static void
on_log_lost(struct chan *chan, const void *msg, int fd)
{
	int	 s = log_socket();

	(void)msg;
	(void)fd;
	if (s != -1)
		CHAN_SEND_FD(chan, log_fd, s, .tid = 0);
}

void
child_drain(struct child *c, uint32_t grace_ms)
{
	if (c->state == CHILD_WAITING) {
		event_del(c->timer);
		child_free(c);
		return;
	}
	if (c->state != CHILD_ENDING)
		c->state = CHILD_DRAINING;
	if (c->chan != NULL)
		CHAN_SEND(c->chan, drain, .grace_ms = grace_ms);
}

void
child_stop(struct child *c)
{
	if (c->state == CHILD_WAITING) {
		child_free(c);
		return;
	}
	c->state = CHILD_ENDING;
	if (c->chan != NULL)
		CHAN_SEND(c->chan, stop, .tid = 0);
}

static void
log_death(const struct child *c, int status, int64_t lived_ms)
{
	char	 up[32], how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal=SIG%s",
		    sigabbrev_np(WTERMSIG(status)) != NULL ?
		    sigabbrev_np(WTERMSIG(status)) : "?");
	else
		snprintf(how, sizeof(how), "status=%d%s", WEXITSTATUS(status),
		    WEXITSTATUS(status) == 99 ? " why=\"a refused system call\"" :
		    "");
	log_warnx("daemon=%s event=died pid=%d %s uptime=%s restarts=%u",
	    c->title, (int)c->pid, how, clock_format_duration(lived_ms, up,
	    sizeof(up)), c->restarts);
}

/* It died and is wanted: again, later the more often it dies young. */
static void
child_again(struct child *c, int64_t lived_ms)
{
	int64_t		 ms;
	struct timeval	 tv;

	c->fails = lived_ms >= YOUNG_MS ? 0 : c->fails + 1;
	ms = backoff_ms(c->fails == 0 ? 0 : c->fails - 1);
	c->state = CHILD_WAITING;
	c->restarts++;
	tv = (struct timeval){ ms / 1000, ms % 1000 * 1000 };
	event_add(c->timer, &tv);
}

void
child_died(struct gateway *gw, pid_t pid, int status)
{
	struct child	*c;
	int64_t		 lived;
	bool		 wanted, starting;

	TAILQ_FOREACH(c, &gw->children, next)
		if (c->pid == pid && c->state != CHILD_WAITING)
			break;
	if (c == NULL)
		return;
	lived = clock_mono().ms - c->started.ms;
	starting = c->state == CHILD_STARTING;
	wanted = (starting || c->state == CHILD_READY) && !gw->stopping;
	if (wanted || (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL))
		log_death(c, status, lived);
	control_child_gone(c);
	chan_free(c->chan);
	c->chan = NULL;
	c->pid = 0;
	if (wanted && starting && !gw->ready)
		fatalx("%s did not get ready; see the lines above", c->title);
	if (wanted && starting && gw->next != NULL && c->set == gw->next) {
		reload_child_died(c);
		return;
	}
	if (wanted) {
		child_again(c, lived);
		if (gw->reload != NULL && c->set == NULL)
			reload_answer(c, false, span_str("it died"));
	} else
		child_free(c);
	gateway_check_end(gw);
}

size_t
children_in(const struct gateway *gw, const struct set *set,
    enum child_state state)
{
	const struct child	*c;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &gw->children, next)
		if (c->set == set && c->state == state)
			n++;
	return n;
}

/* All workers of a generation. */
void
set_start(struct gateway *gw, struct set *set)
{
	static const enum ipc_role order[] = { IPC_DELIVERD, IPC_PROXYD,
	    IPC_SMTPD };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		unsigned classes = order[i] == IPC_DELIVERD ? 1 :
		    set->plan.classes;

		for (unsigned k = 0; k < classes; k++)
			for (unsigned n = 0; n < set->plan.role[
			    role_index(order[i])].count; n++)
				child_start(child_new(gw, order[i], k, set));
	}
}

void
set_drain(struct gateway *gw, struct set *set, uint32_t grace_ms)
{
	struct child	*c, *tmp;

	TAILQ_FOREACH_SAFE(c, &gw->children, next, tmp)
		if (c->set == set)
			child_drain(c, grace_ms);
}
