/*
 * Listeners that take passwords: whose they are, and whether anybody can say
 * one; and the keywords that `announce` may name. Actions that log in at other
 * servers.
 */
#include "common/conf/build.h"

/* What a proxy says by itself whatever the server has. */
static const char *const ours[] = { "PIPELINING", "SIZE", "CHUNKING" };
/* What it passes on by itself. */
static const char *const usual[] = { "8BITMIME", "AUTH", "DSN",
    "ENHANCEDSTATUSCODES", "EXPN", "HELP", "SMTPUTF8", "VRFY", "PLAIN", "LOGIN",
    "CRAM-MD5", "XOAUTH2", "OAUTHBEARER" };
/* What would break, or would be a lie, with a gateway between: each ends at the
 * connection that it is said on, or speaks of the client's own. */
static const char *const never[] = { "STARTTLS", "XCLIENT", "XFORWARD",
    "X-ANONYMOUSTLS", "X-EXPS", "BINARYMIME", "LIMITS", "EXTERNAL" };

static bool
is_one(struct span word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_caseis(word, list[i]))
			return true;
	return false;
}
#define IS_ONE(w, list)	is_one((w), (list), sizeof(list) / sizeof((list)[0]))

/* ehlo-keyword (RFC 5321, 4.1.1.1), and sasl-mech, which is no longer. */
static bool
is_keyword(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	c = s.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || (i > 0 && (c == '-' ||
		    c == '_'))))
			return false;
	}
	return s.len > 0 && s.len <= 64;
}

struct announced {
	struct build		*b;
	const struct conf_listen *l;
};

static bool
announce_check(struct span key, struct span value, void *arg)
{
	struct announced	*a = arg;
	const char		*why = NULL;

	(void)value;
	if (!is_keyword(key))
		why = "is no keyword";
	else if (IS_ONE(key, never) ||
	    span_caseends(key, (struct span)SPAN("-PLUS")))
		why = "can't go through a proxy";
	if (why != NULL)
		lex_error(&a->b->lex, &a->l->pos, "announce: \"%.*s\" %s",
		    (int)key.len, (const char *)key.p, why);
	else if (IS_ONE(key, ours) || IS_ONE(key, usual) ||
	    span_casestarts(key, (struct span)SPAN("SCRAM-")))
		lex_warning(&a->b->lex, &a->l->pos, "announce: \"%.*s\" is "
		    "announced anyhow", (int)key.len, (const char *)key.p);
	return true;
}

/* With users of our own: what is not offered unless somebody asks for it. */
static bool
own_check(struct span key, struct span value, void *arg)
{
	struct announced	*a = arg;

	(void)value;
	if (!span_caseis(key, "CRAM-MD5"))
		lex_error(&a->b->lex, &a->l->pos, "announce: \"%.*s\"; with "
		    "auth <table> only CRAM-MD5 has to be asked for",
		    (int)key.len, (const char *)key.p);
	return true;
}

static void
check_announce(struct build *b, const struct conf_listen *l)
{
	struct announced	a = { b, l };

	if (l->announce == NULL)
		return;
	if (l->auth_users != NULL && l->proxy == NULL) {
		table_each(l->announce, own_check, &a);
		return;
	}
	if (l->proxy == NULL)
		lex_error(&b->lex, &l->pos, "announce: only a proxied listener "
		    "has keywords of a server");
	table_each(l->announce, announce_check, &a);
}

/* Who says whether a password is right. */
static void
check_judge(struct build *b, const struct conf_listen *l)
{
	if (l->auth_via != NULL && l->proxy != NULL)
		lex_error(&b->lex, &l->pos, "auth via: the clients of a "
		    "proxied listener authenticate at its own server");
	else if (l->auth_via != NULL && l->auth_via->type != ACT_PROXY &&
	    l->auth_via->pos.file != NULL)
		lex_error(&b->lex, &l->pos, "action \"%s\" is no proxy action",
		    l->auth_via->name);
	if (l->auth && l->kind == LISTEN_UNIX)
		lex_error(&b->lex, &l->pos, "auth: who uses the socket is known "
		    "by the system");
	else if (l->auth_users != NULL && l->proxy != NULL)
		lex_error(&b->lex, &l->pos, "auth <table>: the clients of a "
		    "proxied listener authenticate at its own server");
	else if (l->auth && l->proxy == NULL && l->auth_via == NULL &&
	    l->auth_users == NULL && b->lex.errors == 0)
		lex_error(&b->lex, &l->pos, "auth: nobody here knows a "
		    "password; a table or a server does: auth <USERS>, auth "
		    "via \"ACTION\"");
}

void
check_auth(struct build *b, struct conf_listen *l)
{
	bool	 can = l->proxy != NULL || l->auth_via != NULL ||
		    l->auth_users != NULL;

	check_judge(b, l);
	check_announce(b, l);
	l->takes_passwords = can && (l->auth_plaintext ||
	    l->tls != LISTEN_PLAIN);
	if (l->auth_plaintext && !can)
		lex_error(&b->lex, &l->pos, "auth-plaintext: this listener "
		    "takes no passwords; see proxy and auth via");
	else if (l->auth && can && !l->takes_passwords)
		lex_warning(&b->lex, &l->pos, "nobody can log in here: "
		    "passwords are taken over TLS, or with auth-plaintext");
}

/* ---- logins of ours -------------------------------------------------------- */

static bool
dests_have_auth(const struct conf_action *a)
{
	for (size_t i = 0; i < a->ndests; i++)
		if (a->dests[i].auth != NULL)
			return true;
	return false;
}

static bool
asks_server(const struct conf_action *a)
{
	for (size_t i = 0; i < a->nknown; i++)
		if (a->known[i].kind == KNOWN_SERVER)
			return true;
	return false;
}

static bool
label_check(const char *label, const struct conf_pos *pos, void *arg)
{
	struct build	*b = arg;

	for (size_t i = 0; i < b->conf->ntokens; i++)
		if (strcmp(b->conf->tokens[i].label, label) == 0)
			return true;
	if (b->conf->credentials == NULL)
		lex_error(&b->lex, pos, "auth \"%s\" needs the file that has "
		    "it: credentials \"PATH\"", label);
	return true;
}

static void
check_login(struct build *b, const struct conf_action *a)
{
	bool	 dests = dests_have_auth(a);

	if (a->type != ACT_RELAY && a->auth != NULL)
		lex_error(&b->lex, &a->pos, "auth is for relay actions; the "
		    "clients of a proxy log in at the server themselves");
	else if (a->type != ACT_RELAY && dests)
		lex_warning(&b->lex, &a->pos, "auth of a destination is for "
		    "relay actions; the clients of a proxy log in at the "
		    "server themselves");
	/* A password is not for whomever a domain's MX names. */
	if (a->type == ACT_RELAY && a->auth != NULL && a->ndests == 0 &&
	    a->by == BY_NONE)
		lex_error(&b->lex, &a->pos, "auth needs `to`: the server whose "
		    "the password is");
	if (a->type == ACT_RELAY && (a->auth != NULL || dests) &&
	    asks_server(a))
		lex_warning(&b->lex, &a->pos, "recipients { server }: the "
		    "server is asked without a login");
}

void
check_logins(struct build *b)
{
	for (size_t i = 0; i < b->conf->nactions; i++)
		check_login(b, b->conf->actions[i]);
	if (b->lex.errors == 0)
		conf_labels(b->conf, label_check, b);
}
