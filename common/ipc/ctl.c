/*
 * The daemon's side of the control socket. See ctl.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/ctl.h"

#define CTL_IDLE_S	10		/* between requests */
#define CTL_STALL_S	300		/* a caller (its pager) takes nothing */
#define CTL_TURN_MS	5		/* of more rows, then others' turn */
#define CTL_LOW_WATER	65536		/* more rows are made below this */
#define CTL_FIELDS_MAX	30000		/* bytes of a row, as in msg.def */
#define CTL_PIECE	30000		/* bytes of one c_data */

struct ctl {
	struct chan		*chan;
	struct event		*timer;
	struct event		*soon;		/* more rows in the next turn */
	enum ipc_role		 role;
	uint32_t		 uid;
	uint8_t			 classes;
	const struct ctl_verb	*verbs;
	char			*args;		/* words of this request */
	bool			 answering, closed;
	bool			 in_more;
	void			(*more)(struct ctl *, void *);
	void			(*gone)(void *);
	void			*more_arg;
	char			 kind[33];
	struct buf		 fields;
};

static unsigned	conns;

static void	ctl_on_request(struct chan *, const void *, int);
static const struct chan_row	ctl_rows[] = {
	{ IPC_T_c_request, ctl_on_request },
	{ 0, NULL }
};

static void
ctl_forget_more(struct ctl *c)
{
	void	(*gone)(void *) = c->gone;

	c->more = NULL;
	c->gone = NULL;
	if (gone != NULL)
		gone(c->more_arg);
}

static void
ctl_free(struct ctl *c)
{
	ctl_forget_more(c);
	event_free(c->timer);
	event_free(c->soon);
	buf_clear(&c->fields);
	free(c->args);
	chan_free(c->chan);
	free(c);
	conns--;
}

static void
ctl_closed(struct chan *chan, const char *why)
{
	struct ctl	*c = chan_arg(chan);

	if (why != NULL)
		log_warnx("event=control uid=%u why=%s", c->uid,
		    log_quote(span_str(why)));
	c->closed = true;
	/* A request whose answer is still being worked out keeps it until
	 * ctl_end(). */
	if (!c->answering || c->more != NULL)
		ctl_free(c);
}

static void
ctl_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctl	*c = arg;

	(void)fd;
	(void)what;
	/* An answer that is still being worked out has all its time. */
	if (c->answering && c->more == NULL)
		return;
	if (chan_waiting(c->chan) > 0)
		log_warnx("event=control uid=%u why=\"the answer is not "
		    "read\"", c->uid);
	ctl_free(c);
}

static void
ctl_arm(struct ctl *c, int seconds)
{
	struct timeval	 tv = { seconds, 0 };

	event_add(c->timer, &tv);
}

/* Makes more of a long answer while the caller takes it, and for no longer than
 * a turn: what else the daemon has to do comes in between. */
static void
ctl_pump(struct ctl *c)
{
	int64_t			 end = clock_mono().ms + CTL_TURN_MS;
	static const struct timeval now = { 0, 0 };

	event_del(c->soon);
	c->in_more = true;
	while (c->more != NULL && !c->closed &&
	    chan_waiting(c->chan) < CTL_LOW_WATER) {
		c->more(c, c->more_arg);
		if (clock_mono().ms >= end) {
			event_add(c->soon, &now);
			break;
		}
	}
	c->in_more = false;
	if (c->more != NULL)
		ctl_arm(c, CTL_STALL_S);
}

static void
ctl_on_soon(evutil_socket_t fd, short what, void *arg)
{
	struct ctl	*c = arg;

	(void)fd;
	(void)what;
	if (c->more != NULL)
		ctl_pump(c);
}

static void
ctl_drained(struct chan *chan)
{
	struct ctl	*c = chan_arg(chan);

	if (c->more != NULL)
		ctl_pump(c);
	else if (!c->answering)
		ctl_arm(c, CTL_IDLE_S);
}

void
ctl_serve(struct event_base *base, int fd, enum ipc_role role, uint32_t uid,
    uint8_t classes, const struct ctl_verb *verbs)
{
	struct ctl	*c;

	if (conns >= CTL_CONNS_MAX || (c = calloc(1, sizeof(*c))) == NULL) {
		log_warnx("event=control uid=%u why=\"too many connections\"",
		    uid);
		close(fd);
		return;
	}
	c->role = role;
	c->uid = uid;
	c->classes = classes;
	c->verbs = verbs;
	buf_init(&c->fields, CTL_FIELDS_MAX);
	if ((c->chan = chan_new(base, fd, role, IPC_CTL, ctl_rows, ctl_closed,
	    c)) == NULL || (c->timer = event_new(base, -1, 0, ctl_on_timer,
	    c)) == NULL || (c->soon = event_new(base, -1, 0, ctl_on_soon,
	    c)) == NULL)
		fatalx("out of memory for a control connection");
	chan_on_drained(c->chan, ctl_drained);
	conns++;
	ctl_arm(c, CTL_IDLE_S);
}

uint32_t
ctl_uid(const struct ctl *c)
{
	return c->uid;
}

