/*
 * A command that goes to two servers: kept until both have answered it, and
 * compared then.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/mirror_i.h"

void
twin_free(struct twin *t)
{
	struct mirror		*m = t->m;
	struct link_wait	*w;

	STAILQ_REMOVE(&m->twins, t, twin, entry);
	if (t->type == IPC_T_p_chunk)
		m->bytes -= buf_len(&t->msg);
	else
		m->ncmds--;
	if (m->front != NULL && t->actual.code == 0)
		STAILQ_FOREACH(w, &m->front->waits, entry)
			if (w->twin == t)
				w->twin = NULL;
	buf_clear(&t->msg);
	free(t->actual.text);
	free(t->mirror.text);
	free(t->caps);
	free(t);
}

void
twin_free_all(struct mirror *m)
{
	struct twin	*t;

	while ((t = STAILQ_FIRST(&m->twins)) != NULL)
		twin_free(t);
}

struct twin *
twin_new(struct mirror *m, enum compare_what what, uint16_t type,
    const void *msg)
{
	struct twin	*t = calloc(1, sizeof(*t));

	if (t == NULL)
		fatal("twin");
	t->m = m;
	t->what = what;
	t->type = type;
	buf_init(&t->msg, MIRROR_CONTENT_MAX);
	if (msg != NULL && !ipc_encode(&t->msg, type, msg))
		fatalx("twin: %u", type);
	STAILQ_INSERT_TAIL(&m->twins, t, entry);
	if (type != IPC_T_p_chunk)
		m->ncmds++;
	return t;
}

/* The address, or what was asked for, of a command. */
static struct span
argument(const struct twin *t, union ipc_any *any)
{
	struct span	 in = buf_content(&t->msg);
	uint16_t	 type;
	const char	*why;

	if (in.len == 0 || ipc_decode(&in, &type, any, &why) != PARSE_OK)
		return span(NULL, 0);
	switch (type) {
	case IPC_T_p_mail:
		return any->p_mail.from;
	case IPC_T_p_rcpt:
		return any->p_rcpt.to;
	case IPC_T_p_ask:
		return any->p_ask.arg;
	default:
		return span(NULL, 0);
	}
}

static const char *
actual_server(const struct mirror *m)
{
	return m->front != NULL ? m->front->server : m->server;
}

static void
both(struct twin *t)
{
	struct mirror	*m = t->m;
	union ipc_any	 any;

	if (t->keywords && t->caps != NULL && t->mirror.code / 100 == 2)
		compare_keywords(m->session, actual_server(m), t->caps,
		    m->link->server, &m->link->caps);
	if (t->type != IPC_T_p_open)
		compare(&(struct comparison){ .action = m->action,
		    .what = t->what, .session = m->session, .id = t->id,
		    .arg = argument(t, &any),
		    .actual = { actual_server(m), t->actual.code,
			span_str(t->actual.text) },
		    .mirror = { m->link->server, t->mirror.code,
			span_str(t->mirror.text) } });
}

void
twin_settle(struct twin *t)
{
	if (t->mirror.code == 0 || (t->actual.code == 0 && !t->lost))
		return;
	if (t->actual.code != 0)
		both(t);
	twin_free(t);
}
