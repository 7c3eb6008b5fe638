/*
 * What each command does: one function a verb, called when the table in
 * session.c says that it is its turn. It answers the command, now or later.
 */
#ifndef SMTPD_CMD_H
#define SMTPD_CMD_H

#include "smtpd/session.h"

typedef void cmd_fn(struct cmd *, struct span arg);

cmd_fn	 cmd_ehlo, cmd_helo;			/* cmd_helo.c */
cmd_fn	 cmd_mail;				/* cmd_mail.c */
cmd_fn	 cmd_rcpt;				/* cmd_rcpt.c */
cmd_fn	 cmd_data, cmd_bdat;			/* cmd_data.c */
cmd_fn	 cmd_auth, cmd_auth_line;		/* cmd_auth.c */
cmd_fn	 cmd_xclient;				/* cmd_xclient.c */
cmd_fn	 cmd_starttls;				/* tls.c */
cmd_fn	 cmd_rset, cmd_noop, cmd_quit, cmd_vrfy, cmd_expn, cmd_help;
						/* cmd_misc.c */

/* May this client say whom it speaks for, now? */
bool	 cmd_xclient_offered(const struct session *);
/* BDAT when it is not its turn: its bytes come all the same (RFC 3030, 2), and
 * then this reply. */
void	 cmd_bdat_refuse(struct cmd *, struct span arg, uint16_t code,
	    const char *text);
/* What we announce; the part behind the actual server's EHLO for a proxied
 * listener (server not NULL). */
void	 cmd_ehlo_announce(struct cmd *, const struct smtp_caps *server);
/* Would it announce all that this client has been told? */
bool	 cmd_ehlo_as_told(const struct session *, const struct smtp_caps *);
/* The same for HELO, which announces nothing. */
void	 cmd_helo_announce(struct cmd *);

#endif
