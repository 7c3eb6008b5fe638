/*
 * The client machine: a ring of steps with two cursors. Steps before the
 * receive cursor are answered and gone; between it and the send cursor they are
 * written and wait for their reply; behind the send cursor they wait to be
 * written, with their text in a queue buffer.
 *
 *	ring:	[recv ... written, unanswered ... send ... waiting ...]
 *	queue:	                                  [text of the waiting ones]
 */
#include "common/smtp/client.h"

#include <stdlib.h>

#include "common/smtp/line.h"

#define QUEUE_MAX	(512 << 10)	/* bytes of waiting commands */
#define RING_MIN	8		/* SMTP_CLIENT_STEPS_MAX at most */
#define RING_IDLE_MAX	64		/* steps; a larger ring is given back */

/* What the last reply asks for, before any other step may be written. */
enum hold { HOLD_NONE, HOLD_CONTENT, HOLD_AUTH };

struct step {
	uint32_t	 tag;
	uint32_t	 len;		/* bytes of text in the queue */
	uint8_t		 kind;		/* enum smtp_step */
};

struct smtp_client {
	struct buf	*out;
	struct buf	 queue;
	struct step	*ring;
	size_t		 cap;
	size_t		 head;		/* index of the receive cursor */
	size_t		 sent;		/* steps written, unanswered */
	size_t		 count;		/* sent and waiting ones */
	enum hold	 hold;
	bool		 utf8;		/* SMTPUTF8 was used */
	struct smtp_caps caps;
	struct smtp_reply reply;
};

/*
 * ends: nothing may be written behind it before its reply is there (RFC 2920,
 * 3.1; RFC 4954, 4). BDAT could be pipelined, but is done one at a time: so a
 * refused chunk stops the next. The dot is followed by commands freely.
 * Times: RFC 5321, 4.5.3.2; where it has none, 5 minutes.
 */
static const struct {
	const char	*name;
	bool		 ends;
	unsigned	 timeout_s;
} steps[] = {
	[STEP_GREETING] = { "greeting", true, 300 },
	[STEP_EHLO] = { "EHLO", true, 300 },
	[STEP_HELO] = { "HELO", true, 300 },
	[STEP_MAIL] = { "MAIL", false, 300 },
	[STEP_RCPT] = { "RCPT", false, 300 },
	[STEP_DATA] = { "DATA", true, 120 },
	[STEP_BDAT] = { "BDAT", true, 600 },
	[STEP_DOT] = { "end of data", false, 600 },
	[STEP_RSET] = { "RSET", false, 300 },
	[STEP_NOOP] = { "NOOP", true, 300 },
	[STEP_QUIT] = { "QUIT", true, 60 },
	[STEP_ASK] = { "VRFY", true, 300 },
	[STEP_AUTH] = { "AUTH", true, 300 },
	[STEP_AUTH_LINE] = { "AUTH continuation", true, 300 },
	[STEP_XCLIENT] = { "XCLIENT", true, 300 },
	[STEP_STARTTLS] = { "STARTTLS", true, 120 },
};

const char *
smtp_step_name(enum smtp_step s)
{
	return (size_t)s < sizeof(steps) / sizeof(steps[0]) ? steps[s].name :
	    "";
}

int64_t
smtp_step_timeout_ms(enum smtp_step s)
{
	return (size_t)s < sizeof(steps) / sizeof(steps[0]) ?
	    (int64_t)steps[s].timeout_s * 1000 : 0;
}

static struct step *
step_at(const struct smtp_client *c, size_t n)
{
	return &c->ring[(c->head + n) % c->cap];
}

static bool
ring_grow(struct smtp_client *c)
{
	size_t		 cap = c->cap == 0 ? RING_MIN : c->cap * 2;
	struct step	*ring;

	if (c->count >= SMTP_CLIENT_STEPS_MAX ||
	    (ring = calloc(cap, sizeof(*ring))) == NULL)
		return false;
	for (size_t i = 0; i < c->count; i++)
		ring[i] = *step_at(c, i);
	free(c->ring);
	c->ring = ring;
	c->cap = cap;
	c->head = 0;
	return true;
}

