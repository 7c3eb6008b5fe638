/*
 * The chain of segment files that records are appended to: seg.<number>, each
 * filled with zeros before it is used and used again under a new number when
 * its last message is gone; `spare` is the next one, ready. A segment begins
 * with a block of 4,096 bytes: its number, where its predecessor ends, which
 * segment was the oldest; at 512 the mark of an orderly end.
 *
 * States of a file:
 *	spare		being filled, or ready; its bytes mean nothing
 *	seg.N, newest	records up to the tail; what is durable is told by the
 *			`synced` of its records and the mark
 *	seg.N, older	ends where the header of N+1 says; nothing behind counts
 */
#ifndef QUEUED_SEGMENT_H
#define QUEUED_SEGMENT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEG_FIRST	4096		/* offset of the first record */
#define SEG_END_UNKNOWN	UINT64_MAX

struct segs;

/*
 * Looks at the files of the working directory. size: of a new segment, slice:
 * bytes of zeros written at a time. NULL and *why: a format that is not known,
 * a file that can't be opened, no memory. Missing or damaged ones are said in
 * the log and counted.
 */
struct segs *segs_open(uint64_t size, uint64_t slice, const char **why);
/* Closes all; clean: everything up to the tail is synced, mark it. */
void	 segs_close(struct segs *, bool clean);
unsigned segs_damage(const struct segs *);
size_t	 segs_count(const struct segs *);
uint64_t segs_oldest(const struct segs *);	/* 0: there is none */
uint64_t segs_newest(const struct segs *);
/* The next number after this one that is there, 0 if none. */
uint64_t segs_after(const struct segs *, uint64_t number);
bool	 segs_have(const struct segs *, uint64_t number);
uint64_t segs_size(const struct segs *, uint64_t number);
/* Where it ends by its successor's header; SEG_END_UNKNOWN for the newest. */
uint64_t segs_end(const struct segs *, uint64_t number);
/* What its records carry as their segment: a random number in its header, so
 * that nobody can send a message that holds a record. 0: not known. */
uint64_t segs_stamp(const struct segs *, uint64_t number);
/* The newest one's mark of an orderly end, or 0. */
uint64_t segs_closed_at(const struct segs *);
/* Puts the mark of an orderly end at tail into a copy of the segment's first
 * block, of SEG_FIRST bytes. */
void	 segs_mark(uint8_t *block, uint64_t number, uint64_t tail);
/* Bytes read, short at the end of the file; -1 with errno. */
ssize_t	 segs_read(struct segs *, uint64_t number, void *, size_t,
	    uint64_t off);

/* Start-up: go on writing the newest segment at this offset, all durable. */
void	 segs_resume(struct segs *, uint64_t tail);
/*
 * Makes the next segment the newest: its header says that the present one ends
 * at prev_end; len bytes of whole records, stamped here, go in as its first.
 * All of it is durable on return. -1: the disk is full, nothing has changed.
 */
int	 segs_next(struct segs *, uint64_t prev_end, void *, size_t len);
/* Stamps the whole records in these bytes for the newest segment. */
void	 segs_stamp_all(const struct segs *, void *, size_t len);
/* Where the next record goes, and up to where all is durable. */
uint64_t segs_tail(const struct segs *);
uint64_t segs_synced(const struct segs *);
/* Room in the newest segment. */
bool	 segs_fit(const struct segs *, size_t len);
/* Writes at the tail, which moves only if it succeeds. -1: the disk is full. */
int	 segs_append(struct segs *, const void *, size_t len);
void	 segs_sync(struct segs *);

/* One step of making the spare; true while there is more to do. */
bool	 segs_spare_step(struct segs *);
bool	 segs_spare_ready(const struct segs *);
/* The oldest one (not the newest) is not needed any more. */
void	 segs_drop_oldest(struct segs *);

#endif
