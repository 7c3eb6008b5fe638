/*
 * The walk over rules and aliases for mail of our own. See readers.h.
 */
#include "queued/readers.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/lookup/aliases.h"

#define VISITS_MAX	1000	/* addresses looked at for one */

struct walk {
	const struct conf *c;
	struct readers	*out;
	bool		 local_too;	/* the first one is as good as expanded */
	struct aliases	 a;
};

static void
refuse(struct walk *w, const char *why)
{
	if (w->out->why == NULL)
		w->out->why = why;
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

/* ---- what the walk tells ---- */

static void
match(void *arg, const struct aliases_step *p, struct match_out *out)
{
	const struct walk *w = arg;
	struct match_in	 in = { .local = true, .rdns_known = true,
			    .helo = span_str(w->c->hostname),
			    .expanded = p->depth > 0 || w->local_too,
			    .rcpt_to = p->to, .skip = p->skip };

	conf_match(w->c, &in, out);
}

static void
found(void *arg, const struct aliases_step *p, const struct match_out *out)
{
	struct walk	*w = arg;
	struct reader	*v;
	const struct conf_rule *r = out->rule;
	size_t		 group = w->out->n;

	for (size_t i = 0; i < r->nactions; i++) {
		if (there(w, p->to, r->actions[i]))
			continue;
		if (w->out->n == READERS_MAX) {
			w->a.too_many = w->a.stop = true;
			return;
		}
		v = &w->out->v[w->out->n];
		if (!span_cstr(p->to, v->to, sizeof(v->to))) {
			refuse(w, "the address is too long");
			return;
		}
		v->action = r->actions[i];
		v->group = (uint32_t)group;
		v->expanded = p->depth > 0;
		w->out->n++;
	}
}

static void
refused(void *arg, const struct aliases_step *p, uint16_t code,
    const char *text, const struct conf_pos *rule)
{
	(void)p;
	(void)code;
	(void)rule;
	refuse(arg, text == aliases_too_far ? "aliases lead too far" : text);
}

static const struct aliases_ops ops = { match, found, refused };

void
readers_find(const struct conf *c, struct span to, bool expanded,
    struct readers *out)
{
	struct walk		 w = { .c = c, .out = out,
				    .local_too = expanded };
	struct aliases_step	 first = { .to = to };

	*out = (struct readers){ 0 };
	if ((out->v = calloc(READERS_MAX, sizeof(*out->v))) == NULL)
		fatal("readers");
	w.a = (struct aliases){ .conf = c, .ops = &ops, .arg = &w,
	    .max = VISITS_MAX };
	aliases_walk(&w.a, &first);
	if (w.a.memory)
		fatalx("readers");
	if (w.a.too_many) {
		out->n = 0;
		out->why = "the address stands for too many others";
	} else if (out->n == 0 && out->why == NULL)
		/* Each is there already: they lead to one another. */
		out->why = "aliases lead too far";
}

void
readers_clear(struct readers *r)
{
	free(r->v);
	*r = (struct readers){ 0 };
}
