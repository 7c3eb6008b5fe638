/*
 * See relaytest.h.
 */
#include "proxyd/relaytest.h"

#include <sys/queue.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "proxyd/verify_i.h"

struct relaytest {
	LIST_ENTRY(relaytest) entry;
	struct chan	*chan;		/* NULL: nobody wants to know */
	uint32_t	 tid;
	const struct conf_action *action;
	struct find	*find;
	size_t		 left;		/* servers that have not answered */
};

static const struct conf	*conf;
static struct ask		*ask;
static LIST_HEAD(, relaytest)	 tests = LIST_HEAD_INITIALIZER(tests);
static size_t			 ntests;

void
relaytest_init(struct proc *p, const struct conf *c, struct ask *a)
{
	(void)p;
	conf = c;
	ask = a;
}

static void
test_free(struct relaytest *t)
{
	find_cancel(t->find);
	LIST_REMOVE(t, entry);
	ntests--;
	free(t);
}

void
relaytest_gone(const struct chan *c)
{
	struct relaytest	*t, *next;

	LIST_FOREACH_SAFE(t, &tests, entry, next) {
		if (t->chan != c)
			continue;
		t->chan = NULL;
		if (t->left == 0)
			test_free(t);
	}
}

static void
over(struct relaytest *t, uint8_t state, const char *why)
{
	if (t->chan != NULL)
		CHAN_SEND(t->chan, p_relayed, .tid = t->tid, .state = state,
		    .reply = span_sub(span_str(why), 0, 300), .last = true);
	test_free(t);
}

/* One server has answered. */
static void
told(void *arg, uint8_t state, const char *reply, const char *server)
{
	struct relaytest	*t = arg;

	if (t->chan != NULL)
		CHAN_SEND(t->chan, p_relayed, .tid = t->tid, .state = state,
		    .reply = span_sub(span_str(reply), 0, 300),
		    .server = span_sub(span_str(server), 0, 300));
	if (--t->left == 0)
		over(t, V_NONE, NULL);
}

static bool
same_before(const struct hosts_list *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(&list->cand[i].addr, &list->cand[n].addr) &&
		    list->cand[i].addr.port == list->cand[n].addr.port)
			return true;
	return false;
}

static void
found(void *arg, const struct hosts_list *list)
{
	struct relaytest	*t = arg;

	t->find = NULL;
	if (list->n == 0) {
		over(t, V_LATER, list->text);
		return;
	}
	/* One more, so that it does not end before all have been asked. */
	t->left = 1;
	for (size_t i = 0; i < list->n; i++) {
		if (same_before(list, i))
			continue;
		t->left++;
		if (!verify_at(t->action, &list->cand[i], RELAYTEST_RCPT, told,
		    t))
			told(t, V_BUSY, "4.3.2 Too many questions", NULL);
	}
	if (--t->left == 0)
		over(t, V_NONE, NULL);
}

/* Real sessions speak for their clients, these can't: a yes to them says
 * nothing. */
static bool
speaks_for_clients(const struct conf_action *a)
{
	return a->identity != IDENTITY_NONE && a->identity != IDENTITY_HEADER;
}

void
relaytest_ask(struct chan *c, const void *msg, int fd)
{
	const struct ipc_p_relay	*m = msg;
	const struct conf_action	*a = conf_action_find(conf, m->action);
	const char			*why = NULL;
	struct relaytest		*t;
	struct find			*f;

	(void)fd;
	if (a == NULL || a->type != ACT_PROXY)
		why = "4.3.5 No such proxy action";
	else if (speaks_for_clients(a))
		why = "4.3.3 The server is told who the client is";
	else if (ntests >= RELAYTEST_MAX)
		why = "4.3.2 Too many tests";
	if (why != NULL) {
		/* The last, and only, word. */
		CHAN_SEND(c, p_relayed, .tid = m->tid, .state = V_LATER,
		    .reply = span_str(why), .last = true);
		return;
	}
	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal("relaytest");
	*t = (struct relaytest){ .chan = c, .tid = m->tid, .action = a };
	LIST_INSERT_HEAD(&tests, t, entry);
	ntests++;
	/* NULL: all was known, and it may be over already. */
	if ((f = find_start(ask, conf, a, "", found, t)) != NULL)
		t->find = f;
}
