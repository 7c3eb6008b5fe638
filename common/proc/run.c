/*
 * The event loop of every daemon and the parent's messages in it: peers that
 * were started again, reload, drain, stop, control connections, the logger.
 */
#include <sys/mman.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/proc/start_i.h"

static void	on_listener(struct chan *, const void *, int);
static void	on_pause(struct chan *, const void *, int);
static void	on_fallback(struct chan *, const void *, int);
static void	on_peer(struct chan *, const void *, int);
static void	on_secret(struct chan *, const void *, int);
static void	on_reload(struct chan *, const void *, int);
static void	on_reload_end(struct chan *, const void *, int);
static void	on_auth_socket(struct chan *, const void *, int);
static void	on_drain(struct chan *, const void *, int);
static void	on_stop(struct chan *, const void *, int);
static void	on_ctl(struct chan *, const void *, int);
static void	on_log_level(struct chan *, const void *, int);
static void	on_log_fd(struct chan *, const void *, int);

static const struct chan_row	rows[] = {
	{ IPC_T_listener, on_listener },
	{ IPC_T_pause_listener, on_pause },
	{ IPC_T_fallback, on_fallback },
	{ IPC_T_peer, on_peer },
	{ IPC_T_secret, on_secret },
	{ IPC_T_reload, on_reload },
	{ IPC_T_reload_end, on_reload_end },
	{ IPC_T_auth_socket, on_auth_socket },
	{ IPC_T_drain, on_drain },
	{ IPC_T_stop, on_stop },
	{ IPC_T_ctl, on_ctl },
	{ IPC_T_log_level, on_log_level },
	{ IPC_T_log_fd, on_log_fd },
	{ 0, NULL }
};

static struct proc	*the_proc;	/* for the logger's callback alone */

_Noreturn void
proc_exit(struct proc *p, int status)
{
	if (p->ops != NULL && p->ops->stop != NULL)
		p->ops->stop(p);
	if (p->parent != NULL)
		chan_flush(p->parent);
	/* Leak checks want the ordinary way out. */
	exit(status);
}

static void
on_listener(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_listener	*m = msg;
	struct proc			*p = chan_arg(chan);

	if (p->ops->listener == NULL) {
		close(fd);
		chan_reject(chan, "no listener is wanted here");
		return;
	}
	p->ops->listener(p, m->index, &m->addr, fd);
}

static void
on_pause(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_pause_listener	*m = msg;
	struct proc			*p = chan_arg(chan);

	(void)fd;
	if (p->ops->pause_listener != NULL)
		p->ops->pause_listener(p, m->index, m->on);
}

static void
on_fallback(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_fallback	*m = msg;
	struct proc			*p = chan_arg(chan);

	(void)fd;
	if (p->ops->fallback != NULL)
		p->ops->fallback(p, m->action, m->on);
}

static void
on_auth_socket(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_auth_socket	*m = msg;
	struct proc			*p = chan_arg(chan);

	if (p->ops->auth_socket != NULL)
		p->ops->auth_socket(p, m->table, fd, m->why);
	else if (fd != -1)
		close(fd);
}

void
proc_auth_socket(struct proc *p, const char *table)
{
	CHAN_SEND(p->parent, auth_want, .table = span_str(table));
}

static void
on_peer(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_peer	*m = msg;
	struct proc		*p = chan_arg(chan);
	char			 title[33];

	if (p->ops->peer == NULL || !span_cstr(m->title, title,
	    sizeof(title))) {
		close(fd);
		return;
	}
	p->ops->peer(p, (enum ipc_role)m->role, m->worker, title, fd);
}

static void
on_secret(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_secret	*m = msg;
	struct proc		*p = chan_arg(chan);
	char			 name[256], path[1025];

	span_cstr(m->name, name, sizeof(name));
	span_cstr(m->path, path, sizeof(path));
	if (p->ops->secret == NULL) {
		close(fd);
		return;
	}
	p->ops->secret(p, (enum ipc_secret_kind)m->kind, name, path, fd);
}

static void
on_reload(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_reload	*m = msg;
	struct proc		*p = chan_arg(chan);

	if (p->next_conf.len > 0)
		munmap((void *)(uintptr_t)p->next_conf.p, p->next_conf.len);
	p->next_conf = proc_conf_map(fd);
	p->next_generation = m->generation;
	p->next_check = m->check;
}

static void
on_reload_end(struct chan *chan, const void *msg, int fd)
{
	struct proc	*p = chan_arg(chan);
	struct span	 old = p->conf;
	const char	*why = "this daemon is replaced, not reloaded";
	bool		 ok;

	(void)msg;
	(void)fd;
	if (p->next_conf.len == 0) {
		chan_reject(chan, "the end of a reload that did not begin");
		return;
	}
	ok = p->ops->reload != NULL &&
	    p->ops->reload(p, p->next_conf, p->next_check, &why);
	if (ok && !p->next_check) {
		p->conf = p->next_conf;
		p->boot.generation = p->next_generation;
	} else
		old = p->next_conf;
	CHAN_SEND(chan, reloaded, .generation = p->next_generation, .ok = ok,
	    .why = ok ? span(NULL, 0) : span_sub(span_str(why), 0, 1024));
	munmap((void *)(uintptr_t)old.p, old.len);
	p->next_conf = span(NULL, 0);
}