/* A place in the ring before the n-th step. */
static bool
insert(struct smtp_client *c, size_t n, struct step s)
{
	if ((c->count == c->cap || c->count >= SMTP_CLIENT_STEPS_MAX) &&
	    !ring_grow(c))
		return false;
	for (size_t i = c->count; i > n; i--)
		*step_at(c, i) = *step_at(c, i - 1);
	*step_at(c, n) = s;
	c->count++;
	return true;
}

struct smtp_client *
smtp_client_new(struct buf *out)
{
	struct smtp_client	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->out = out;
	buf_init(&c->queue, QUEUE_MAX);
	smtp_reply_init(&c->reply);
	if (!insert(c, 0, (struct step){ .kind = STEP_GREETING })) {
		free(c);
		return NULL;
	}
	c->sent = 1;
	return c;
}

void
smtp_client_free(struct smtp_client *c)
{
	if (c == NULL)
		return;
	smtp_reply_clear(&c->reply);
	buf_clear(&c->queue);
	free(c->ring);
	free(c);
}

const struct smtp_caps *
smtp_client_caps(const struct smtp_client *c)
{
	return &c->caps;
}

size_t
smtp_client_pending(const struct smtp_client *c)
{
	return c->count;
}

enum smtp_step
smtp_client_waits_for(const struct smtp_client *c)
{
	return c->count > 0 ? (enum smtp_step)step_at(c, 0)->kind :
	    STEP_GREETING;
}

/* May the step at the send cursor go out now? */
static bool
may_send(const struct smtp_client *c)
{
	if (c->hold != HOLD_NONE)
		return false;
	if (c->sent == 0)
		return true;
	return (c->caps.bits & CAP_PIPELINING) != 0 &&
	    !steps[step_at(c, c->sent - 1)->kind].ends;
}

static bool
out_has(const struct smtp_client *c, size_t n)
{
	return !c->out->failed && c->out->max - buf_len(c->out) >= n;
}

void
smtp_client_flush(struct smtp_client *c)
{
	struct step	*s;

	while (c->sent < c->count && may_send(c)) {
		s = step_at(c, c->sent);
		if (!out_has(c, s->len) || !buf_span(c->out,
		    span_sub(buf_content(&c->queue), 0, s->len)))
			return;
		buf_drain(&c->queue, s->len);
		c->sent++;
	}
	if (buf_len(&c->queue) == 0)
		buf_trim(&c->queue);
}

/*
 * Ends a push: what the queue holds beyond `before` is the text of a new step.
 * What a caller gives is from parsed input; a control character in it would
 * make two commands of one, so it is refused here once more.
 */
static bool
push(struct smtp_client *c, enum smtp_step kind, uint32_t tag, size_t before,
    bool ok)
{
	struct span	text = buf_content(&c->queue);
	bool		now = c->sent == c->count && may_send(c);

	span_skip(&text, before);
	for (size_t i = 0; ok && i < text.len; i++)
		ok = text.p[i] >= ' ' && text.p[i] != 127;
	ok = ok && buf_str(&c->queue, "\r\n") &&
	    (!now || out_has(c, buf_len(&c->queue))) &&
	    insert(c, c->count, (struct step){ .kind = (uint8_t)kind,
	    .tag = tag, .len = (uint32_t)(buf_len(&c->queue) - before) });
	if (!ok) {
		c->queue.len = c->queue.start + before;
		c->queue.failed = false;
		return false;
	}
	smtp_client_flush(c);
	return true;
}

bool
smtp_client_ehlo(struct smtp_client *c, struct span name, bool ehlo)
{
	size_t	before = buf_len(&c->queue);
	bool	ok;

	ok = buf_str(&c->queue, ehlo ? "EHLO " : "HELO ") &&
	    buf_span(&c->queue, name);
	return push(c, ehlo ? STEP_EHLO : STEP_HELO, 0, before, ok);
}

