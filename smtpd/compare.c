/*
 * Counts, the ring of differences, and keywords. See compare.h.
 */
#include "smtpd/compare.h"

#include <sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/smtp/reply.h"

struct counts {
	LIST_ENTRY(counts) entry;
	struct compare_counts c;
};

/* Two servers, and what was told of their keywords. */
struct pair {
	char		*servers, *told;
};

static LIST_HEAD(, counts)	 all = LIST_HEAD_INITIALIZER(all);
static struct difference	*ring;		/* NULL: none yet */
static size_t			 ndiffs;	/* ever; the ring has the last */
static struct pair		 pairs[COMPARE_PAIRS];
static size_t			 npairs;	/* ever */

const char *
compare_name(enum compare_what what)
{
	static const char *const names[CMP_MAX] = { "ehlo", "mail", "rcpt",
	    "data", "content", "rset", "noop", "vrfy", "expn", "help" };

	return what < CMP_MAX ? names[what] : "?";
}

struct compare_counts *
compare_counts(const struct conf_action *a)
{
	struct counts	*c;

	LIST_FOREACH(c, &all, entry)
		if (c->c.action == a)
			return &c->c;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("counts");
	c->c.action = a;
	LIST_INSERT_HEAD(&all, c, entry);
	return &c->c;
}

/* ---- answers ----------------------------------------------------------- */

static void
flat(char *dst, size_t size, uint16_t code, struct span text)
{
	struct buf	b;

	buf_init(&b, 64 << 10);
	smtp_reply_flat(&b, code, text);
	span_cstr(span_sub(buf_content(&b), 0, size - 1), dst, size);
	buf_clear(&b);
}

static void
name(char *dst, size_t size, const char *server)
{
	strlcpy(dst, server != NULL ? server : "", size);
}

static void
keep(const struct comparison *c)
{
	struct difference	*d;

	if (ring == NULL &&
	    (ring = calloc(COMPARE_KEPT, sizeof(*ring))) == NULL)
		return;
	d = &ring[ndiffs++ % COMPARE_KEPT];
	memset(d, 0, sizeof(*d));
	d->time_ms = clock_wall().ms;
	d->action = c->action;
	d->what = c->what;
	strlcpy(d->session, c->session, sizeof(d->session));
	if (c->id != 0)
		id_str(c->id, d->id);
	span_cstr(span_sub(c->arg, 0, sizeof(d->arg) - 1), d->arg,
	    sizeof(d->arg));
	name(d->server, sizeof(d->server), c->actual.server);
	name(d->mirror, sizeof(d->mirror), c->mirror.server);
	flat(d->reply, sizeof(d->reply), c->actual.code, c->actual.text);
	flat(d->mirror_reply, sizeof(d->mirror_reply), c->mirror.code,
	    c->mirror.text);
}

/* " id=…" and " to=<…>", or nothing. */
static void
tell(const struct comparison *c)
{
	char		 id[ID_STRLEN], ids[ID_STRLEN + 4] = "", arg[1100] = "";
	const char	*value = c->arg.len == 0 ? "" : log_quote(c->arg);

	if (c->id != 0)
		snprintf(ids, sizeof(ids), " id=%s", id_str(c->id, id));
	if (c->what == CMP_MAIL || c->what == CMP_RCPT)
		snprintf(arg, sizeof(arg), " %s=<%s>", c->what == CMP_MAIL ?
		    "from" : "to", value);
	else if (c->arg.len > 0)
		snprintf(arg, sizeof(arg), " arg=%s", value);
	log_info("session=%s%s event=mirror what=%s%s server=%s reply=%s "
	    "mirror=%s mirror-reply=%s", c->session, ids,
	    compare_name(c->what), arg,
	    log_quote(span_str(c->actual.server)),
	    log_reply(c->actual.code, c->actual.text),
	    log_quote(span_str(c->mirror.server)),
	    log_reply(c->mirror.code, c->mirror.text));
}

