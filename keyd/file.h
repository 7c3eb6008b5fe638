/*
 * A file that the parent has opened, read whole. Its size is asked first and
 * must stay what it is.
 */
#ifndef KEYD_FILE_H
#define KEYD_FILE_H

#include <stddef.h>

/* The size of a regular file, at most max, some MiB; its beginning is read
 * next. NULL: *len has it; else why not, until the next call. */
const char *file_size(int fd, size_t max, size_t *len);
/* Its bytes, len of them. NULL: all are there; else why not. */
const char *file_read(int fd, void *to, size_t len);

#endif
