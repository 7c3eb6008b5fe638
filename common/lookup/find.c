/*
 * Drives the machine of hosts.h: all its questions at once, each answer back
 * into it.
 */
#include "common/lookup/find.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/rand.h"

#define FIND_QUESTIONS_MAX	(HOSTS_MAX * 6)

struct slot {				/* one question */
	struct find	*find;
	unsigned	 number;
	uint32_t	 tid;
};
struct find {
	struct ask	*ask;
	struct hosts	*hosts;
	void		(*done)(void *, const struct hosts_list *);
	void		*arg;
	struct slot	 slots[FIND_QUESTIONS_MAX];
	size_t		 nslots;
};

static void	 go_on(struct find *);

/* In static storage: one thread, and done does not keep it. */
static struct hosts_list list;

static void
answered(void *arg, const struct ask_answer *ans)
{
	struct slot	*s = arg;
	struct find	*f = s->find;
	struct addr	 addrs[ASK_RRS_MAX];
	struct mx_host	 mx[ASK_RRS_MAX];
	struct span	 texts[ASK_RRS_MAX];

	s->tid = 0;
	for (size_t i = 0; i < ans->n; i++) {
		addrs[i] = ans->rr[i].addr;
		mx[i].pref = ans->rr[i].pref;
		strlcpy(mx[i].name, ans->rr[i].name, sizeof(mx[i].name));
		texts[i] = ans->rr[i].text;
	}
	hosts_answer(f->hosts, s->number, &(struct hosts_reply){
	    .status = ans->status, .ttl = ans->ttl, .ad = ans->ad,
	    .canon = ans->canon, .addrs = addrs, .mx = mx, .texts = texts,
	    .n = ans->n });
	go_on(f);
}

/* Asks what there is to ask. */
static void
ask_all(struct find *f)
{
	enum dns_type	 type;
	const char	*name;
	unsigned	 number;
	struct slot	*s;

	while (hosts_question(f->hosts, &number, &type, &name)) {
		s = NULL;
		if (f->nslots < FIND_QUESTIONS_MAX) {
			s = &f->slots[f->nslots++];
			*s = (struct slot){ .find = f, .number = number };
			s->tid = ask_send(f->ask, type, name, answered, s);
		}
		if (s != NULL && s->tid != 0)
			continue;
		/* A name that can't be asked for is one that is not there. */
		hosts_answer(f->hosts, number, &(struct hosts_reply){
		    .status = dns_name_ok(span_str(name)) ? DNS_TEMPFAIL :
		    DNS_NXDOMAIN });
	}
}

static void
finish(struct find *f)
{
	hosts_result(f->hosts, &list);
	f->done(f->arg, &list);
	hosts_free(f->hosts);
	free(f);
}

static void
go_on(struct find *f)
{
	ask_all(f);
	if (hosts_done(f->hosts))
		finish(f);
}

struct find *
find_start(struct ask *ask, const struct conf *conf,
    const struct conf_action *action, const char *domain,
    void (*done)(void *, const struct hosts_list *), void *arg)
{
	return find_in(ask, conf, action, NULL, false, domain, done, arg);
}

struct find *
find_in(struct ask *ask, const struct conf *conf,
    const struct conf_action *action, const struct conf_pool *pool,
    bool lax, const char *domain,
    void (*done)(void *, const struct hosts_list *), void *arg)
{
	struct find	*f;

	if ((f = calloc(1, sizeof(*f))) == NULL ||
	    (f->hosts = hosts_new(conf, action, pool, domain,
	    rand_below)) == NULL)
		fatal("find");
	if (lax)
		hosts_lax(f->hosts);
	f->ask = ask;
	f->done = done;
	f->arg = arg;
	ask_all(f);
	if (!hosts_done(f->hosts))
		return f;
	finish(f);
	return NULL;
}

void
find_cancel(struct find *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->nslots; i++)
		ask_cancel(f->ask, f->slots[i].tid);
	hosts_free(f->hosts);
	free(f);
}
