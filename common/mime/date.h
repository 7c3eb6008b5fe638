/*
 * Dates of message headers (RFC 5322, 3.3).
 */
#ifndef MIME_DATE_H
#define MIME_DATE_H

#include <time.h>

#include "common/base/buf.h"

/* "Tue, 24 Nov 2026 08:15:26 +0000". */
bool	 date_write(struct buf *, const struct tm *, int gmtoff_min);
/* That of t, in the time zone of this process. */
bool	 date_local(struct buf *, time_t t);
/* The whole field, "Date: ...", with its CRLF. */
bool	 date_field(struct buf *, time_t t);

#endif
