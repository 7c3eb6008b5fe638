/*
 * The walk over rules and aliases for mail of our own. See readers.h.
 */
#include "queued/readers.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/conf/match.h"
#include "common/smtp/path.h"

#define VISITS_MAX	1000	/* addresses looked at for one */

struct walk {
	const struct conf *c;
	struct readers	*out;
	bool		 local_too;	/* the first one is as good as expanded */
	size_t		 visits;
	bool		 over;
};
struct step {
	struct span	 to;
	unsigned	 depth;
	size_t		 skip;		/* rules passed over */
	const struct step *from;	/* what led here */
};

static void	visit(struct walk *, const struct step *);

static void
refused(struct walk *w, const char *why)
{
	if (w->out->why == NULL)
		w->out->why = why;
}

/* Does the way to this step lead over the same address, as it stands? */
static bool
circle(const struct step *p)
{
	for (const struct step *s = p->from; s != NULL; s = s->from)
		if (s->skip == p->skip && span_caseeq(s->to, p->to))
			return true;
	return false;
}

static bool
there(const struct walk *w, struct span to, const struct conf_action *a)
{
	for (size_t i = 0; i < w->out->n; i++)
		if (w->out->v[i].action == a &&
		    span_is(to, w->out->v[i].to))
			return true;
	return false;
}

static void
copies(struct walk *w, const struct step *p, const struct conf_rule *r)
{
	struct reader	*v;
	size_t		 group = w->out->n;

	for (size_t i = 0; i < r->nactions; i++) {
		if (there(w, p->to, r->actions[i]))
			continue;
		if (w->out->n == READERS_MAX) {
			w->over = true;
			return;
		}
		v = &w->out->v[w->out->n];
		if (!span_cstr(p->to, v->to, sizeof(v->to))) {
			refused(w, "the address is too long");
			return;
		}
		v->action = r->actions[i];
		v->group = (uint32_t)group;
		v->expanded = p->depth > 0;
		w->out->n++;
	}
}

/* ---- aliases ---- */

static size_t
rule_number(const struct conf *c, const struct conf_rule *r)
{
	size_t	 i = 0;

	while (i < c->nrules && c->rules[i] != r)
		i++;
	return i;
}

static void
target(struct walk *w, const struct step *p, const struct conf_rule *r,
    const struct alias *a, bool by_user)
{
	struct step	 next = { .depth = p->depth + 1, .from = p };
	struct smtp_path path;
	struct buf	 out;
	const char	*why;
	char		 address[ALIAS_ADDR_MAX];

	buf_init(&out, SMTP_PATH_MAX + 64);
	if (alias_address(w->c, a, p->to, by_user, address) &&
	    smtp_mailbox_parse(span_str(address), true, &path, &why) ==
	    PARSE_OK && smtp_path_write(&out, &path)) {
		next.to = buf_content(&out);
		if (span_caseeq(next.to, p->to)) {
			/* He himself, as he stands: what the rules behind
			 * say. */
			next.depth = p->depth;
			next.skip = rule_number(w->c, r) + 1;
		}
		visit(w, &next);
	} else
		refused(w, "an alias leads to what is no address");
	buf_clear(&out);
}

static void
list(struct walk *w, const struct step *p, const struct conf_rule *r,
    struct span value, bool by_user, unsigned depth)
{
	struct alias	 a;
	struct span	 text;
	const char	*why;

	while (!w->over && alias_next(&value, &a, &why) == PARSE_OK) {
		if (a.kind != ALIAS_INCLUDE)
			target(w, p, r, &a, by_user);
		else if (depth < ALIAS_DEPTH &&
		    alias_file(w->c, a.text, &text))
			list(w, p, r, text, by_user, depth + 1);
	}
}

static void
alias(struct walk *w, const struct step *p, const struct conf_rule *r)
{
	struct span	 value;
	bool		 by_user;

	if (alias_entry(w->c, r->action, p->to, conf_is_local(w->c, p->to),
	    &value, &by_user))
		list(w, p, r, value, by_user, 0);
}

/* ---- the walk ---- */

/* Postmaster's and abuse's mail has a reader where no rule has them. */
static bool
is_role(const struct step *p, const struct match_out *out)
{
	size_t		 at = span_rfind(p->to, '@');
	struct span	 local = span_sub(p->to, 0, at);

	if (at == p->to.len)
		return span_caseis(local, "postmaster");
	return (span_caseis(local, "postmaster") ||
	    span_caseis(local, "abuse")) && out->kind != MATCH_ACTION &&
	    out->text != NULL && strncmp(out->text, "5.1.1", 5) == 0;
}

static void
visit(struct walk *w, const struct step *p)
{
	struct match_in	 in = { .local = true, .rdns_known = true,
			    .helo = span_str(w->c->hostname),
			    .expanded = p->depth > 0 || w->local_too,
			    .rcpt_to = p->to, .skip = p->skip };
	struct step	 reader = { .depth = p->depth + 1, .from = p };
	struct match_out out;

	if (p->depth > READERS_DEPTH || ++w->visits > VISITS_MAX || circle(p)) {
		refused(w, "aliases lead too far");
		return;
	}
	conf_match(w->c, &in, &out);
	if (w->c->postmaster != NULL && is_role(p, &out)) {
		reader.to = span_str(w->c->postmaster);
		visit(w, &reader);
	} else if (out.kind != MATCH_ACTION)
		refused(w, out.text != NULL ? out.text : "no action for it");
	else if (out.action->type == ACT_EXPAND)
		alias(w, p, out.rule);
	else
		copies(w, p, out.rule);
}

void
readers_find(const struct conf *c, struct span to, bool expanded,
    struct readers *out)
{
	struct walk	 w = { .c = c, .out = out, .local_too = expanded };
	struct step	 first = { .to = to };

	*out = (struct readers){ 0 };
	if ((out->v = calloc(READERS_MAX, sizeof(*out->v))) == NULL)
		fatal("readers");
	visit(&w, &first);
	if (w.over) {
		out->n = 0;
		out->why = "the address stands for too many others";
	} else if (out->n == 0 && out->why == NULL)
		out->why = "an alias that leads to nobody";
}

void
readers_clear(struct readers *r)
{
	free(r->v);
	*r = (struct readers){ 0 };
}
