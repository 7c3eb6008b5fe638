/*
 * The parent's own state: one gateway, its children, the generations of its
 * configuration. Only files of this folder include it.
 */
#ifndef POSTERN_POSTERN_H
#define POSTERN_POSTERN_H

#include <sys/queue.h>
#include <sys/types.h>

#include "common/base/clock.h"
#include "common/conf/conf.h"
#include "common/ipc/chan.h"
#include "common/ipc/ctl.h"

#define WORKERS_MAX	8	/* of one kind and class */
#define NROLES		8	/* bits of enum ipc_role below IPC_CTL */
#define OLD_SETS_MAX	2	/* generations that still drain */
#define GRACE_MS	10000	/* for sessions when the gateway ends */
#define KILL_MS		20000	/* whatever then still lives is killed */

/* What one daemon may use; worked out once for a configuration (boot.c). */
struct plan_role {
	unsigned	 count;		/* workers of each class */
	unsigned	 nofile;
	uint64_t	 fsize, as, memlock;
};
struct plan {
	struct plan_role role[NROLES];
	unsigned	 classes;	/* 2 where a listener takes passwords */
	bool		 proxies;	/* some action or listener is a proxy */
	unsigned	 sessions;	/* of each smtpd */
	uint64_t	 memory;	/* bytes that the limits stand for */
	unsigned	 nofile;	/* the largest need */
};

struct listen_socket {
	unsigned	 index;		/* of the listen statement */
	struct addr	 addr;
	char		*path;		/* a Unix socket's; NULL */
	int		 fd;
	bool		 passwords;
	bool		 paused;
};

/* A generation of the configuration with its workers. */
struct set {
	TAILQ_ENTRY(set) next;
	uint32_t	 generation;
	struct conf	*conf;
	int		 conf_fd;	/* sealed memfd */
	struct span	 bundle;	/* mapped from it; conf reads there */
	struct plan	 plan;
	struct listen_socket *sockets;
	size_t		 nsockets;
};

enum child_state {
	CHILD_STARTING,			/* boot was sent */
	CHILD_READY,
	CHILD_DRAINING,
	CHILD_WAITING,			/* for its next start */
	CHILD_ENDING			/* told to stop or killed for good */
};
struct child {
	TAILQ_ENTRY(child) next;
	struct gateway	*gw;
	struct set	*set;		/* NULL: a provider */
	enum ipc_role	 role;
	unsigned	 class;		/* 1: takes passwords */
	uint16_t	 worker;
	char		 title[32];
	enum child_state state;
	pid_t		 pid;
	struct chan	*chan;
	struct mono	 started;
	unsigned	 restarts, fails;
	struct event	*timer;		/* next start, or the deadline of what
					 * it was told */
	bool		 said_ready;
	bool		 asked;		/* a reload's answer is awaited */
	int		 ctl_fd;	/* its control socket, -1 */
	struct event	*ctl_event;
	unsigned	 reports[3];	/* seconds of the last ones */
};
TAILQ_HEAD(children, child);

struct gateway {
	struct event_base *base;
	const char	*conf_path;
	const char	*libexec;
	char	       **macros;	/* of -D */
	size_t		 nmacros;
	bool		 foreground, root, verbose;
	int		 log_level;	/* at run time; -1: as configured */
	int		 exe[NROLES];	/* descriptors of the executables */
	uid_t		 uid[NROLES];
	gid_t		 gid[NROLES], adm_gid;
	char		 empty[1024];	/* root directory of the others */
	struct children	 children;
	struct set	*set;		/* in force */
	struct set	*next;		/* of a reload under way */
	TAILQ_HEAD(, set) old;
	uint32_t	 generation;
	int64_t		 id_floor_ms;
	bool		 ready;		/* for the first time */
	bool		 hup;		/* a reload to be done when possible */
	bool		 stopping;
	struct wall	 since;
	struct event	*stop_timer;
	struct event	*ctl_event;
	int		 ctl_fd, lock_fd;
	struct reload	*reload;	/* under way */
	char		**fallbacks;	/* actions, by hand (fallback.c) */
	size_t		 nfallbacks;
};

/* fallback.c: the verb; what a smtpd that is ready has to hear; the names of
 * those that are on, for `status`. */
struct ctl;
void	 fallback_run(struct gateway *, struct ctl *, int argc, char **argv);
void	 fallback_tell(const struct gateway *, struct chan *);
void	 fallback_names(const struct gateway *, struct buf *);

