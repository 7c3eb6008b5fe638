/*
 * What a grammar can't check: names without a meaning, rules that never match,
 * what a mode forbids, open relays; and defaults that depend on the whole.
 */
#include <string.h>

#include "common/conf/build.h"

static void
check_tables(struct build *b)
{
	for (size_t i = 0; i < b->conf->ntables; i++) {
		struct conf_table *t = b->conf->tables[i];

		if (!t->defined)
			lex_error(&b->lex, &t->pos, "table \"%s\" is not "
			    "defined", table_name(t));
		else if (!t->used)
			lex_warning(&b->lex, &t->pos, "table \"%s\" is not "
			    "used", table_name(t));
	}
}

static void
check_actions(struct build *b)
{
	for (struct build_action *a = b->actions; a != NULL; a = a->next) {
		if (!a->defined) {
			lex_error(&b->lex, &a->used_pos, "action \"%s\" is not "
			    "defined", a->act.name);
			continue;
		}
		if (!a->used)
			lex_warning(&b->lex, &a->act.pos, "action \"%s\" is "
			    "not used", a->act.name);
		if (a->act.type == ACT_PROXY && a->act.ndests == 0)
			lex_error(&b->lex, &a->act.pos, "a proxy action needs "
			    "`to`: its actual server");
		for (size_t i = 0; i < a->act.ndests; i++)
			if (a->act.dests[i].kind == DEST_MX &&
			    a->act.type == ACT_PROXY)
				lex_error(&b->lex, &a->act.pos, "a proxy's "
				    "actual server is a host, not mx:");
		if (b->conf->mode == MODE_FIREWALL &&
		    a->act.type == ACT_MAILBOX)
			lex_error(&b->lex, &a->act.pos, "mode firewall keeps "
			    "no mailboxes");
	}
}

/* The submission socket: there without being asked for, beside the control
 * directory, which strangers cannot enter. */
static void
default_socket(struct build *b)
{
	struct conf	*c = b->conf;
	size_t		 n = strlen(c->control_path) + sizeof("-submission");
	char		*path = build_alloc(b, n);

	memcpy(path, c->control_path, strlen(c->control_path));
	memcpy(path + strlen(c->control_path), "-submission",
	    sizeof("-submission"));
	if (!b->submission) {
		struct conf_pos	 none = { "postern.conf", 1, 1 };

		build_listen_socket(b, &none, path);
		build_listen_end(b);
	}
	for (size_t i = 0; i < c->nlistens; i++)
		if (c->listens[i]->kind == LISTEN_UNIX &&
		    c->listens[i]->path == NULL)
			c->listens[i]->path = path;
}

static bool
same_socket(const struct conf_listen *a, const struct conf_listen *c)
{
	for (size_t i = 0; i < a->naddrs; i++)
		for (size_t k = 0; k < c->naddrs; k++)
			if (addr_eq(&a->addrs[i], &c->addrs[k]) &&
			    a->addrs[i].port == c->addrs[k].port)
				return true;
	return a->kind == LISTEN_UNIX && c->kind == LISTEN_UNIX &&
	    strcmp(a->path, c->path) == 0;
}

static void
check_listens(struct build *b)
{
	struct conf	*c = b->conf;

	if (c->nlistens == 0 && b->lex.errors == 0)
		lex_error(&b->lex, &b->lex.pos, "nothing listens: a `listen "
		    "on` statement is needed");
	default_socket(b);
	for (size_t i = 0; i < c->nlistens; i++) {
		struct conf_listen *l = c->listens[i];

		if (l->hostname == NULL)
			l->hostname = c->hostname;
		if (l->max_message_size == 0 ||
		    l->max_message_size > c->limits.message_size)
			l->max_message_size = c->limits.message_size;
		if (l->proxy != NULL && l->proxy->type != ACT_PROXY &&
		    l->proxy->pos.file != NULL)
			lex_error(&b->lex, &l->pos, "action \"%s\" is no proxy "
			    "action", l->proxy->name);
		l->takes_passwords = l->proxy != NULL && l->auth_plaintext;
		if (l->auth_plaintext && l->proxy == NULL)
			build_later(b, &l->pos, "auth without proxy");
		for (size_t k = 0; k < i; k++)
			if (same_socket(c->listens[k], l))
				lex_error(&b->lex, &l->pos, "the same address "
				    "and port as at %s:%u",
				    c->listens[k]->pos.file,
				    c->listens[k]->pos.line);
	}
}

