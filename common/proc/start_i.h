/*
 * What start.c, run.c and confine.c share of a process; for common/proc alone.
 */
#ifndef PROC_START_I_H
#define PROC_START_I_H

#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/proc/start.h"

#define PROC_PARENT_FD	3
#define PROC_PORTS_MAX	1024	/* TCP ports that may be connected to */

/* A message of the boot that waits for proc_run(). */
struct proc_kept {
	STAILQ_ENTRY(proc_kept)	 next;
	uint16_t		 type;
	int			 fd;
	uint16_t		 index, worker;
	struct addr		 addr;
	enum ipc_role		 role;
	enum ipc_secret_kind	 secret;
	char			 name[256];
	char			 path[1025];
};

struct proc {
	enum ipc_role		 role;
	struct event_base	*base;
	struct chan		*parent;	/* NULL before proc_run() */
	const struct proc_ops	*ops;
	void			*arg;
	struct ipc_boot		 boot;		/* its spans are not valid */
	char			 title[33];
	char			 root[1025], workdir[1025];
	uint16_t		 ports[PROC_PORTS_MAX];
	size_t			 nports;
	struct span		 conf;
	STAILQ_HEAD(, proc_kept) kept;
	bool			 booted;
	struct span		 next_conf;	/* of a reload under way */
	uint32_t		 next_generation;
	bool			 next_check;
	bool			 log_asked;	/* a new logger's socket */
	struct event		*drainer;	/* NULL: it does not drain */
	struct mono		 drain_end;
};

/* Maps a sealed memfd (taken) for reading; fatal if it is not sealed. */
struct span proc_conf_map(int fd);

#endif
