/*
 * postern(8): the parent. Options, start, signals, end. It reads the
 * configuration, binds, and looks after its children; no byte from the network
 * ever reaches it.
 */
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: postern [-dnv] [-D name=value] [-f file] "
	    "[-L dir]\n");
	exit(EX_USAGE);
}

/* A datagram socket to the system's logger, -1 if there is none. */
int
log_socket(void)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX,
				    .sun_path = "/dev/log" };
	int			 fd = socket(AF_UNIX, SOCK_DGRAM |
				    SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (struct sockaddr *)&un,
	    sizeof(un)) == -1) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

static void
own_log_lost(void)
{
	int	 fd = log_socket();

	if (fd != -1) {
		(void)dup2(fd, STDERR_FILENO);
		close(fd);
	}
}

/* A descriptor that lands on 0 to 2 would be taken for the terminal, or the
 * log be written into a socket. */
static void
fill_standard_fds(void)
{
	int	 fd;

	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			exit(1);
	} while (fd <= STDERR_FILENO);
	close(fd);
}

static void
go_background(struct gateway *gw)
{
	int	 null, fd;

	if ((fd = log_socket()) == -1)
		fatal("the system's logger does not answer at /dev/log; "
		    "-d logs to the terminal");
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		break;
	default:
		_exit(0);
	}
	if (setsid() == -1 || chdir("/") == -1 ||
	    (null = open("/dev/null", O_RDWR)) == -1)
		fatal("going to the background");
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	close(fd);
	if (null > 2)
		close(null);
	lock_write_pid(gw);
}

/* What the parent still needs of root's rights, and no more. */
static void
cut_rights(void)
{
	const cap_value_t	 keep[] = { CAP_NET_BIND_SERVICE, CAP_SETUID,
	    CAP_SETGID, CAP_SETPCAP, CAP_SYS_CHROOT, CAP_KILL, CAP_CHOWN };
	const int		 n = sizeof(keep) / sizeof(keep[0]);
	cap_t			 caps = cap_init();

	if (caps == NULL ||
	    cap_set_flag(caps, CAP_PERMITTED, n, keep, CAP_SET) == -1 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, n, keep, CAP_SET) == -1)
		fatal("capabilities");
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		bool	 kept = false;

		for (int i = 0; i < n; i++)
			kept = kept || keep[i] == c;
		if (!kept && cap_get_bound(c) == 1 && cap_drop_bound(c) == -1)
			fatal("bounding set");
	}
	if (cap_set_proc(caps) == -1)
		fatal("capabilities");
	cap_free(caps);
}

static void
limits(void)
{
	struct rlimit	 l;

	/* Children set hard and soft to the plan's, which the hard limit
	 * allows: it was checked. */
	if (getrlimit(RLIMIT_NOFILE, &l) == -1)
		fatal("RLIMIT_NOFILE");
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) == -1)
		fatal("RLIMIT_NOFILE");
	l = (struct rlimit){ 0, 0 };
	if (setrlimit(RLIMIT_CORE, &l) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("limits");
}

/* ---- events ------------------------------------------------------------ */

void
gateway_child_ready(struct gateway *gw, struct child *c)
{
	struct child	*o;
	bool		 workers = false;

	(void)c;
	if (gw->reload != NULL) {
		reload_child_ready(gw);
		return;
	}
	if (gw->ready) {
		if (gw->hup)
			reload_begin(gw, NULL);
		return;
	}
	TAILQ_FOREACH(o, &gw->children, next) {
		if (o->state != CHILD_READY)
			return;
		workers = workers || o->set != NULL;
	}
	if (!workers) {
		set_start(gw, gw->set);		/* the providers are there */
		return;
	}
	gw->ready = true;
	log_info("event=ready generation=%u", gw->set->generation);
	printf("ready\n");
	fflush(stdout);
	notify("READY=1\nSTATUS=serving");
	if (gw->hup)
		reload_begin(gw, NULL);
}

static void
on_chld(evutil_socket_t sig, short what, void *arg)
{
	int	 status;
	pid_t	 pid;

	(void)sig;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_died(arg, pid, status);
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	reload_begin(arg, NULL);
}

static void
on_term(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	gateway_stop(arg);
}

/* Time is up for what still lives. */
static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct gateway	*gw = arg;
	struct child	*c;

	(void)fd;
	(void)what;
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->pid > 0)
			(void)kill(c->pid, SIGKILL);
}

void
gateway_stop(struct gateway *gw)
{
	struct timeval	 tv = { KILL_MS / 1000, KILL_MS % 1000 * 1000 };
	struct child	*c, *tmp;

	if (gw->stopping)
		return;
	gw->stopping = true;
	log_info("event=stop");
	notify("STOPPING=1");
	bind_close(gw->set, NULL);
	event_add(gw->stop_timer, &tv);
	TAILQ_FOREACH_SAFE(c, &gw->children, next, tmp)
		if (c->set != NULL)
			child_drain(c, GRACE_MS);
	gateway_check_end(gw);
}

/* Old generations whose last worker is gone; and, at the end, the providers
 * after the workers, and we after them. */
