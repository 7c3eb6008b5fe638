/*
 * See srs.h.
 */
#include "smtpd/srs.h"

static struct sender	*sender;
static const struct conf *conf;

void
srs_init(struct proc *p, const struct conf *c)
{
	sender = sender_new(p, IPC_SMTPD);
	conf = c;
}

void
srs_join(struct chan *c)
{
	sender_join(sender, c);
}

void
srs_on_sender(struct chan *c, const void *msg, int fd)
{
	(void)c;
	(void)fd;
	sender_answered(sender, msg);
}

bool
srs_is(struct span to)
{
	size_t		 at = span_rfind(to, '@');
	struct span	 local = span_sub(to, 0, at);

	if (conf->srs_key == NULL || at == to.len ||
	    !span_caseis(span_sub(to, at + 1, to.len), conf->srs_domain))
		return false;
	if (local.len > 0 && local.p[0] == '"')
		span_skip(&local, 1);
	return span_casestarts(local, span_str("SRS0")) ||
	    span_casestarts(local, span_str("SRS1"));
}

uint32_t
srs_ask(struct span to, void (*done)(void *, enum sender_answer, struct span,
    struct span), void *arg)
{
	return sender_ask(sender, span_sub(to, 0, span_rfind(to, '@')), done,
	    arg);
}

void
srs_cancel(uint32_t number)
{
	sender_cancel(sender, number);
}
