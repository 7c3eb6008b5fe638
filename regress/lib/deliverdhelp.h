/*
 * For unit tests of deliverd's delivery: a queued at the other end of a channel
 * hands over jobs, a lookupd says what it is told to, scripted servers (sa, sb,
 * sc) on 127.0.0.1 take the mail. Real sources but for the process around them;
 * their limits and the configuration are here.
 */
#ifndef REGRESS_DELIVERDHELP_H
#define REGRESS_DELIVERDHELP_H

#include "deliverd/pool.h"
#include "regress/lib/loghelp.h"
#include "regress/lib/script.h"

#define CONNS_MAX	2	/* connections of this deliverd */
#define GOT_MAX		4096
#define DONE_MAX	1024

struct got {			/* a d_result */
	uint64_t	 id;
	uint32_t	 n, attempt;
	enum d_status	 status;
	bool		 remote, dsn;
	char		 reply[1025], server[301], tls[96];
};

struct told {			/* d_server of a port */
	unsigned	 n, conns;
	uint32_t	 failures, delivered, failed;
	uint64_t	 probe_ms;
	char		 tls[300];
};

extern struct server	*sa, *sb, *sc;
extern struct ask	*ask;
extern struct chan	*queued;	/* the present queued's end */
extern struct got	 got[GOT_MAX];
extern size_t		 ngot, nrunning, nsynced, ndone, nback;
extern uint64_t		 back[8];	/* ids of d_back */
extern uint32_t		 tid;		/* of the last job */
extern bool		 record;	/* says d_recorded to each result */
extern enum dns_status	 dns;		/* lookupd's answer to all */
extern struct told	 told[65536];
extern char		 login_label[256], login_why[512];	/* d_login */
extern unsigned		 nback_up;
extern char		 back_up[65];	/* the last action of d_back_up */
/* More statements of the configuration, set before deliverdhelp_start(). */
extern void		(*deliverdhelp_conf)(char *dst, size_t);

struct letter {
	uint64_t	 id;
	const char	*action;
	const char	*domain;	/* "x.example" */
	const char	*from;		/* "a@c.example" */
	const char	*rcpts;		/* a space between; "b@x.example" */
	const char	*prefix;
	const char	*front, *suffix; /* of an archive's copy */
	const char	*content;
	size_t		 len;		/* of it, if it is no string */
	uint64_t	 size;		/* if it shall be a lie */
	int		 fd;		/* 0: none */
	uint64_t	 offset;
	enum smtp_body	 body;
	bool		 utf8;
	uint32_t	 attempt;
	enum smtp_ret	 ret;
	const char	*envid, *orcpt, *auth;
	bool		 requiretls, tls_optional;
	uint8_t		 notify;
};

/* The actions a, b, c (a server each), ab (both), named (b, helo), max (a,
 * max-connections 1), down (a closed port), mx. For the group. */
int	 deliverdhelp_start(void **state);
int	 deliverdhelp_setup(void **state);
/* Nothing stays from one case to the next. */
int	 deliverdhelp_teardown(void **state);
/* A new queued; the one before, if any, has died. */
void	 queued_start(void);
void	 hand_over(struct letter);
#define HAND(...)	hand_over((struct letter){ __VA_ARGS__ })
bool	 is_done(uint64_t id);
/* What d_done said of the destination. */
enum d_dest dest_was(uint64_t id);
/* The one result for a recipient; the case fails if there are others. */
const struct got *result(uint64_t id, uint32_t n);
/* It has this status, and a reply that begins so. */
void	 is(uint64_t id, uint32_t n, enum d_status, const char *reply);
void	 content_is(struct server *, const char *want);

#define CASE(f)	cmocka_unit_test_setup_teardown(f, deliverdhelp_setup, \
	    deliverdhelp_teardown)

#define HELLO	"S 220 hi", "C EHLO mail.example.org"
#define PLAIN	HELLO, "S 250 x"
#define PIPE	HELLO, "R 250-x\r\n250 PIPELINING\r\n"
#define MAIL	"C MAIL FROM:<a@c.example>*"
#define RCPT	"C RCPT TO:<b@x.example>"
#define OK	"S 250 2.0.0 ok"
/* One message with the envelope above, on a connection with PIPELINING. */
#define TAKES	MAIL, RCPT, "C DATA", OK, OK, "S 354 go", "D", OK

#endif
