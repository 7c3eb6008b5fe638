/*
 * The grammar of postern.conf(5), whole: every statement and option of the
 * language has its words reserved here; what a later version brings says so.
 * Actions only call build.h.
 */
%{
#include <stdio.h>
#include <string.h>

#include "common/conf/build.h"

#define YYLLOC_DEFAULT(cur, rhs, n) ((cur) = YYRHSLOC(rhs, (n) ? 1 : 0))
%}

%define api.prefix {gram_}
%define api.pure full
%define api.location.type {struct conf_pos}
%define parse.error custom
%locations
%parse-param { struct build *b }
%lex-param { struct build *b }
%code requires {
#include "common/conf/lex.h"
struct build;
}
%initial-action { @$ = (struct conf_pos){ "postern.conf", 1, 1 }; }

%union {
	const char		*string;
	uint64_t		 number;
	struct conf_table	*table;
	unsigned		 flag;
}

%code {
static int	gram_lex(GRAM_STYPE *, struct conf_pos *, struct build *);
static void	gram_error(struct conf_pos *, struct build *, const char *);
#define LATER(pos, what)	build_later(b, &(pos), (what))
}

%token BAD
%token <string> STRING "a word or string"
%token <string> TABLEREF "<table>"
%token <number> NUMBER "a number"
%token '\n' "end of line"
%token K_ACCEPT "accept"
%token K_ACTION "action"
%token K_ALGORITHM "algorithm"
%token K_ALIASES "aliases"
%token K_ALL "all"
%token K_ANNOUNCE "announce"
%token K_ANY "any"
%token K_ARCHIVE "archive"
%token K_AS "as"
%token K_AT "at"
%token K_AUTH "auth"
%token K_AUTH_FAILURES "auth-failures"
%token K_AUTH_OPTIONAL "auth-optional"
%token K_AUTH_PLAINTEXT "auth-plaintext"
%token K_AUTH_USER "auth-user"
%token K_BACKUP_MX "backup-mx"
%token K_BARE_NEWLINE "bare-newline"
%token K_BOUNCES "bounces"
%token K_BY "by"
%token K_CA "ca"
%token K_CACHE "cache"
%token K_CDB "cdb"
%token K_CERT "cert"
%token K_COMPLETE_HEADERS "complete-headers"
%token K_CONNECT "connect"
%token K_CONTENT "content"
%token K_CONTROL "control"
%token K_COPY "copy"
%token K_CREDENTIALS "credentials"
%token K_DANE "dane"
%token K_DEBUG "debug"
%token K_DEFER "defer"
%token K_DELIVERIES "deliveries"
%token K_DESTINATION "destination"
%token K_DIRECTORY "directory"
%token K_DISCARD "discard"
%token K_DKIM "dkim"
%token K_DOMAIN "domain"
%token K_DOVECOT "dovecot"
%token K_ED25519 "ed25519"
%token K_ERRORS "errors"
%token K_EXPAND "expand"
%token K_EXPANDED "expanded"
%token K_FAN_OUT "fan-out"
%token K_FILE "file"
%token K_FILTER "filter"
%token K_FIREWALL "firewall"
%token K_FOLD "fold"
%token K_FOR "for"
%token K_FORMAT "format"
%token K_FROM "from"
%token K_GREET_DELAY "greet-delay"
%token K_HEADER "header"
%token K_HEADERS "headers"
%token K_HELO "helo"
%token K_HOLD "hold"
%token K_HOST "host"
%token K_HOSTNAME "hostname"
%token K_HYBRID "hybrid"
%token K_IDENTITY "identity"
%token K_IDLE_CONNECTIONS "idle-connections"
%token K_IGNORE "ignore"
%token K_INCLUDE "include"
%token K_INFO "info"
%token K_JOURNAL "journal"
%token K_KEEP "keep"
%token K_KEY "key"
%token K_KNOWN_GOOD "known-good"
%token K_LEVEL "level"
%token K_LIMIT "limit"
%token K_LISTEN "listen"
%token K_LMTP "lmtp"
%token K_LOCAL "local"
%token K_LOG "log"
%token K_LONG_LINES "long-lines"
%token K_MAIL_FROM "mail-from"
%token K_MAILBOX "mailbox"
%token K_MASK_SOURCE "mask-source"
%token K_MATCH "match"
%token K_MAX_CONNECTIONS "max-connections"
%token K_MAX_MESSAGE_SIZE "max-message-size"
%token K_MESSAGE_SIZE "message-size"
%token K_MIRROR "mirror"
%token K_MODE "mode"
%token K_NAME "name"
%token K_NONE "none"
%token K_NORMALIZE "normalize"
%token K_NOT "not"
%token K_OFF "off"
%token K_ON "on"
%token K_ON_CONFLICT "on-conflict"
%token K_ON_FAILURE "on-failure"
%token K_ON_SLOW "on-slow"
%token K_OPEN "open"
%token K_OPPORTUNISTIC "opportunistic"
%token K_PASS "pass"
%token K_PATH "path"
%token K_PATIENCE "patience"
%token K_PER "per"
%token K_PIN "pin"
%token K_PKI "pki"
%token K_PLAIN "plain"
%token K_POLICY "policy"
%token K_POOL "pool"
%token K_PORT "port"
%token K_PROBE "probe"
%token K_PROXY "proxy"
%token K_PROXY_PROTOCOL "proxy-protocol"
%token K_PROXY_V1 "proxy-v1"
%token K_PROXY_V2 "proxy-v2"
%token K_QUEUE "queue"
%token K_RATE "rate"
%token K_RCPT "rcpt"
%token K_RCPT_DOMAIN "rcpt-domain"
%token K_RCPT_TO "rcpt-to"
%token K_RECEIVED "received"
%token K_RECIPIENTS "recipients"
%token K_RECOGNISE_RETRY "recognise-retry"
%token K_REGEX "regex"
%token K_REJECT "reject"
%token K_RELAY "relay"
%token K_REPLIES "replies"
%token K_REQUIRE "require"
%token K_RESERVE "reserve"
%token K_RESOLVER "resolver"
%token K_RETRY "retry"
%token K_ROOT "root"
%token K_RSA "rsa"
%token K_SAMPLE "sample"
%token K_SELECTOR "selector"
%token K_SELF "self"
%token K_SENDERS "senders"
%token K_SENT "sent"
%token K_SERVER "server"
%token K_SESSIONS "sessions"
%token K_SMTPS "smtps"
%token K_SOCKET "socket"
%token K_SOURCE "source"
%token K_SRS "srs"
%token K_STANDALONE "standalone"
%token K_STANDBY "standby"
%token K_STRICT "strict"
%token K_SUBADDRESS "subaddress"
%token K_TABLE "table"
%token K_TAG "tag"
%token K_TEMPFAIL "tempfail"
%token K_TLS "tls"
%token K_TLS_REQUIRE "tls-require"
%token K_TO "to"
%token K_TRUST_AD "trust-ad"
%token K_TTL "ttl"
%token K_UNKNOWN "unknown"
%token K_USERS "users"
%token K_VERIFY "verify"
%token K_VIA "via"
%token K_WARN "warn"
%token K_WARN_AFTER "warn-after"
%token K_WEIGHT "weight"
%token K_WHEN "when"
%token K_XCLIENT "xclient"

