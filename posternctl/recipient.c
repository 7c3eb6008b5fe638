/*
 * Commands about recipients that servers were asked for: what is known of one,
 * and to forget it.
 */
#include <stdio.h>
#include <sysexits.h>

#include "posternctl/print.h"
#include "posternctl/words.h"

struct shown {
	const struct call	*call;
	unsigned		 n;
};

static void
show_row(const struct row *row, void *arg)
{
	struct shown	*s = arg;

	if (s->call->json)
		print_json(row);
	else {
		if (s->n++ > 0)
			putchar('\n');
		print_fields(row);
	}
}

static int
recipient_ask(const struct call *call, const char *verb)
{
	struct shown	 s = { call, 0 };
	struct answer	 a = { show_row, NULL, &s };

	return ask(call->dir, "queued", verb, call->argc, call->argv, &a,
	    call->quiet);
}

static int
run_show(const struct call *call)
{
	return recipient_ask(call, "recipient show");
}

static int
run_forget(const struct call *call)
{
	return recipient_ask(call, "recipient forget");
}

const struct command commands_recipient[] = {
	{ "recipient show", "ADDRESS", "what servers said of it", 1, 1,
	    run_show },
	{ "recipient forget", "ADDRESS | @DOMAIN", "ask anew", 1, 1,
	    run_forget },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
