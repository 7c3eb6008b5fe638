/*
 * The records of the queue's segments: what makes a message ours. Encoding and
 * decoding of bytes only; no I/O, no log, no clock.
 *
 * A record is aligned to 64 bytes, begins with a header of 64, little-endian:
 *
 *	 0 u32 magic "PQR1"	 4 u8 version	 5 u8 kind	 6 u16 zero
 *	 8 u64 message id	16 u64 stamp of its segment
 *	24 u64 synced: offset in the segment known durable when it was written
 *	32 u32 envelope bytes	36 u32 prefix bytes	40 u32 content bytes
 *	44 i64 queue time, ms	52 u32 wall time, s
 *	56 u32 CRC32C of prefix and content
 *	60 u32 CRC32C of the 60 bytes before and the envelope
 *
 * then envelope, prefix (header fields that go on top), content, zeros to the
 * next multiple of 64. Records state absolute values: applied twice they give
 * the same. Bytes left by an earlier life of the file carry another stamp, so
 * they are no records.
 */
#ifndef QUEUED_RECORD_H
#define QUEUED_RECORD_H

#include "common/base/addr.h"
#include "common/base/buf.h"
#include "common/ipc/codec.h"

#define REC_ALIGN	64
#define REC_HEAD	64
#define REC_VERSION	4	/* written; older ones are read too */
#define REC_VERSION_MIN	1
#define REC_ENV_MAX	(8 << 20)	/* bytes of one envelope */
#define REC_PREFIX_MAX	6000
#define REC_CONTENT_MAX	65536	/* longer content has a file of its own */
#define REC_REASON_MAX	500	/* of a stored reply; longer ones are cut */
#define REC_SERVER_MAX	300	/* of the server's name; the same */

enum rec_kind {
	REC_MESSAGE = 1,	/* envelope, prefix, content */
	REC_CHANGE,		/* recipients, hold, removal of a message */
	REC_SNAPSHOT,		/* a message in its present state: supersedes
				 * all earlier records of its id */
	REC_STATE,		/* what is paused */
	REC_PREPARED,		/* as REC_MESSAGE, but not ours yet */
	REC_SETTLED,		/* what came of one way of such a message */
	REC_FINISHED		/* a change, CHANGE_FINISH: it is ours or void */
};
#define REC_KIND_MAX	REC_FINISHED

struct rec {
	uint8_t		 kind;
	uint8_t		 version;	/* read: how its envelope is encoded */
	uint64_t	 id;
	uint64_t	 stamp, synced;
	int64_t		 qtime_ms;
	uint32_t	 wall_s;
	struct span	 env, prefix, content;
	uint32_t	 content_crc;
	size_t		 total;		/* with padding */
};

/* Has it an envelope of a message, and content? */
static inline bool
rec_is_message(const struct rec *r)
{
	return r->kind == REC_MESSAGE || r->kind == REC_SNAPSHOT ||
	    r->kind == REC_PREPARED;
}
/* Appends the record, unstamped, of version REC_VERSION. False if it does not
 * fit. */
bool	 rec_encode(struct buf *, const struct rec *);
/* Sets the stamp of the segment that an encoded record lies in, what is synced
 * there, and its header's checksum. */
void	 rec_stamp(uint8_t *, uint64_t stamp, uint64_t synced);
/* Length with padding of a record that rec_encode() wrote. */
size_t	 rec_total(const uint8_t *);
extern const char rec_why_version[];
/*
 * The record at the front of `in`, spans borrowed. PARSE_MORE: the header is
 * good so far but *need bytes must be there to judge it (or to have all of it).
 * PARSE_BAD: no record; *why is rec_why_version if it is a sound one of a
 * version that is not known, and r then has its stamp. The checksum of the
 * content is not looked at.
 */
enum parse rec_decode(struct span in, struct rec *, size_t *need,
	    const char **why);
/* The same with only header and envelope present; prefix and content are
 * empty, total is right. For replay. */
enum parse rec_decode_env(struct span in, struct rec *, size_t *need,
	    const char **why);
bool	 rec_content_ok(const struct rec *);

/*
 * ---- envelopes ----
 *
 * Written in the format of REC_VERSION; a reader is told the version of the
 * record that they came from. Version 1 had no orig, group, flags and server of
 * a recipient: they read as empty, the own number, 0 and empty. Versions 1 and 2
 * had no prepared messages. Only RCPT_PREPARED has way and settled, else 0.
 * Versions up to 3 had no mail_auth of a message: it reads as empty.
 */

enum rcpt_state {
	RCPT_WAITING,		/* for its next attempt */
	RCPT_DONE,		/* delivered */
	RCPT_FAILED,		/* given up; the bounce is in the same record */
	RCPT_PREPARED		/* of a message that is not ours yet */
};
#define RCPT_STATE_MAX	RCPT_PREPARED
#define WAY_MAX		15	/* 0: the queue's own; else a live server's */
enum msg_flag {
	MSG_BODY_FILE	= 1 << 0,	/* content is the file body.<id> */
	MSG_BOUNCE	= 1 << 1,	/* made by us, null sender */
	MSG_UTF8	= 1 << 2,	/* SMTPUTF8 */
	MSG_KEPT	= 1 << 3,	/* over, but it can still be read */
	MSG_REQUIRETLS	= 1 << 4,	/* REQUIRETLS (RFC 8689) */
	MSG_GROUPS	= 1 << 5,	/* a recipient has more than one copy */
	MSG_PREPARED	= 1 << 6,	/* not ours yet: prepared.h */
	MSG_TLS_OPTIONAL = 1 << 7	/* it says "TLS-Required: No" (the
					 * same); not with MSG_REQUIRETLS */
};
#define RCPT_TELL	(1 << 7)	/* beside enum rcpt_flag: prepared, and
					 * the first that its `orig`, an alias,
					 * became; to be told when it is ours */
