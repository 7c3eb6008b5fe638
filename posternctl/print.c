/*
 * Tables and JSON lines on standard output: see print.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "posternctl/print.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/ipc/ctl.h"

void
print_safe(struct span s)
{
	bool	 text = utf8_valid(s);

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (c < 0x20 || c == 0x7f || (c > 0x7f && !text))
			printf("\\x%02X", c);
		else
			putchar(c);
	}
}

void
print_json_string(struct span s)
{
	struct buf	b;

	/* No byte becomes more than six. */
	buf_init(&b, 6 * s.len + 2);
	if (json_string(&b, s))
		fwrite(buf_content(&b).p, 1, buf_len(&b), stdout);
	buf_clear(&b);
}

void
print_json(const struct row *row)
{
	struct span	 in = row->fields, k, v;
	bool		 number;

	printf("{\"kind\":");
	print_json_string(span_str(row->kind));
	while (ctl_pair(&in, &k, &v, &number)) {
		putchar(',');
		print_json_string(k);
		putchar(':');
		if (number)
			printf("%.*s", (int)v.len, (const char *)v.p);
		else
			print_json_string(v);
	}
	printf("}\n");
}

void
print_head(const struct column *c)
{
	for (; c->key != NULL; c++)
		printf("%-*s%s", c[1].key == NULL ? 0 : c->width, c->head,
		    c[1].key == NULL ? "\n" : "  ");
}

static void
size_text(int64_t n, char *dst, size_t size)
{
	static const char	*units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double			 v = (double)n;
	size_t			 u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(dst, size, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v,
	    units[u]);
}

/* A moment (unix ms) in the local zone with its distance: "10:31:07 (3m)". */
static void
moment_text(int64_t ms, char *dst, size_t size)
{
	char		 when[32], dist[32];
	int64_t		 now = clock_wall().ms, d;
	time_t		 t = (time_t)(ms / 1000);
	struct tm	 tm;

	if (ms <= 0) {
		snprintf(dst, size, "-");
		return;
	}
	d = ms > now ? ms - now : now - ms;
	localtime_r(&t, &tm);
	strftime(when, sizeof(when), d < 86400000 ? "%H:%M:%S" :
	    "%Y-%m-%d %H:%M", &tm);
	clock_format_duration(d - d % 1000, dist, sizeof(dist));
	snprintf(dst, size, ms > now ? "%s (in %s)" : "%s (%s)", when, dist);
}

static void
cell_text(enum cell cell, struct span v, int64_t n, char *dst, size_t size)
{
	switch (cell) {
	case CELL_SIZE:
		size_text(n, dst, size);
		break;
	case CELL_AGO:
	case CELL_IN:
		moment_text(n, dst, size);
		break;
	case CELL_SECONDS:
		clock_format_duration(n * 1000, dst, size);
		break;
	case CELL_NUM:
		snprintf(dst, size, "%" PRId64, n);
		break;
	case CELL_TEXT:
		snprintf(dst, size, "%.*s", v.len > 200 ? 200 : (int)v.len,
		    v.len == 0 ? "" : (const char *)v.p);
		break;
	}
}

void
print_row(const struct column *c, const struct row *row)
{
	char	 text[256];

	for (; c->key != NULL; c++) {
		bool	 last = c[1].key == NULL;
		int	 pad;

		cell_text(c->cell, row_get(row, c->key), row_num(row, c->key),
		    text, sizeof(text));
		print_safe(span_str(text));
		if (last)
			break;
		pad = c->width - (int)strlen(text);
		printf("%*s  ", pad > 0 ? pad : 0, "");
	}
	putchar('\n');
}

/* Fields that hold a time or a size by their name. */
static enum cell
cell_of(struct span key)
{
	if (span_caseends(key, span_str("_ms")))
		return CELL_AGO;
	if (span_caseends(key, span_str("_s")))
		return CELL_SECONDS;
	if (span_is(key, "size") || span_is(key, "bytes") ||
	    span_caseends(key, span_str("_bytes")))
		return CELL_SIZE;
	return CELL_TEXT;
}

void
print_fields(const struct row *row)
{
	struct span	 in = row->fields, k, v;
	char		 text[256];
	enum cell	 cell;
	bool		 number;

	while (ctl_pair(&in, &k, &v, &number)) {
		cell = number ? cell_of(k) : CELL_TEXT;
		if (cell == CELL_AGO || cell == CELL_SECONDS)
			k.len -= cell == CELL_AGO ? 3 : 2;
		printf("%*s", 14 - (int)(k.len > 14 ? 14 : k.len), "");
		print_safe(k);
		printf(": ");
		if (cell == CELL_TEXT)
			print_safe(v);
		else {
			cell_text(cell, v, value_num(v), text,
			    sizeof(text));
			fputs(text, stdout);
		}
		putchar('\n');
	}
}