/* load.c: a file of the configuration, open for reading: it and each folder
 * above it must be root's (or ours) and no one else's to write; with `secret`
 * others may not read it. -1: msgs says why. dir_is_safe: the same for the
 * folder that path lies in. */
int	 file_open(const char *path, bool secret, struct buf *msgs);
bool	 dir_is_safe(const char *path, struct buf *msgs);
/* load.c: reads everything into a bundle, parses it. NULL: errors in msgs. */
struct set *set_load(struct gateway *, uint32_t generation, struct buf *msgs);
void	 set_free(struct set *);

/* boot.c: pure */
unsigned role_index(enum ipc_role);
const char *role_name(enum ipc_role);
/* False if the limits can't be held; msgs says the sum. ncpu and the hard limit
 * of descriptors and the memory of the machine are given. */
bool	 plan_make(struct plan *, const struct conf *, unsigned ncpu,
	    uint64_t nofile_max, uint64_t memory, struct buf *msgs);
/* Milliseconds before the n-th start in a row of one that dies young. */
int64_t	 backoff_ms(unsigned fails);

/* bind.c: opens the set's sockets, taking over those that `from` has. False:
 * nothing is left open that was not before; msgs says why. */
bool	 bind_all(struct gateway *, struct set *, const struct set *from,
	    struct buf *msgs);
/* Closes those that `keep` (may be NULL) does not use. */
void	 bind_close(struct set *, const struct set *keep);

/* dirs.c: users and directories that root makes; fatal if they are not as they
 * must be. */
void	 dirs_make(struct gateway *, const struct conf *);
void	 users_find(struct gateway *);
/* Our pid into the lock of the control directory, again after a fork. */
void	 lock_write_pid(const struct gateway *);

/* child.c */
void	 executables_open(struct gateway *);
struct child *child_new(struct gateway *, enum ipc_role, unsigned class,
	    struct set *);
void	 child_start(struct child *);
void	 child_free(struct child *);
void	 child_died(struct gateway *, pid_t, int status);
/* Done with what it was told in this time, or it is killed. */
void	 child_deadline(struct child *, int64_t ms);
void	 child_drain(struct child *, uint32_t grace_ms);
void	 child_stop(struct child *);
size_t	 children_in(const struct gateway *, const struct set *,
	    enum child_state);
void	 set_start(struct gateway *, struct set *);
void	 set_drain(struct gateway *, struct set *, uint32_t grace_ms);
const struct conf *child_conf(const struct child *);

/* wire.c */
bool	 wire_wanted(const struct child *, const struct child *);
void	 wire_all(struct child *);	/* a starting one to all others */
void	 wire_report(struct child *, enum ipc_role, uint16_t worker,
	    const char *why);

/* reload.c */
/* Now, or (SIGHUP) as soon as the daemons that must agree are there. */
void	 reload_begin(struct gateway *, struct ctl *);
void	 reload_answer(struct child *, bool ok, struct span why);
void	 reload_child_ready(struct gateway *);
void	 reload_child_died(struct child *);	/* a worker of the next set */
void	 reload_provider_died(struct child *);
/* Can all keys and credentials be opened? msgs says which can't, and why. */
bool	 secrets_check(const struct conf *, struct buf *msgs);
void	 secrets_send(struct child *, const struct conf *);
/* Is there such a file, and may it be used as it lies there (file_open())? NULL:
 * none is asked for. */
bool	 can_open(const char *path, bool secret, struct buf *msgs);
/* Each line of a message of several, behind "event=…". */
void	 log_lines(const char *event, struct span);

/* trust.c: the same for the files of CAs; those who hold others' certificates
 * against them get them. The system's own file may be missing. */
bool	 trust_check(const struct conf *, struct buf *msgs);
void	 trust_send(struct child *, const struct conf *);
/* token.c: one of the credentials whose secret is in a file that others renew,
 * to keyd; from now on they are looked at, and a new one is handed over. */
void	 token_send(struct chan *, const struct conf_token *,
	    enum ipc_secret_kind, struct buf *msgs);
void	 tokens_watch(struct gateway *);

/* target.c: connects a daemon to what it may use. */
void	 target_auth(struct child *, struct span table);

/* main.c */
void	 gateway_child_ready(struct gateway *, struct child *);
void	 gateway_stop(struct gateway *);
void	 gateway_check_end(struct gateway *);
int	 log_socket(void);

/* notify.c */
void	 notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ctl.c */
void	 control_open(struct gateway *);
void	 control_child(struct child *);		/* it is ready: its socket */
void	 control_child_gone(struct child *);
void	 control_close(struct gateway *);

#endif
