/*
 * MAIL (RFC 5321, 4.1.1.2).
 */
#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/smtp/path.h"
#include "smtpd/cmd.h"
#include "smtpd/handoff.h"
#include "smtpd/link.h"
#include "smtpd/senders.h"

static void
refuse(struct cmd *c, struct span arg, uint16_t code, const char *enhanced,
    const char *why)
{
	log_info("session=%s event=mail arg=%s reply=\"%u %s %s\"", c->s->id,
	    log_quote(arg), (unsigned)code, enhanced, why);
	session_reply(c, code, "%s %s", enhanced, why);
}

/* 4.1.1.11: a parameter may stand only if its extension was offered. */
static bool
offered(uint32_t caps, const struct smtp_mail_params *p)
{
	return (!p->size_set || (caps & CAP_SIZE)) &&
	    (p->body == BODY_NONE || (caps & CAP_8BITMIME)) &&
	    (!p->utf8 || (caps & CAP_SMTPUTF8)) &&
	    ((p->ret == RET_NONE && p->envid.len == 0) || (caps & CAP_DSN)) &&
	    (p->auth.len == 0 || (caps & CAP_AUTH)) &&
	    (!p->requiretls || (caps & CAP_REQUIRETLS)) &&
	    (!p->prdr || (caps & CAP_PRDR));
}

static const char *
enhanced_of(uint16_t code)
{
	return code == 553 ? "5.6.7" : code == 501 ? "5.5.2" : "5.5.4";
}

/* The reverse-path by the listener's `masquerade`, if it has a name there. */
static void
masquerade(const struct session *s, struct buf *from)
{
	struct smtp_path	 path;
	const char		*why;
	char			 dst[CONF_PATH_MAX];
	struct buf		 to;

	if (s->listen->masquerade == NULL || !conf_masquerade(session_conf(),
	    s->listen->masquerade, buf_content(from), dst))
		return;
	buf_init(&to, SMTP_PATH_MAX + 64);
	if (smtp_mailbox_parse(span_str(dst), true, &path, &why) == PARSE_OK &&
	    smtp_path_write(&to, &path)) {
		log_info("session=%s event=masquerade from=<%s> to=<%s>",
		    s->id, log_quote(buf_content(from)),
		    log_quote(buf_content(&to)));
		buf_reset(from);
		buf_span(from, buf_content(&to));
	}
	buf_clear(&to);
}

/* `senders`: with the address as it was said, before it is rewritten. */
static bool
is_another_s(const struct session *s, const struct smtp_path *path)
{
	struct buf	from;
	bool		may;

	if (s->listen->senders == NULL)
		return false;
	buf_init(&from, SMTP_PATH_MAX + 64);
	may = smtp_path_write(&from, path) &&
	    senders_may(s, buf_content(&from));
	buf_clear(&from);
	return !may;
}

/* Who is behind a message, as xtext: is he the client, or one of his (`senders`)? */
static bool
is_his(const struct session *s, struct span auth)
{
	struct buf	name;
	bool		may;

	buf_init(&name, auth.len + 1);
	may = dec_xtext(&name, auth) && buf_len(&name) > 0 &&
	    senders_may(s, buf_content(&name));
	buf_clear(&name);
	return may;
}

/*
 * RFC 4954, 5: only who has logged in is trusted to say who is behind a message.
 * Others, from a network that may relay too, are as if they had said that nobody
 * is known: an address can be borrowed, and is not proven by anything. An actual
 * server makes up its own mind.
 */
static void
judge_auth(const struct session *s, struct smtp_mail_params *p)
{
	if (p->auth.len == 0 || session_proxied(s) || span_is(p->auth, "<>"))
		return;
	if (!s->authed || !is_his(s, p->auth))
		p->auth = span_str("<>");
}

static bool
begin(struct cmd *c, const struct smtp_path *path,
    const struct smtp_mail_params *p)
{
	struct session	*s = c->s;
	struct buf	 from;
	bool		 ok;

	buf_init(&from, SMTP_PATH_MAX + 64);
	ok = smtp_path_write(&from, path) && (s->txn = txn_new(s)) != NULL;
	if (ok)
		masquerade(s, &from);
	if (ok && !(ok = txn_mail(s->txn, buf_content(&from), p)))
		txn_end(s);
	buf_clear(&from);
	return ok;
}

/* RFC 9422, 4.1: every MAIL counts. Who goes on after that has not heard. */
static bool
too_many(struct cmd *c, struct span arg)
{
	const struct conf_limits *l = &session_conf()->limits;
	struct session		 *s = c->s;

	s->mails++;
	if (session_proxied(s) || l->messages == 0 ||
	    s->mails <= l->messages)
		return false;
	if (s->mails > l->messages + l->errors)
		session_fail(s, 421, span_str("4.7.0 Too many messages in this "
		    "session"), "too many messages");
	else
		refuse(c, arg, 452, "4.7.0", "Too many messages in this "
		    "session; connect again");
	return true;
}

void
cmd_mail(struct cmd *c, struct span arg)
{
	struct session		*s = c->s;
	struct smtp_mail_params	 p;
	struct smtp_path	 path;
	const char		*why = "";
	uint16_t		 code = 501;

	if (too_many(c, arg))
		return;
	if (smtp_mail_parse(arg, &path, &p, &code, &why) != PARSE_OK) {
		refuse(c, arg, code, enhanced_of(code), why);
		return;
	}
	if (!offered(s->caps, &p)) {
		refuse(c, arg, 555, "5.5.4",
		    "A parameter that was not offered");
		return;
	}
	/* RFC 1870, 6.1 */
	if (p.size_set && s->size_max > 0 && p.size > s->size_max) {
		refuse(c, arg, 552, "5.3.4", "The message is too large");
		return;
	}
	if (is_another_s(s, &path)) {
		refuse(c, arg, 553, "5.7.1", "This sender is not yours");
		return;
	}
	if (session_proxied(s) && s->link == NULL) {
		proxy_renew(c, arg);
		return;
	}
	judge_auth(s, &p);
	if (!begin(c, &path, &p)) {
		refuse(c, arg, 451, "4.3.0", "No memory");
		return;
	}
	s->vain = 0;
	session_phase(s, PH_MAIL);
	log_debug("session=%s id=%s event=mail from=<%s>", s->id, s->txn->ids,
	    txn_quote(s->txn->from));
	if (session_proxied(s)) {
		s->txn->way = &handoff_proxy;
		s->txn->action = s->listen->proxy;
		link_mail(s->link, c, s->txn);
	} else
		session_reply(c, 250, "2.1.0 Ok");
}