bool
smtp_client_mail(struct smtp_client *c, struct span from,
    const struct smtp_mail_params *p)
{
	size_t	before = buf_len(&c->queue);
	bool	ok;

	ok = buf_str(&c->queue, "MAIL FROM:<") && buf_span(&c->queue, from) &&
	    buf_byte(&c->queue, '>') &&
	    (p == NULL || smtp_mail_params_write(&c->queue, p, c->caps.bits));
	ok = push(c, STEP_MAIL, 0, before, ok);
	/* RFC 6531, 3.7.4: from now on its replies may be UTF-8. */
	if (ok && p != NULL && p->utf8)
		c->utf8 = true;
	return ok;
}

bool
smtp_client_rcpt(struct smtp_client *c, struct span to,
    const struct smtp_rcpt_params *p, uint32_t tag)
{
	size_t	before = buf_len(&c->queue);
	bool	ok;

	ok = buf_str(&c->queue, "RCPT TO:<") && buf_span(&c->queue, to) &&
	    buf_byte(&c->queue, '>') &&
	    (p == NULL || smtp_rcpt_params_write(&c->queue, p, c->caps.bits));
	return push(c, STEP_RCPT, tag, before, ok);
}

bool
smtp_client_data(struct smtp_client *c)
{
	size_t	before = buf_len(&c->queue);

	return push(c, STEP_DATA, 0, before, buf_str(&c->queue, "DATA"));
}

bool
smtp_client_bdat(struct smtp_client *c, uint64_t n, bool last)
{
	size_t	before = buf_len(&c->queue);

	if (c->sent != c->count || !may_send(c))
		return false;
	return push(c, STEP_BDAT, 0, before, buf_fmt(&c->queue,
	    "BDAT %llu%s", (unsigned long long)n, last ? " LAST" : ""));
}

bool
smtp_client_dot(struct smtp_client *c)
{
	if (c->hold != HOLD_CONTENT ||
	    !insert(c, c->sent, (struct step){ .kind = STEP_DOT }))
		return false;
	c->sent++;
	c->hold = HOLD_NONE;
	smtp_client_flush(c);
	return true;
}

bool
smtp_client_simple(struct smtp_client *c, enum smtp_step kind)
{
	size_t	before = buf_len(&c->queue);

	if (kind != STEP_RSET && kind != STEP_NOOP && kind != STEP_QUIT)
		return false;
	return push(c, kind, 0, before,
	    buf_str(&c->queue, smtp_step_name(kind)));
}

bool
smtp_client_ask(struct smtp_client *c, const char *verb, struct span arg)
{
	size_t	before = buf_len(&c->queue);
	bool	ok;

	ok = buf_str(&c->queue, verb) && (arg.len == 0 ||
	    (buf_byte(&c->queue, ' ') && buf_span(&c->queue, arg)));
	return push(c, STEP_ASK, 0, before, ok);
}

bool
smtp_client_auth(struct smtp_client *c, struct span mech, bool has_initial,
    struct span initial)
{
	size_t	before = buf_len(&c->queue);
	bool	ok;

	c->queue.secret = c->out->secret = true;
	ok = buf_str(&c->queue, "AUTH ") && buf_span(&c->queue, mech);
	/* RFC 4954, 4: an empty initial response is written "=". */
	if (ok && has_initial)
		ok = buf_byte(&c->queue, ' ') && (initial.len == 0 ?
		    buf_byte(&c->queue, '=') : buf_span(&c->queue, initial));
	return push(c, STEP_AUTH, 0, before, ok);
}

bool
smtp_client_xclient(struct smtp_client *c, struct span arg)
{
	size_t	before = buf_len(&c->queue);

	return push(c, STEP_XCLIENT, 0, before, arg.len > 0 &&
	    buf_str(&c->queue, "XCLIENT ") && buf_span(&c->queue, arg));
}

bool
smtp_client_starttls(struct smtp_client *c)
{
	size_t	before = buf_len(&c->queue);

	return push(c, STEP_STARTTLS, 0, before,
	    buf_str(&c->queue, "STARTTLS"));
}

