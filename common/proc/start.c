/*
 * The life of every daemon, from descriptor 3 to the end of its loop. See
 * start.h.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/proc/start.h"
#include "common/proc/start_i.h"

static void	on_boot(struct chan *, const void *, int);
static void	on_boot_port(struct chan *, const void *, int);
static void	on_boot_conf(struct chan *, const void *, int);
static void	on_listener(struct chan *, const void *, int);
static void	on_peer(struct chan *, const void *, int);
static void	on_secret(struct chan *, const void *, int);
static void	on_trust(struct chan *, const void *, int);
static void	on_boot_end(struct chan *, const void *, int);

/* What may come before the process is confined, and is kept for then. */
static const struct chan_row	boot_rows[] = {
	{ IPC_T_boot, on_boot },
	{ IPC_T_boot_port, on_boot_port },
	{ IPC_T_boot_conf, on_boot_conf },
	{ IPC_T_listener, on_listener },
	{ IPC_T_peer, on_peer },
	{ IPC_T_secret, on_secret },
	{ IPC_T_trust, on_trust },
	{ IPC_T_boot_end, on_boot_end },
	{ 0, NULL }
};

static const char *
role_name(enum ipc_role role)
{
	switch (role) {
	case IPC_SMTPD:		return "smtpd";
	case IPC_QUEUED:	return "queued";
	case IPC_DELIVERD:	return "deliverd";
	case IPC_PROXYD:	return "proxyd";
	case IPC_LOOKUPD:	return "lookupd";
	case IPC_KEYD:
	case IPC_PASSWD:	return "keyd";
	default:		return "postern";
	}
}

static void
on_boot(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_boot	*m = msg;
	struct proc		*p = chan_arg(chan);

	(void)fd;
	if (m->role != p->role)
		fatalx("booted as another daemon");
	p->boot = *m;
	if (!span_cstr(m->title, p->title, sizeof(p->title)) ||
	    !span_cstr(m->root, p->root, sizeof(p->root)) ||
	    !span_cstr(m->workdir, p->workdir, sizeof(p->workdir)))
		fatalx("boot message out of bounds");
	log_init(p->title, m->syslog ? LOG_FORM_SYSLOG : LOG_FORM_TEXT,
	    m->log_level > LOG_LV_DEBUG ? LOG_LV_DEBUG :
	    (enum log_level)m->log_level);
	id_init(m->worker, (int64_t)m->id_floor_ms);
}

static void
on_boot_port(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_boot_port	*m = msg;
	struct proc			*p = chan_arg(chan);

	(void)fd;
	if (p->nports == PROC_PORTS_MAX)
		fatalx("too many ports");
	p->ports[p->nports++] = m->port;
}

/* The parent's memfd; what could still be changed by someone is refused. */
static struct span
conf_map(int fd)
{
	const int	 seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat	 st;
	void		*map;

	if ((fcntl(fd, F_GET_SEALS) & seals) != seals ||
	    fstat(fd, &st) == -1 || st.st_size <= 0)
		fatalx("the configuration is not sealed");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		fatal("mmap of the configuration");
	close(fd);
	return span(map, (size_t)st.st_size);
}

static void
on_boot_conf(struct chan *chan, const void *msg, int fd)
{
	struct proc	*p = chan_arg(chan);

	(void)msg;
	p->conf = conf_map(fd);
}

/* Keeps what came with the boot until proc_run() hands it over. */
static struct proc_kept *
keep(struct proc *p, uint16_t type, int fd)
{
	struct proc_kept	*k = calloc(1, sizeof(*k));

	if (k == NULL)
		fatalx("out of memory");
	k->type = type;
	k->fd = fd;
	STAILQ_INSERT_TAIL(&p->kept, k, next);
	return k;
}

static void
on_listener(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_listener	*m = msg;
	struct proc_kept		*k;

	k = keep(chan_arg(chan), IPC_T_listener, fd);
	k->index = m->index;
	k->addr = m->addr;
}

static void
on_peer(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_peer	*m = msg;
	struct proc_kept	*k = keep(chan_arg(chan), IPC_T_peer, fd);

	k->role = (enum ipc_role)m->role;
	k->worker = m->worker;
	span_cstr(m->title, k->name, sizeof(k->name));
}

static void
on_secret(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_secret	*m = msg;
	struct proc_kept	*k = keep(chan_arg(chan), IPC_T_secret, fd);

	k->secret = (enum ipc_secret_kind)m->kind;
	span_cstr(m->name, k->name, sizeof(k->name));
	span_cstr(m->path, k->path, sizeof(k->path));
}

static void
on_trust(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_trust	*m = msg;
	struct proc_kept	*k = keep(chan_arg(chan), IPC_T_trust, fd);

	span_cstr(m->path, k->path, sizeof(k->path));
}

static void
on_boot_end(struct chan *chan, const void *msg, int fd)
{
	struct proc	*p = chan_arg(chan);

	(void)msg;
	(void)fd;
	p->booted = true;
}

#ifdef __SANITIZE_ADDRESS__
/*
 * LeakSanitizer reads a process by ptrace(2), which one that is not dumpable
 * refuses: a daemon would end with a false alarm. Unit tests keep it.
 */
int	__lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}
#endif

struct proc *
proc_start(enum ipc_role role, int argc, char **argv)
{
	static struct proc	 proc;
	struct proc		*p = &proc;
	struct rlimit		 none = { 0, 0 };
	const char		*why;
	socklen_t		 len = sizeof(int);
	int			 type;

	(void)argc;
	if (getsockopt(PROC_PARENT_FD, SOL_SOCKET, SO_TYPE, &type,
	    &len) == -1 || type != SOCK_SEQPACKET) {
		fprintf(stderr, "postern-%s is started by postern(8), not by "
		    "hand\n", role_name(role));
		exit(64);
	}
	if (setrlimit(RLIMIT_CORE, &none) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0) == -1)
		fatal("no core files");
	setproctitle_init(argc, argv, environ);
	signal(SIGPIPE, SIG_IGN);
	/* A whole group of processes is told to end: our parent ends us. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	tzset();
	log_init(role_name(role), LOG_FORM_TEXT, LOG_LV_INFO);
	p->role = role;
	STAILQ_INIT(&p->kept);
	if (chan_recv_until(PROC_PARENT_FD, role, IPC_PARENT, boot_rows, p,
	    &p->booted, &why) == -1)
		fatalx("boot: %s", why);
	if (p->conf.len == 0 || p->title[0] == '\0')
		fatalx("boot: no configuration");
	(void)rand_u64();
	if ((p->base = event_base_new()) == NULL)
		fatalx("event_base_new");
	setproctitle("%s", p->title);
	return p;
}

struct event_base *
proc_base(const struct proc *p)
{
	return p->base;
}

uint16_t
proc_sessions(const struct proc *p)
{
	return p->boot.sessions;
}

struct span
proc_conf(const struct proc *p)
{
	return p->conf;
}

void *
proc_arg(const struct proc *p)
{
	return p->arg;
}

struct span
proc_conf_map(int fd)
{
	return conf_map(fd);
}