%type <string> word duration
%type <table> tspec
%type <flag> not mirror_opt

%start file

%%

file:	  %empty
	| file '\n'
	| file statement '\n'
	| file error '\n'	{ yyerrok; }
	;

statement:
	  macro | include | hostname | mode | self | subaddress | table
	| resolver | pki | credentials | listen | action | match | queue
	| limit | control | log | later
	;

word:	  STRING
	| NUMBER	{
		char	 n[24];

		snprintf(n, sizeof(n), "%llu", (unsigned long long)$1);
		$$ = arena_str(b->mem, span_str(n));
		if ($$ == NULL)
			$$ = "";
	}
	;
duration: word
	;
opt_comma: %empty | ','
	;

macro:	  STRING '=' word	{
		if (!lex_macro_set(&b->lex, $1, $3))
			lex_error(&b->lex, &@1, "too many macros");
	}
	;
include:  K_INCLUDE STRING	{
		if (!lex_include(&b->lex, $2))
			lex_error(&b->lex, &@2, "no file \"%s\" to include", $2);
	}
	;

hostname: K_HOSTNAME word	{
		b->conf->hostname = (char *)(uintptr_t)build_hostname(b, &@2, $2);
	}
	;
mode:	  K_MODE K_STANDALONE	{ b->conf->mode = MODE_STANDALONE; }
	| K_MODE K_FIREWALL	{ b->conf->mode = MODE_FIREWALL; }
	| K_MODE K_HYBRID	{ b->conf->mode = MODE_HYBRID; }
	;
