/*
 * The second server beside a session: its beginning and end, what the session
 * sends, what either of them answers. See mirror.h.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/mirror_i.h"

static const struct link_ops	 ops;
static struct proc		*proc;
static size_t			 nmirrors, mirrors_max;

void
mirror_init(struct proc *p, const struct conf *c)
{
	proc = p;
	mirrors_max = proc_sessions(p) != 0 ? proc_sessions(p) :
	    c->limits.sessions;
}

/* ---- beginning and end ------------------------------------------------- */

void
mirror_free(struct mirror *m)
{
	twin_free_all(m);
	link_close(m->link);
	if (m->front != NULL)
		m->front->mirror = NULL;
	if (m->timer != NULL)
		event_free(m->timer);
	free(m->helo);
	free(m->server);
	free(m);
	nmirrors--;
}

/* It goes no further with this session. */
static void
over(struct mirror *m)
{
	twin_free_all(m);
	link_close(m->link);
	m->link = NULL;
	m->state = M_OVER;
}

static void
give_up(struct mirror *m, const char *why)
{
	log_info("session=%s event=mirror result=gave-up mirror=%s why=\"%s\"",
	    m->session, log_quote(span_str(m->link != NULL ? m->link->server :
	    NULL)), why);
	m->counts->gave_up++;
	over(m);
}

static void
failed(struct mirror *m, const char *why)
{
	log_debug("session=%s event=mirror result=failed mirror=%s why=%s",
	    m->session, log_quote(span_str(m->link != NULL ? m->link->server :
	    NULL)), log_quote(span_str(why)));
	m->counts->failed++;
}

/* Is it a session of the sample? Each session is drawn once, so that all of it
 * goes there or nothing. */
static bool
drawn(const char *id, unsigned percent)
{
	uint64_t	h = 0xcbf29ce484222325;	/* FNV-1a */

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * 0x100000001b3;
	return (h >> 32) % 100 < percent;
}

void
mirror_open(struct link *front, struct span helo)
{
	const struct conf_action *a = front->action;
	struct compare_counts	*counts;
	struct mirror		*m;
	struct twin		*t;

	if (a->mirror == NULL || !drawn(front->s->id, a->mirror_percent))
		return;
	counts = compare_counts(a);
	if (nmirrors >= mirrors_max) {
		counts->skipped++;
		return;
	}
	if ((m = calloc(1, sizeof(*m))) == NULL)
		fatal("mirror");
	nmirrors++;
	counts->sessions++;
	m->action = a;
	m->counts = counts;
	strlcpy(m->session, front->s->id, sizeof(m->session));
	STAILQ_INIT(&m->twins);
	m->front = front;
	front->mirror = m;
	if (helo.len > 0)
		m->helo = span_dup(helo);
	m->link = link_open(&ops, m, front->s, a->mirror, helo, NULL);
	if (m->link == NULL) {
		failed(m, "no proxyd");
		m->state = M_OVER;
		return;
	}
	if (helo.len == 0)
		return;
	/* Its EHLO is proxyd's, at both. */
	t = twin_new(m, CMP_EHLO, IPC_T_p_open, NULL);
	t->keywords = t->sent = true;
	STAILQ_FIRST(&front->waits)->twin = t;
	STAILQ_FIRST(&m->link->waits)->twin = t;
}

bool
mirror_reopen(struct mirror *m)
{
	if (m->front == NULL || m->helo == NULL)
		return false;
	m->link = link_open(&ops, m, m->front->s, m->action->mirror,
	    span_str(m->helo), NULL);
	if (m->link == NULL)
		return false;
	m->state = M_OPENING;
	m->dirty = false;
	return true;
}

static void
on_linger(evutil_socket_t fd, short what, void *arg)
{
	struct mirror	*m = arg;

	(void)fd;
	(void)what;
	if (!STAILQ_EMPTY(&m->twins))
		give_up(m, "it did not answer in time");
	mirror_free(m);
}

/* Only what both have been asked can be compared; the rest of the commands has
 * no answer to come, and content without its end is none. */
void
mirror_alone(struct link *front)
{
	static const struct timeval	 linger = { MIRROR_LINGER_MS / 1000, 0 };
	struct mirror			*m = front->mirror;
	struct twin			*t, *next;
	bool				 end = false;

	front->mirror = NULL;
	m->front = NULL;
	if (m->link == NULL || front->server == NULL ||
	    (m->server = strdup(front->server)) == NULL) {
		mirror_free(m);
		return;
	}
	m->link->s = NULL;
	STAILQ_FOREACH_SAFE(t, &m->twins, entry, next) {
		end = end || (t->type != IPC_T_p_chunk && !t->lost &&
		    t->actual.code == 0);
		t->lost = t->lost || end;
		if (end && (!t->sent || t->mirror.code != 0))
			twin_free(t);
	}
	if ((t = STAILQ_LAST(&m->twins, twin, entry)) != NULL &&
	    t->type == IPC_T_p_chunk)
		twin_free(t);
	m->timer = event_new(proc_base(proc), -1, 0, on_linger, m);
	if (m->timer == NULL)
		fatalx("event_new");
	event_add(m->timer, &linger);
	mirror_pump(m);
}

/* ---- what the session sent --------------------------------------------- */

static struct twin *
queue(struct mirror *m, enum compare_what what, uint16_t type, const void *msg,
    struct link_wait *w)
{
	struct twin	*t;

	if (m->ncmds >= MIRROR_COMMANDS_MAX) {
		give_up(m, "too many commands behind");
		return NULL;
	}
	t = twin_new(m, what, type, msg);
	t->lost = w == NULL;
	if (w != NULL) {
		t->id = w->txn;
		w->twin = t;
	}
	return t;
}

