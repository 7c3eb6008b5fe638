/*
 * See passwd.h.
 */
#include "keyd/passwd.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "keyd/check.h"
#include "keyd/judge.h"
#include "keyd/key.h"
#include "keyd/scrams.h"

static struct tables	*current;	/* of the configuration in force */
static struct tables	*next;		/* what is arriving */
static unsigned		 reloads;
static char		 refused[1024];	/* why the last ones were not taken */

static const struct seccomp_group *const groups[] = {
	&seccomp_base, &seccomp_loop, NULL
};
static const struct confine_profile profile = { .groups = groups };

static void
on_secret(struct proc *p, enum ipc_secret_kind kind, const char *name,
    const char *path, int fd)
{
	(void)p;
	if (next == NULL && (next = tables_new()) == NULL)
		fatal("tables");
	if (kind == IPC_SECRET_USERS)
		tables_add(next, name, path, fd);
	else
		close(fd);
}

/* Takes what has arrived since the last call, or throws it away. */
static bool
on_reload(struct proc *p, struct span bundle, bool check, const char **why)
{
	struct tables	*t = next;
	struct conf	*c;
	bool		 ok;

	(void)p;
	next = NULL;
	if (t == NULL && (t = tables_new()) == NULL)
		fatal("tables");
	c = conf_accept(bundle, why);
	ok = c != NULL && tables_finish(t, c, why);
	conf_free(c);
	if (!ok) {
		strlcpy(refused, *why, sizeof(refused));
		*why = refused;
	} else if (!check) {
		judge_tables(t);
		tables_free(current);
		current = t;
		t = NULL;
		reloads++;
		refused[0] = '\0';
	}
	tables_free(t);
	return ok;
}

static void
run_check(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < tables_count(current); i++) {
		const char		*name;
		const struct users	*us = tables_at(current, i, &name);

		ctl_row(c, "table");
		ctl_str(c, "name", name);
		ctl_num(c, "users", (int64_t)users_count(us));
		ctl_str(c, "mostly", hash_name(users_decoy(us)));
		ctl_row_end(c);
	}
	ctl_end(c, EX_OK, NULL);
}

static void
run_stats(struct ctl *c, int argc, char **argv)
{
	const struct judge_stats	*s = judge_stats();

	(void)argc;
	(void)argv;
	ctl_row(c, "stats");
	ctl_num(c, "tables", (int64_t)tables_count(current));
	ctl_num(c, "loads", reloads);
	ctl_num(c, "good", (int64_t)s->good);
	ctl_num(c, "bad", (int64_t)s->bad);
	ctl_num(c, "lately", (int64_t)s->lately);
	ctl_num(c, "later", (int64_t)s->later);
	ctl_num(c, "malformed", (int64_t)s->malformed);
	ctl_num(c, "scrams", (int64_t)scrams_count());
	ctl_num(c, "waiting", (int64_t)check_waiting());
	ctl_num(c, "workers", check_workers());
	ctl_str(c, "refused", refused);
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static const struct ctl_verb verbs[] = {
	{ "check", CTL_READ, run_check },
	{ "stats", CTL_READ, run_stats },
	{ NULL }
};

static void
on_stop(struct proc *p)
{
	(void)p;
	judge_stop();
	tables_free(next);
	tables_free(current);
	next = current = NULL;
}

static const struct proc_ops ops = {
	.peer = judge_peer,
	.secret = on_secret,
	.reload = on_reload,
	.stop = on_stop,
	.verbs = verbs,
};

static void
confine(void *arg)
{
	proc_confine(arg, &profile);
}

/* No process can be made any more: all begin anew. */
static void
worker_died(void *arg)
{
	log_warnx("event=died what=\"a process that checks passwords\"");
	proc_exit(arg, 1);
}

/* One a processor, as far as that is of use. */
static unsigned
workers_wanted(void)
{
	long	n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > CHECK_WORKERS_MAX ? CHECK_WORKERS_MAX :
	    (unsigned)n;
}

int
passwd_main(int argc, char **argv)
{
	struct proc	*p = proc_start(IPC_PASSWD, argc, argv);

	if (!key_setup())
		fatalx("OpenSSL could not be set up");
	/* Before there is a secret that a worker could inherit. */
	if (!check_fork(workers_wanted(), confine, p))
		fatal("processes that check passwords");
	if (!judge_init())
		fatalx("OpenSSL could not be set up");
	proc_confine(p, &profile);
	check_init(proc_base(p), worker_died, p);
	return proc_run(p, &ops, NULL);
}