self:	  K_SELF '{' self_list opt_comma '}'
	| K_SELF self_addr
	;
self_list: self_addr
	| self_list ',' self_addr
	;
self_addr: word	{
		struct addr	*a = build_alloc(b, (b->conf->nself + 1) *
				    sizeof(*a));

		if (b->conf->nself > 0)
			memcpy(a, b->conf->self, b->conf->nself * sizeof(*a));
		a[b->conf->nself] = build_addr(b, &@1, $1, 0);
		b->conf->self = a;
		b->conf->nself++;
	}
	;
subaddress: K_SUBADDRESS word	{
		if (strlen($2) > 1)
			lex_error(&b->lex, &@2, "subaddress is one character, "
			    "or \"\" for none");
		else
			b->conf->subaddress = (char *)(uintptr_t)$2;
	}
	;

table:	  K_TABLE word { build_table_begin(b, &@2, $2); } table_body
	;
table_body: '{' table_list opt_comma '}'
	| '{' '}'
	| K_FILE STRING		{ build_table_file(b, &@2, $2); }
	| K_CDB STRING		{ LATER(@1, "table … cdb"); }
	| K_REGEX STRING	{ LATER(@1, "table … regex"); }
	| K_DOVECOT STRING	{ LATER(@1, "table … dovecot"); }
	;
table_list: table_item
	| table_list ',' table_item
	;
table_item: word		{ build_entry(b, &@1, b->table, $1, ""); }
	| word '=' word		{ build_entry(b, &@1, b->table, $1, $3); }
	;
/* Where <T> stands: a table's name, a string, or a list. */
tspec:	  TABLEREF		{ $$ = build_table(b, &@1, $1); }
	| word			{
		$$ = build_inline(b, &@1);
		build_entry(b, &@1, $$, $1, "");
	}
	| '{' { b->table = build_inline(b, &@1); } table_list opt_comma '}' {
		$$ = b->table;
	}
	;

resolver: K_RESOLVER '{' resolver_list opt_comma '}' trust_ad
	| K_RESOLVER resolver_addr trust_ad
	;
resolver_list: resolver_addr
	| resolver_list ',' resolver_addr
	;
resolver_addr: word	{
		struct addr	*a = build_alloc(b, (b->conf->nresolvers + 1) *
				    sizeof(*a));

		if (b->conf->nresolvers > 0)
			memcpy(a, b->conf->resolvers, b->conf->nresolvers *
			    sizeof(*a));
		a[b->conf->nresolvers] = build_addr(b, &@1, $1, 53);
		b->conf->resolvers = a;
		b->conf->nresolvers++;
	}
	;
trust_ad: %empty
	| K_TRUST_AD		{ b->conf->resolver_trust_ad = true; }
	;

pki:	  K_PKI word K_CERT STRING K_KEY STRING	{
		struct conf_pki	*p = build_alloc(b, (b->conf->npkis + 1) *
				    sizeof(*p));

		if (b->conf->npkis > 0)
			memcpy(p, b->conf->pkis, b->conf->npkis * sizeof(*p));
		for (size_t i = 0; i < b->conf->npkis; i++)
			if (strcmp(p[i].name, $2) == 0)
				lex_error(&b->lex, &@2, "pki \"%s\" stands twice",
				    $2);
		p[b->conf->npkis++] = (struct conf_pki){
		    (char *)(uintptr_t)$2, (char *)(uintptr_t)$4,
		    (char *)(uintptr_t)$6, @2 };
		b->conf->pkis = p;
	}
	;
credentials: K_CREDENTIALS STRING {
		b->conf->credentials = (char *)(uintptr_t)$2;
	}
	;

listen:	  K_LISTEN K_ON word { build_listen_begin(b, &@3, $3); }
	    listen_opts		{ build_listen_end(b); }
	| K_LISTEN K_ON K_SOCKET { build_listen_socket(b, &@3, NULL); }
	    socket_path listen_opts { build_listen_end(b); }
	;
socket_path: %empty
	| STRING		{ b->listen->path = (char *)(uintptr_t)$1; }
	;
listen_opts: %empty
	| listen_opts listen_opt
	;
