/*
 * The client side of an SMTP session as a machine without I/O: a list of steps
 * with a send and a receive cursor (PIPELINING, RFC 2920). deliverd and proxyd
 * drive it: they push steps, write out what it puts into the output buffer, and
 * feed it what the server says; it gives back one reply after the other with
 * the step that it answers.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "common/base/addr.h"
#include "common/smtp/content.h"
#include "common/smtp/ehlo.h"
#include "common/smtp/param.h"
#include "common/smtp/reply.h"

enum smtp_step {
	STEP_GREETING,		/* waits for 220; pushed by init */
	STEP_EHLO, STEP_HELO, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_BDAT,
	STEP_DOT, STEP_RSET, STEP_NOOP, STEP_QUIT, STEP_ASK, STEP_AUTH,
	STEP_AUTH_LINE, STEP_XCLIENT, STEP_STARTTLS
};

#define SMTP_CLIENT_STEPS_MAX	1100	/* outstanding and waiting steps */

struct smtp_client;

/* out is the caller's buffer and outlives the machine. NULL: no memory. */
struct smtp_client *smtp_client_new(struct buf *out);
void	 smtp_client_free(struct smtp_client *);
/* What the server announced; valid after the reply to EHLO or HELO. */
const struct smtp_caps *smtp_client_caps(const struct smtp_client *);

/*
 * Push a step. It is written to out as soon as the rules allow: at once where
 * the server has PIPELINING and no step before it ends a group, else when all
 * earlier ones are answered. False: the list or out is full. tag comes back
 * with the reply. Parameters that the server has not announced by now are left
 * out (SIZE, BODY, DSN, AUTH), so EHLO is answered before MAIL is pushed;
 * SMTPUTF8 is the caller's to check. After a 354 nothing is written until
 * smtp_client_dot(), after a 334 nothing but smtp_client_auth_line().
 */
bool	 smtp_client_ehlo(struct smtp_client *, struct span name, bool ehlo);
bool	 smtp_client_mail(struct smtp_client *, struct span from,
	    const struct smtp_mail_params *);
bool	 smtp_client_rcpt(struct smtp_client *, struct span to,
	    const struct smtp_rcpt_params *, uint32_t tag);
bool	 smtp_client_data(struct smtp_client *);
/* The caller writes n bytes of content behind it to out, in canonical form; so
 * it is false too if the command can't be written at once. */
bool	 smtp_client_bdat(struct smtp_client *, uint64_t n, bool last);
/* Marks that the final dot has been written to out by the caller. */
bool	 smtp_client_dot(struct smtp_client *);
/* RSET, NOOP, QUIT, and VRFY/EXPN/HELP with a checked argument. */
bool	 smtp_client_simple(struct smtp_client *, enum smtp_step);
bool	 smtp_client_ask(struct smtp_client *, const char *verb,
	    struct span arg);
/* A secret: the memory that it goes through, out's too, is wiped. */
bool	 smtp_client_auth(struct smtp_client *, struct span mech,
	    bool has_initial, struct span initial);
bool	 smtp_client_auth_line(struct smtp_client *, struct span line);
/* XCLIENT with what xclient_write() gave. A 220 to it makes the server forget
 * EHLO, and us its capabilities. */
bool	 smtp_client_xclient(struct smtp_client *, struct span arg);
/* A 220 to it makes both sides forget what was said (RFC 3207, 4.2). Bytes that
 * came with that 220 are nobody's answer: the session must end. */
bool	 smtp_client_starttls(struct smtp_client *);

struct smtp_client_event {
	enum smtp_step	 step;
	uint32_t	 tag;
	uint16_t	 code;
	struct span	 text;		/* lines, LF between, until next fed */
};
/*
 * PARSE_OK: one reply, in *ev. PARSE_MORE: needs more bytes. PARSE_BAD: no
 * SMTP, or a reply that nobody asked for; the session must end. A code 421 is
 * given like any other.
 */
enum parse smtp_client_feed(struct smtp_client *, struct span *in,
	    struct smtp_client_event *, const char **why);
/* Writes what could not be written because out was full; call it when out has
 * drained. */
void	 smtp_client_flush(struct smtp_client *);
/* Steps that have not been answered (written or not). */
size_t	 smtp_client_pending(const struct smtp_client *);
/* What the receive cursor waits for; only if pending is not 0. */
enum smtp_step smtp_client_waits_for(const struct smtp_client *);
/* Milliseconds that this step's reply may take (RFC 5321, 4.5.3.2). */
int64_t	 smtp_step_timeout_ms(enum smtp_step);
const char *smtp_step_name(enum smtp_step);

#endif
