/*
 * The message that tells a sender what could not be delivered: from nobody
 * (RFC 5321, 4.5.5), marked as made by a machine (RFC 3834, 5), plain text that
 * says what happened, with the header of the message that it is about.
 */
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/base/utf8.h"
#include "common/conf/match.h"
#include "common/mime/date.h"
#include "common/smtp/param.h"
#include "queued/queue.h"

#define TEXT_MAX	60000	/* bytes of a bounce */
#define HEADER_MAX	16384	/* of the original's header in it */
#define RCPTS_MAX	100	/* recipients told one by one */
#define LINE_LEN_MAX	900	/* RFC 5322, 2.1.1 */

/* Bytes of others as one line: no controls, no 8 bit unless utf8. */
static void
put_safe(struct buf *b, struct span s, bool utf8)
{
	for (size_t i = 0; i < s.len && i < LINE_LEN_MAX; i++) {
		uint8_t	 c = s.p[i];

		buf_byte(b, c < 0x20 || c == 0x7f || (c > 0x7f && !utf8) ?
		    c == '\n' || c == '\t' ? ' ' : '?' : c);
	}
}

static void
put_date(struct buf *b)
{
	time_t		 t = (time_t)(clock_wall().ms / 1000);
	struct tm	 tm;

	if (localtime_r(&t, &tm) == NULL)
		return;
	buf_str(b, "Date: ");
	date_write(b, &tm, (int)(tm.tm_gmtoff / 60));
	buf_str(b, "\r\n");
}

static void
put_header(struct buf *b, const struct queue *q, uint64_t bounce_id,
    struct span to, bool utf8, bool waits)
{
	char	 id[ID_STRLEN];

	put_date(b);
	buf_fmt(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: <", q->conf->hostname);
	put_safe(b, to, utf8);
	buf_fmt(b, ">\r\nSubject: %s\r\n"
	    "Message-ID: <%s@%s>\r\n"
	    "Auto-Submitted: auto-replied\r\n"	/* RFC 3834, 5.1 */
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=%s\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n",
	    waits ? "Mail still waits" : "Undelivered mail",
	    id_str(bounce_id, id), q->conf->hostname,
	    utf8 ? "utf-8" : "us-ascii", utf8 ? "8bit" : "7bit");
}

/* The original's header, each line indented so that it is none of ours. */
static void
put_original(struct buf *b, const struct rec *r, bool utf8)
{
	struct span	 parts[2] = { r->prefix, r->content }, line;
	size_t		 left = HEADER_MAX;

	for (int i = 0; i < 2; i++)
		while (span_word(&parts[i], "\n", &line)) {
			if (line.len > 0 && line.p[line.len - 1] == '\r')
				line.len--;
			if (line.len == 0 || left < line.len)
				return;
			left -= line.len;
			buf_str(b, "    ");
			put_safe(b, line, utf8);
			buf_str(b, "\r\n");
		}
}

static void
put_text(struct buf *b, const struct queue *q, const struct rec *r,
    const struct bounce_rcpt *v, size_t n, bool utf8, bool waits)
{
	char	 id[ID_STRLEN];

	buf_fmt(b, "This is the mail system at %s.\r\n\r\n"
	    "Your message %s could not be delivered to the\r\n"
	    "recipients below%s.\r\n\r\n",
	    q->conf->hostname, id_str(r->id, id), waits ? " so far. It will "
	    "be tried again; you need\r\nnot send it once more" :
	    ", and no more attempts will be made");
	for (size_t i = 0; i < n && i < RCPTS_MAX; i++) {
		buf_str(b, "<");
		put_safe(b, v[i].to, utf8);
		buf_str(b, v[i].expired ? ">: not delivered in time; the last "
		    "attempt ended with:\r\n    " : ">:\r\n    ");
		put_safe(b, v[i].reason.len ? v[i].reason :
		    span_str("no attempt was possible"), utf8);
		buf_str(b, "\r\n\r\n");
	}
	if (n > RCPTS_MAX)
		buf_fmt(b, "and %zu more.\r\n\r\n", n - RCPTS_MAX);
	buf_str(b, "The header of your message:\r\n\r\n");
	put_original(b, r, utf8);
}

/* The action for mail to the sender, or why there is none. */
static const struct conf_action *
route(const struct queue *q, struct span to, const char **why)
{
	struct match_in	 in = { .local = true, .rdns_known = true,
			    .helo = span_str(q->conf->hostname),
			    .rcpt_to = to };
	struct match_out out;

	conf_match(q->conf, &in, &out);
	if (out.kind == MATCH_ACTION)
		return out.action;
	*why = out.text != NULL ? out.text : "no action for it";
	return NULL;
}

/* Nobody is told; what is recorded with it (nothing for a delay) still is. */
static void
dropped(struct queue *q, uint64_t id, struct span to, const char *why,
    struct span change)
{
	struct rec	 r = { .kind = REC_CHANGE, .id = id, .env = change };
	char		 ids[ID_STRLEN];

