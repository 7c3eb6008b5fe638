/*
 * The one codec of all messages between processes: structs, encode, decode and
 * dump, all made from msg.def. Fields are written one by one in fixed widths,
 * little-endian; decoding checks every bound and that nothing is left over.
 *
 * Wire: u16 type, u8 version, u8 zero, u32 tid, u32 length of the body, body.
 * A packet of a channel holds one or more messages, 32 KiB in all.
 */
#ifndef IPC_CODEC_H
#define IPC_CODEC_H

#include "common/base/addr.h"
#include "common/base/buf.h"

#define IPC_VERSION	1
#define IPC_HEAD_LEN	12
#define IPC_PACKET_MAX	32768	/* bytes; a message with its head fits in one */

/* Processes as sender or receiver; msg.def combines them. */
enum ipc_role {
	IPC_PARENT	= 1 << 0,
	IPC_SMTPD	= 1 << 1,
	IPC_QUEUED	= 1 << 2,
	IPC_DELIVERD	= 1 << 3,
	IPC_PROXYD	= 1 << 4,
	IPC_LOOKUPD	= 1 << 5,
	IPC_KEYD	= 1 << 6,
	IPC_PASSWD	= 1 << 7,	/* keyd's second process */
	IPC_CTL		= 1 << 8	/* posternctl */
};
#define IPC_CHILD	(IPC_SMTPD | IPC_QUEUED | IPC_DELIVERD | IPC_PROXYD | \
			 IPC_LOOKUPD | IPC_KEYD | IPC_PASSWD)
#define IPC_ANYONE	(IPC_PARENT | IPC_CHILD)

enum ipc_secret_kind {
	IPC_SECRET_CERT, IPC_SECRET_KEY, IPC_SECRET_CREDENTIALS, IPC_SECRET_SRS,
	IPC_SECRET_TOKEN,
	IPC_SECRET_TOKEN_NEW,	/* of the configuration in force: it has changed */
	IPC_SECRET_USERS,
	IPC_SECRET_OCSP
};

/* What a k_pki has. */
enum k_pki_kind {
	K_PKI_CERT,		/* a server's own: another key begins */
	K_PKI_CHAIN,		/* of the certificate before */
	K_PKI_OCSP		/* a response for that certificate */
};

/* How a commit ended. */
enum q_status {
	Q_OK,			/* durable: answer 250 */
	Q_FULL,			/* below the reserve: 452 */
	Q_FAILED,		/* not stored, will not be: 451 */
	Q_REFUSED		/* the request made no sense */
};

/* What came of one way of a message that several servers are given. */
enum q_settled {
	SETTLED_TAKEN,		/* the server has taken its recipients */
	SETTLED_QUEUE,		/* the queue is to deliver them */
	SETTLED_REFUSED,	/* failed for good: their sender is told */
	SETTLED_RELAYED,	/* taken by a server that tells nobody of it:
				 * NOTIFY=SUCCESS is ours (RFC 3461, 5.2.2) */
	SETTLED_TOLD,		/* refused, and the client has heard of it */
	SETTLED_LAST = SETTLED_TOLD
};

/* Of a recipient in the queue. */
enum rcpt_flag {
	RCPT_F_ARCHIVE	= 1 << 0,	/* an archive's copy: nobody is ever
					 * notified of it */
	RCPT_F_EXPANDED	= 1 << 1,	/* made of `orig` by an alias */
	RCPT_F_JOURNAL	= 1 << 2,	/* an archive's, as a journal report;
					 * else with fields on top */
	RCPT_F_LIVE	= 1 << 3,	/* an actual server has taken it: of the
					 * envelope, and nothing is left to do */
	RCPT_F_ALL	= 15
};

/* The result of a delivery for one recipient. */
enum d_status {
	D_OK,
	D_TEMP,			/* 4xx, connection lost, server away */
	D_PERM			/* 5xx, null MX, no such domain */
};

/* What a job's destination looked like, for the schedule. */
enum d_dest {
	D_DEST_OK,
	D_DEST_DOWN,		/* no server of it could be reached */
	D_DEST_SLOW		/* 421 or 4xx before any recipient */
};

