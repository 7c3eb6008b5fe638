/*
 * See keyd.h.
 */
#include "deliverd/keyd.h"

#include "common/base/log.h"
#include "deliverd/login.h"
#include "deliverd/srs.h"

static struct proc	*proc;
static struct chan	*chan;		/* NULL: no keyd at the moment */
static uint16_t		 keyd_worker;

static const struct chan_row rows[] = {
	{ IPC_T_k_srs_made, srs_on_made },
	{ IPC_T_k_auth_answer, login_on_answer, true },
	{ 0, NULL }
};

void
keyd_init(struct proc *p)
{
	proc = p;
}

/* c: the new one, or NULL. */
static void
joined(struct chan *c)
{
	chan = c;
	srs_join(c);
	login_join(c);
}

static void
lost(struct chan *c, const char *why)
{
	if (why != NULL)
		proc_report(proc, IPC_KEYD, keyd_worker, why);
	if (chan == c)
		joined(NULL);
	chan_free(c);
}

void
keyd_peer(uint16_t worker, int fd)
{
	struct chan	*c;

	chan_free(chan);
	keyd_worker = worker;
	if ((c = chan_new(proc_base(proc), fd, IPC_DELIVERD, IPC_KEYD, rows,
	    lost, NULL)) == NULL)
		fatal("chan_new");
	joined(c);
}
