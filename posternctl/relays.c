/*
 * Each worker of smtpd tests for itself; what two of them say alike is shown
 * once.
 */
#include "posternctl/relays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "posternctl/print.h"

#define WAIT_S		90	/* for all tests */
#define SEEN_MAX	1000

static const struct column columns[] = {
	{ "action", "ACTION", CELL_TEXT, 16 },
	{ "server", "SERVER", CELL_TEXT, 36 },
	{ "result", "RELAY", CELL_TEXT, 8 },
	{ "reply", "REPLY", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

struct relays {
	const struct call *call;
	char		 *word;		/* of the request */
	int		  nwords;
	bool		  show, only_open;
	bool		  testing, open, unknown, headed;
	char		 *seen[SEEN_MAX];
	size_t		  nseen;
	int		  status;
};

/* Has another worker said the same? */
static bool
said_before(struct relays *r, const struct row *row)
{
	struct span	a = row_get(row, "action"), s = row_get(row, "server"),
			res = row_get(row, "result");
	char		line[1000];

	snprintf(line, sizeof(line), "%.*s %.*s %.*s", (int)a.len,
	    (const char *)a.p, (int)s.len, (const char *)s.p, (int)res.len,
	    (const char *)res.p);
	for (size_t i = 0; i < r->nseen; i++)
		if (strcmp(r->seen[i], line) == 0)
			return true;
	if (r->nseen < SEEN_MAX && (r->seen[r->nseen] = strdup(line)) != NULL)
		r->nseen++;
	return false;
}

static void
on_row(const struct row *row, void *arg)
{
	struct relays	*r = arg;
	struct span	 result = row_get(row, "result");
	/* The action's own row has none; it tells when there is no other. */
	bool		 whole = row_get(row, "server").len == 0;

	if (strcmp(row->kind, "relay") != 0)
		return;
	r->testing = r->testing || row_num(row, "testing") != 0;
	r->open = r->open || span_is(result, "open");
	r->unknown = r->unknown || span_is(result, "unknown");
	if (!r->show || (whole && !span_is(result, "unknown")) ||
	    (r->only_open && !span_is(result, "open")) || said_before(r, row))
		return;
	if (r->call->json) {
		print_json(row);
		return;
	}
	if (!r->headed)
		print_head(columns);
	r->headed = true;
	print_row(columns, row);
}

static void
ask_one(const char *title, void *arg)
{
	struct relays	*r = arg;
	struct answer	 a = { on_row, NULL, r };
	int		 st;

	st = ask(r->call->dir, title, "relays", r->nwords, &r->word, &a,
	    r->call->quiet);
	if (st != 0 && r->status == 0)
		r->status = st;
}

static int
ask_all(struct relays *r)
{
	r->testing = r->open = r->unknown = false;
	if (ask_each(r->call->dir, "smtpd", ask_one, r) < 0)
		return EX_UNAVAILABLE;
	return r->status;
}

static void
forget(struct relays *r)
{
	while (r->nseen > 0)
		free(r->seen[--r->nseen]);
}

int
relays_show(const struct call *call)
{
	struct relays	r = { .call = call, .show = true, .only_open = true };
	int		st = ask_all(&r);

	forget(&r);
	return st;
}

int
relays_test(const struct call *call)
{
	static char		 start[] = "start";
	const struct timespec	 ts = { 0, 200000000 };
	struct relays		 r = { .call = call, .word = start,
				    .nwords = 1 };
	int			 st = ask_all(&r);

	r.nwords = 0;
	for (int i = 0; st == 0 && r.testing && i < WAIT_S * 5; i++) {
		nanosleep(&ts, NULL);
		st = ask_all(&r);
	}
	r.show = true;
	if (st == 0)
		st = ask_all(&r);
	forget(&r);
	return st != 0 ? st : r.open ? EX_DATAERR : r.unknown || r.testing ?
	    EX_TEMPFAIL : 0;
}
