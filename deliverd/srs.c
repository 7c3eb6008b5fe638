/*
 * See srs.h.
 */
#include "deliverd/srs.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/lookup/sender.h"

static struct sender	*sender;
static void		(*next)(struct job *);

void
srs_init(struct proc *p, void (*f)(struct job *))
{
	sender = sender_new(p, IPC_DELIVERD);
	next = f;
}

void
srs_join(struct chan *c)
{
	sender_join(sender, c);
}

void
srs_on_made(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	sender_made(sender, msg);
}

static void
answered(void *arg, enum sender_answer answer, struct span address,
    struct span why)
{
	struct job	*j = arg;
	struct span	 copy;

	if (answer == SENDER_OK) {
		copy = arena_span(j->arena, address);
		if (copy.p != NULL) {
			j->from = copy;
			next(j);
			return;
		}
	}
	log_warnx("id=%s event=srs from=<%s> result=failed why=%s", j->ids,
	    log_quote(j->from), log_quote(why));
	if (answer == SENDER_NO)
		job_fail(j, D_PERM, "550 5.1.7 The sender's address can't be "
		    "rewritten", "");
	else
		job_fail(j, D_TEMP, "451 4.3.0 The sender's address could not "
		    "be rewritten now", "");
	job_done(j);
}

void
srs_job(struct job *j)
{
	/* A notification goes out as what it is. */
	if (!j->action->srs || j->from.len == 0)
		next(j);
	else if (sender_ask(sender, j->from, answered, j) == 0)
		answered(j, SENDER_LATER, span(NULL, 0),
		    span_str("too many questions to keyd"));
}
