/*
 * "mirror": how the second servers compare, over all workers of smtpd: sums for
 * each action and command, then the last differences in their order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "posternctl/print.h"
#include "posternctl/words.h"

#define SHOWN	100	/* differences */

static const struct column compared_columns[] = {
	{ "action", "ACTION", CELL_TEXT, 16 },
	{ "mirror", "MIRROR", CELL_TEXT, 16 },
	{ "what", "WHAT", CELL_TEXT, 8 },
	{ "commands", "COMMANDS", CELL_NUM, 10 },
	{ "same", "SAME", CELL_NUM, 10 },
	{ "differ", "DIFFER", CELL_NUM, 0 },
	{ NULL, NULL, 0, 0 }
};

/* The numbers of one row, added up, in the order of its keys. */
enum { N_A, N_B, N_C, N_D, N_MAX };
static const char *const action_keys[N_MAX] = { "sessions", "skipped",
    "failed", "gave_up" };
static const char *const compared_keys[N_MAX] = { "commands", "same",
    "differ", NULL };

struct sum {
	char		*action, *mirror, *what;	/* what "": the action's */
	size_t		 order;		/* as they came */
	int64_t		 n[N_MAX];
};
struct difference {
	int64_t		 time_ms;
	size_t		 order;		/* as they came */
	struct row	 row;
	uint8_t		*fields;	/* of it */
};
struct gathered {
	const struct call *call;
	struct sum	*sums;
	size_t		 nsums;
	struct difference *diffs;
	size_t		 ndiffs;
	int		 status;
};

static void *
grown(void *v, size_t n, size_t size)
{
	if ((v = reallocarray(v, n + 1, size)) == NULL) {
		fprintf(stderr, "posternctl: out of memory\n");
		exit(EX_OSERR);
	}
	return v;
}

static void
add(struct gathered *g, const struct row *row, const char *const *keys)
{
	struct span	 action = row_get(row, "action");
	struct span	 what = row_get(row, "what");
	struct sum	*s = g->sums, *end = g->sums + g->nsums;

	while (s < end && (!span_is(action, s->action) ||
	    !span_is(what, s->what)))
		s++;
	if (s == end) {
		g->sums = grown(g->sums, g->nsums, sizeof(*s));
		s = &g->sums[g->nsums++];
		memset(s, 0, sizeof(*s));
		s->order = g->nsums;
		s->action = span_dup(action);
		s->mirror = span_dup(row_get(row, "mirror"));
		s->what = span_dup(what);
		if (s->action == NULL || s->mirror == NULL || s->what == NULL)
			exit(EX_OSERR);
	}
	for (size_t i = 0; i < N_MAX && keys[i] != NULL; i++)
		s->n[i] += row_num(row, keys[i]);
}

static void
gather_row(const struct row *row, void *arg)
{
	struct gathered	*g = arg;
	struct difference *d;

	if (g->call->json) {
		print_json(row);
	} else if (strcmp(row->kind, "mirror") == 0) {
		add(g, row, action_keys);
	} else if (strcmp(row->kind, "compared") == 0) {
		add(g, row, compared_keys);
	} else if (strcmp(row->kind, "difference") == 0) {
		g->diffs = grown(g->diffs, g->ndiffs, sizeof(*d));
		d = &g->diffs[g->ndiffs];
		d->time_ms = row_num(row, "time_ms");
		d->order = g->ndiffs++;
		d->row.kind = "difference";
		d->fields = grown(NULL, row->fields.len, 1);
		memcpy(d->fields, row->fields.p, row->fields.len);
		d->row.fields = span(d->fields, row->fields.len);
	}
}

static void
gather(const char *title, void *arg)
{
	struct gathered	*g = arg;
	struct answer	 a = { gather_row, NULL, g };
	int		 st;

	st = ask(g->call->dir, title, "mirror", g->call->argc, g->call->argv,
	    &a, g->call->quiet);
	if (st != 0 && g->status == 0)
		g->status = st;
}

static int
by_time(const void *a, const void *b)
{
	const struct difference	*x = a, *y = b;

	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int
by_name(const void *a, const void *b)
{
	const struct sum	*x = a, *y = b;

	int			 by = strcmp(x->action, y->action);

	return by != 0 ? by : x->order < y->order ? -1 : x->order > y->order;
}

static void
print_sums(const struct gathered *g)
{
	const struct column	*c = compared_columns;
	const struct sum	*s;
	bool			 headed = false;

	for (s = g->sums; s < g->sums + g->nsums; s++) {
		if (s->what[0] == '\0')
			continue;
		if (!headed)
			print_head(c);
		headed = true;
		printf("%-*s  %-*s  %-*s  %-*lld  %-*lld  %lld\n", c[0].width,
		    s->action, c[1].width, s->mirror, c[2].width, s->what,
		    c[3].width, (long long)s->n[N_A], c[4].width,
		    (long long)s->n[N_B], (long long)s->n[N_C]);
	}
	for (s = g->sums; s < g->sums + g->nsums; s++)
		if (s->what[0] == '\0')
			printf("%s: %lld sessions mirrored to %s, %lld of them "
			    "failed, %lld given up; %lld were too many\n",
			    s->action, (long long)s->n[N_A], s->mirror,
			    (long long)s->n[N_C], (long long)s->n[N_D],
			    (long long)s->n[N_B]);
}

static void
print_difference(const struct row *row)
{
	static const struct column	 when[] = {
		{ "time_ms", "TIME", CELL_AGO, 16 }, { NULL, NULL, 0, 0 }
	};

	putchar('\n');
	print_row(when, row);
	printf("    ");
	print_safe(row_get(row, "what"));
	printf(" <");
	print_safe(row_get(row, "arg"));
	printf("> session ");
	print_safe(row_get(row, "session"));
	printf("\n    ");
	print_safe(row_get(row, "server"));
	printf(": ");
	print_safe(row_get(row, "reply"));
	printf("\n    ");
	print_safe(row_get(row, "mirror"));
	printf(": ");
	print_safe(row_get(row, "mirror_reply"));
	putchar('\n');
}

static void
clear(struct gathered *g)
{
	for (size_t i = 0; i < g->nsums; i++) {
		free(g->sums[i].action);
		free(g->sums[i].mirror);
		free(g->sums[i].what);
	}
	for (size_t i = 0; i < g->ndiffs; i++)
		free(g->diffs[i].fields);
	free(g->sums);
	free(g->diffs);
}

static int
run_mirror(const struct call *call)
{
	struct gathered	 g = { .call = call };
	size_t		 i = 0;
	int		 n = ask_each(call->dir, "smtpd", gather, &g);

	if (n == -1) {
		fprintf(stderr, "posternctl: %s: %s\n", call->dir,
		    strerror(errno));
		return errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
	}
	if (n == 0) {
		fprintf(stderr, "posternctl: no smtpd in %s; is postern(8) "
		    "running?\n", call->dir);
		return EX_UNAVAILABLE;
	}
	if (g.nsums > 0)
		qsort(g.sums, g.nsums, sizeof(*g.sums), by_name);
	print_sums(&g);
	if (g.ndiffs > 0)
		qsort(g.diffs, g.ndiffs, sizeof(*g.diffs), by_time);
	if (g.ndiffs > SHOWN)
		i = g.ndiffs - SHOWN;
	for (; i < g.ndiffs; i++)
		print_difference(&g.diffs[i].row);
	clear(&g);
	return g.status;
}

const struct command commands_mirror[] = {
	{ "mirror", "[ACTION]", "how the second servers' answers differ", 0, 1,
	    run_mirror },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
