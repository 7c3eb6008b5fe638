/*
 * Envelope and header: see letter.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/letter.h"

#include "common/base/clock.h"
#include "common/base/enc.h"
#include "common/base/rand.h"
#include "common/base/utf8.h"
#include "common/mime/date.h"
#include "common/mime/header.h"
#include "common/mime/mailbox.h"
#include "common/smtp/path.h"

void
letter_begin(struct letter *l, const struct sendmail *o, const char *domain)
{
	*l = (struct letter){ .domain = domain };
	intake_begin(&l->in, o->dots);
	buf_init(&l->head, 2 * INTAKE_HEADER_MAX);
	buf_init(&l->from, SMTP_PATH_MAX + 64);
	buf_init(&l->envid, 100);
	l->s.place = o->place;
	l->s.retry_ms = o->retry_ms;
	l->s.verbose = o->verbose;
	l->s.rcpt.notify = o->notify;
	l->s.mail.ret = o->ret;
}

void
letter_clear(struct letter *l)
{
	submit_clear(&l->s);
	for (size_t i = 0; i < l->s.nrcpts; i++)
		free(l->s.rcpts[i].addr);
	free(l->s.rcpts);
	intake_clear(&l->in);
	buf_clear(&l->head);
	buf_clear(&l->from);
	buf_clear(&l->envid);
}

static int __attribute__((format(printf, 3, 4)))
fail(struct letter *l, int status, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
	return status;
}

/* An address of a list as an envelope has it: with a domain, written anew. */
static bool
address(struct letter *l, const struct mailbox *m, struct buf *out,
    const char **why)
{
	struct smtp_path	 path;
	struct buf		 full;
	bool			 ok;

	buf_init(&full, 2 * SMTP_PATH_MAX);
	buf_span(&full, m->addr);
	if (!m->domain)
		buf_fmt(&full, "@%s", l->domain);
	*why = "malformed address";
	ok = !full.failed && smtp_mailbox_parse(buf_content(&full), true,
	    &path, why) == PARSE_OK && smtp_path_write(out, &path);
	if (ok)
		l->utf8 = l->utf8 || !utf8_is_ascii(buf_content(out));
	buf_clear(&full);
	return ok;
}

/* A login's name may have characters, "DOMAIN\user", that need quotes. */
static void
quote(struct buf *b, const char *user)
{
	buf_byte(b, '"');
	for (; *user != '\0'; user++) {
		if (*user == '"' || *user == '\\')
			buf_byte(b, '\\');
		buf_byte(b, (uint8_t)*user);
	}
	buf_byte(b, '"');
}

int
letter_from(struct letter *l, const char *from, const char *user)
{
	struct mailbox_list	 list;
	struct mailbox		 m;
	struct buf		 login;
	const char		*why = "no address";
	bool			 ok;

	if (from != NULL && (from[0] == '\0' || strcmp(from, "<>") == 0))
		return 0;
	buf_init(&login, 2 * SMTP_PATH_MAX);
	quote(&login, user);
	mailbox_list_begin(&list, from != NULL ? span_str(from) :
	    buf_content(&login));
	ok = mailbox_next(&list, &m) && address(l, &m, &l->from, &why);
	if (ok && mailbox_next(&list, &m)) {
		ok = false;
		why = "more than one address";
	}
	if (list.why != NULL)
		why = list.why;
	ok = ok && list.why == NULL;
	mailbox_list_clear(&list);
	buf_clear(&login);
	return ok ? 0 : fail(l, EX_USAGE, "the sender %s: %s",
	    from != NULL ? from : user, why);
}

/* ---- recipients ---------------------------------------------------------- */

static struct submit_rcpt *
add(struct letter *l, struct span addr)
{
	struct submission	*s = &l->s;
	struct submit_rcpt	*r;

	for (size_t i = 0; i < s->nrcpts; i++)
		if (span_is(addr, s->rcpts[i].addr))
			return &s->rcpts[i];
	if (s->nrcpts >= LETTER_RCPTS_MAX)
		return NULL;
	/* Grown at each power of two. */
	if ((s->nrcpts & (s->nrcpts - 1)) == 0) {
		r = reallocarray(s->rcpts, s->nrcpts == 0 ? 1 : s->nrcpts * 2,
		    sizeof(*r));
		if (r == NULL)
			return NULL;
		s->rcpts = r;
	}
	r = &s->rcpts[s->nrcpts];
	*r = (struct submit_rcpt){ .addr = span_dup(addr) };
	if (r->addr == NULL)
		return NULL;
	s->nrcpts++;
	return r;
}

static bool
add_refused(struct letter *l, struct span text, const char *why)
{
	struct submit_rcpt	*r = add(l, text);

	if (r == NULL)
		return false;
	if (r->reply == NULL && asprintf(&r->reply, "553 5.1.3 %s", why) == -1)
		r->reply = NULL;
	r->state = RCPT_REFUSED;
	r->code = 553;
	return r->reply != NULL;
}