/* What smtpd said of a message (RFC 5321's envelope and more). */
struct rec_msg {
	uint8_t		 version;	/* read: of rcpts and cause */
	uint8_t		 flags;		/* enum msg_flag */
	uint8_t		 body, ret;	/* enum smtp_body, smtp_ret */
	bool		 held;
	int64_t		 held_since_ms;	/* queue time */
	int64_t		 accepted_ms;	/* queue time */
	int64_t		 expire_ms;	/* queue time */
	uint64_t	 received_ms;	/* unix time */
	uint64_t	 size;		/* content without prefix */
	struct addr	 client;
	struct span	 from, envid, rdns, helo, auth, tag;
	struct span	 mail_auth;	/* MAIL's AUTH= (RFC 4954, 5), xtext or
					 * "<>"; empty: not given */
	uint32_t	 nrcpts;
	struct span	 rcpts;		/* encoded: rec_rcpt_next() */
	/* A bounce: the message it tells of, and what became of that one's
	 * recipients, an encoded change; empty otherwise. */
	uint64_t	 cause_id;
	struct span	 cause;
};
struct rec_rcpt {
	uint32_t	 n;		/* number within the message, from 0 */
	uint8_t		 state;		/* enum rcpt_state */
	uint8_t		 notify;	/* enum smtp_notify bits */
	uint8_t		 flags;		/* enum rcpt_flag */
	/* Copies of one recipient for several actions are a group: the number
	 * of the first of them, at most n; n where there is but one. */
	uint32_t	 group;
	uint32_t	 attempt;	/* attempts made */
	int64_t		 next_ms, last_ms;	/* queue time */
	struct span	 to, action, orcpt;
	struct span	 orig;		/* what the client gave, if it was
					 * rewritten to `to`; else empty */
	struct span	 reason;	/* last reply */
	struct span	 server;	/* whose that is; empty: our own words */
	/* RCPT_PREPARED: who is to take it, and 0 or 1 + what that came to
	 * (enum q_settled); reason and server are that one's then. */
	uint8_t		 way, settled;
};
bool	 rec_rcpt_add(struct buf *, const struct rec_rcpt *);
bool	 rec_rcpt_next(struct span *rcpts, uint8_t version, struct rec_rcpt *);
bool	 rec_msg_encode(struct buf *, const struct rec_msg *);
/* Recipients and cause are checked too, so that *_next() meets no bad one. */
enum parse rec_msg_decode(struct span env, uint8_t version, struct rec_msg *,
	    const char **why);

enum change_what {
	CHANGE_REMOVE	= 1 << 0,	/* the message is gone, no bounce */
	CHANGE_HOLD	= 1 << 1,	/* held, held_since, expire are set */
	CHANGE_ROUTE	= 1 << 2,	/* routes are there */
	CHANGE_KEEP	= 1 << 3,	/* if nobody is left to wait, it is kept
					 * until expire_ms */
	CHANGE_FINISH	= 1 << 4	/* a prepared message is ours; void with
					 * CHANGE_REMOVE */
};
struct rec_change {
	uint8_t		 version;	/* read: of rcpts */
	uint8_t		 what;		/* enum change_what */
	bool		 held;
	int64_t		 held_since_ms, expire_ms;
	uint32_t	 nrcpts;
	struct span	 rcpts;		/* encoded: rec_fate_next() */
	struct span	 routes;	/* CHANGE_ROUTE: rec_route_next() */
};
struct rec_route {			/* a recipient's new action */
	uint32_t	 n;
	struct span	 action;
};
bool	 rec_route_add(struct buf *, const struct rec_route *);
bool	 rec_route_next(struct span *routes, struct rec_route *);
struct rec_fate {			/* a recipient's new values */
	uint32_t	 n;
	uint8_t		 state;
	uint32_t	 attempt;
	int64_t		 next_ms, last_ms;
	struct span	 reason, server;
};
bool	 rec_fate_add(struct buf *, const struct rec_fate *);
bool	 rec_fate_next(struct span *rcpts, uint8_t version, struct rec_fate *);
bool	 rec_change_encode(struct buf *, const struct rec_change *);
enum parse rec_change_decode(struct span env, uint8_t version,
	    struct rec_change *, const char **why);

struct rec_settled {
	uint8_t		 way;		/* 0 to WAY_MAX */
	uint8_t		 outcome;	/* enum q_settled */
	struct span	 reply, server;
};
/* "taken", "queue", …, for people; static. */
const char *settled_name(unsigned outcome);
bool	 rec_settled_encode(struct buf *, const struct rec_settled *);
enum parse rec_settled_decode(struct span env, struct rec_settled *,
	    const char **why);

struct rec_state {
	bool		 mta_paused;
	uint32_t	 npaused;
	struct span	 paused;	/* encoded names: rec_name_next() */
};
bool	 rec_name_add(struct buf *, struct span);
bool	 rec_name_next(struct span *names, struct span *name);
bool	 rec_state_encode(struct buf *, const struct rec_state *);
enum parse rec_state_decode(struct span env, struct rec_state *,
	    const char **why);

#endif