static const struct ctl_verb *
ctl_find(const struct ctl *c, struct span verb)
{
	const struct ctl_verb	*v;

	for (v = c->verbs; v != NULL && v->name != NULL; v++)
		if (span_is(verb, v->name))
			return v;
	return NULL;
}

static void
ctl_on_request(struct chan *chan, const void *msg, int fd)
{
	const struct ipc_c_request	*m = msg;
	struct ctl			*c = chan_arg(chan);
	const struct ctl_verb		*v;
	char				*argv[CTL_ARGS_MAX + 1], *p;
	int				 argc = 0;

	(void)fd;
	if (c->answering) {
		chan_reject(chan, "a request before the last was answered");
		return;
	}
	event_del(c->timer);
	c->answering = true;
	if ((v = ctl_find(c, m->verb)) == NULL) {
		ctl_end(c, EX_USAGE, "this daemon knows no such request");
		return;
	}
	if ((c->classes & v->class) == 0) {
		log_info("event=control uid=%u verb=%s result=denied", c->uid,
		    log_quote(m->verb));
		ctl_end(c, EX_NOPERM, "permission denied: root and the members "
		    "of the control directory's group may");
		return;
	}
	free(c->args);
	if ((c->args = span_dup(m->args)) == NULL) {
		ctl_end(c, EX_TEMPFAIL, "out of memory");
		return;
	}
	for (p = c->args; p != NULL && *p != '\0'; ) {
		if (argc == CTL_ARGS_MAX) {
			ctl_end(c, EX_USAGE, "too many words");
			return;
		}
		argv[argc++] = strsep(&p, "\n");
	}
	argv[argc] = NULL;
	if (v->class != CTL_READ)
		log_info("event=control uid=%u verb=%s", c->uid,
		    log_quote(m->verb));
	v->run(c, argc, argv);
}

void
ctl_row(struct ctl *c, const char *kind)
{
	snprintf(c->kind, sizeof(c->kind), "%s", kind);
	buf_reset(&c->fields);
}

static void
ctl_put(struct ctl *c, const char *key, struct span v, bool number)
{
	size_t	 klen = strlen(key);
	uint8_t	 head[7];

	/* A row too long loses whole fields, never half of one. */
	if (sizeof(head) + klen + v.len > CTL_FIELDS_MAX - buf_len(&c->fields))
		return;
	head[0] = number;
	head[1] = (uint8_t)klen;
	head[2] = (uint8_t)(klen >> 8);
	for (unsigned i = 0; i < 4; i++)
		head[3 + i] = (uint8_t)(v.len >> (8 * i));
	buf_add(&c->fields, head, sizeof(head));
	buf_add(&c->fields, key, klen);
	buf_span(&c->fields, v);
}

void
ctl_field(struct ctl *c, const char *key, struct span v)
{
	ctl_put(c, key, v, false);
}

void
ctl_str(struct ctl *c, const char *key, const char *v)
{
	ctl_put(c, key, span_str(v), false);
}

void
ctl_num(struct ctl *c, const char *key, int64_t v)
{
	char	 text[24];
	int	 n = snprintf(text, sizeof(text), "%lld", (long long)v);

	ctl_put(c, key, span(text, (size_t)n), true);
}

void
ctl_row_end(struct ctl *c)
{
	if (!c->closed)
		CHAN_SEND(c->chan, c_row, .kind = span_str(c->kind),
		    .fields = buf_content(&c->fields));
}

void
ctl_data(struct ctl *c, struct span bytes)
{
	for (; bytes.len > 0 && !c->closed; span_skip(&bytes, CTL_PIECE))
		CHAN_SEND(c->chan, c_data,
		    .bytes = span_sub(bytes, 0, CTL_PIECE));
}

void
ctl_end(struct ctl *c, int status, const char *text)
{
	struct span	 s = span_str(text);

	c->answering = false;
	ctl_forget_more(c);
	if (c->closed) {
		ctl_free(c);
		return;
	}
	if (s.len > 1024)
		s.len = 1024;
	CHAN_SEND(c->chan, c_end, .status = (uint8_t)status, .text = s);
	ctl_arm(c, CTL_STALL_S);	/* until it is gone; then idle */
}

void
ctl_more(struct ctl *c, void (*more)(struct ctl *, void *),
    void (*gone)(void *), void *arg)
{
	c->more = more;
	c->gone = gone;
	c->more_arg = arg;
	if (!c->in_more)
		ctl_pump(c);
}

bool
ctl_pair(struct span *in, struct span *key, struct span *value, bool *number)
{
	size_t	 klen, vlen;

	if (in->len < 7)
		return false;
	*number = in->p[0] != 0;
	klen = in->p[1] | (size_t)in->p[2] << 8;
	vlen = in->p[3] | (size_t)in->p[4] << 8 | (size_t)in->p[5] << 16 |
	    (size_t)in->p[6] << 24;
	if (klen > in->len - 7 || vlen > in->len - 7 - klen)
		return false;
	*key = span_sub(*in, 7, klen);
	*value = span_sub(*in, 7 + klen, vlen);
	span_skip(in, 7 + klen + vlen);
	return true;
}