listen_opt:
	  K_PORT NUMBER		{
		b->port = build_number(b, &@2, $2, 1, 65535);
	}
	| K_PROXY word		{
		b->listen->proxy = build_action_named(b, &@2, $2);
	}
	| K_AT K_CONNECT	{ b->listen->proxy_at_rcpt = false; }
	| K_AT K_RCPT		{ LATER(@1, "listen … proxy … at rcpt"); }
	| K_ANNOUNCE word	{ LATER(@1, "listen … announce"); }
	| K_ON_CONFLICT conflict { LATER(@1, "listen … on-conflict"); }
	| K_COPY word		{ LATER(@1, "listen … copy"); }
	| K_HOSTNAME word	{
		b->listen->hostname = (char *)(uintptr_t)build_hostname(b, &@2,
		    $2);
	}
	| K_TAG word		{ b->listen->tag = (char *)(uintptr_t)$2; }
	| K_RECIPIENTS tspec	{ b->listen->recipients = $2; }
	| K_MAX_MESSAGE_SIZE word {
		b->listen->max_message_size = build_size(b, &@2, $2);
	}
	| K_GREET_DELAY duration {
		b->listen->greet_delay_ms = build_duration(b, &@2, $2);
	}
	| K_AUTH_PLAINTEXT	{ b->listen->auth_plaintext = true; }
	| K_TLS			{ LATER(@1, "listen … tls"); }
	| K_TLS_REQUIRE verify	{ LATER(@1, "listen … tls-require"); }
	| K_SMTPS		{ LATER(@1, "listen … smtps"); }
	| K_PKI word		{ LATER(@1, "listen … pki"); }
	| K_AUTH auth_table	{ LATER(@1, "listen … auth"); }
	| K_AUTH_OPTIONAL auth_table { LATER(@1, "listen … auth-optional"); }
	| K_SENDERS tspec strict { LATER(@1, "listen … senders"); }
	| K_FILTER word		{ LATER(@1, "listen … filter"); }
	| K_PROXY_PROTOCOL K_FROM tspec { LATER(@1, "listen … proxy-protocol"); }
	| K_XCLIENT K_FROM tspec { LATER(@1, "listen … xclient"); }
	| K_LONG_LINES K_PASS
	| K_LONG_LINES K_FOLD	{ LATER(@1, "listen … long-lines fold"); }
	| K_LONG_LINES K_REJECT	{ LATER(@1, "listen … long-lines reject"); }
	| K_BARE_NEWLINE K_REJECT
	| K_BARE_NEWLINE K_NORMALIZE {
		LATER(@1, "listen … bare-newline normalize");
	}
	| K_COMPLETE_HEADERS	{ LATER(@1, "listen … complete-headers"); }
	| K_MASK_SOURCE		{ LATER(@1, "listen … mask-source"); }
	| K_RECOGNISE_RETRY	{ LATER(@1, "listen … recognise-retry"); }
	;
conflict: K_DEFER | K_QUEUE | K_FAN_OUT
	;
verify:	  %empty | K_VERIFY
	;
auth_table: %empty | tspec | K_VIA word
	;
strict:	  %empty | K_STRICT
	;

action:	  K_ACTION word K_RELAY {
		build_action_begin(b, &@2, $2, ACT_RELAY);
	  } action_opts
	| K_ACTION word K_PROXY {
		build_action_begin(b, &@2, $2, ACT_PROXY);
	  } action_opts
	| K_ACTION word K_DISCARD {
		build_action_begin(b, &@2, $2, ACT_DISCARD);
	  }
	| K_ACTION word K_MAILBOX {
		build_action_begin(b, &@2, $2, ACT_MAILBOX);
		LATER(@3, "action … mailbox");
		lex_skip(&b->lex);
	  }
	| K_ACTION word K_LMTP {
		build_action_begin(b, &@2, $2, ACT_LMTP);
		LATER(@3, "action … lmtp");
		lex_skip(&b->lex);
	  }
	| K_ACTION word K_EXPAND {
		build_action_begin(b, &@2, $2, ACT_EXPAND);
		LATER(@3, "action … expand");
		lex_skip(&b->lex);
	  }
	;
action_opts: %empty
	| action_opts action_opt
	;
