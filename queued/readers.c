/*
 * The walk over rules and aliases for mail without a session. See readers.h.
 */
#include "queued/readers.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/lookup/aliases.h"
#include "queued/route.h"

#define VISITS		10	/* addresses looked at for each reader */

struct visits {
	const struct conf *c;
	struct readers	*out;
	struct match_in	 in;		/* whose mail it is */
	bool		 ours;
	size_t		 cap, max;
	struct aliases	 a;
};

static void
refuse(struct visits *w, const char *why)
{
	if (w->out->why == NULL)
		w->out->why = why;
}

static bool
there(const struct visits *w, struct span to, const struct conf_action *a)
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
	const struct visits *w = arg;
	struct match_in	 in = w->in;

	in.expanded = in.expanded || p->depth > 0;
	in.rcpt_to = p->to;
	in.skip = p->skip;
	conf_match(w->c, &in, out);
}

static struct reader *
add(struct visits *w)
{
	struct reader	*v;

	if (w->out->n == w->max) {
		w->a.too_many = w->a.stop = true;
		return NULL;
	}
	if (w->out->n == w->cap) {
		w->cap = w->cap == 0 ? 1 : w->cap * 4;
		if ((v = reallocarray(w->out->v, w->cap, sizeof(*v))) == NULL)
			fatal("readers");
		w->out->v = v;
	}
	return &w->out->v[w->out->n];
}

static void
found(void *arg, const struct aliases_step *p, const struct match_out *out)
{
	struct visits	*w = arg;
	struct reader	*v;
	const struct conf_action *a;
	const char	*why;
	size_t		 group = w->out->n;

	for (uint32_t i = 0; (a = route_action(out, i)) != NULL; i++) {
		if (there(w, p->to, a))
			continue;
		if (!w->ours && !route_queued(a, &why)) {
			refuse(w, why);
			continue;
		}
		if ((v = add(w)) == NULL)
			return;
		if (!span_cstr(p->to, v->to, sizeof(v->to))) {
			refuse(w, "the address is too long");
			return;
		}
		v->action = a;
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

static void
find(struct visits *w, struct span to)
{
	struct aliases_step	 first = { .to = to };
	struct readers		*out = w->out;

	*out = (struct readers){ 0 };
	w->a = (struct aliases){ .conf = w->c, .ops = &ops, .arg = w,
	    .max = w->max * VISITS };
	aliases_walk(&w->a, &first);
	if (w->a.memory)
		fatalx("readers");
	if (w->a.too_many) {
		out->n = 0;
		out->why = "the address stands for too many others";
	} else if (out->n == 0 && out->why == NULL)
		/* Each is there already: they lead to one another. */
		out->why = "aliases lead too far";
}

void
readers_find(const struct conf *c, struct span to, bool expanded,
    struct readers *out)
{
	struct visits	 w = { .c = c, .out = out, .ours = true,
			    .max = READERS_MAX };

	w.in = (struct match_in){ .local = true, .rdns_known = true,
	    .helo = span_str(c->hostname), .expanded = expanded };
	find(&w, to);
}

void
readers_again(const struct conf *c, const struct rec_msg *m, struct span to,
    uint8_t flags, struct readers *out)
{
	struct visits	 w = { .c = c, .out = out, .in = route_in(m, to, flags),
			    .max = c->limits.recipients };

	find(&w, to);
}

void
readers_clear(struct readers *r)
{
	free(r->v);
	*r = (struct readers){ 0 };
}
