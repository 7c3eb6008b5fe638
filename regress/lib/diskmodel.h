/*
 * What a disk may hold after a power cut: a recorded trace of operations on the
 * files of one folder is played step by step, and the folder is made anew as it
 * might be found at that moment.
 */
#ifndef REGRESS_DISKMODEL_H
#define REGRESS_DISKMODEL_H

#include "queued/diskio.h"

struct trace;				/* operations, with their bytes */
struct disk;				/* the files after some of them */

enum disk_found {
	DISK_KEPT,	/* everything that was done so far */
	DISK_DROPPED,	/* what was synced, nothing else */
	DISK_TORN	/* of what was not synced any blocks of 4 KiB, and the
			 * folder as of any moment since its last sync */
};

struct trace *trace_new(void);
void	 trace_free(struct trace *);
/* For dio_hook(): arg is the trace. */
void	 trace_add(const struct dio_event *, void *arg);
size_t	 trace_len(const struct trace *);

struct disk *disk_new(const struct trace *);
void	 disk_free(struct disk *);
/* Plays the next operation. False: that was all. */
bool	 disk_step(struct disk *);
/* Makes the working directory's files so; seed chooses what is torn. */
void	 disk_write(const struct disk *, enum disk_found, uint64_t seed);
/* No files at all in the working directory. */
void	 disk_clear(void);
/* The power is cut: what disk_write() would make is what there is, all of it
 * durable. The trace goes on with another life. */
void	 disk_cut(struct disk *, enum disk_found, uint64_t seed);

#endif