/* Of k_auth_answer. */
enum k_auth_status {
	K_AUTH_OK,
	K_AUTH_NO_LABEL,	/* no such credential */
	K_AUTH_NO_MECH,		/* none that both sides have */
	K_AUTH_BAD		/* the challenge makes no sense */
};

#define IPC_GUESS_KEY	16	/* octets of a name's hash in q_guess */

/* What is asked of keyd for a login. */
enum k_how {
	K_PASSWORD,		/* said is the password */
	K_CRAM_MD5,		/* said is the digest in hex, of `challenge` */
	K_SCRAM,		/* said is the client's next message */
	K_SCRAM_PLUS		/* the same, bound to its TLS */
};
enum k_verdict {
	K_YES,
	K_NO,			/* wrong password, no such user */
	K_MORE,			/* SCRAM: said is the challenge */
	K_LATER,		/* too much to do, or no such table */
	K_MALFORMED		/* of SCRAM: nobody's password is wrong */
};
/* What the users of a table can be asked by. */
enum k_can { K_CAN_SCRAM = 1 << 0, K_CAN_CRAM_MD5 = 1 << 1 };

/* What is known of a recipient. */
enum v_state {
	V_NONE,			/* nothing (any more) */
	V_GOOD,			/* his server takes him, or took him */
	V_BAD,			/* his server refuses him for good */
	V_LATER,		/* it was reached, and said neither */
	V_DOWN,			/* no server could be reached */
	V_BUSY			/* too many questions: nobody was asked */
};
/* Does the server take any address of the domain? */
enum v_any { V_ANY_NOT_ASKED, V_ANY_NO, V_ANY_YES };

/* One line a message: #name and the number. */
enum ipc_type {
#define IPC_MSG(name, num, from, to, fds)	IPC_T_##name = num,
#define IPC_U8(f)
#define IPC_U16(f)
#define IPC_U32(f)
#define IPC_U64(f)
#define IPC_BOOL(f)
#define IPC_ADDR(f)
#define IPC_STR(f, max)
#define IPC_BLOB(f, max)
#define IPC_END(name)
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"
	IPC_T_MAX
};

#define IPC_MSG(name, num, from, to, fds) struct ipc_##name { uint32_t tid;
#define IPC_U8(f)	uint8_t f;
#define IPC_U16(f)	uint16_t f;
#define IPC_U32(f)	uint32_t f;
#define IPC_U64(f)	uint64_t f;
#define IPC_BOOL(f)	bool f;
#define IPC_ADDR(f)	struct addr f;
#define IPC_STR(f, max)	struct span f;
#define IPC_BLOB(f, max) struct span f;
#define IPC_END(name)	};
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"

/* Big enough for the struct of any message. */
union ipc_any {
#define IPC_MSG(name, num, from, to, fds)	struct ipc_##name name;
#define IPC_U8(f)
#define IPC_U16(f)
#define IPC_U32(f)
#define IPC_U64(f)
#define IPC_BOOL(f)
#define IPC_ADDR(f)
#define IPC_STR(f, max)
#define IPC_BLOB(f, max)
#define IPC_END(name)
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"
};

/* One row a message, by number; name is NULL where there is none. */
struct ipc_info {
	const char	*name;
	unsigned	 from, to;	/* enum ipc_role bits */
	int		 fds;		/* 0 none, 1 one, 2 one or none */
};
const struct ipc_info *ipc_info(uint16_t type);

/*
 * Appends head and body of message m (the struct of `type`) to buf. False if a
 * field is longer than its maximum, a string has a NUL, or buf is full; buf is
 * then as before.
 */
bool	 ipc_encode(struct buf *, uint16_t type, const void *m);
/*
 * Takes one message from the front of the packet `in`, into *out; its spans are
 * borrowed from the packet. PARSE_MORE is never given: a packet holds whole
 * messages. On PARSE_BAD *why is a static string.
 */
enum parse ipc_decode(struct span *in, uint16_t *type, union ipc_any *out,
	    const char **why);
/* "q_rcpt tid=7 to=<..> action=x", without a newline, for log and debugging;
 * blobs are shown by their length. */
void	 ipc_dump(struct buf *, uint16_t type, const void *m);

#endif
