/*
 * What a listener's options do to content on its way from the client: bare
 * newlines made whole, long lines folded or refused, senders rewritten or looked
 * at, fields that are missing put in, and the digest by which a message that
 * comes again is known. content.h asks for it at each step; with none of them,
 * or none left to do, bytes pass untouched.
 */
#ifndef SMTPD_STAGE_H
#define SMTPD_STAGE_H

#include "common/mime/author.h"
#include "common/mime/edit.h"
#include "common/mime/seen.h"
#include "common/smtp/content.h"
#include "smtpd/digest.h"

#define STAGE_OUT_MAX	(2 * EDIT_OUT)	/* bytes changed, not yet passed on */

struct txn;

struct stage {
	bool		 edits;		/* bytes go through edit */
	bool		 completes;	/* the header is watched: for what it
					 * lacks, */
	bool		 strict;	/* for whom it says it is from */
	bool		 ended;
	struct edit	 edit;
	struct buf	 raw, done;	/* before, and behind it */
	struct header_seen seen;
	struct author	 author;
	uint64_t	 size;		/* of what came out of it */
	struct digest	*digest;	/* NULL: not asked for */
};

/* The transaction's content begins; its framing (smtp_content_begin()) has. */
void	 stage_begin(struct txn *);
void	 stage_clear(struct stage *);
/* Where framing puts canonical bytes, if they are to be changed. NULL: they
 * pass as they are. */
struct buf *stage_in(struct stage *);
/* Looks at bytes as the client sent them. */
void	 stage_watch(struct stage *, struct span);
/* Changes what lies in stage_in(). */
void	 stage_run(struct stage *);
/* No more comes. */
void	 stage_end(struct stage *);
/* Moves changed bytes to out, as many as it has room for below max. False: some
 * are left. */
bool	 stage_drain(struct stage *, struct buf *out, size_t max);
/* The reply to content that can't be, text static; 0: it is fine so far. */
uint16_t stage_judge(struct txn *, const char **text);
/* What the message is known by if it comes again: its envelope, client and
 * content. False: that is not asked for. Once. */
bool	 stage_digest(struct txn *, uint8_t out[DIGEST_LEN]);
/* Puts what the header lacks behind the fields in the prefix. */
void	 stage_complete(struct txn *);

#endif
