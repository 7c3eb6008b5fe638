/*
 * ESMTP parameters of MAIL and RCPT: SIZE (1870), BODY (6152), SMTPUTF8 (6531),
 * RET ENVID NOTIFY ORCPT (3461), AUTH (4954), REQUIRETLS (8689). Parsed and
 * written anew.
 */
#ifndef SMTP_PARAM_H
#define SMTP_PARAM_H

#include "common/base/buf.h"

enum smtp_body { BODY_NONE, BODY_7BIT, BODY_8BITMIME };
enum smtp_ret { RET_NONE, RET_FULL, RET_HDRS };
enum smtp_notify {	/* bits; 0: not given */
	NOTIFY_NEVER	= 1 << 0,
	NOTIFY_SUCCESS	= 1 << 1,
	NOTIFY_FAILURE	= 1 << 2,
	NOTIFY_DELAY	= 1 << 3
};
struct smtp_mail_params {
	bool		 size_set;
	uint64_t	 size;
	enum smtp_body	 body;
	bool		 utf8;
	enum smtp_ret	 ret;
	struct span	 envid;		/* xtext as it came, at most 100 */
	struct span	 auth;		/* xtext or "<>" */
	bool		 prdr;		/* a reply each (draft-hall-prdr) */
	bool		 requiretls;	/* over verified TLS, or not at all */
};
struct smtp_rcpt_params {
	uint8_t		 notify;	/* enum smtp_notify */
	struct span	 orcpt;		/* "type;xtext", at most 500 */
};

/*
 * What follows the path, from its leading space; whole input. code is set on
 * PARSE_BAD: 501 syntax, 555 unknown parameter, 504 value not implemented, 553
 * an address needs SMTPUTF8 (enhanced code 5.6.7).
 */
enum parse smtp_mail_params(struct span in, struct smtp_mail_params *,
	    uint16_t *code, const char **why);
enum parse smtp_rcpt_params(struct span in, struct smtp_rcpt_params *,
	    uint16_t *code, const char **why);
/* Written anew, each with a space before it; caps (enum smtp_cap) says which
 * the server knows, the others are left out; but not SMTPUTF8 and REQUIRETLS,
 * without which the message would be another one: a server that does not know
 * them has to refuse it. */
bool	 smtp_mail_params_write(struct buf *, const struct smtp_mail_params *,
	    uint32_t caps);
bool	 smtp_rcpt_params_write(struct buf *, const struct smtp_rcpt_params *,
	    uint32_t caps);
/*
 * MAIL or RCPT's argument in one go: "FROM:<path> params". RFC 5321 4.1.1.2:
 * no space before the path; one or more is taken from old clients. The path is
 * parsed with UTF-8 allowed iff SMTPUTF8 is among the parameters (mail) or
 * utf8 (rcpt).
 */
struct smtp_path;
enum parse smtp_mail_parse(struct span arg, struct smtp_path *,
	    struct smtp_mail_params *, uint16_t *code, const char **why);
enum parse smtp_rcpt_parse(struct span arg, bool utf8, struct smtp_path *,
	    struct smtp_rcpt_params *, uint16_t *code, const char **why);

#endif
