/*
 * The labels of the credentials that the configuration logs in with.
 */
#include "common/conf/dest.h"
#include "common/conf/table.h"

struct each {
	const struct conf_pos *pos;
	bool		 (*f)(const char *, const struct conf_pos *, void *);
	void		*arg;
	bool		 more;
};

static void
tell(struct each *e, const char *label)
{
	if (label != NULL && e->more)
		e->more = e->f(label, e->pos, e->arg);
}

static void
of_pool(struct each *e, const struct conf_pool *p)
{
	for (size_t i = 0; i < p->ndests; i++)
		tell(e, p->dests[i].auth);
}

/* A value of `to <T> by …`. */
static bool
of_value(struct span key, struct span value, void *arg)
{
	struct each		*e = arg;
	const char		*why;
	struct conf_pool	*p = dest_list(value, &why);

	(void)key;
	if (p != NULL)
		of_pool(e, p);
	dest_list_free(p);
	return e->more;
}

void
conf_labels(const struct conf *c, bool (*f)(const char *,
    const struct conf_pos *, void *), void *arg)
{
	struct each	 e = { .f = f, .arg = arg, .more = true };

	for (size_t i = 0; i < c->nactions; i++) {
		const struct conf_action	*a = c->actions[i];

		/* The clients of a proxied action log in themselves. */
		if (a->type != ACT_RELAY)
			continue;
		e.pos = &a->pos;
		tell(&e, a->auth);
		if (a->pool != NULL)
			of_pool(&e, a->pool);
		if (a->by != BY_NONE)
			table_each(a->to_table, of_value, &e);
	}
}
