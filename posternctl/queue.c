/*
 * Commands about the queue: its list, and changes by a filter. A change says
 * how many messages it touches and asks first; without a terminal and without
 * -y nothing is done.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/print.h"
#include "posternctl/progress.h"
#include "posternctl/words.h"

static const struct column queue_columns[] = {
	{ "id", "ID", CELL_TEXT, 13 },
	{ "state", "STATE", CELL_TEXT, 8 },
	{ "size", "SIZE", CELL_SIZE, 8 },
	{ "received_ms", "RECEIVED", CELL_AGO, 16 },
	{ "next_ms", "NEXT", CELL_IN, 18 },
	{ "from", "FROM", CELL_TEXT, 24 },
	{ "to", "TO", CELL_TEXT, 24 },
	{ "reason", "LAST REPLY", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};
static const struct column route_columns[] = {
	{ "id", "ID", CELL_TEXT, 13 },
	{ "to", "TO", CELL_TEXT, 28 },
	{ "action", "ACTION", CELL_TEXT, 16 },
	{ "new", "NEW", CELL_TEXT, 16 },
	{ "why", "WHY NOT", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

struct listing {
	const struct call	*call;
	struct progress		 progress;
	bool			 headed;
};

static void
list_row(const struct row *row, void *arg)
{
	struct listing	*l = arg;
	const struct column *columns;

	if (strcmp(row->kind, "progress") == 0) {
		progress_row(&l->progress, row);
		return;
	}
	progress_end(&l->progress);
	if (l->call->json) {
		print_json(row);
		return;
	}
	if (strcmp(row->kind, "queued") == 0)
		columns = queue_columns;
	else if (strcmp(row->kind, "route") == 0)
		columns = route_columns;
	else {
		print_fields(row);
		return;
	}
	if (!l->headed)
		print_head(columns);
	l->headed = true;
	print_row(columns, row);
}

static int
queue_ask(const struct call *call, const char *verb)
{
	struct listing	 l = { call, { call, verb, 0, false }, false };
	struct answer	 a = { list_row, NULL, &l };
	int		 st;

	st = ask(call->dir, "queued", verb, call->argc, call->argv, &a,
	    call->quiet);
	progress_end(&l.progress);
	return st;
}

static int
run_list(const struct call *call)
{
	return queue_ask(call, "queue list");
}

static int
run_stats(const struct call *call)
{
	return queue_ask(call, "queue stats");
}

struct counting {
	struct progress	 progress;
	int64_t		 n;
};

static void
count_row(const struct row *row, void *arg)
{
	struct counting	*x = arg;

	if (strcmp(row->kind, "progress") == 0)
		progress_row(&x->progress, row);
	else
		x->n = row_num(row, "messages");
}

/* True if the person at the terminal, or -y, wants it. */
static bool
confirmed(const struct call *call, const char *what, int64_t n)
{
	char	 line[16];

	if (call->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr, "posternctl: would %s %lld message%s; nothing "
		    "was done, give -y to do it\n", what, (long long)n,
		    n == 1 ? "" : "s");
		return false;
	}
	fprintf(stderr, "%s %lld message%s? [y/N] ", what, (long long)n,
	    n == 1 ? "" : "s");
	return fgets(line, sizeof(line), stdin) != NULL &&
	    (line[0] == 'y' || line[0] == 'Y');
}

static int
change(const struct call *call, const char *verb)
{
	struct counting	 x = { { call, "count", 0, false }, 0 };
	struct answer	 a = { count_row, NULL, &x };
	int		 st;

	st = ask(call->dir, "queued", "queue count", call->argc, call->argv,
	    &a, true);
	progress_end(&x.progress);
	if (st != 0)
		return st;
	if (x.n == 0) {
		fprintf(stderr, "posternctl: no message fits\n");
		return EX_DATAERR;
	}
	if (!confirmed(call, verb, x.n))
		return EX_USAGE;
	return queue_ask(call, verb);
}

static int
run_schedule(const struct call *call)
{
	return change(call, "schedule");
}

static int
run_hold(const struct call *call)
{
	return change(call, "hold");
}

static int
run_release(const struct call *call)
{
	return change(call, "release");
}

static int
run_remove(const struct call *call)
{
	return change(call, "remove");
}

static int
run_bounce(const struct call *call)
{
	return change(call, "bounce");
}

static int
run_reroute(const struct call *call)
{
	struct call	 rest = *call;

	if (strcmp(call->argv[0], "-n") != 0)
		return change(call, "reroute");
	rest.argc--;
	rest.argv++;
	return queue_ask(&rest, "reroute try");
}

const struct command commands_queue[] = {
	{ "queue list", "[FILTER ...]", "messages that wait", 0, -1, run_list },
	{ "queue stats", "", "how many, how much, since when", 0, 0,
	    run_stats },
	{ "queue", "", "the same as queue list", 0, -1, run_list },
	{ "schedule", "FILTER ...", "try again now", 1, -1, run_schedule },
	{ "hold", "FILTER ...", "no attempts until released", 1, -1, run_hold },
	{ "release", "FILTER ...", "end a hold", 1, -1, run_release },
	{ "remove", "FILTER ...", "delete without a bounce", 1, -1,
	    run_remove },
	{ "bounce", "FILTER ...", "return to the senders now", 1, -1,
	    run_bounce },
	{ "reroute", "[-n] FILTER ...", "run the rules again", 1, -1,
	    run_reroute },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
