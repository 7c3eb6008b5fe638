/*
 * A server against the client machine: a session with everything pipelined; it
 * ends or goes on, and never answers more than was asked.
 */
#include <stdlib.h>

#include "common/smtp/client.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
ask(struct smtp_client *c)
{
	struct smtp_mail_params	 mp = { .size_set = true, .size = 5,
				    .utf8 = true };

	(void)smtp_client_mail(c, span_str("a@b.c"), &mp);
	(void)smtp_client_rcpt(c, span_str("d@e.f"), NULL, 7);
	(void)smtp_client_auth(c, span_str("PLAIN"), false, span_str(""));
	(void)smtp_client_data(c);
	(void)smtp_client_simple(c, STEP_RSET);
	(void)smtp_client_starttls(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_client_event ev;
	struct smtp_client	*c;
	struct span		 in = span(data, size);
	struct buf		 out;
	const char		*why;
	size_t			 before;

	buf_init(&out, 4096);
	if ((c = smtp_client_new(&out)) == NULL)
		return 0;
	(void)smtp_client_ehlo(c, span_str("me.example"), true);
	for (;;) {
		before = smtp_client_pending(c);
		if (smtp_client_feed(c, &in, &ev, &why) != PARSE_OK)
			break;
		if (smtp_client_pending(c) + 1 != before || ev.code < 200)
			abort();
		if (ev.code == 354 && !smtp_client_dot(c) &&
		    ev.step == STEP_DATA)
			abort();
		(void)smtp_client_auth_line(c, span_str("*"));
		if (ev.step == STEP_EHLO)
			ask(c);
		buf_drain(&out, buf_len(&out) / 2);
	}
	smtp_client_free(c);
	buf_clear(&out);
	return 0;
}
