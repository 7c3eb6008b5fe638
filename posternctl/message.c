/*
 * Commands that read one message: its envelope, its header, its content. With
 * -j the bytes of strangers become JSON that holds each of them: see
 * posternctl(8).
 */
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/print.h"
#include "posternctl/words.h"

#include "common/base/enc.h"
#include "common/base/utf8.h"

#define FIELD_MAX	(64 << 20)	/* bytes of one header field */

static const struct column rcpt_columns[] = {
	{ "to", "RECIPIENT", CELL_TEXT, 28 },
	{ "state", "STATE", CELL_TEXT, 9 },
	{ "action", "ACTION", CELL_TEXT, 12 },
	{ "attempts", "ATTEMPTS", CELL_NUM, 8 },
	{ "last_ms", "LAST", CELL_AGO, 16 },
	{ "next_ms", "NEXT", CELL_IN, 18 },
	{ "server", "SERVER", CELL_TEXT, 20 },
	{ "notify", "NOTIFY", CELL_TEXT, 8 },
	{ "orcpt", "ORCPT", CELL_TEXT, 12 },
	{ "reason", "LAST REPLY", CELL_TEXT, 0 },
	{ NULL, NULL, 0, 0 }
};

struct showing {
	const struct call	*call;
	bool			 headed;
};

static void
show_row(const struct row *row, void *arg)
{
	struct showing	*s = arg;

	if (s->call->json)
		print_json(row);
	else if (span_is(span_str(row->kind), "recipient")) {
		if (!s->headed)
			print_head(rcpt_columns);
		s->headed = true;
		print_row(rcpt_columns, row);
	} else
		print_fields(row);
}

static int
run_show(const struct call *call)
{
	struct showing	 s = { call, false };
	struct answer	 a = { show_row, NULL, &s };

	return ask(call->dir, "queued", "message show", call->argc,
	    call->argv, &a, call->quiet);
}

/* ---- as it is ---- */

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
raw(const struct call *call, const char *verb)
{
	struct answer	 a = { NULL, raw_data, NULL };

	return ask(call->dir, "queued", verb, call->argc, call->argv, &a,
	    call->quiet);
}

/* ---- the content as JSON: base64, which has room for any byte ---- */

struct coding {
	uint8_t		 rest[3];	/* bytes of a group not yet whole */
	size_t		 nrest;
	bool		 begun;
	const char	*id;
};

static void
coding_put(struct span bytes)
{
	struct buf	 b;

	buf_init(&b, 2 * bytes.len + 8);
	enc_base64(&b, bytes);
	fwrite(buf_content(&b).p, 1, buf_len(&b), stdout);
	buf_clear(&b);
}

static void
coding_begin(struct coding *x)
{
	if (x->begun)
		return;
	x->begun = true;
	printf("{\"kind\":\"content\",\"id\":");
	print_json_string(span_str(x->id));
	printf(",\"base64\":\"");
}

static void
coding_data(struct span bytes, void *arg)
{
	struct coding	*x = arg;
	size_t		 n;

	coding_begin(x);
	while (x->nrest > 0 && x->nrest < 3 && bytes.len > 0) {
		x->rest[x->nrest++] = bytes.p[0];
		span_skip(&bytes, 1);
	}
	if (x->nrest == 3) {
		coding_put(span(x->rest, 3));
		x->nrest = 0;
	}
	n = bytes.len / 3 * 3;
	if (n > 0)
		coding_put(span_sub(bytes, 0, n));
	for (; n < bytes.len; n++)
		x->rest[x->nrest++] = bytes.p[n];
}

static int
run_content(const struct call *call)
{
	struct coding	 x = { .id = call->argv[0] };
	struct answer	 a = { NULL, coding_data, &x };
	int		 st;

	if (!call->json)
		return raw(call, "message content");
	st = ask(call->dir, "queued", "message content", call->argc,
	    call->argv, &a, call->quiet);
	if (st != 0 && !x.begun)
		return st;
	coding_begin(&x);
	if (x.nrest > 0)
		coding_put(span(x.rest, x.nrest));
	printf("\",\"complete\":%s}\n", st == 0 ? "true" : "false");
	return st;
}

/* ---- the header as JSON: a field a line ---- */

struct fields {
	struct buf	 field;		/* the one being gathered */
	struct buf	 line;
};

static void
field_print(struct fields *f)
{
	struct span	 s = buf_content(&f->field), name, value;
	size_t		 colon = span_find(s, ':');

	if (s.len == 0)
		return;
	while (s.len > 0 && (s.p[s.len - 1] == '\n' || s.p[s.len - 1] == '\r'))
		s.len--;
	name = colon < s.len ? span_trim(span_sub(s, 0, colon)) :
	    span(NULL, 0);
	value = colon < s.len ? span_trim(span_sub(s, colon + 1, s.len)) : s;
	if (s.len > 0) {
		printf("{\"kind\":\"header\",\"name\":");
		print_json_string(name);
		printf(",\"value\":");
		print_json_string(value);
		if (!utf8_valid(value) || !utf8_valid(name)) {
			printf(",\"base64\":\"");
			coding_put(s);
			putchar('"');
		}
		printf("}\n");
	}
	buf_reset(&f->field);
}

static void
fields_line(struct fields *f)
{
	struct span	 s = buf_content(&f->line);

	if (s.len > 0 && s.p[0] != ' ' && s.p[0] != '\t')
		field_print(f);
	buf_span(&f->field, s);
	buf_reset(&f->line);
}

static void
fields_data(struct span bytes, void *arg)
{
	struct fields	*f = arg;

	while (bytes.len > 0) {
		size_t	 n = span_find(bytes, '\n');
		bool	 ends = n < bytes.len;

		buf_span(&f->line, span_sub(bytes, 0, n + ends));
		span_skip(&bytes, n + ends);
		if (ends)
			fields_line(f);
	}
}

static int
run_headers(const struct call *call)
{
	struct fields	 f;
	struct answer	 a = { NULL, fields_data, &f };
	int		 st;

	if (!call->json)
		return raw(call, "message headers");
	buf_init(&f.field, FIELD_MAX);
	buf_init(&f.line, FIELD_MAX);
	st = ask(call->dir, "queued", "message headers", call->argc,
	    call->argv, &a, call->quiet);
	fields_line(&f);
	field_print(&f);
	if (f.field.failed || f.line.failed) {
		fprintf(stderr, "posternctl: a field is too long\n");
		st = st != 0 ? st : EX_SOFTWARE;
	}
	buf_clear(&f.field);
	buf_clear(&f.line);
	return st;
}

/* ID [to ADDRESS] */
static int
run_resend(const struct call *call)
{
	struct showing	 s = { call, false };
	struct answer	 a = { show_row, NULL, &s };
	char		*words[2] = { call->argv[0], NULL };

	if (call->argc != 1 && (call->argc != 3 ||
	    strcmp(call->argv[1], "to") != 0)) {
		fprintf(stderr, "usage: posternctl message resend ID "
		    "[to ADDRESS]\n");
		return EX_USAGE;
	}
	words[1] = call->argc == 3 ? call->argv[2] : NULL;
	return ask(call->dir, "queued", "message resend", words[1] != NULL ?
	    2 : 1, words, &a, call->quiet);
}

const struct command commands_message[] = {
	{ "message show", "ID", "envelope, recipients, last replies", 1, 1,
	    run_show },
	{ "message headers", "ID", "its header fields", 1, 1, run_headers },
	{ "message content", "ID", "the message as received", 1, 1,
	    run_content },
	{ "message resend", "ID [to ADDRESS]", "send a kept one again", 1, 3,
	    run_resend },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
