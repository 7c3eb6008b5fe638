/*
 * The two windows that SMTP leaves open (RFC 5321, 4.2.5; RFC 1047), on the live
 * way, where both sides are other people's: the client is lost behind the
 * server's 250, or the server behind the dot. Each is logged and counted; the
 * first one is closed by `recognise-retry` with what queued remembers of it.
 */
#ifndef SMTPD_WINDOW_H
#define SMTPD_WINDOW_H

#include "common/ipc/chan.h"
#include "smtpd/txn.h"

#define WINDOW_ASK_MS	1000	/* queued answers by then, or is not waited for */

void	 window_init(struct event_base *);
/* The channel to queued, NULL while it is away. */
void	 window_queue(struct chan *);
/* q_again_is's handler. */
chan_handler window_known;

/*
 * The content is whole: has it been at the server before, and its 250 been lost?
 * proxy_again() is told, once, later. False: that is not asked for, or nobody
 * can know. window_cancel(), by txn_end(), ends the question.
 */
bool	 window_ask(struct txn *);
void	 window_cancel(struct txn *);

/* The server has taken it; what follows decides about the window. */
void	 window_taken(struct txn *);
/* Nothing came behind that reply: the client may not know. */
void	 window_client(struct session *);
/* The server, or the way to it, is gone behind the dot. */
void	 window_server(const struct txn *, const char *server);

#endif