static bool
add_mailbox(struct letter *l, const struct mailbox *m)
{
	struct buf	 to;
	const char	*why;
	bool		 ok;

	buf_init(&to, SMTP_PATH_MAX + 64);
	ok = address(l, m, &to, &why) ? add(l, buf_content(&to)) != NULL :
	    add_refused(l, m->addr, why);
	buf_clear(&to);
	return ok;
}

int
letter_to(struct letter *l, const char *word)
{
	struct mailbox_list	 list;
	struct mailbox		 m;
	bool			 ok = true;

	mailbox_list_begin(&list, span_str(word));
	while (ok && mailbox_next(&list, &m))
		ok = add_mailbox(l, &m);
	if (ok && list.why != NULL)
		ok = add_refused(l, span_str(word), list.why);
	mailbox_list_clear(&list);
	return ok ? 0 : fail(l, EX_OSERR, "too many recipients");
}

struct extract {
	struct letter	*l;
	bool		 failed;
};

static void
extract_one(struct span addr, void *arg)
{
	struct extract	*x = arg;
	struct mailbox	 m = { .addr = addr };
	bool		 quoted = false;

	/* Is there an "@" outside of quotes? */
	for (size_t i = 0; i < addr.len; i++) {
		if (quoted && addr.p[i] == '\\')
			i++;
		else if (addr.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && addr.p[i] == '@')
			m.domain = true;
	}
	if (!add_mailbox(x->l, &m))
		x->failed = true;
}

int
letter_extract(struct letter *l)
{
	struct header_field	 f;
	struct extract		 x = { l, false };
	const char		*why;

	if (!header_recipients(buf_content(&l->in.head), extract_one, &x, &f,
	    &why))
		return fail(l, EX_DATAERR, "the field %.*s: %s",
		    (int)f.name.len, (const char *)f.name.p, why);
	if (x.failed)
		return fail(l, EX_OSERR, "too many recipients");
	return l->s.nrcpts > 0 ? 0 : fail(l, EX_DATAERR, "the header names "
	    "no recipients");
}

/* ---- the message --------------------------------------------------------- */

int
letter_read(struct letter *l, int fd)
{
	static uint8_t	bytes[65536];
	ssize_t		n;

	while (!l->in.done && (n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return fail(l, EX_IOERR, "reading the message: %s",
			    strerror(errno));
		if (!intake_feed(&l->in, span(bytes, (size_t)n)))
			break;
	}
	return intake_end(&l->in) ? 0 : fail(l, l->in.body.io ? EX_IOERR :
	    EX_DATAERR, "%s", l->in.why);
}

static void
put_from(struct letter *l, struct buf *b, const char *name)
{
	struct span	 addr = buf_content(&l->from);
	bool		 named = name != NULL && name[0] != '\0';

	if (named) {
		mailbox_phrase_write(b, span_str(name));
		buf_str(b, " <");
	}
	if (addr.len > 0)
		buf_span(b, addr);
	else
		buf_fmt(b, "MAILER-DAEMON@%s", l->domain);
	if (named)
		buf_byte(b, '>');
}

static int
complete(struct letter *l, const char *name)
{
	struct header_missing	 m = { .domain = span_str(l->domain) };
	struct buf		 from, date, mid;
	char			 id[ID_STRLEN];
	bool			 ok;

	buf_init(&from, 2048);
	buf_init(&date, 64);
	buf_init(&mid, 512);
	put_from(l, &from, name);
	date_local(&date, (time_t)(clock_wall().ms / 1000));
	id_init(0, 0);
	buf_fmt(&mid, "<%s.%08x@%s>", id_str(id_new(), id),
	    (unsigned)rand_u64(), l->domain);
	m.from = buf_content(&from);
	m.date = buf_content(&date);
	m.message_id = buf_content(&mid);
	ok = !from.failed && header_complete(buf_content(&l->in.head), &m,
	    &l->head);
	buf_clear(&from);
	buf_clear(&date);
	buf_clear(&mid);
	return ok ? 0 : fail(l, EX_DATAERR, "the header is too large");
}

int
letter_seal(struct letter *l, const struct sendmail *o, const char *name)
{
	struct submission	*s = &l->s;
	struct span		 head;
	int			 st;

	if ((st = complete(l, name)) != 0)
		return st;
	if (o->envid != NULL && !enc_xtext(&l->envid, span_str(o->envid)))
		return fail(l, EX_USAGE, "the envelope id is too long");
	head = buf_content(&l->head);
	s->from = buf_content(&l->from);
	s->head = head;
	s->body = &l->in.body;
	s->mail.envid = buf_content(&l->envid);
	s->mail.size_set = true;
	s->mail.size = s->head.len + 2 + spill_len(s->body);
	/* RFC 6531, 3.4: needed by an address or a field in UTF-8; what is in
	 * another charset there is for no extension. */
	s->mail.utf8 = l->utf8 || (!utf8_is_ascii(head) && utf8_valid(head));
	if (l->in.eight || !utf8_is_ascii(head))
		s->mail.body = BODY_8BITMIME;
	return 0;
}