void
compare(const struct comparison *c)
{
	struct compare_counts	*n = compare_counts(c->action);

	if (c->actual.code == c->mirror.code) {
		n->what[c->what].same++;
		return;
	}
	n->what[c->what].differ++;
	keep(c);
	tell(c);
}

/* ---- keywords ---------------------------------------------------------- */

/* Lines of a that b has not, a "; " between. */
static void
lacking(struct buf *out, struct span a, struct span b)
{
	struct span	line, rest, other;
	bool		there;

	while (span_word(&a, "\n", &line)) {
		there = false;
		for (rest = b; !there && span_word(&rest, "\n", &other);)
			there = span_eq(line, other);
		if (there)
			continue;
		if (buf_len(out) > 0)
			buf_str(out, "; ");
		buf_span(out, line);
	}
}

/* The pair of these servers; the oldest gives way to a new one. */
static struct pair *
pair_of(const char *servers)
{
	struct pair	*p;

	for (size_t i = 0; i < COMPARE_PAIRS && i < npairs; i++)
		if (strcmp(pairs[i].servers, servers) == 0)
			return &pairs[i];
	p = &pairs[npairs++ % COMPARE_PAIRS];
	free(p->servers);
	free(p->told);
	p->told = NULL;
	if ((p->servers = strdup(servers)) == NULL)
		fatal("pair");
	return p;
}

void
compare_keywords(const char *session, const char *server,
    const struct smtp_caps *a, const char *mirror, const struct smtp_caps *b)
{
	char		 servers[620], told[1200];
	struct buf	 ta, tb, only, only_mirror;
	struct pair	*p;

	snprintf(servers, sizeof(servers), "%s %s",
	    server != NULL ? server : "", mirror != NULL ? mirror : "");
	buf_init(&ta, 4096);
	buf_init(&tb, 4096);
	buf_init(&only, 1024);
	buf_init(&only_mirror, 1024);
	smtp_caps_text(&ta, "-", a);
	smtp_caps_text(&tb, "-", b);
	lacking(&only, buf_content(&ta), buf_content(&tb));
	lacking(&only_mirror, buf_content(&tb), buf_content(&ta));
	snprintf(told, sizeof(told), "%.*s / %.*s", (int)buf_len(&only),
	    (const char *)buf_content(&only).p, (int)buf_len(&only_mirror),
	    (const char *)buf_content(&only_mirror).p);
	p = pair_of(servers);
	if (p->told == NULL || strcmp(p->told, told) != 0) {
		if (p->told != NULL ||
		    buf_len(&only) + buf_len(&only_mirror) > 0)
			log_info("session=%s event=mirror what=keywords "
			    "server=%s only=%s mirror=%s mirror-only=%s",
			    session, log_quote(span_str(server)),
			    log_quote(buf_content(&only)),
			    log_quote(span_str(mirror)),
			    log_quote(buf_content(&only_mirror)));
		free(p->told);
		if ((p->told = strdup(told)) == NULL)
			fatal("pair");
	}
	buf_clear(&ta);
	buf_clear(&tb);
	buf_clear(&only);
	buf_clear(&only_mirror);
}

/* ---- for posternctl ---------------------------------------------------- */

void
compare_each_count(void (*f)(const struct compare_counts *, void *), void *arg)
{
	const struct counts	*c;

	LIST_FOREACH(c, &all, entry)
		f(&c->c, arg);
}

void
compare_each_difference(void (*f)(const struct difference *, void *),
    void *arg)
{
	size_t	i = ndiffs > COMPARE_KEPT ? ndiffs - COMPARE_KEPT : 0;

	for (; i < ndiffs; i++)
		f(&ring[i % COMPARE_KEPT], arg);
}

void
compare_reset(void)
{
	struct counts	*c;

	while ((c = LIST_FIRST(&all)) != NULL) {
		LIST_REMOVE(c, entry);
		free(c);
	}
	for (size_t i = 0; i < COMPARE_PAIRS; i++) {
		free(pairs[i].servers);
		free(pairs[i].told);
		pairs[i] = (struct pair){ 0 };
	}
	free(ring);
	ring = NULL;
	ndiffs = npairs = 0;
}