action_opt:
	  K_TO '{' dest_list opt_comma '}'
	| K_TO K_POOL word	{ LATER(@2, "relay to pool"); }
	| K_TO dest_one
	| K_TO TABLEREF K_BY by	{ LATER(@2, "relay to <table> by …"); }
	| K_HELO word		{
		b->action->act.helo = (char *)(uintptr_t)build_hostname(b, &@2,
		    $2);
	}
	| K_SOURCE word		{
		b->action->act.source = build_addr(b, &@2, $2, 0);
	}
	| K_MAX_CONNECTIONS NUMBER {
		b->action->act.max_connections = build_number(b, &@2, $2, 1,
		    10000);
	}
	| K_TTL duration	{
		b->action->act.ttl_ms = build_duration(b, &@2, $2);
	}
	| K_OPEN		{ b->action->act.open = true; }
	| K_TLS tls_mode tls_opts { LATER(@1, "tls on an action"); }
	| K_AUTH word		{ LATER(@1, "auth on an action"); }
	| K_RECIPIENTS '{' rcpt_sources opt_comma '}' {
		LATER(@1, "recipients on an action");
	}
	| K_UNKNOWN NUMBER	{ LATER(@1, "unknown on an action"); }
	| K_KNOWN_GOOD duration	{ LATER(@1, "known-good"); }
	| K_MAIL_FROM word	{ LATER(@1, "mail-from on an action"); }
	| K_SRS			{ LATER(@1, "srs"); }
	| K_BACKUP_MX		{ LATER(@1, "backup-mx"); }
	| K_IDENTITY identity	{ LATER(@1, "identity"); }
	| K_ON_FAILURE K_TEMPFAIL
	| K_ON_FAILURE K_QUEUE word { LATER(@1, "on-failure queue"); }
	| K_PATIENCE duration	{ LATER(@1, "patience"); }
	| K_ON_SLOW K_TEMPFAIL	{ LATER(@1, "on-slow"); }
	| K_ON_SLOW K_QUEUE word { LATER(@1, "on-slow"); }
	| K_REPLIES K_PASS
	| K_REPLIES K_PLAIN	{ LATER(@1, "replies plain"); }
	| K_IDLE_CONNECTIONS NUMBER { LATER(@1, "idle-connections"); }
	| K_MIRROR word mirror_opt { LATER(@1, "mirror"); }
	;
mirror_opt: %empty		{ $$ = 0; }
	| mirror_opt K_RCPT
	| mirror_opt K_CONTENT
	| mirror_opt K_SAMPLE word
	;
by:	  K_RCPT_DOMAIN | K_RCPT_TO | K_MAIL_FROM | K_AUTH_USER
	;
tls_mode: K_OFF | K_OPPORTUNISTIC | K_REQUIRE | K_VERIFY | K_DANE
	;
tls_opts: %empty
	| tls_opts K_NAME word
	| tls_opts K_CA STRING
	| tls_opts K_PIN word
	;
rcpt_sources: rcpt_source
	| rcpt_sources ',' rcpt_source
	;
rcpt_source: TABLEREF
	| K_DIRECTORY TABLEREF
	| K_SERVER
	| K_SERVER K_CACHE duration
	;
identity: K_PROXY_V2 | K_PROXY_V1 | K_XCLIENT | K_HEADER | K_NONE
	;
dest_list: dest_item
	| dest_list ',' dest_item
	;
dest_item: dest_one dest_opts
	;
dest_one: word			{ build_dest(b, &@1, $1); }
	;
dest_opts: %empty
	| dest_opts K_WEIGHT NUMBER { LATER(@2, "weight"); }
	| dest_opts K_STANDBY	{ LATER(@2, "standby"); }
	| dest_opts K_AUTH word	{ LATER(@2, "auth of a destination"); }
	;

match:	  K_MATCH { build_rule_begin(b, &@1); } conditions outcome {
		build_rule_end(b);
	}
	;
conditions: %empty
	| conditions condition
	;
not:	  %empty		{ $$ = 0; }
	| K_NOT			{ $$ = 1; }
	;
condition:
	  K_FROM not from	{ b->rule->from_table.not = $2; }
	| K_FOR not for		{ b->rule->for_table.not = $2; }
	| K_AUTH_USER not tspec	{
		b->rule->auth_user = (struct conf_cond){ $3, $2 };
	}
	| K_MAIL_FROM not tspec	{
		b->rule->mail_from = (struct conf_cond){ $3, $2 };
	}
	| K_HELO not tspec	{
		b->rule->helo = (struct conf_cond){ $3, $2 };
	}
	| K_TAG not tspec	{
		b->rule->tag = (struct conf_cond){ $3, $2 };
	}
	| not K_TLS		{
		b->rule->tls_set = true;
		b->rule->tls_not = $1;
	}
	;
