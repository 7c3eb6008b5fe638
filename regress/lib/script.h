/*
 * For unit tests of deliverd and proxyd: TCP servers on 127.0.0.1 that follow a
 * script, on the event base of the test itself, and a clock that can be moved
 * on. There is one base, one process, no thread.
 *
 * A script is one for each connection, in the order of their arrival. A line:
 *	S TEXT	says TEXT and CR LF	R BYTES	says these bytes
 *	C TEXT	awaits this line; a * at its end stands for anything
 *	D	awaits content up to the final dot, and keeps it as it came
 *	B N	awaits N bytes of content, and keeps them
 *	Q	nothing more may have been said by now
 *	E	awaits the other side's end, and nothing before it
 *	W	waits for server_go(), without reading
 *	1	from now on speaks byte by byte
 *	T	goes on in TLS (server_tls()), which the other side takes
 *	F	the same, but the other side does not want it: it hangs up
 *	X	closes		Z	closes with a reset
 * Behind the last line QUIT is answered, and anything else is wrong.
 */
#ifndef REGRESS_SCRIPT_H
#define REGRESS_SCRIPT_H

#include <event2/event.h>

#include "common/base/span.h"

#define SCRIPTS_MAX	16

struct server;

extern struct event_base *script_base;

/* Makes the base, once. */
void	 script_init(void);
struct server *server_new(void);
/* A port that refuses connections as long as the test runs. */
uint16_t server_closed_port(void);
uint16_t server_port(const struct server *);
/* The lines live as long as the server; the last one is NULL. */
void	 server_add(struct server *, const char *const *);
#define SERVE(s, ...)	server_add((s), \
	    (const char *const[]){ __VA_ARGS__, NULL })
/* What T and F speak; borrowed. sni: the name that T has to be asked for, or
 * NULL: none may be named. */
struct ssl_ctx_st;
void	 server_tls(struct server *, struct ssl_ctx_st *, const char *sni);
/* Goes on behind a W, in the connection that waits there. */
void	 server_go(struct server *);
/* Stands a connection at a W? */
bool	 server_waits(const struct server *);
/* Has each script been followed to its end? NULL, or what went wrong. */
bool	 server_done(const struct server *);
const char *server_wrong(const struct server *);
unsigned server_conns(const struct server *);
/* The content that came in all connections, dots and all. */
struct span server_content(const struct server *);
/* Cuts what is there and forgets all scripts. */
void	 server_reset(struct server *);

/* One pass of the loop, 10 ms at most. */
void	 script_turn(void);
/* Runs the loop for so long in real time. */
void	 script_settle(int64_t ms);
/* All clocks of this process go ahead by so much. */
void	 script_time(int64_t ms);
int64_t	 script_real_ms(void);

#define SCRIPT_PATIENCE_MS	10000
/* Runs the loop until the condition holds; the test fails if it never does. */
#define UNTIL(cond) do {						\
	int64_t	until_ = script_real_ms() + SCRIPT_PATIENCE_MS;		\
									\
	while (!(cond)) {						\
		if (script_real_ms() > until_)				\
			fail_msg("never came true: %s", #cond);		\
		script_turn();						\
	}								\
} while (0)
/* The server's script runs to its end, and well. */
#define SERVED(s) do {							\
	UNTIL(server_done(s) || server_wrong(s) != NULL);		\
	if (server_wrong(s) != NULL)					\
		fail_msg("%s", server_wrong(s));			\
} while (0)

#endif
