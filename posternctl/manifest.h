/*
 * The manifest of a backup: which files it has, with size, bytes and CRC32C of
 * these bytes; what lies behind them is zeros. A text:
 *
 *	postern-backup 1
 *	taken 2026-11-25T10:20:44Z
 *	file seg.0000000000000001 67108864 1052672 9f3a01c2
 *	end 1
 */
#ifndef POSTERNCTL_MANIFEST_H
#define POSTERNCTL_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MANIFEST	"manifest"
#define MANIFEST_NEW	"manifest.new"

/* Is it the name of a segment or a body? */
bool	 manifest_name_ok(const char *);
/* 0, or -1 with errno. */
int	 manifest_begin(FILE *);
int	 manifest_file(FILE *, const char *name, int64_t size, int64_t bytes,
	    uint32_t crc);
int	 manifest_end(FILE *, int64_t files);

struct manifest_entry {
	char		 name[32];
	int64_t		 size, bytes;
	uint32_t	 crc;
};
/* Calls f for each file of the manifest in the folder until it gives non-zero,
 * which is given back; 0 after all. -1: there is no whole manifest there. */
int	 manifest_each(int dirfd, int (*f)(const struct manifest_entry *,
	    void *), void *arg);

#endif