from:	  K_ANY			{ b->rule->from = FROM_ANY; b->seen_from = true; }
	| K_LOCAL		{ b->rule->from = FROM_LOCAL; b->seen_from = true; }
	| K_AUTH		{ b->rule->from = FROM_AUTH; b->seen_from = true; }
	| K_EXPANDED		{ LATER(@1, "match from expanded"); b->seen_from = true; }
	| K_SOURCE tspec	{
		b->rule->from = FROM_SOURCE;
		b->rule->from_table.table = $2;
		b->seen_from = true;
	}
	| K_HOST tspec		{
		b->rule->from = FROM_HOST;
		b->rule->from_table.table = $2;
		b->seen_from = true;
	}
	;
for:	  K_ANY			{ b->rule->fors = FOR_ANY; b->seen_for = true; }
	| K_LOCAL		{ b->rule->fors = FOR_LOCAL; b->seen_for = true; }
	| K_DOMAIN tspec	{
		b->rule->fors = FOR_DOMAIN;
		b->rule->for_table.table = $2;
		b->seen_for = true;
	}
	| K_RCPT_TO tspec	{
		b->rule->fors = FOR_RCPT;
		b->rule->for_table.table = $2;
		b->seen_for = true;
	}
	;
outcome:  K_ACTION word		{
		b->rule->action = build_action_named(b, &@2, $2);
	}
	| K_ACTION '{' names opt_comma '}' accept {
		LATER(@2, "an action that is a list");
	}
	| K_REJECT		{ build_reject(b, &@1, NULL); }
	| K_REJECT STRING	{ build_reject(b, &@2, $2); }
	;
names:	  word
	| names ',' word
	;
accept:	  %empty | K_ACCEPT K_ANY | K_ACCEPT K_ALL
	;

queue:	  K_QUEUE queue_opt
	| queue queue_opt
	;
queue_opt:
	  K_PATH STRING		{ b->conf->queue_path = (char *)(uintptr_t)$2; }
	| K_TTL duration	{ b->conf->ttl_ms = build_duration(b, &@2, $2); }
	| K_BOUNCES duration	{
		b->conf->bounce_ttl_ms = build_duration(b, &@2, $2);
	}
	| K_WARN_AFTER duration	{
		b->conf->warn_after_ms = build_duration(b, &@2, $2);
	}
	| K_RETRY word		{
		const char	*dots = strstr($2, "..");

		if (dots == NULL) {
			lex_error(&b->lex, &@2, "a range of two durations is "
			    "expected, as 1m..2h");
		} else {
			b->conf->retry_min_ms = build_duration(b, &@2,
			    arena_str(b->mem, span($2, (size_t)(dots - $2))));
			b->conf->retry_max_ms = build_duration(b, &@2, dots + 2);
			if (b->conf->retry_min_ms < 1000 ||
			    b->conf->retry_max_ms < b->conf->retry_min_ms)
				lex_error(&b->lex, &@2, "the range begins at 1s "
				    "or more and does not go back");
		}
	}
	| K_RESERVE word	{ b->conf->reserve = build_size(b, &@2, $2); }
	| K_KEEP duration	{ LATER(@1, "queue keep"); }
	;

limit:	  K_LIMIT limit_opt
	;
