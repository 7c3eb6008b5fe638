/*
 * PTR, then A or AAAA of each of its first names until one has the client's
 * address. See peer.h.
 */
#include "smtpd/peer.h"

#include <ctype.h>
#include <stdlib.h>

static struct ask	*ask;

static void	forward(struct peer *);

void
peer_init(struct ask *a)
{
	ask = a;
}

void
peer_begin(struct peer *p, const struct addr *addr)
{
	*p = (struct peer){ .addr = *addr, .known = addr->family == 0 };
}

void
peer_clear(struct peer *p)
{
	ask_cancel(ask, p->question);
	for (unsigned i = 0; i < p->nnames; i++)
		free(p->names[i]);
	free(p->name);
	*p = (struct peer){ .known = true };
}

static void
known(struct peer *p)
{
	void	(*done)(void *) = p->done;

	p->known = true;
	for (unsigned i = 0; i < p->nnames; i++)
		free(p->names[i]);
	p->nnames = 0;
	p->done = NULL;
	if (done != NULL)
		done(p->arg);
}

static void
lower(char *name)
{
	for (; *name != '\0'; name++)
		*name = (char)tolower((unsigned char)*name);
}

static void
on_addresses(void *arg, const struct ask_answer *ans)
{
	struct peer	*p = arg;
	char		*name = p->names[p->next - 1];

	p->question = 0;
	p->failed = p->failed || ans->status == DNS_TEMPFAIL;
	for (size_t i = 0; i < ans->n; i++) {
		if (!addr_eq(&ans->rr[i].addr, &p->addr))
			continue;
		p->name = name;
		p->names[p->next - 1] = NULL;
		lower(name);
		known(p);
		return;
	}
	forward(p);
}

/* Asks for the addresses of the next name; without one the search is over. */
static void
forward(struct peer *p)
{
	enum dns_type	type = p->addr.family == 6 ? DNS_AAAA : DNS_A;

	while (p->next < p->nnames) {
		p->question = ask_send(ask, type, p->names[p->next++],
		    on_addresses, p);
		if (p->question != 0)
			return;
	}
	known(p);
}

static void
on_names(void *arg, const struct ask_answer *ans)
{
	struct peer	*p = arg;
	char		*name;

	p->question = 0;
	p->failed = ans->status == DNS_TEMPFAIL;
	for (size_t i = 0; i < ans->n && p->nnames < PEER_NAMES_MAX; i++) {
		if ((name = strdup(ans->rr[i].name)) != NULL)
			p->names[p->nnames++] = name;
	}
	forward(p);
}

void
peer_look(struct peer *p)
{
	char	name[80];

	if (p->asked || p->known)
		return;
	p->asked = true;
	p->question = ask_send(ask, DNS_PTR, addr_reverse_name(&p->addr, name),
	    on_names, p);
	if (p->question == 0)
		p->known = p->failed = true;
}

bool
peer_wait(struct peer *p, void (*done)(void *), void *arg)
{
	peer_look(p);
	if (p->known)
		return false;
	p->done = done;
	p->arg = arg;
	return true;
}

struct span
peer_name(const struct peer *p)
{
	return span_str(p->name);
}

bool
peer_settled(const struct peer *p)
{
	return p->known && (p->name != NULL || !p->failed);
}

void
peer_told(struct peer *p, const char *name)
{
	p->known = true;
	if (name != NULL && (p->name = strdup(name)) != NULL)
		lower(p->name);
}
