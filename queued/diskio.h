/*
 * The queue's own input and output: every write, sync, rename and unlink of
 * segments, bodies and (by db_env_set_func_*) of Berkeley DB's files goes
 * through these functions. They stop the process at the first fault that
 * nobody foresaw, sync the folder of a new file, and show each operation to a
 * test, which may make any of them fail. Names are relative to the working
 * directory, which is the queue.
 *
 * Faults (security.md, R20):
 *	read			-1 with errno; the caller knows what it means
 *	write of a segment,	ENOSPC, EDQUOT or short: -1, the batch is
 *	  body or the reserve	  voided; anything else ends the process
 *	write of the index	any: ends the process; if the disk is full the
 *				  reserve is released before
 *	sync of anything	any: ends the process. A second sync after a
 *				  failed one would prove nothing.
 */
#ifndef QUEUED_DISKIO_H
#define QUEUED_DISKIO_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIO_RESERVE	"reserve"	/* released when the disk is full */
#define DIO_LOCK	"lock"		/* who holds it owns the folder */
#define DIO_REBUILD	"rebuild"	/* mark: the index is to be made anew */
#define DIO_EXIT	75		/* status when a fault ends a process */

enum dio_op { DIO_CREATE, DIO_WRITE, DIO_SYNC, DIO_SYNC_DIR, DIO_TRUNCATE,
    DIO_RENAME, DIO_UNLINK, DIO_ALLOCATE };

/* What a test may look at and do. */
struct dio_event {
	enum dio_op	 op;
	const char	*name;		/* file; NULL: the folder */
	const char	*to;		/* DIO_RENAME */
	const void	*bytes;		/* DIO_WRITE */
	size_t		 len;		/* DIO_WRITE, new length of TRUNCATE */
	off_t		 offset;	/* DIO_WRITE */
};
struct dio_hook {
	/* Called before the operation: an errno makes it fail with that, -1 a
	 * write fall short after half of it; 0 lets it happen. May be NULL. */
	int	(*inject)(const struct dio_event *, void *arg);
	/* Called after it succeeded. May be NULL. */
	void	(*trace)(const struct dio_event *, void *arg);
	void	*arg;
};
void	 dio_hook(const struct dio_hook *);	/* NULL: none */

/* open(2) with O_CLOEXEC and O_NOFOLLOW, mode 0600; the folder is synced after
 * a file was made. What is opened must be a regular file with one link. */
int	 dio_open(const char *name, int flags);
void	 dio_close(int fd);
/* All len bytes, or fewer at the end of the file; -1 with errno. */
ssize_t	 dio_pread(int fd, void *, size_t len, off_t);
/* 0, or -1 if the disk is full (see above). */
int	 dio_pwrite(int fd, const void *, size_t len, off_t);
void	 dio_sync(int fd);
void	 dio_sync_dir(void);
void	 dio_rename(const char *from, const char *to);	/* no sync_dir */
void	 dio_unlink(const char *name);	/* no sync_dir; ENOENT is fine */
/* Allocates len bytes for a file; 0, or -1 if the disk is full. */
int	 dio_allocate(int fd, size_t len);
bool	 dio_exists(const char *name);
off_t	 dio_size(int fd);		/* -1: not known */
/* The folder is ours until the descriptor is closed; -1: another process has
 * it. */
int	 dio_lock(void);
/* Calls f for each name in the queue's folder but "." and "..". */
void	 dio_each(void (*f)(const char *name, void *arg), void *arg);

/* Berkeley DB's I/O goes through here from now on. */
void	 dio_use_for_db(void);
/* Syncs of segments and of index files so far, for `queue stats`. */
uint64_t dio_syncs(void);

/* Says what failed and ends the process with DIO_EXIT; releases the reserve
 * when err says that the disk is full. */
_Noreturn void dio_stop(const char *what, const char *name, int err);
/* The same for a damaged index: leaves the mark that it be made anew. */
_Noreturn void dio_stop_rebuild(const char *what, const char *why);

#endif