limit_opt:
	  K_SESSIONS NUMBER	{
		b->conf->limits.sessions = build_number(b, &@2, $2, 1, 60000);
	}
	| K_SESSIONS K_PER K_SOURCE NUMBER limit_for {
		unsigned	 n = build_number(b, &@4, $4, 1, 60000);

		if (b->table == NULL)
			b->conf->limits.sessions_per_source = n;
		else {
			struct conf_limits *l = &b->conf->limits;
			struct conf_limit_source *a = build_alloc(b,
			    (l->nfor_source + 1) * sizeof(*a));

			if (l->nfor_source > 0)
				memcpy(a, l->for_source, l->nfor_source *
				    sizeof(*a));
			a[l->nfor_source++] = (struct conf_limit_source){
			    b->table, n };
			l->for_source = a;
		}
	}
	| K_AUTH_FAILURES K_PER K_SOURCE NUMBER limit_for {
		LATER(@1, "limit auth-failures");
	}
	| K_RATE K_PER K_SOURCE NUMBER K_PER duration limit_for {
		if (b->table != NULL)
			LATER(@1, "limit rate … for");
		b->conf->limits.rate_per_source = build_number(b, &@4, $4, 1,
		    1000000);
		b->conf->limits.rate_per_ms = build_duration(b, &@6, $6);
	}
	| K_RECIPIENTS NUMBER	{
		b->conf->limits.recipients = build_number(b, &@2, $2, 1, 100000);
	}
	| K_MESSAGE_SIZE word	{
		b->conf->limits.message_size = build_size(b, &@2, $2);
	}
	| K_ERRORS NUMBER	{
		b->conf->limits.errors = build_number(b, &@2, $2, 1, 10000);
	}
	| K_RECEIVED NUMBER	{
		b->conf->limits.received = build_number(b, &@2, $2, 1, 1000);
	}
	| K_DELIVERIES NUMBER	{
		b->conf->limits.deliveries = build_number(b, &@2, $2, 1, 10000);
	}
	| K_DELIVERIES K_PER K_DESTINATION NUMBER {
		b->conf->limits.deliveries_per_dest = build_number(b, &@4, $4,
		    1, 10000);
	}
	| K_DELIVERIES K_PER K_DESTINATION NUMBER K_FOR tspec {
		LATER(@5, "limit deliveries per destination … for");
	}
	;
limit_for: %empty		{ b->table = NULL; }
	| K_FOR tspec		{ b->table = $2; }
	;

control:  K_CONTROL K_PATH STRING {
		b->conf->control_path = (char *)(uintptr_t)$3;
	}
	;
log:	  K_LOG K_LEVEL K_WARN	{ b->conf->log_level = 0; }
	| K_LOG K_LEVEL K_INFO	{ b->conf->log_level = 1; }
	| K_LOG K_LEVEL K_DEBUG	{ b->conf->log_level = 2; }
	| K_LOG K_KEEP duration	{ LATER(@2, "log keep"); }
	;

/* Statements of later versions: their words are reserved, their form is not
 * looked at. */
later:	  K_CA		{ LATER(@1, "ca"); lex_skip(&b->lex); }
	| K_DKIM	{ LATER(@1, "dkim"); lex_skip(&b->lex); }
	| K_TLS		{ LATER(@1, "tls policy"); lex_skip(&b->lex); }
	| K_POOL	{ LATER(@1, "pool"); lex_skip(&b->lex); }
	| K_FILTER	{ LATER(@1, "filter"); lex_skip(&b->lex); }
	| K_ARCHIVE	{ LATER(@1, "archive"); lex_skip(&b->lex); }
	;

%%

static int
gram_lex(GRAM_STYPE *val, struct conf_pos *pos, struct build *b)
{
	const char	*text;
	uint64_t	 num;
	int		 token = lex_next(&b->lex, &text, &num, pos);

	if (token == NUMBER)
		val->number = num;
	else
		val->string = text;
	return token;
}

static void
gram_error(struct conf_pos *pos, struct build *b, const char *why)
{
	lex_error(&b->lex, pos, "%s", why);
	lex_skip(&b->lex);
}

/* What stood there and what could have: words as the language writes them. */
static int
yyreport_syntax_error(const yypcontext_t *ctx, struct build *b)
{
	enum { MOST = 12 };
	yysymbol_kind_t	 want[MOST];
	struct buf	 text;
	const char	*near = NULL, *word = b->lex.word;
	int		 n = yypcontext_expected_tokens(ctx, want, MOST);

	buf_init(&text, 1000);
	buf_fmt(&text, b->lex.quoted ? "unexpected string \"%s\"" :
	    "unexpected %s", word == NULL ? "input" : word);
	for (int i = 0; i < n; i++)
		buf_fmt(&text, "%s%s", i == 0 ? ", expected " :
		    i + 1 == n ? " or " : ", ", yysymbol_name(want[i]));
	if (yypcontext_token(ctx) == YYSYMBOL_STRING && !b->lex.quoted &&
	    word != NULL)
		near = lex_nearest(word);
	if (near != NULL)
		buf_fmt(&text, "; did you mean %s?", near);
	lex_error(&b->lex, yypcontext_location(ctx), "%s", buf_cstr(&text) ==
	    NULL ? "syntax error" : buf_cstr(&text));
	buf_clear(&text);
	lex_skip(&b->lex);
	return 0;
}
