/*
 * Content on its way from the client to the transaction's way (RFC 5321, 4.1.1.4;
 * RFC 3030): framing, faults, the Received field, limits. Held up to HOLD bytes,
 * so that a short message is one record; the rest as the way has room.
 *
 *	NONE ─▶ BEGIN ─ready─▶ FLOW ─end of data─▶ ENDING ─done─▶ (transaction over)
 *	          │             ▲ │ chunk without LAST
 *	          │             └─┴─▶ PAUSE ─BDAT─▶ FLOW
 *	          └─refused─▶ (over; with BDAT its bytes are eaten first)
 */
#ifndef SMTPD_CONTENT_H
#define SMTPD_CONTENT_H

#include "common/mime/received.h"
#include "common/smtp/content.h"
#include "smtpd/stage.h"

#define CONTENT_HOLD		24576	/* fits the commit record (msg.def) */
#define CONTENT_ROOM		(CONTENT_HOLD - 2)	/* BDAT may add a CR LF */
#define CONTENT_PIECE		4096	/* goes on to a way that streams */
#define CONTENT_PREFIX_MAX	4096	/* bytes of our fields */
#define CONTENT_FIELDS_MAX	1000	/* of the header (security.md, R15) */
#define CONTENT_HEADER_MAX	(1 << 20)	/* bytes of it */

struct cmd;
struct txn;
struct session;

enum content_state { CONTENT_NONE, CONTENT_BEGIN, CONTENT_FLOW, CONTENT_PAUSE,
    CONTENT_ENDING };
struct content {
	enum content_state state;
	bool		 bdat, last;
	bool		 full;		/* the way has no room now */
	uint64_t	 chunk;		/* BDAT: bytes of the chunk still to come */
	struct cmd	*cmd;		/* that is answered when it goes on */
	struct smtp_content_in in;
	struct received_count count;
	struct stage	 stage;
	struct buf	 prefix;	/* our fields */
	struct buf	 out;		/* canonical, not yet handed on */
	uint16_t	 code;		/* refused, at its end; 0: not */
	const char	*text;		/* static */
};

void	 content_init(struct content *);
void	 content_clear(struct content *);
/* DATA, or a chunk of BDAT. Holds the command. */
void	 content_data(struct txn *, struct cmd *);
void	 content_chunk(struct txn *, struct cmd *, uint64_t size, bool last);
/* Bytes of it that the way gets, without our fields; once it has ended. */
uint64_t content_size(const struct txn *);
/* May it go without TLS by its sender's wish ("TLS-Required: No")? What MAIL says
 * goes before the header (RFC 8689, 4.1). Once it has ended. */
bool	 content_tls_optional(const struct txn *);
/* Reads content from the session's stream; false: nothing to be done now. */
bool	 content_run(struct txn *);
/* Is the session's input content at the moment? */
bool	 content_flows(const struct txn *);

/* All recipients have been verified: begins, if DATA or BDAT waits for it. */
void	 content_verified(struct txn *);

/* ---- the way's answers ---- */
void	 content_ready(struct txn *);
/* Instead of ready: the reply to DATA, or to the chunk. The transaction ends. */
void	 content_refuse(struct txn *, uint16_t code, struct span text);
/* The same where the client gets other words than the log. */
void	 content_refuse_as(struct txn *, uint16_t code, struct span text,
	    struct span said);
void	 content_go(struct txn *);
/* After end(): the message was taken, or not. The transaction ends. */
void	 content_done(struct txn *, uint16_t code, struct span text);
void	 content_done_as(struct txn *, uint16_t code, struct span text,
	    struct span said);
/* While it flows: the way can't have it any more; the client is told at the
 * end. text is static. */
void	 content_spoil(struct txn *, uint16_t code, const char *text);

#endif
