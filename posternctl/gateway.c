/*
 * Commands that change how the gateway runs: pause and resume, reload, check,
 * the log's level.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "posternctl/print.h"
#include "posternctl/relays.h"
#include "posternctl/words.h"

static void
say_row(const struct row *row, void *arg)
{
	const struct call	*call = arg;

	if (call->json)
		print_json(row);
	else
		print_fields(row);
}

static int
tell(const struct call *call, const char *title, const char *verb)
{
	struct answer	 a = { say_row, NULL, (void *)(uintptr_t)call };

	return ask(call->dir, title, verb, call->argc, call->argv, &a,
	    call->quiet);
}

static int
run_reload(const struct call *call)
{
	return tell(call, "postern", "reload");
}

static int
run_check(const struct call *call)
{
	struct call	 whole = *call;
	int		 st;

	if (call->argc == 0 || strcmp(call->argv[0], "--live") != 0)
		return tell(call, "postern", "check");
	whole.argc = 0;
	st = tell(&whole, "postern", "check");
	return st != 0 ? st : relays_test(&whole);
}

static int
run_level(const struct call *call)
{
	return tell(call, "postern", "log level");
}

static int
run_pause_mta(const struct call *call)
{
	return tell(call, "queued", "pause mta");
}

static int
run_resume_mta(const struct call *call)
{
	return tell(call, "queued", "resume mta");
}

static int
run_pause_destination(const struct call *call)
{
	return tell(call, "queued", "pause destination");
}

static int
run_resume_destination(const struct call *call)
{
	return tell(call, "queued", "resume destination");
}

static int
run_pause_listener(const struct call *call)
{
	return tell(call, "postern", "pause listener");
}

static int
run_resume_listener(const struct call *call)
{
	return tell(call, "postern", "resume listener");
}

static int
run_fallback(const struct call *call)
{
	return tell(call, "postern", "fallback");
}

const struct command commands_gateway[] = {
	{ "pause mta", "", "no deliveries; running ones end", 0, 0,
	    run_pause_mta },
	{ "resume mta", "", "deliver again", 0, 0, run_resume_mta },
	{ "pause destination", "NAME", "none to this action, server or domain",
	    1, 1, run_pause_destination },
	{ "resume destination", "NAME", "deliver there again", 1, 1,
	    run_resume_destination },
	{ "pause listener", "ADDRESS", "accept no new sessions there", 1, 1,
	    run_pause_listener },
	{ "resume listener", "ADDRESS", "accept again", 1, 1,
	    run_resume_listener },
	{ "fallback", "ACTION on|off", "a proxied action by the queue", 2, 2,
	    run_fallback },
	{ "reload", "", "read the configuration again, all or nothing", 0, 0,
	    run_reload },
	{ "check", "[FILE|--live]", "what reload would say", 0, 1, run_check },
	{ "log level", "[warn|info|debug]", "show or set it", 0, 1, run_level },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
