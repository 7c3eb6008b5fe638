/*
 * A report of TLS as a mail message (RFC 8460, 5.3): a multipart/report of a
 * text for people and the report itself. Pure.
 */
#ifndef MIME_TLSRPT_H
#define MIME_TLSRPT_H

#include "common/base/buf.h"

#define TLSRPT_JSON_MAX	30000	/* bytes of a report that go into one */
#define TLSRPT_MAX	65536	/* bytes of the message, with room to spare */

struct tlsrpt {
	struct span	 host;		/* our name: who submits it */
	struct span	 id;		/* of the message, at most 40 bytes */
	struct span	 domain;	/* that it is about, A-labels */
	struct span	 from, to;	/* addresses without <> */
	int64_t		 begin_s, end_s;	/* unix time that it is about */
	int64_t		 now_s;
	struct span	 json;		/* lines ended by LF */
};

/* "gw.example!example.org!1767139200!1767225599!ID.json" (5.1) */
bool	 tlsrpt_file_name(struct buf *, const struct tlsrpt *);
/* The message, header and all, with CRLF. False: it does not fit. */
bool	 tlsrpt_write(struct buf *, const struct tlsrpt *);

#endif