	if (change.len == 0)
		return;

	log_info("id=%s event=bounce to=<%s> result=dropped why=%s",
	    id_str(id, ids), to.len ? log_quote(to) : "",
	    log_quote(span_str(why)));
	queue_record(q, &r);
}

static void
tell(struct queue *q, uint64_t id, const struct rec *orig,
    const struct rec_msg *om, const struct bounce_rcpt *v, size_t n,
    struct span change, bool waits)
{
	struct rec_rcpt	 rcpt = { .to = om->from, .notify = NOTIFY_NEVER,
			    .next_ms = queue_now(q) };
	struct rec_msg	 m = { .flags = MSG_BOUNCE, .nrcpts = 1,
			    .accepted_ms = queue_now(q),
			    .received_ms = (uint64_t)clock_wall().ms,
			    .cause_id = id, .cause = change };
	struct rec	 r = { .kind = REC_MESSAGE };
	const struct conf_action *a;
	struct buf	 text, env, rcpts;
	const char	*why = "";
	bool		 utf8 = !utf8_is_ascii(om->from);
	char		 ids[ID_STRLEN], of[ID_STRLEN];

	/* RFC 5321, 4.5.5: never a notification about a notification. */
	if (om->from.len == 0) {
		dropped(q, id, om->from, "null sender", change);
		return;
	}
	if ((a = route(q, om->from, &why)) == NULL) {
		dropped(q, id, om->from, why, change);
		return;
	}
	buf_init(&text, TEXT_MAX);
	buf_init(&env, REC_ENV_MAX);
	buf_init(&rcpts, 8192);
	r.id = id_new();
	put_header(&text, q, r.id, om->from, utf8, waits);
	put_text(&text, q, orig, v, n, utf8, waits);
	/* Cut where it got too long, at a line's end. */
	while (text.failed && text.len > 0 && text.p[text.len - 1] != '\n')
		text.len--;
	rcpt.action = span_str(a->name);
	rec_rcpt_add(&rcpts, &rcpt);
	m.rcpts = buf_content(&rcpts);
	m.expire_ms = m.accepted_ms + q->conf->bounce_ttl_ms;
	m.size = buf_len(&text);
	m.body = utf8 ? BODY_8BITMIME : BODY_7BIT;
	if (utf8)
		m.flags |= MSG_UTF8;
	rec_msg_encode(&env, &m);
	r.env = buf_content(&env);
	r.content = buf_content(&text);
	if (env.failed)
		dropped(q, id, om->from, "envelope too long", change);
	else {
		if (!waits)
			q->stats.bounced++;
		log_info("id=%s event=%s of=%s to=<%s> result=queued",
		    id_str(r.id, ids), waits ? "delay" : "bounce",
		    id_str(id, of), log_quote(om->from));
		queue_record(q, &r);
	}
	buf_clear(&text);
	buf_clear(&env);
	buf_clear(&rcpts);
}

void
bounce(struct queue *q, uint64_t id, const struct rec *r,
    const struct rec_msg *m, const struct bounce_rcpt *v, size_t n,
    struct span change)
{
	tell(q, id, r, m, v, n, change, false);
}

void
bounce_delay(struct queue *q, uint64_t id, const struct rec *r,
    const struct rec_msg *m, const struct bounce_rcpt *v, size_t n)
{
	tell(q, id, r, m, v, n, span(NULL, 0), true);
}
