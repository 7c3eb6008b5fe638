/*
 * Commands about the queue and its messages. A change says how many messages
 * it touches and asks first; without a terminal and without -y nothing is done.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/print.h"
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
static const struct column rcpt_columns[] = {
	{ "to", "RECIPIENT", CELL_TEXT, 28 },
	{ "state", "STATE", CELL_TEXT, 9 },
	{ "action", "ACTION", CELL_TEXT, 12 },
	{ "attempts", "ATTEMPTS", CELL_NUM, 8 },
	{ "next_ms", "NEXT", CELL_IN, 18 },
	{ "reason", "LAST REPLY", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

struct listing {
	const struct call	*call;
	const struct column	*columns;
	bool			 headed;
	uint64_t		 count;
};

static void
list_row(const struct row *row, void *arg)
{
	struct listing	*l = arg;

	l->count++;
	if (l->call->json) {
		print_json(row);
		return;
	}
	if (strcmp(row->kind, "recipient") == 0)
		l->columns = rcpt_columns;
	else if (strcmp(row->kind, "queued") == 0)
		l->columns = queue_columns;
	else {
		print_fields(row);
		return;
	}
	if (!l->headed)
		print_head(l->columns);
	l->headed = true;
	print_row(l->columns, row);
}

static void
raw_data(struct span bytes, void *arg)
{
	(void)arg;
	/* To a terminal bytes of strangers go harmless, else as they are. */
	if (!isatty(STDOUT_FILENO)) {
		fwrite(bytes.p, 1, bytes.len, stdout);
		return;
	}
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t	 c = bytes.p[i];

		if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f))
			putchar(c);
		else if (c != '\r')
			printf("\\x%02X", c);
	}
}

static int
queue_ask(const struct call *call, const char *verb)
{
	struct listing	 l = { call, NULL, false, 0 };
	struct answer	 a = { list_row, raw_data, &l };

	return ask(call->dir, "queued", verb, call->argc, call->argv, &a,
	    call->quiet);
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

static int
run_show(const struct call *call)
{
	return queue_ask(call, "message show");
}

static int
run_headers(const struct call *call)
{
	return queue_ask(call, "message headers");
}

static int
run_content(const struct call *call)
{
	return queue_ask(call, "message content");
}

static void
count_row(const struct row *row, void *arg)
{
	*(int64_t *)arg = row_num(row, "messages");
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
	int64_t		 n = 0;
	struct answer	 a = { count_row, NULL, &n };
	int		 st;

	st = ask(call->dir, "queued", "queue count", call->argc, call->argv,
	    &a, true);
	if (st != 0)
		return st;
	if (n == 0) {
		fprintf(stderr, "posternctl: no message fits\n");
		return EX_DATAERR;
	}
	if (!confirmed(call, verb, n))
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

const struct command commands_queue[] = {
	{ "queue list", "[FILTER ...]", "messages that wait", 0, -1, run_list },
	{ "queue stats", "", "how many, how much, since when", 0, 0,
	    run_stats },
	{ "queue", "", "the same as queue list", 0, -1, run_list },
	{ "message show", "ID", "envelope, recipients, last replies", 1, 1,
	    run_show },
	{ "message headers", "ID", "its header fields", 1, 1, run_headers },
	{ "message content", "ID", "the message as received", 1, 1,
	    run_content },
	{ "schedule", "FILTER ...", "try again now", 1, -1, run_schedule },
	{ "hold", "FILTER ...", "no attempts until released", 1, -1, run_hold },
	{ "release", "FILTER ...", "end a hold", 1, -1, run_release },
	{ "remove", "FILTER ...", "delete without a bounce", 1, -1,
	    run_remove },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