void
gateway_check_end(struct gateway *gw)
{
	struct child	*c, *tmp;
	struct set	*s, *snext;
	bool		 workers = false;

	TAILQ_FOREACH_SAFE(s, &gw->old, next, snext) {
		bool	 used = false;

		TAILQ_FOREACH(c, &gw->children, next)
			used = used || c->set == s;
		if (!used) {
			TAILQ_REMOVE(&gw->old, s, next);
			set_free(s);
		}
	}
	if (!gw->stopping)
		return;
	TAILQ_FOREACH(c, &gw->children, next)
		workers = workers || c->set != NULL;
	if (workers)
		return;
	if (TAILQ_EMPTY(&gw->children)) {
		control_close(gw);
		log_info("event=end");
		exit(0);
	}
	TAILQ_FOREACH_SAFE(c, &gw->children, next, tmp)
		if (c->state != CHILD_ENDING)
			child_stop(c);
	if (TAILQ_EMPTY(&gw->children))
		gateway_check_end(gw);
}

/* ---- start ------------------------------------------------------------- */

static void
add_signal(struct gateway *gw, int sig, event_callback_fn f)
{
	struct event	*e = evsignal_new(gw->base, sig, f, gw);

	if (e == NULL || event_add(e, NULL) == -1)
		fatalx("out of memory");
}

static void
run(struct gateway *gw)
{
	static const enum ipc_role	providers[] = { IPC_LOOKUPD, IPC_QUEUED,
					    IPC_KEYD, IPC_PASSWD };
	sigset_t			none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if ((gw->base = event_base_new()) == NULL)
		fatalx("event_base_new");
	add_signal(gw, SIGCHLD, on_chld);
	add_signal(gw, SIGHUP, on_hup);
	add_signal(gw, SIGTERM, on_term);
	add_signal(gw, SIGINT, on_term);
	gw->stop_timer = event_new(gw->base, -1, 0, on_stop_timer, gw);
	control_open(gw);
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		child_start(child_new(gw, providers[i], 0, NULL));
	tokens_watch(gw);
	event_base_dispatch(gw->base);
}

/* Reads and binds; ends with the messages if that is not possible. */
static void
prepare(struct gateway *gw, bool check_only)
{
	struct buf	 msgs;

	buf_init(&msgs, 65536);
	gw->generation = 1;
	gw->set = set_load(gw, gw->generation, &msgs);
	if (buf_len(&msgs) > 0)
		fputs(buf_cstr(&msgs), stderr);
	if (gw->set == NULL)
		exit(EX_CONFIG);
	if (check_only) {
		fprintf(stderr, "configuration OK\n");
		exit(0);
	}
	buf_reset(&msgs);
	users_find(gw);
	executables_open(gw);
	dirs_make(gw, gw->set->conf);
	if (!secrets_check(gw->set->conf, &msgs) ||
	    !trust_check(gw->set->conf, &msgs)) {
		fputs(buf_cstr(&msgs), stderr);
		exit(1);
	}
	if (!bind_all(gw, gw->set, NULL, &msgs)) {
		fputs(buf_cstr(&msgs), stderr);
		exit(1);
	}
	buf_clear(&msgs);
}

int
main(int argc, char **argv)
{
	static struct gateway	 gw;
	bool			 check_only = false;
	char			*real;
	int			 ch;

	fill_standard_fds();
	gw.conf_path = CONFFILE;
	gw.libexec = LIBEXECDIR;
	gw.log_level = -1;
	gw.root = geteuid() == 0;
	gw.since = clock_wall();
	TAILQ_INIT(&gw.children);
	TAILQ_INIT(&gw.old);
	if ((gw.macros = calloc((size_t)argc, sizeof(char *))) == NULL)
		fatalx("out of memory");
	while ((ch = getopt(argc, argv, "dD:f:L:nv")) != -1)
		switch (ch) {
		case 'd':
			gw.foreground = true;
			break;
		case 'D':
			if (strchr(optarg, '=') == NULL)
				usage();
			gw.macros[gw.nmacros++] = optarg;
			break;
		case 'f':
			gw.conf_path = optarg;
			break;
		case 'L':
			gw.libexec = optarg;
			break;
		case 'n':
			check_only = true;
			break;
		case 'v':
			gw.log_level = LOG_LV_DEBUG;
			gw.verbose = true;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	/* A reload reads the same file, wherever we are then. */
	if ((real = realpath(gw.conf_path, NULL)) != NULL)
		gw.conf_path = real;
	log_init("postern", LOG_FORM_TEXT, LOG_LV_INFO);
	setproctitle_init(argc, argv, environ);
	prepare(&gw, check_only);
	if (!gw.foreground)
		go_background(&gw);
	log_init("postern", gw.foreground ? LOG_FORM_TEXT : LOG_FORM_SYSLOG,
	    gw.log_level >= 0 ? (enum log_level)gw.log_level :
	    (enum log_level)gw.set->conf->log_level);
	if (!gw.foreground)
		log_on_lost(own_log_lost);
	if (!gw.root)
		log_warnx("event=start why=\"not root: users and root "
		    "directories are not separated; system-call filters, "
		    "Landlock and no_new_privs hold\"");
	limits();
	if (gw.root)
		cut_rights();
	run(&gw);
	return 1;
}