static void
queue_bytes(struct mirror *m, struct span bytes)
{
	struct twin	*t = STAILQ_LAST(&m->twins, twin, entry);

	if (bytes.len == 0)
		return;
	if (m->bytes + bytes.len > MIRROR_CONTENT_MAX) {
		give_up(m, "too much content behind");
		return;
	}
	if (t == NULL || t->type != IPC_T_p_chunk)
		t = twin_new(m, CMP_CONTENT, IPC_T_p_chunk, NULL);
	if (!buf_span(&t->msg, bytes))
		fatal("twin");
	m->bytes += bytes.len;
}

static enum compare_what
asked(enum smtp_verb verb)
{
	return verb == VERB_VRFY ? CMP_VRFY : verb == VERB_EXPN ? CMP_EXPN :
	    CMP_HELP;
}

static void
greeted(struct mirror *m, const struct ipc_p_ehlo *p, struct link_wait *w)
{
	struct twin	*t;

	free(m->helo);
	if ((m->helo = span_dup(p->name)) == NULL)
		fatal("helo");
	if ((t = queue(m, CMP_EHLO, IPC_T_p_ehlo, p, w)) != NULL)
		t->keywords = p->ehlo;
}

/* The content under way is to be none: as if the actual server had refused it,
 * so that its end never goes there. */
static void
aborted(struct mirror *m)
{
	struct twin	*t = queue(m, CMP_CONTENT, IPC_T_p_end,
			    &(struct ipc_p_end){ 0 }, NULL);

	if (t != NULL)
		t->actual.code = 554;
}

void
mirror_sent(struct link *front, struct link_wait *w, uint16_t type,
    const void *msg)
{
	struct mirror	*m = front->mirror;
	bool		 content = m->action->mirror_what == MIRROR_CONTENT;

	if (m->state == M_OVER)
		return;
	switch (type) {
	case IPC_T_p_ehlo:
		greeted(m, msg, w);
		break;
	case IPC_T_p_mail:
		queue(m, CMP_MAIL, type, msg, w);
		break;
	case IPC_T_p_rcpt:
		queue(m, CMP_RCPT, type, msg, w);
		break;
	case IPC_T_p_rset:
		queue(m, CMP_RSET, type, msg, w);
		break;
	case IPC_T_p_noop:
		queue(m, CMP_NOOP, type, msg, w);
		break;
	case IPC_T_p_ask:
		queue(m, asked((enum smtp_verb)
		    ((const struct ipc_p_ask *)msg)->verb), type, msg, w);
		break;
	case IPC_T_p_data:
		if (content)
			queue(m, CMP_DATA, type, msg, w);
		else	/* that was all of this message */
			queue(m, CMP_RSET, IPC_T_p_rset,
			    &(struct ipc_p_rset){ 0 }, NULL);
		break;
	case IPC_T_p_chunk:
		if (content)
			queue_bytes(m, ((const struct ipc_p_chunk *)msg)->bytes);
		break;
	case IPC_T_p_end:
		if (content)
			queue_bytes(m, ((const struct ipc_p_end *)msg)->bytes);
		if (content && m->state != M_OVER)
			queue(m, CMP_CONTENT, type, &(struct ipc_p_end){ 0 },
			    w);
		break;
	case IPC_T_p_abort:
		if (content)
			aborted(m);
		break;
	default:
		return;		/* AUTH, QUIT: not for it */
	}
	mirror_pump(m);
}

/* ---- answers ----------------------------------------------------------- */

void
mirror_replied(struct link *front, struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct twin	*t = w->twin;

	w->twin = NULL;
	/* A connection that is lost is no answer to compare. */
	if (t == NULL)
		return;
	if (own && code == 421)
		return;
	t->actual.code = code;
	if ((t->actual.text = span_dup(text)) == NULL)
		fatal("twin");
	if (t->keywords && code / 100 == 2) {
		if ((t->caps = malloc(sizeof(*t->caps))) == NULL)
			fatal("twin");
		*t->caps = front->caps;
	}
	twin_settle(t);
	mirror_pump(front->mirror);
}

/* ---- what comes back --------------------------------------------------- */

static void
mirror_reply(struct link *l, const struct link_wait *w, uint16_t code,
    struct span text, bool own)
{
	struct mirror	*m = l->arg;
	struct twin	*t = w->twin;

	if (w->what == ASK_OPEN && code == 220) {
		l->up = true;
		m->state = M_READY;
	} else if (w->what == ASK_OPEN)
		m->failed = true;
	if (m->failed || (own && code == 421))
		return;		/* and it is closed */
	if (t != NULL && t->type == IPC_T_p_data)
		m->state = code == 354 ? M_FLOW : M_SKIP;
	else if (t != NULL && t->type == IPC_T_p_ehlo)
		m->state = M_READY;
	if (t != NULL) {
		t->mirror.code = code;
		if ((t->mirror.text = span_dup(text)) == NULL)
			fatal("twin");
		twin_settle(t);
	}
	mirror_pump(m);
}

static void
mirror_credit(struct link *l)
{
	mirror_pump(l->arg);
}

static void
mirror_closed(struct link *l, const char *why)
{
	struct mirror	*m = l->arg;

	failed(m, why);
	m->link = NULL;
	over(m);
	if (m->front == NULL)
		mirror_free(m);
}

static const struct link_ops ops = {
	.reply = mirror_reply,
	.credit = mirror_credit,
	.closed = mirror_closed
};
