/*
 * Commands that only look: what runs, who is connected, what a daemon counts,
 * what the resolver knows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "posternctl/print.h"
#include "posternctl/relays.h"
#include "posternctl/words.h"

#define STATUS_KEYD_S	2	/* that status waits for keyd */

static const struct column process_columns[] = {
	{ "title", "PROCESS", CELL_TEXT, 12 },
	{ "pid", "PID", CELL_NUM, 7 },
	{ "state", "STATE", CELL_TEXT, 8 },
	{ "uptime_s", "UP", CELL_SECONDS, 8 },
	{ "restarts", "RESTARTS", CELL_NUM, 8 },
	{ NULL, NULL, 0, 0 }
};
static const struct column session_columns[] = {
	{ "session", "SESSION", CELL_TEXT, 13 },
	{ "client", "CLIENT", CELL_TEXT, 22 },
	{ "listener", "LISTENER", CELL_TEXT, 20 },
	{ "phase", "PHASE", CELL_TEXT, 8 },
	{ "way", "WAY", CELL_TEXT, 7 },
	{ "since_ms", "SINCE", CELL_AGO, 16 },
	{ "from", "FROM", CELL_TEXT, 24 },
	{ "server", "SERVER", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

static const struct column host_columns[] = {
	{ "server", "SERVER", CELL_TEXT, 36 },
	{ "pool", "POOL", CELL_TEXT, 12 },
	{ "state", "STATE", CELL_TEXT, 8 },
	{ "failures", "FAILURES", CELL_NUM, 8 },
	{ "since_ms", "SINCE", CELL_AGO, 16 },
	{ "probe_ms", "PROBE", CELL_IN, 18 },
	{ "connections", "CONNS", CELL_NUM, 5 },
	{ "limit", "LIMIT", CELL_NUM, 5 },
	{ "delivered", "DELIVERED", CELL_NUM, 9 },
	{ "failed", "FAILED", CELL_NUM, 6 },
	{ "tls", "TLS", CELL_TEXT, 44 },
	{ "reason", "LAST FAILURE", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

/* Behind the hosts: what their domains ask for. */
static const struct column policy_columns[] = {
	{ "domain", "DOMAIN", CELL_TEXT, 36 },
	{ "mode", "MTA-STS", CELL_TEXT, 8 },
	{ "policy", "ID", CELL_TEXT, 20 },
	{ "until_ms", "EXPIRES", CELL_IN, 0 },
	{ NULL, NULL, 0, 0 }
};

static const struct column report_columns[] = {
	{ "domain", "DOMAIN", CELL_TEXT, 36 },
	{ "begin_ms", "FROM", CELL_AGO, 18 },
	{ "sessions", "SESSIONS", CELL_NUM, 8 },
	{ "failed", "FAILED", CELL_NUM, 8 },
	{ "due_ms", "REPORT", CELL_IN, 18 },
	{ "to", "TO", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

static const struct column pki_columns[] = {
	{ "name", "PKI", CELL_TEXT, 24 },
	{ "key", "KEY", CELL_TEXT, 12 },
	{ "not_after", "CERTIFICATE ENDS", CELL_TEXT, 20 },
	{ "state", "STATE", CELL_TEXT, 13 },
	{ "ocsp", "OCSP", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

struct table {
	const struct call	*call;
	const struct column	*columns;
	const char		*kind;		/* its rows in columns */
	const struct column	*headed;	/* of the last row */
	const char		*verb;
	int			 status;
	unsigned		 wait_s;
};

static void
table_row(const struct row *row, void *arg)
{
	struct table		*t = arg;
	const struct column	*columns = NULL;

	if (t->columns != NULL && strcmp(row->kind, t->kind) == 0)
		columns = t->columns;
	else if (strcmp(row->kind, "policy") == 0)
		columns = policy_columns;
	if (t->call->json) {
		print_json(row);
	} else if (columns != NULL) {
		if (t->headed != columns)
			print_head(columns);
		t->headed = columns;
		print_row(columns, row);
	} else
		print_fields(row);
}

static void
table_ask(const char *title, void *arg)
{
	struct table	*t = arg;
	struct answer	 a = { table_row, NULL, t, t->wait_s };
	int		 st;

	if (!t->call->json && t->columns == NULL)
		printf("%s\n", title);
	st = ask(t->call->dir, title, t->verb, t->call->argc, t->call->argv,
	    &a, t->call->quiet);
	if (st != 0 && t->status == 0)
		t->status = st;
}

static int
table_each(struct table *t, const char *name, bool needed)
{
	int	 n = ask_each(t->call->dir, name, table_ask, t);

	if (n == -1) {
		fprintf(stderr, "posternctl: %s: %s\n", t->call->dir,
		    strerror(errno));
		return errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
	}
	if (n == 0 && needed) {
		fprintf(stderr, "posternctl: no %s in %s; is postern(8) "
		    "running?\n", name, t->call->dir);
		return EX_UNAVAILABLE;
	}
	return t->status;
}

static int
run_status(const struct call *call)
{
	struct table	 t = { call, process_columns, "process", NULL,
			    "status", 0 };
	struct table	 q = { call, NULL, "", NULL, "queue stats", 0 };
	/* It may be what is wrong: the rest is seen all the same. */
	struct table	 k = { call, pki_columns, "pki", NULL, "expiring", 0,
			    STATUS_KEYD_S };
	struct answer	 a = { table_row, NULL, &t };
	int		 st;

	st = ask(call->dir, "postern", "status", 0, NULL, &a, call->quiet);
	if (st != 0)
		return st;
	a.arg = &q;
	st = ask(call->dir, "queued", "queue stats", 0, NULL, &a,
	    call->quiet);
	if (st != 0 || (st = relays_show(call)) != 0)
		return st;
	return table_each(&k, "keyd", false);
}

static int
run_sessions(const struct call *call)
{
	struct table	 t = { call, session_columns, "session", NULL,
			    "sessions", 0 };

	return table_each(&t, "smtpd", true);
}

static int
run_hosts(const struct call *call)
{
	struct table	 t = { call, host_columns, "host", NULL, "hosts", 0 };
	struct answer	 a = { table_row, NULL, &t };

	return ask(call->dir, "queued", t.verb, 0, NULL, &a, call->quiet);
}

static int
tlsrpt(const struct call *call, const char *verb)
{
	struct table	 t = { call, report_columns, "domain", NULL, verb,
			    0 };
	struct answer	 a = { table_row, NULL, &t };

	return ask(call->dir, "queued", verb, 0, NULL, &a, call->quiet);
}

static int
run_tlsrpt(const struct call *call)
{
	return tlsrpt(call, "tlsrpt");
}

static int
run_tlsrpt_send(const struct call *call)
{
	return tlsrpt(call, "tlsrpt send");
}

static int
run_stats(const struct call *call)
{
	static const char *const names[] = { "smtpd", "proxyd", "deliverd",
	    "lookupd", "keyd", "passwd", NULL };
	struct table	 t = { call, NULL, "", NULL, "stats", 0 };
	int		 st;

	for (size_t i = 0; names[i] != NULL; i++)
		if ((st = table_each(&t, names[i], false)) != 0)
			return st;
	return 0;
}

static int
run_listeners(const struct call *call)
{
	struct table	 t = { call, NULL, "", NULL, "listeners", 0 };
	struct answer	 a = { table_row, NULL, &t };

	return ask(call->dir, "postern", t.verb, 0, NULL, &a, call->quiet);
}

static int
dns(const struct call *call, const char *verb)
{
	struct table	 t = { call, NULL, "", NULL, verb, 0 };
	struct answer	 a = { table_row, NULL, &t };

	return ask(call->dir, "lookupd", verb, call->argc, call->argv, &a,
	    call->quiet);
}

static int
run_dns_query(const struct call *call)
{
	return dns(call, "dns query");
}

static int
run_dns_flush(const struct call *call)
{
	return dns(call, "dns flush");
}

static int
run_keys(const struct call *call)
{
	struct table	 t = { call, NULL, "", NULL, "check", 0 };
	struct answer	 a = { table_row, NULL, &t };

	return ask(call->dir, "keyd", "check", 0, NULL, &a, call->quiet);
}

static int
run_version(const struct call *call)
{
	(void)call;
	printf("postern %s\n", VERSION);
	return 0;
}

const struct command commands_show[] = {
	{ "status", "", "what runs, the queue, what is blocked", 0, 0,
	    run_status },
	{ "sessions", "", "who is connected, in which phase, which way", 0, 0,
	    run_sessions },
	{ "listeners", "", "where the gateway listens", 0, 0, run_listeners },
	{ "hosts", "", "servers that mail goes to, and whether they answer", 0,
	    0, run_hosts },
	{ "tlsrpt", "", "what is collected for reports of TLS to domains", 0,
	    0, run_tlsrpt },
	{ "tlsrpt send", "", "make these reports now", 0, 0,
	    run_tlsrpt_send },
	{ "stats", "", "counters of each daemon", 0, 0, run_stats },
	{ "dns query", "NAME TYPE", "what the gateway's resolver answers", 2, 2,
	    run_dns_query },
	{ "dns flush", "[NAME]", "forget what is cached", 0, 1, run_dns_flush },
	{ "keys", "", "keys and certificates as keyd holds them", 0, 0,
	    run_keys },
	{ "version", "", "the version", 0, 0, run_version },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
