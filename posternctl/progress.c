/*
 * Progress on standard error: see progress.h.
 */
#include <stdio.h>
#include <unistd.h>

#include "posternctl/progress.h"

#include "common/base/clock.h"
#include "common/ipc/ctl.h"

#define LINES_MS	1000	/* between lines that stay */

/* "hold: 352256 of 1000000, 35%, changed 352256" */
static void
progress_text(const struct progress *p, const struct row *row)
{
	struct span	 in = row->fields, k, v;
	int64_t		 looked = row_num(row, "looked");
	int64_t		 total = row_num(row, "total");
	bool		 number;

	if (total < looked)
		total = looked;
	fprintf(stderr, "%s: %lld of %lld, %d%%", p->what, (long long)looked,
	    (long long)total, total == 0 ? 100 :
	    (int)(100.0 * (double)looked / (double)total));
	while (ctl_pair(&in, &k, &v, &number))
		if (!span_is(k, "looked") && !span_is(k, "total"))
			fprintf(stderr, ", %.*s %.*s", (int)k.len,
			    (const char *)k.p, (int)v.len, (const char *)v.p);
}

void
progress_row(struct progress *p, const struct row *row)
{
	int64_t	 now = clock_mono().ms;

	if (isatty(STDERR_FILENO)) {
		fputs("\r", stderr);
		progress_text(p, row);
		fputs("\033[K", stderr);
		fflush(stderr);
		p->open = true;
	} else if (p->call->progress && now - p->told_ms >= LINES_MS) {
		p->told_ms = now;
		progress_text(p, row);
		fputc('\n', stderr);
	}
}

void
progress_end(struct progress *p)
{
	if (p->open)
		fputs("\r\033[K", stderr);
	p->open = false;
}
