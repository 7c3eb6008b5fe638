/*
 * The second server's own pace through what the session has sent: what may go
 * when, in the states of mirror.h.
 */
#include "common/base/log.h"
#include "smtpd/mirror_i.h"

static void
pass(struct twin *t, enum link_ask what)
{
	struct span	 in = buf_content(&t->msg);
	union ipc_any	 any;
	uint16_t	 type;
	const char	*why;

	if (ipc_decode(&in, &type, &any, &why) != PARSE_OK)
		fatalx("twin: %s", why);
	link_pass(t->m->link, what, t, type, &any);
	t->sent = true;
}

/* Nothing of a message may be there that the actual server has not taken, or
 * that has no end: no end, and so no message (RFC 5321, 4.1.1.4). */
static void
cut(struct mirror *m)
{
	link_close(m->link);
	m->link = NULL;
	m->state = M_CUT;
}

/* Does this message need what the second server has not? Keywords were told
 * apart already; such a message is nothing to compare. */
static bool
lacks(const struct mirror *m, const struct twin *t)
{
	struct span	 in = buf_content(&t->msg);
	union ipc_any	 any;
	uint16_t	 type;
	const char	*why;
	uint32_t	 caps = m->link->caps.bits;

	if (t->type != IPC_T_p_mail ||
	    ipc_decode(&in, &type, &any, &why) != PARSE_OK)
		return false;
	return (any.p_mail.utf8 && (caps & CAP_SMTPUTF8) == 0) ||
	    (any.p_mail.requiretls && (caps & CAP_REQUIRETLS) == 0) ||
	    (any.p_mail.body == BODY_8BITMIME && (caps & CAP_8BITMIME) == 0 &&
	    m->action->mirror_what == MIRROR_CONTENT);
}

/* A command behind the ones before it. False: not now. */
static bool
command(struct mirror *m, struct twin *t)
{
	if (m->state == M_CUT && (t->type != IPC_T_p_mail || !mirror_reopen(m))) {
		twin_free(t);
		return true;
	}
	if (m->state != M_READY)
		return false;
	if (lacks(m, t)) {
		if (t != STAILQ_FIRST(&m->twins))
			return false;
		cut(m);
		twin_free(t);
		return true;
	}
	/* A transaction that only one of the two has begun, or ended. */
	if (t->type == IPC_T_p_mail && m->dirty)
		link_pass(m->link, ASK_PLAIN, NULL, IPC_T_p_rset,
		    &(struct ipc_p_rset){ 0 });
	if (t->type == IPC_T_p_mail)
		m->dirty = true;
	else if (t->type == IPC_T_p_rset || t->type == IPC_T_p_ehlo)
		m->dirty = false;
	pass(t, ASK_PLAIN);
	/* RFC 2920, 3.1: the last of its group; and how MAIL is written depends
	 * on the reply. */
	if (t->type == IPC_T_p_ehlo)
		m->state = M_HELLO;
	return true;
}

/* DATA waits for the actual server's 354. */
static bool
data(struct mirror *m, struct twin *t)
{
	if (m->state == M_CUT || (m->state == M_READY &&
	    t->actual.code != 0 && t->actual.code != 354)) {
		twin_free(t);
		return true;
	}
	if (m->state != M_READY || t->actual.code == 0)
		return false;
	pass(t, ASK_DATA);
	m->state = M_ASKED;
	return true;
}

static bool
chunk(struct mirror *m, struct twin *t)
{
	size_t	had = buf_len(&t->msg);

	if (m->state == M_OPENING || m->state == M_ASKED)
		return false;
	if (m->state == M_FLOW) {
		link_write(m->link, &t->msg);
		m->bytes -= had - buf_len(&t->msg);
		if (buf_len(&t->msg) > 0)
			return false;
	}
	twin_free(t);
	return true;
}

static bool
end(struct mirror *m, struct twin *t)
{
	if (m->state == M_OPENING || m->state == M_ASKED ||
	    (m->state == M_FLOW && t->actual.code == 0))
		return false;
	if (m->state == M_FLOW && t->actual.code / 100 == 2) {
		m->state = M_READY;
		m->dirty = false;
		pass(t, ASK_END);
		return true;
	}
	if (m->state == M_FLOW)
		cut(m);
	else if (m->state == M_SKIP)
		m->state = M_READY;
	twin_free(t);
	return true;
}

static bool
step(struct mirror *m, struct twin *t)
{
	switch (t->type) {
	case IPC_T_p_data:
		return data(m, t);
	case IPC_T_p_chunk:
		return chunk(m, t);
	case IPC_T_p_end:
		return end(m, t);
	default:
		return command(m, t);
	}
}

void
mirror_pump(struct mirror *m)
{
	struct twin	*t, *next;

	STAILQ_FOREACH_SAFE(t, &m->twins, entry, next)
		if (!t->sent && !step(m, t))
			break;
	if (m->front == NULL && STAILQ_EMPTY(&m->twins))
		mirror_free(m);
}
