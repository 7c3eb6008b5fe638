/*
 * Who talks to whom: a socketpair for each pair, made when the later of the two
 * is started, and made anew when one of them reported the other.
 */
#include <sys/socket.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define REPORTS_WINDOW_S	60	/* three reports in it end a daemon */

static bool
pair_is(const struct child *a, const struct child *b, enum ipc_role x,
    enum ipc_role y)
{
	return (a->role == x && b->role == y) ||
	    (a->role == y && b->role == x);
}

/* Only a worker whose listeners take passwords may ask about them (R1). */
static bool
asks_passwords(const struct child *a, const struct child *b)
{
	return pair_is(a, b, IPC_SMTPD, IPC_PASSWD) &&
	    (a->role == IPC_SMTPD ? a : b)->class == 1;
}

bool
wire_wanted(const struct child *a, const struct child *b)
{
	if (pair_is(a, b, IPC_SMTPD, IPC_PROXYD))
		return a->set == b->set && a->class == b->class;
	return pair_is(a, b, IPC_SMTPD, IPC_QUEUED) ||
	    pair_is(a, b, IPC_SMTPD, IPC_LOOKUPD) ||
	    pair_is(a, b, IPC_PROXYD, IPC_LOOKUPD) ||
	    pair_is(a, b, IPC_DELIVERD, IPC_LOOKUPD) ||
	    pair_is(a, b, IPC_DELIVERD, IPC_KEYD) ||
	    pair_is(a, b, IPC_SMTPD, IPC_KEYD) ||
	    asks_passwords(a, b) ||
	    pair_is(a, b, IPC_DELIVERD, IPC_QUEUED) ||
	    pair_is(a, b, IPC_PROXYD, IPC_QUEUED);
}

static void
wire_pair(struct child *a, struct child *b)
{
	int	 sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("socketpair");
		return;
	}
	CHAN_SEND_FD(a->chan, peer, sv[0], .role = (uint8_t)b->role,
	    .worker = b->worker, .title = span_str(b->title));
	CHAN_SEND_FD(b->chan, peer, sv[1], .role = (uint8_t)a->role,
	    .worker = a->worker, .title = span_str(a->title));
}

void
wire_all(struct child *c)
{
	struct child	*o;

	TAILQ_FOREACH(o, &c->gw->children, next)
		if (o != c && o->chan != NULL && wire_wanted(c, o))
			wire_pair(c, o);
}

/* smtpd, proxyd, deliverd before lookupd before queued, keyd. */
static unsigned
trust(enum ipc_role role)
{
	switch (role) {
	case IPC_SMTPD:
	case IPC_PROXYD:
	case IPC_DELIVERD:
		return 0;
	case IPC_LOOKUPD:
		return 1;
	default:
		return 2;
	}
}

/* True at the third report within the window. */
static bool
too_often(struct child *c)
{
	unsigned	 now = (unsigned)(clock_mono().ms / 1000) + 1;

	memmove(c->reports, c->reports + 1, 2 * sizeof(c->reports[0]));
	c->reports[2] = now;
	return c->reports[0] != 0 && now - c->reports[0] < REPORTS_WINDOW_S;
}

void
wire_report(struct child *c, enum ipc_role role, uint16_t worker,
    const char *why)
{
	struct child	*o, *less;

	TAILQ_FOREACH(o, &c->gw->children, next)
		if (o->role == role && o->worker == worker && o->chan != NULL &&
		    wire_wanted(c, o))
			break;
	if (o == NULL)
		return;
	log_warnx("daemon=%s event=malformed by=%s why=%s", c->title, o->title,
	    log_quote(span_str(why)));
	less = trust(o->role) <= trust(c->role) ? o : c;
	if (too_often(less)) {
		log_warnx("daemon=%s event=kill why=\"the third malformed "
		    "message within a minute\"", less->title);
		if (less->pid > 0)
			(void)kill(less->pid, SIGKILL);
		return;
	}
	wire_pair(c, o);
}