static void
drain_check(evutil_socket_t fd, short what, void *arg)
{
	struct proc	*p = arg;
	int64_t		 left = p->drain_end.ms - clock_mono().ms;

	(void)fd;
	(void)what;
	if (p->ops->drained(p, left > 0 ? left : 0) || left <= 0)
		proc_exit(p, 0);
}

static void
on_drain(struct chan *chan, const void *msg, int fd)
{
	const struct timeval		 tv = { 0, PROC_DRAIN_MS * 1000 };
	const struct ipc_drain		*m = msg;
	struct proc			*p = chan_arg(chan);

	(void)fd;
	if (p->ops->drain == NULL)
		proc_exit(p, 0);
	p->drain_end.ms = clock_mono().ms + m->grace_ms;
	p->ops->drain(p, m->grace_ms);
	if (p->drainer != NULL)
		return;
	p->drainer = event_new(p->base, -1, EV_PERSIST, drain_check, p);
	if (p->drainer == NULL || event_add(p->drainer, &tv) == -1)
		fatalx("event_new");
}

static void
on_stop(struct chan *chan, const void *msg, int fd)
{
	(void)msg;
	(void)fd;
	proc_exit(chan_arg(chan), 0);
}

static void
on_ctl(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_ctl	*m = msg;
	struct proc		*p = chan_arg(chan);

	ctl_serve(p->base, fd, p->role, m->uid, m->classes, p->ops->verbs);
}

static void
on_log_level(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_log_level	*m = msg;

	(void)chan;
	(void)fd;
	if (m->level <= LOG_LV_DEBUG)
		log_set_level((enum log_level)m->level);
}

/* The logger was started again: its socket takes the place of the old one. */
static void
on_log_fd(struct chan *chan, const void *msg, int fd)
{
	struct proc	*p = chan_arg(chan);

	(void)msg;
	p->log_asked = false;
	if (dup3(fd, STDERR_FILENO, 0) == -1)
		log_warn("dup3");
	close(fd);
}

static void
log_lost(void)
{
	if (the_proc->log_asked || the_proc->parent == NULL)
		return;
	the_proc->log_asked = true;
	CHAN_SEND(the_proc->parent, log_lost, .tid = 0);
}

static void
parent_closed(struct chan *chan, const char *why)
{
	if (why != NULL)
		log_warnx("parent: %s", why);
	proc_exit(chan_arg(chan), why == NULL ? 0 : 1);
}

static void
hand_over(struct proc *p, struct proc_kept *k)
{
	switch (k->type) {
	case IPC_T_listener:
		if (p->ops->listener != NULL)
			p->ops->listener(p, k->index, &k->addr, k->fd);
		break;
	case IPC_T_peer:
		if (p->ops->peer != NULL)
			p->ops->peer(p, k->role, k->worker, k->name, k->fd);
		break;
	case IPC_T_trust:
		if (p->ops->trust != NULL)
			p->ops->trust(k->path, k->fd);
		else
			close(k->fd);
		break;
	case IPC_T_secret:
		if (p->ops->secret != NULL)
			p->ops->secret(p, k->secret, k->name, k->path, k->fd);
		break;
	}
}

int
proc_run(struct proc *p, const struct proc_ops *ops, void *arg)
{
	struct proc_kept	*k;
	const char		*why = "";

	p->ops = ops;
	p->arg = arg;
	the_proc = p;
	log_on_lost(log_lost);
	if ((p->parent = chan_new(p->base, PROC_PARENT_FD, p->role, IPC_PARENT,
	    rows, parent_closed, p)) == NULL)
		fatalx("out of memory");
	while ((k = STAILQ_FIRST(&p->kept)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->kept, next);
		hand_over(p, k);
		free(k);
	}
	/* A daemon with secrets holds them against the configuration now, as
	 * at a reload. */
	if (ops->secret != NULL && ops->reload != NULL &&
	    !ops->reload(p, p->conf, false, &why))
		fatalx("%s", why);
	CHAN_SEND(p->parent, ready, .id_floor_ms =
	    ops->id_floor_ms == NULL ? 0 : ops->id_floor_ms(p));
	event_base_dispatch(p->base);
	proc_exit(p, 1);
}

void
proc_report(struct proc *p, enum ipc_role role, uint16_t worker,
    const char *why)
{
	log_warnx("event=malformed peer=%u worker=%u why=%s", (unsigned)role,
	    worker, log_quote(span_str(why)));
	CHAN_SEND(p->parent, report, .role = (uint8_t)role, .worker = worker,
	    .why = span_sub(span_str(why), 0, 256));
}
