/*
 * From words to the tree: tables, listeners and rules. Actions are action.c's.
 * See build.h.
 */
#include <string.h>

#include "common/base/utf8.h"
#include "common/conf/build.h"
#include "common/conf/gram.h"

static char *
lit(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* ---- tables -------------------------------------------------------------- */

static struct conf_table *
table_find(const struct build *b, const char *name)
{
	for (size_t i = 0; i < b->conf->ntables; i++)
		if (b->conf->tables[i]->name != NULL &&
		    strcmp(b->conf->tables[i]->name, name) == 0)
			return b->conf->tables[i];
	return NULL;
}

static struct conf_table *
table_make(struct build *b, const struct conf_pos *pos, const char *name)
{
	struct conf_table	*t = table_new(b->mem, name);
	size_t			 n = b->conf->ntables;

	if (t != NULL) {
		t->pos = *pos;
		build_push(b, (void ***)&b->conf->tables, &b->conf->ntables, t);
		if (b->conf->ntables > n)
			return t;
		table_clear(t);
	} else
		lex_error(&b->lex, pos, "the configuration is too large");
	return b->spare;
}

struct conf_table *
build_table(struct build *b, const struct conf_pos *pos, const char *name)
{
	struct conf_table	*t = table_find(b, name);

	if (t == NULL)
		t = table_make(b, pos, name);
	t->used = true;
	return t;
}

struct conf_table *
build_users(struct build *b, const struct conf_pos *pos, const char *name)
{
	struct conf_table	*t = table_find(b, name);

	if (t == NULL)
		t = table_make(b, pos, name);
	t->judges = true;
	return t;
}

struct conf_table *
build_inline(struct build *b, const struct conf_pos *pos)
{
	struct conf_table	*t = table_make(b, pos, NULL);

	t->used = t->defined = true;
	return t;
}

void
build_entry(struct build *b, const struct conf_pos *pos, struct conf_table *t,
    const char *key, const char *value)
{
	if (key[0] == '\0')
		lex_error(&b->lex, pos, "an entry may not be empty");
	else if (!table_add(b->mem, t, span_str(key), span_str(value)))
		lex_error(&b->lex, pos, "an entry has at most %d bytes",
		    TABLE_KEY_MAX);
}

void
build_table_begin(struct build *b, const struct conf_pos *pos,
    const char *name)
{
	struct conf_table	*t = table_find(b, name);

	if (name[0] == '\0' || strpbrk(name, " \t{},=<>!#\"$") != NULL)
		lex_error(&b->lex, pos, "\"%s\" is no name that can stand as "
		    "<name>", name);
	if (t == NULL) {
		t = table_make(b, pos, name);
	} else if (t->defined) {
		lex_error(&b->lex, pos, "table \"%s\" is defined twice, first "
		    "at %s:%u", name, t->pos.file, t->pos.line);
		t = build_inline(b, pos);
		t->name = build_str(b, span_str(name));
	}
	t->defined = true;
	t->pos = *pos;
	b->table = t;
}

/* The bytes of a table's file; false: it is not there, and that is told. */
static bool
table_file(struct build *b, const struct conf_pos *pos, const char *path,
    struct span *text)
{
	struct bundle_item	 item;
	struct span		 s = b->lex.bundle;

	b->table->path = path;
	while (bundle_next(&s, &item))
		if (item.kind == BUNDLE_TABLE && span_is(item.key, path)) {
			*text = item.text;
			return true;
		}
	lex_error(&b->lex, pos, "cannot read the table's file \"%s\"", path);
	return false;
}

void
build_table_file(struct build *b, const struct conf_pos *pos, const char *path)
{
	struct span	 text;
	unsigned	 bad;

	if (table_file(b, pos, path, &text) &&
	    (bad = table_load(b->mem, b->table, text)) != 0)
		lex_error(&b->lex, pos, "%s:%u: an entry is a key of at most "
		    "%d bytes, and a value; all in UTF-8 without control "
		    "characters", path, bad, TABLE_KEY_MAX);
}

void
build_table_cdb(struct build *b, const struct conf_pos *pos, const char *path)
{
	struct span	 file;
	const char	*why;

	if (table_file(b, pos, path, &file) &&
	    (why = table_cdb_open(b->table, file)) != NULL)
		lex_error(&b->lex, pos, "%s: %s", path, why);
}

void
build_table_users(struct build *b, const struct conf_pos *pos,
    const char *path)
{
	b->table->path = path;
	b->table->is_users = true;
	if (strlen(path) > USERS_PATH_MAX)
		lex_error(&b->lex, pos, "a path of at most %d bytes is "
		    "expected", USERS_PATH_MAX);
	if (strlen(b->table->name) > NAME_MAX_LEN)
		lex_error(&b->lex, pos, "the name of a users' table has at "
		    "most %d bytes", NAME_MAX_LEN);
}

/* The server's users: "unix:" and the path of its auth socket. */
void
build_table_dovecot(struct build *b, const struct conf_pos *pos,
    const char *where)
{
	if (!span_casestarts(span_str(where), span_str("unix:")) ||
	    where[5] != '/')
		lex_error(&b->lex, pos, "\"unix:/PATH\" of an auth socket is "
		    "expected");
	else
		build_table_users(b, pos, where + 5);
	if (strlen(where) > SOCKET_PATH_MAX + 5)
		lex_error(&b->lex, pos, "the path of a socket has at most %d "
		    "bytes", SOCKET_PATH_MAX);
	b->table->is_users = b->table->is_dovecot = true;
}

/* ---- listeners ----------------------------------------------------------- */

static void
listen_new(struct build *b, const struct conf_pos *pos,
    enum conf_listen_kind kind)
{
	b->listen = build_alloc(b, sizeof(*b->listen));
	b->listen->kind = kind;
	b->listen->pos = *pos;
	b->listen->tag = lit("");
	b->port = 25;
	memset(b->seen, 0, sizeof(b->seen));
}

void
build_listen_begin(struct build *b, const struct conf_pos *pos,
    const char *where)
{
	listen_new(b, pos, LISTEN_INET);
	b->listen_on = where;
}

void
build_listen_socket(struct build *b, const struct conf_pos *pos, char *path)
{
	listen_new(b, pos, LISTEN_UNIX);
	b->listen->path = path;
	b->submission = true;
}

void
build_port(struct build *b, const struct conf_pos *pos, const char *s)
{
	if (b->listen->kind == LISTEN_UNIX)
		lex_error(&b->lex, pos, "a socket of this machine has no port");
	b->port = (uint16_t)build_number(b, pos, s, 1, 65535);
}

/* What stands there instead of an address. */
static void
listen_complain(struct build *b, const char *on)
{
	const struct conf_pos	*pos = &b->listen->pos;
	struct addr		 a;

	if (addr_parse_port(span_str(on), 25, &a))
		lex_error(&b->lex, pos, "a listener's port stands as: listen "
		    "on ADDRESS port %u", a.port);
	else
		lex_error(&b->lex, pos, "\"%s\" is no IP address, and no "
		    "interface of this machine that has one", on);
}

static void
listen_addr(struct build *b, const struct addr *a)
{
	struct conf_listen	*l = b->listen;
	struct addr		*v = build_grow(b, l->addrs, l->naddrs,
				    sizeof(*v));

	if (v == NULL)
		return;
	v[l->naddrs] = *a;
	v[l->naddrs++].port = b->port;
	l->addrs = v;
}

/* All addresses of an interface; link-local ones need a scope that mail has no
 * word for. */
static void
listen_interface(struct build *b, const char *name)
{
	struct span		 s = b->lex.bundle;
	struct bundle_item	 item;
	struct addr		 a;

	while (bundle_next(&s, &item))
		if (item.kind == BUNDLE_ADDRESS && span_is(item.key, name) &&
		    addr_parse(item.text, &a) && !(a.family == 6 &&
		    a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80))
			listen_addr(b, &a);
	if (b->listen->naddrs > 0)
		b->listen->interface = lit(name);
}

static void
listen_where(struct build *b, const char *text)
{
	static const struct addr any6 = { .family = 6 }, any4 = { .family = 4 };
	struct span		 on = span_str(text);
	struct addr		 a;

	if (span_is(on, "*")) {
		listen_addr(b, &any6);
		listen_addr(b, &any4);
		return;
	}
	if (on.len > 2 && on.p[0] == '[' && on.p[on.len - 1] == ']')
		on = span_sub(on, 1, on.len - 2);
	if (addr_parse(on, &a))
		listen_addr(b, &a);
	else
		listen_interface(b, text);
	if (b->listen->naddrs == 0)
		listen_complain(b, text);
}

void
build_listen_end(struct build *b)
{
	struct conf_listen	*l = b->listen;

	l->index = (unsigned)b->conf->nlistens;
	if (l->kind == LISTEN_INET)
		listen_where(b, b->listen_on);
	build_push(b, (void ***)&b->conf->listens, &b->conf->nlistens, l);
}

/* ---- rules --------------------------------------------------------------- */

void
build_rule_begin(struct build *b, const struct conf_pos *pos)
{
	b->rule = build_alloc(b, sizeof(*b->rule));
	b->rule->pos = *pos;
	b->rule->from = FROM_LOCAL;	/* `from` left out */
	b->rule->fors = FOR_ANY;
	memset(b->seen, 0, sizeof(b->seen));
}

void
build_cond(struct build *b, const struct conf_pos *pos, int token,
    struct conf_cond *c, struct conf_table *t, unsigned negated)
{
	build_once(b, pos, token);
	c->table = t;
	c->not = negated != 0;
}

void
build_from(struct build *b, enum conf_from from, struct conf_table *t,
    unsigned negated)
{
	b->rule->from = from;
	b->rule->from_table = (struct conf_cond){ t, negated != 0 };
}

void
build_for(struct build *b, enum conf_for fors, struct conf_table *t,
    unsigned negated)
{
	b->rule->fors = fors;
	b->rule->for_table = (struct conf_cond){ t, negated != 0 };
}

void
build_not(struct build *b, const struct conf_pos *pos, struct conf_cond *c,
    unsigned negated)
{
	if (negated && c->not)
		lex_error(&b->lex, pos, "`not` stands twice");
	c->not = c->not || negated;
}

void
build_rule_action(struct build *b, const struct conf_pos *pos,
    const char *name)
{
	struct conf_rule	*r = b->rule;
	const struct conf_action *a = build_action_named(b, pos, name);
	const struct conf_action **v;

	for (size_t i = 0; i < r->nactions; i++)
		if (r->actions[i] == a)
			lex_error(&b->lex, pos, "action \"%s\" stands twice",
			    name);
	v = build_grow(b, (void *)(uintptr_t)r->actions, r->nactions,
	    sizeof(*v));
	if (v == NULL)
		return;
	v[r->nactions++] = a;
	r->actions = v;
	r->action = v[0];
}

void
build_rule_end(struct build *b)
{
	build_push(b, (void ***)&b->conf->rules, &b->conf->nrules, b->rule);
}

/* RFC 2034, 4: class "." subject "." detail, in front of the text. */
static bool
has_enhanced(const char *s, unsigned class)
{
	size_t	 n, m;

	if ((unsigned char)s[0] != '0' + class || s[1] != '.')
		return false;
	n = strspn(s + 2, "0123456789");
	if (n == 0 || n > 3 || s[2 + n] != '.')
		return false;
	m = strspn(s + 3 + n, "0123456789");
	return m > 0 && m <= 3 && s[3 + n + m] == ' ';
}

void
build_reject(struct build *b, const struct conf_pos *pos, const char *text)
{
	struct span	 s, code, rest;
	struct buf	 full;
	uint64_t	 v;

	b->rule->reject_code = 550;
	b->rule->reject_text = lit("5.7.1 refused by policy");
	if (text == NULL)
		return;
	s = span_str(text);
	rest = s;
	if (!span_word(&rest, " ", &code) || !span_u64(code, 599, &v) ||
	    v < 400 || code.len != 3 || rest.len == 0 || rest.len > 400) {
		lex_error(&b->lex, pos, "a reply begins with a code from 400 "
		    "to 599, as \"550 5.7.1 go away\"");
		return;
	}
	/* RFC 5321, 4.2: textstring is printable ASCII. */
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~') {
			lex_error(&b->lex, pos, "a reply is printable ASCII");
			return;
		}
	b->rule->reject_code = (uint16_t)v;
	b->rule->reject_text = lit(text + code.len + 1);
	if (has_enhanced(b->rule->reject_text, (unsigned)v / 100))
		return;
	buf_init(&full, 500);
	buf_fmt(&full, "%u.7.1 %s", (unsigned)v / 100, text + code.len + 1);
	b->rule->reject_text = build_str(b, buf_content(&full));
	buf_clear(&full);
}
