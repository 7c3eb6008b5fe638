/*
 * What stands around the message in an archive's copy: its envelope, which only
 * the queue knows whole, as fields on top or as a journal report. Bytes alone.
 */
#ifndef QUEUED_ARCHIVE_H
#define QUEUED_ARCHIVE_H

#include <time.h>

#include "common/base/buf.h"
#include "queued/record.h"

#define ARCHIVE_HEAD_MAX (64 << 10)	/* bytes of a header looked at */

struct archive {
	const struct rec_msg *m;	/* its envelope */
	bool		 journal;
	struct span	 to;		/* whom the copy goes to */
	struct span	 prefix, head;	/* our fields; the content's first bytes */
	const char	*hostname;
	const char	*id;		/* makes the boundary, and a Message-ID */
	struct tm	 tm;		/* local time, now */
	int		 gmtoff_min;
};
/* Appends what goes before the prefix, and what goes behind the content. False:
 * one of them does not fit. */
bool	 archive_wrap(const struct archive *, struct buf *before,
	    struct buf *behind);

#endif