/* ---- rules -------------------------------------------------------------------- */

static bool
has_more(const struct conf_rule *r)
{
	return r->auth_user.table != NULL || r->mail_from.table != NULL ||
	    r->helo.table != NULL || r->tag.table != NULL || r->tls_set;
}

/* Is whatever b takes surely taken by a before it? Only the simple cases. */
static bool
covers(const struct conf_rule *a, const struct conf_rule *b)
{
	bool	 from, fors;

	if (has_more(a))
		return false;
	from = (a->from == FROM_ANY && !a->from_table.not) ||
	    (a->from == b->from && a->from_table.not == b->from_table.not &&
	    a->from_table.table == b->from_table.table);
	fors = (a->fors == FOR_ANY && !a->for_table.not) ||
	    (a->fors == b->fors && a->for_table.not == b->for_table.not &&
	    a->for_table.table == b->for_table.table);
	return from && fors;
}

/* Does "source" stand for the whole Internet? */
static bool
source_is_all(const struct conf_rule *r)
{
	const struct conf_table	*t = r->from_table.table;

	return r->from == FROM_SOURCE && (r->from_table.not ?
	    !t->bits4[0] : t->bits4[0] || t->bits6[0]);
}

static void
check_open(struct build *b, const struct conf_rule *r)
{
	bool	 anyone, anywhere;

	if (r->action == NULL || r->action->open || has_more(r) ||
	    (r->action->type != ACT_RELAY && r->action->type != ACT_PROXY))
		return;
	anyone = (r->from == FROM_ANY && !r->from_table.not) ||
	    ((r->from == FROM_AUTH || r->from == FROM_LOCAL ||
	    r->from == FROM_HOST) && r->from_table.not) || source_is_all(r);
	anywhere = (r->fors == FOR_ANY && !r->for_table.not) ||
	    (r->fors != FOR_ANY && r->for_table.not);
	if (anyone && anywhere)
		lex_error(&b->lex, &r->pos, "an open relay: anyone may send to "
		    "anywhere through action \"%s\"; if that is meant, the "
		    "action says `open`", r->action->name);
}

static void
check_rules(struct build *b)
{
	struct conf	*c = b->conf;
	bool		 regular = false;

	for (size_t i = 0; i < c->nlistens; i++)
		if (c->listens[i]->kind == LISTEN_INET &&
		    c->listens[i]->proxy == NULL)
			regular = true;
	for (size_t i = 0; i < c->nrules; i++) {
		const struct conf_rule *r = c->rules[i];

		check_open(b, r);
		for (size_t k = 0; k < i; k++)
			if (covers(c->rules[k], r)) {
				lex_warning(&b->lex, &r->pos, "this rule never "
				    "matches: the one at %s:%u takes all of it",
				    c->rules[k]->pos.file,
				    c->rules[k]->pos.line);
				break;
			}
		if (!regular && r->action != NULL && r->from != FROM_LOCAL)
			lex_warning(&b->lex, &r->pos, "this rule is dead: all "
			    "listeners are proxied, only reject rules apply "
			    "there");
	}
	if (regular && c->nrules == 0)
		lex_warning(&b->lex, &b->lex.pos, "there is no match rule: "
		    "every recipient will be refused");
}

void
check_all(struct build *b)
{
	check_tables(b);
	check_actions(b);
	check_listens(b);
	check_rules(b);
	if (b->conf->queue_path[0] != '/')
		lex_error(&b->lex, &b->lex.pos, "queue path is absolute");
	if (b->conf->control_path[0] != '/' ||
	    strlen(b->conf->control_path) > 80)
		lex_error(&b->lex, &b->lex.pos, "control path is absolute and "
		    "has 80 characters at most (a socket's name lies below it)");
}
