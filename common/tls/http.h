/*
 * The answers of an HTTPS server to the two questions that we have (RFC 9110,
 * 9112): a document of plain text (RFC 8461, 3.3), whole, in one of the three
 * ways that HTTP/1.1 says where it ends; whether a report was taken (RFC 8460,
 * 5.4). Pure.
 */
#ifndef TLS_HTTP_H
#define TLS_HTTP_H

#include "common/base/buf.h"

#define HTTP_HEAD_MAX	(16 << 10)	/* bytes of status line and header */

/*
 * in is all that has come so far, eof that nothing more will. PARSE_OK: the
 * document is in body (reset first; its max is the limit). PARSE_BAD: it is no
 * 200 (no redirection is followed), no text/plain, too long or malformed; *why
 * says which.
 */
enum parse http_text(struct span in, bool eof, struct buf *body,
	    const char **why);
/* The answer to a POST: PARSE_OK if its status is one of success (2xx);
 * nothing else of it is of interest, body stays empty. */
enum parse http_accepted(struct span in, bool eof, struct buf *body,
	    const char **why);

#endif