/* Goes before all that waits: the server expects nothing else. */
bool
smtp_client_auth_line(struct smtp_client *c, struct span line)
{
	if (c->hold != HOLD_AUTH || !out_has(c, line.len + 2))
		return false;
	for (size_t i = 0; i < line.len; i++) {
		if (line.p[i] < ' ' || line.p[i] >= 127)
			return false;
	}
	c->out->secret = true;
	if (!buf_span(c->out, line) || !buf_str(c->out, "\r\n") ||
	    !insert(c, c->sent, (struct step){ .kind = STEP_AUTH_LINE }))
		return false;
	c->sent++;
	c->hold = HOLD_NONE;
	return true;
}

/* The lines behind the first are keywords (RFC 5321, 4.1.1.1). */
static void
read_caps(struct smtp_client *c, bool ehlo, const struct smtp_reply *r)
{
	struct span	text = buf_content(&r->text), line;

	c->caps = (struct smtp_caps){ 0 };
	if (!ehlo || r->code != 250)
		return;
	c->caps.bits = CAP_ESMTP;
	span_skip(&text, span_find(text, '\n') + 1);
	while (span_word(&text, "\n", &line))
		smtp_caps_line(&c->caps, line);
}

/* What the reply to a step changes. */
static void
answered(struct smtp_client *c, enum smtp_step kind)
{
	const struct smtp_reply	*r = &c->reply;

	switch (kind) {
	case STEP_EHLO:
	case STEP_HELO:
		read_caps(c, kind == STEP_EHLO, r);
		break;
	case STEP_DATA:
		if (r->code == 354)
			c->hold = HOLD_CONTENT;
		break;
	case STEP_AUTH:
	case STEP_AUTH_LINE:
		if (r->code == 334)
			c->hold = HOLD_AUTH;
		else {
			/* Unless some of it is still there. */
			c->queue.secret = c->queue.p != NULL;
			c->out->secret = c->out->p != NULL;
		}
		break;
	case STEP_XCLIENT:
	case STEP_STARTTLS:
		if (r->code == 220)
			c->caps = (struct smtp_caps){ 0 };
		break;
	default:
		break;
	}
}

enum parse
smtp_client_feed(struct smtp_client *c, struct span *in,
    struct smtp_client_event *ev, const char **why)
{
	struct step	 s;
	enum parse	 res;

	if (in->len == 0)
		return PARSE_MORE;
	/* R13: replies are held against commands; one too many may be the
	 * answer to something injected. */
	if (c->sent == 0) {
		*why = "a reply that nobody asked for";
		return PARSE_BAD;
	}
	/* RFC 4954, 4: a challenge may be longer than another reply's line. */
	smtp_reply_line_max(&c->reply, step_at(c, 0)->kind == STEP_AUTH ||
	    step_at(c, 0)->kind == STEP_AUTH_LINE ? SMTP_LINE_AUTH_MAX :
	    SMTP_REPLY_LINE_MAX);
	res = smtp_reply_feed(&c->reply, in, c->utf8, why);
	if (res != PARSE_OK)
		return res;
	s = *step_at(c, 0);
	/* Said in plain, it would be taken for said under TLS. */
	if (s.kind == STEP_STARTTLS && c->reply.code == 220 && in->len > 0) {
		*why = "plain text behind the reply to STARTTLS";
		return PARSE_BAD;
	}
	c->head = (c->head + 1) % c->cap;
	c->sent--;
	c->count--;
	*ev = (struct smtp_client_event){ .step = (enum smtp_step)s.kind,
	    .tag = s.tag, .code = c->reply.code,
	    .text = buf_content(&c->reply.text) };
	answered(c, ev->step);
	smtp_client_flush(c);
	if (c->count == 0 && c->cap > RING_IDLE_MAX) {
		free(c->ring);
		c->ring = NULL;
		c->cap = c->head = 0;
	}
	return PARSE_OK;
}
