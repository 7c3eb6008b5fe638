/*
 * For unit tests of proxyd: a smtpd at the other end of a channel opens
 * sessions, scripted servers (sa, sb, sc) on 127.0.0.1 answer, and what comes
 * back is held against the order and the words of the protocol. Real sources
 * but for the process around them.
 */
#ifndef REGRESS_PROXYDHELP_H
#define REGRESS_PROXYDHELP_H

#include "proxyd/link.h"
#include "regress/lib/script.h"

extern struct server	*sa, *sb, *sc;
extern struct chan	*smtpd;
extern uint32_t		 tid;		/* of the last link */
extern uint64_t		 credit;	/* given to it */
extern unsigned		 npieces;	/* p_reply messages */
extern bool		 chan_gone;
extern const char	*reported;	/* by proc_report() */
/* More statements of the configuration, set before proxydhelp_start(). */
extern void		(*proxydhelp_conf)(char *dst, size_t);

/* A channel of a smtpd that hears these; the links go with the one before. */
void	 smtpd_connect(const struct chan_row *);
/* One that hears what a session does: see hears(). */
void	 smtpd_start(void);

/* The actions a, b (a server each), max (a, max-connections 1), named (a,
 * helo), three (the first is down), down, name; v1, v2 (the first is down),
 * xclient (a, b) by their identity; two (sa, sb standby), kept (sa,
 * idle-connections 2), pool (sa and sb, max-connections 1 each), keptmax (sa,
 * idle-connections 1, max-connections 1). For the group; and that nothing
 * stays from one case to the next. */
int	 proxydhelp_start(void **state);
int	 proxydhelp_setup(void **state);
int	 proxydhelp_teardown(void **state);
#define CASE(f)	cmocka_unit_test_setup_teardown(f, proxydhelp_setup, \
	    proxydhelp_teardown)

#define SEND(name, ...)	CHAN_SEND(smtpd, name, .tid = tid, __VA_ARGS__)
#define STR(s)		span_str(s)
void	 opens(const char *action, const char *helo);
/* MAIL and so many RCPTs. */
void	 recipients(unsigned n);
/* The next line, as "reply 250 text" or "closed why", is this; a * at its end
 * stands for anything. */
void	 hears(const char *want);
void	 hears_no_more(void);
/* A whole session up to the reply to EHLO. */
void	 session(const char *action, const char *caps);
/* Sends content on credit, in chunks of 32,000 bytes; false: out of credit. */
bool	 streams(uint64_t *sent, uint64_t end);
/* For link_each(): what a link holds is within its bounds. */
void	 all_credit(const struct link *, void *arg);
void	 content_is(struct server *, const char *want);

#define HELLO	"S 220 hi", "C EHLO client.example"
#define PLAIN	HELLO, "S 250 x"
#define PIPE	HELLO, "R 250-x\r\n250 PIPELINING\r\n"
#define CHUNK	HELLO, "R 250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define MAIL	"C MAIL FROM:<a@c.example>"
#define RCPT	"C RCPT TO:<r0@x.example>"
#define OK	"S 250 2.0.0 ok"

#endif
