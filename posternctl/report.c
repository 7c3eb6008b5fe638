/*
 * The letter to the sender of a message that was refused (-oem, -oee): what the
 * gateway said, and the message. It goes the same way, once, from the null
 * sender.
 */
#include <stdio.h>
#include <stdlib.h>

#include "posternctl/undelivered.h"

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "common/base/utf8.h"
#include "common/mime/date.h"

static void
put_head(struct buf *b, const struct undelivered *u, const char *mark)
{
	buf_fmt(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: %.*s\r\n", u->domain, (int)u->from.len,
	    (const char *)u->from.p);
	date_field(b, (time_t)(clock_wall().ms / 1000));
	buf_fmt(b, "Message-ID: <%s@%s>\r\n"
	    "Subject: Undelivered mail\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=\"%s\"\r\n",
	    mark, u->domain, mark);
}

static bool
put_piece(struct span s, void *arg)
{
	return spill_span(arg, s);
}

/* What was said to whom. */
static void
put_words(struct buf *b, const struct undelivered *u, const char *mark)
{
	buf_fmt(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
	    "This message could not be handed to the mail system:\r\n\r\n",
	    mark);
	for (size_t i = 0; i < u->s->nrcpts; i++) {
		const struct submit_rcpt *r = &u->s->rcpts[i];

		if (r->state == RCPT_REFUSED)
			buf_fmt(b, "  %s\r\n    %s\r\n", r->addr, r->reply);
	}
	buf_fmt(b, "\r\n--%s\r\nContent-Type: message/rfc822\r\n", mark);
	if (u->s->mail.body == BODY_8BITMIME)
		buf_str(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_str(b, "\r\n");
}

static bool
put_body(struct spill *b, const struct undelivered *u, const char *mark)
{
	struct buf	 words;
	bool		 ok;

	buf_init(&words, SIZE_MAX / 2);
	put_words(&words, u, mark);
	ok = !words.failed && spill_span(b, buf_content(&words)) &&
	    spill_span(b, u->head) && spill_str(b, "\r\n") &&
	    spill_each(u->body, put_piece, b) && spill_str(b, "\r\n--") &&
	    spill_str(b, mark) && spill_str(b, "--\r\n");
	buf_clear(&words);
	return ok;
}

bool
undelivered_mail(const struct undelivered *u)
{
	struct submit_rcpt	 to = { 0 };
	struct submission	 s = { .place = u->s->place,
	    .mail = { .body = BODY_8BITMIME, .utf8 = u->s->mail.utf8 },
	    .rcpt = { .notify = NOTIFY_NEVER }, .rcpts = &to, .nrcpts = 1,
	    .retry_ms = u->s->retry_ms, .verbose = u->s->verbose };
	struct buf		 head;
	struct spill		 body;
	char			 mark[ID_STRLEN];
	bool			 ok = false;

	if (u->from.len == 0 || (to.addr = span_dup(u->from)) == NULL)
		return false;
	buf_init(&head, 8192);
	spill_init(&body, UINT64_MAX);
	id_init(0, 0);
	id_str(id_new(), mark);
	put_head(&head, u, mark);
	if (put_body(&body, u, mark) && !head.failed) {
		s.head = buf_content(&head);
		s.body = &body;
		submit(&s);
		ok = submit_count(&s, RCPT_SENT) == 1;
		submit_clear(&s);
	}
	buf_clear(&head);
	spill_clear(&body);
	free(to.addr);
	return ok;
}
