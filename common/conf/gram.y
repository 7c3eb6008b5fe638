/*
 * The grammar of postern.conf(5), whole: every statement and option of the
 * language stands here with its words; what a later version brings is parsed
 * and then refused at its word. Actions only call build.h.
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
%define parse.lac full
%locations
%parse-param { struct build *b }
%lex-param { struct build *b }
%code requires {
#include "common/conf/conf.h"
#include "common/conf/lex.h"
struct build;
}
%code provides {
/* Reserved words are the tokens K_ACCEPT to K_XCLIENT, sorted. */
const char *gram_word(int token);
}
%initial-action { @$ = b->lex.pos; }

%union {
	const char		*string;
	struct conf_table	*table;
	unsigned		 flag;
	enum conf_by		 by;
	enum conf_identity	 identity;
	enum conf_conflict	 conflict;
}

%code {
static int	gram_lex(GRAM_STYPE *, struct conf_pos *, struct build *);
static void	gram_error(struct conf_pos *, struct build *, const char *);
/* A word of the tree: read-only afterwards, but for its type. */
#define KEEP(s)			((char *)(uintptr_t)(s))
#define LATER(pos, what)	build_later(b, &(pos), (what))
#define ONCE(pos, token)	build_once(b, &(pos), (token))
}

%token BAD "this byte"
%token <string> STRING "a word or string"
%token <string> TABLEREF "<table>"
%token <string> NUMBER "a number"
%token GE ">="
%token '\n' "end of line"
%token K_ACCEPT "accept" K_ACTION "action" K_ADD "add" K_ALGORITHM "algorithm"
   K_ALIASES "aliases" K_ALL "all" K_ANNOUNCE "announce" K_ANY "any"
   K_ARC "arc" K_ARCHIVE "archive" K_AS "as" K_AT "at"
   K_ATTACHMENT "attachment" K_AUTH "auth" K_AUTH_FAILURES "auth-failures"
   K_AUTH_OPTIONAL "auth-optional" K_AUTH_PLAINTEXT "auth-plaintext"
   K_AUTH_USER "auth-user" K_BACKUP_MX "backup-mx"
   K_BARE_NEWLINE "bare-newline" K_BODY "body" K_BOUNCES "bounces" K_BY "by"
   K_CA "ca" K_CACHE "cache" K_CDB "cdb" K_CERT "cert" K_CHAIN "chain"
   K_CLAMAV "clamav" K_COMPLETE_HEADERS "complete-headers" K_CONNECT "connect"
   K_CONTACT "contact" K_CONTENT "content" K_CONTROL "control" K_COPY "copy"
   K_CREDENTIALS "credentials" K_DANE "dane" K_DATA "data" K_DEBUG "debug"
   K_DEFER "defer" K_DELAY "delay" K_DELIVER "deliver"
   K_DELIVERIES "deliveries" K_DESTINATION "destination"
   K_DIRECTORY "directory" K_DISCARD "discard" K_DISCONNECT "disconnect"
   K_DKIM "dkim" K_DMARC "dmarc" K_DNSBL "dnsbl" K_DOMAIN "domain"
   K_DOUBLE_BOUNCES "double-bounces" K_DOVECOT "dovecot" K_DRY_RUN "dry-run"
   K_ED25519 "ed25519"
   K_ERRORS "errors" K_EXPAND "expand" K_EXPANDED "expanded" K_EXPIRE "expire"
   K_EXTENSION "extension" K_FAN_OUT "fan-out" K_FILE "file" K_FILTER "filter"
   K_FIREWALL "firewall" K_FOLD "fold" K_FOLDER "folder" K_FOR "for"
   K_FORMAT "format" K_FROM "from" K_GREET_DELAY "greet-delay"
   K_GREYLIST "greylist" K_HEADER "header" K_HEADERS "headers" K_HELO "helo"
   K_HOLD "hold" K_HOST "host" K_HOSTNAME "hostname" K_HYBRID "hybrid"
   K_IDENTITY "identity" K_IDLE_CONNECTIONS "idle-connections"
   K_IGNORE "ignore" K_INCLUDE "include" K_INFO "info" K_JOURNAL "journal"
   K_KEEP "keep" K_KEY "key" K_KNOWN_GOOD "known-good" K_LEVEL "level"
   K_LIMIT "limit" K_LISTEN "listen" K_LMTP "lmtp" K_LOCAL "local" K_LOG "log"
   K_LONG_LINES "long-lines" K_MAGIC "magic" K_MAIL "mail"
   K_MAIL_FROM "mail-from" K_MAILBOX "mailbox" K_MASK_SOURCE "mask-source"
   K_MASQUERADE "masquerade"
   K_MATCH "match" K_MAX_CONNECTIONS "max-connections"
   K_MAX_MESSAGE_SIZE "max-message-size" K_MESSAGE_SIZE "message-size"
   K_MESSAGES "messages" K_MILTER "milter" K_MIRROR "mirror" K_MODE "mode"
   K_NAME "name" K_NONE "none" K_NORMALIZE "normalize" K_NOT "not"
   K_OCSP "ocsp" K_OFF "off" K_ON "on" K_ON_CONFLICT "on-conflict" K_ON_FAILURE "on-failure"
   K_ON_SLOW "on-slow" K_OPEN "open" K_OPPORTUNISTIC "opportunistic"
   K_ORGANIZATION "organization"
   K_PASS "pass" K_PASSWD "passwd" K_PATH "path" K_PATIENCE "patience"
   K_PER "per"
   K_PHASE "phase" K_PIN "pin" K_PKI "pki" K_PLAIN "plain" K_POLICY "policy"
   K_POOL "pool" K_PORT "port" K_POSTMASTER "postmaster" K_PROBE "probe"
   K_PROXY "proxy"
   K_PROXY_PROTOCOL "proxy-protocol" K_PROXY_V1 "proxy-v1"
   K_PROXY_V2 "proxy-v2" K_QUARANTINE "quarantine" K_QUEUE "queue"
   K_RATE "rate" K_RATELIMIT "ratelimit" K_RCPT "rcpt"
   K_RCPT_DOMAIN "rcpt-domain" K_RCPT_TO "rcpt-to" K_RDNS "rdns"
   K_RECEIVED "received" K_RECIPIENTS "recipients"
   K_RECOGNISE_RETRY "recognise-retry" K_REDIRECT "redirect" K_REGEX "regex"
   K_REJECT "reject" K_RELAY "relay" K_REMOVE "remove" K_REPLIES "replies"
   K_REPORT "report" K_REQUIRE "require" K_RESERVE "reserve" K_RESOLVER "resolver"
   K_RETRY "retry" K_ROOT "root" K_RSA "rsa" K_RSPAMD "rspamd"
   K_SAMPLE "sample" K_SCORE "score" K_SELECTOR "selector" K_SELF "self"
   K_SENDERS "senders" K_SENT "sent" K_SERVER "server" K_SESSIONS "sessions"
   K_SET "set" K_SIZE "size" K_SKIP "skip" K_SMTPS "smtps" K_SOCKET "socket"
   K_SOURCE "source" K_SPF "spf" K_SRS "srs" K_STANDALONE "standalone"
   K_STANDBY "standby" K_STRICT "strict" K_STRIP "strip"
   K_SUBADDRESS "subaddress" K_SUBJECT "subject" K_TABLE "table" K_TAG "tag"
   K_TEMPFAIL "tempfail" K_THRESHOLD "threshold" K_TIMEOUT "timeout"
   K_TLS "tls" K_TLS_REQUIRE "tls-require" K_TO "to" K_TRUST_AD "trust-ad"
   K_TTL "ttl" K_TYPE "type" K_UNKNOWN "unknown" K_USER "user" K_USERS "users"
   K_VERDICT "verdict" K_VERIFY "verify" K_VIA "via" K_WARN "warn"
   K_WARN_AFTER "warn-after" K_WEIGHT "weight" K_WHEN "when"
   K_XCLIENT "xclient"

%type <string> word ocsp
%type <table> tspec for_opt
%type <flag> not double_bounces auth_clear
%type <by> by
%type <identity> identity
%type <conflict> conflict

%start file

%%

file:	  %empty
	| file '\n'
	| file statement '\n'
	| file K_INCLUDE word '\n' { build_include(b, &@3, $3); }
	| file error '\n'	{ yyerrok; }
	;

statement:
	  macro | global | table | pki | listen | action | match | queue
	| limit | pool | dkim | filter | archive
	;

/* Everybody has a postmaster, and many a user: they need no quotes where a word
 * is meant. */
word:	  STRING | NUMBER
	| K_POSTMASTER		{ $$ = "postmaster"; }
	| K_USER		{ $$ = "user"; }
	;
opt_comma: %empty | ','
	;

macro:	  STRING '=' word	{ build_macro(b, &@1, $1, $3); }
	;

global:	  K_HOSTNAME word	{
		build_once_all(b, &@1, K_HOSTNAME, "hostname");
		b->conf->hostname = build_hostname(b, &@2, $2);
	}
	| K_MODE { build_once_all(b, &@1, K_MODE, "mode"); } mode
	| K_SELF '{' self_list opt_comma '}' | K_SELF self_addr
	| K_SUBADDRESS word	{
		build_once_all(b, &@1, K_SUBADDRESS, "subaddress");
		build_subaddress(b, &@2, $2);
	}
	| K_RESOLVER '{' resolver_list opt_comma '}' trust_ad
	| K_RESOLVER resolver_addr trust_ad
	| K_CREDENTIALS word	{
		build_once_all(b, &@1, K_CREDENTIALS, "credentials");
		b->conf->credentials = KEEP($2);
	}
	| K_CA word		{
		build_once_all(b, &@1, K_CA, "ca");
		b->conf->ca = build_path(b, &@2, $2, CA_PATH_MAX);
	}
	| K_TLS K_POLICY tspec	{
		build_once_all(b, &@2, K_POLICY, "tls policy");
		b->conf->tls_policy = $3;
		b->conf->tls_policy_pos = @1;
	}
	| K_CREDENTIALS word K_USER word K_FILE word {
		build_token(b, &@2, $2, $4, $6);
	}
	| K_CONTROL K_PATH word	{
		build_once_all(b, &@1, K_CONTROL, "control path");
		b->conf->control_path = build_path(b, &@3, $3,
		    CONTROL_PATH_MAX);
	}
	| K_LOG K_LEVEL { build_once_all(b, &@1, K_LEVEL, "log level"); }
	    log_level
	| K_LOG K_KEEP word	{ LATER(@2, "log keep"); }
	| K_POSTMASTER word double_bounces {
		build_once_all(b, &@1, K_POSTMASTER, "postmaster");
		build_postmaster(b, &@2, $2, $3);
	}
	| K_REPORT K_TLS K_FROM word {
		build_once_all(b, &@1, K_REPORT, "report tls");
		build_report(b, &@4, $4);
	} report_words
	| K_SRS K_KEY word	{
		build_once_all(b, &@1, K_SRS, "srs key");
		build_srs(b, &@3, $3, NULL);
	}
	| K_SRS K_KEY word K_DOMAIN word {
		build_once_all(b, &@1, K_SRS, "srs key");
		build_srs(b, &@5, $3, $5);
	}
	;
report_words: %empty
	| report_words K_CONTACT word {
		build_report_word(b, &@2, &b->conf->report_contact, $3);
	}
	| report_words K_ORGANIZATION word {
		build_report_word(b, &@2, &b->conf->report_organization, $3);
	}
	;
double_bounces: %empty		{ $$ = 0; }
	| K_DOUBLE_BOUNCES	{ $$ = 1; }
	;
mode:	  K_STANDALONE		{ b->conf->mode = MODE_STANDALONE; }
	| K_FIREWALL		{ b->conf->mode = MODE_FIREWALL; }
	| K_HYBRID		{ b->conf->mode = MODE_HYBRID; }
	;
self_list: self_addr | self_list ',' self_addr
	;
self_addr: word			{ build_self(b, &@1, $1); }
	;
resolver_list: resolver_addr | resolver_list ',' resolver_addr
	;
resolver_addr: word		{ build_resolver(b, &@1, $1); }
	;
trust_ad: %empty | K_TRUST_AD	{ b->conf->resolver_trust_ad = true; }
	;
log_level: K_WARN		{ b->conf->log_level = 0; }
	| K_INFO		{ b->conf->log_level = 1; }
	| K_DEBUG		{ b->conf->log_level = 2; }
	;

table:	  K_TABLE word { build_table_begin(b, &@2, $2); } table_body
	;
table_body: '{' table_list opt_comma '}'
	| '{' '}'
	| K_FILE word		{ build_table_file(b, &@2, $2); }
	| K_CDB word		{ build_table_cdb(b, &@2, $2); }
	| K_REGEX word		{ LATER(@1, "table … regex"); }
	| K_DOVECOT word	{ build_table_dovecot(b, &@2, $2); }
	| K_PASSWD word		{ build_table_users(b, &@2, $2); }
	;
table_list: table_item | table_list ',' table_item
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
for_opt:  %empty		{ $$ = NULL; }
	| K_FOR tspec		{ $$ = $2; }
	;

pki:	  K_PKI word K_CERT word K_KEY word ocsp {
		build_pki(b, &@2, $2, $4, $6, $7);
	}
	;
ocsp:	  %empty		{ $$ = NULL; }
	| K_OCSP word		{ $$ = $2; }
	;

listen:	  K_LISTEN K_ON word { build_listen_begin(b, &@3, $3); }
	    listen_opts		{ build_listen_end(b); }
	| K_LISTEN K_ON K_SOCKET { build_listen_socket(b, &@3, NULL); }
	    socket_path listen_opts { build_listen_end(b); }
	;
socket_path: %empty
	| word			{
		b->listen->path = build_path(b, &@1, $1, SOCKET_PATH_MAX);
	}
	;
listen_opts: %empty | listen_opts listen_opt
	;
listen_opt:
	  K_PORT word		{
		ONCE(@1, K_PORT);
		build_port(b, &@2, $2);
	}
	| K_PROXY word		{
		ONCE(@1, K_PROXY);
		b->listen->proxy = build_action_named(b, &@2, $2);
	  } proxy_opts
	| K_HOSTNAME word	{
		ONCE(@1, K_HOSTNAME);
		b->listen->hostname = build_hostname(b, &@2, $2);
	}
	| K_TAG word		{
		ONCE(@1, K_TAG);
		b->listen->tag = KEEP($2);
	}
	| K_RECIPIENTS tspec	{
		ONCE(@1, K_RECIPIENTS);
		b->listen->recipients = $2;
	}
	| K_MAX_MESSAGE_SIZE word {
		ONCE(@1, K_MAX_MESSAGE_SIZE);
		b->listen->max_message_size = build_size(b, &@2, $2);
	}
	| K_GREET_DELAY word	{
		ONCE(@1, K_GREET_DELAY);
		b->listen->greet_delay_ms = build_duration(b, &@2, $2, 0,
		    GREET_DELAY_MAX_MS);
	}
	| K_AUTH_PLAINTEXT	{
		ONCE(@1, K_AUTH_PLAINTEXT);
		b->listen->auth_plaintext = true;
	}
	| K_TLS			{
		ONCE(@1, K_TLS);
		b->listen->tls = LISTEN_TLS;
	}
	| K_TLS_REQUIRE		{
		ONCE(@1, K_TLS);
		b->listen->tls = LISTEN_TLS_REQUIRE;
	  } verify
	| K_SMTPS		{
		ONCE(@1, K_TLS);
		b->listen->tls = LISTEN_SMTPS;
	}
	| K_PKI word		{ build_listen_pki(b, &@2, $2); }
	| K_AUTH		{
		ONCE(@1, K_AUTH);
		b->listen->auth = true;
	  } auth_by
	| K_AUTH_OPTIONAL	{
		ONCE(@1, K_AUTH);
		b->listen->auth = b->listen->auth_optional = true;
	  } auth_by
	| K_SENDERS tspec strict {
		ONCE(@1, K_SENDERS);
		b->listen->senders = $2;
	}
	| K_FILTER word		{ LATER(@1, "listen … filter"); }
	| K_PROXY_PROTOCOL K_FROM tspec {
		ONCE(@1, K_PROXY_PROTOCOL);
		b->listen->proxy_protocol = $3;
	}
	| K_XCLIENT K_FROM tspec {
		ONCE(@1, K_XCLIENT);
		b->listen->xclient = $3;
	}
	| K_LONG_LINES { ONCE(@1, K_LONG_LINES); } long_lines
	| K_BARE_NEWLINE { ONCE(@1, K_BARE_NEWLINE); } bare_newline
	| K_COMPLETE_HEADERS	{ b->listen->complete_headers = true; }
	| K_MASK_SOURCE		{ b->listen->mask_source = true; }
	| K_RECOGNISE_RETRY	{ b->listen->recognise_retry = true; }
	| K_ANNOUNCE tspec	{
		ONCE(@1, K_ANNOUNCE);
		b->listen->announce = $2;
	}
	| K_COPY word		{
		ONCE(@1, K_COPY);
		b->listen->copy = build_action_named(b, &@2, $2);
	}
	| K_ON_CONFLICT conflict {
		ONCE(@1, K_ON_CONFLICT);
		b->listen->on_conflict = $2;
	}
	| K_MASQUERADE tspec	{
		ONCE(@1, K_MASQUERADE);
		b->listen->masquerade = $2;
	}
	;
long_lines: K_PASS		{ b->listen->long_lines = LONG_PASS; }
	| K_FOLD		{ b->listen->long_lines = LONG_FOLD; }
	| K_REJECT		{ b->listen->long_lines = LONG_REJECT; }
	;
bare_newline: K_REJECT		{ b->listen->bare_normalize = false; }
	| K_NORMALIZE		{ b->listen->bare_normalize = true; }
	;
proxy_opts: %empty | proxy_opts proxy_opt
	;
proxy_opt: K_AT K_CONNECT	{ ONCE(@1, K_AT); }
	| K_AT K_RCPT		{
		ONCE(@1, K_AT);
		b->listen->proxy_at_rcpt = true;
	}
	;
conflict: K_DEFER		{ $$ = CONFLICT_DEFER; }
	| K_QUEUE		{ $$ = CONFLICT_QUEUE; }
	| K_FAN_OUT		{ $$ = CONFLICT_FAN_OUT; }
	;
verify:	  %empty
	| K_VERIFY		{ b->listen->tls_verify = true; }
	;
auth_by:  %empty
	| TABLEREF		{
		b->listen->auth_users = build_users(b, &@1, $1);
	}
	| K_VIA word		{
		b->listen->auth_via = build_action_named(b, &@2, $2);
	}
	;
strict:	  %empty
	| K_STRICT		{ b->listen->senders_strict = true; }
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
	  } mailbox_opts
	| K_ACTION word K_LMTP {
		build_action_begin(b, &@2, $2, ACT_LMTP);
		LATER(@3, "action … lmtp");
	  } lmtp_opts
	| K_ACTION word K_EXPAND {
		build_action_begin(b, &@2, $2, ACT_EXPAND);
	  } K_ALIASES tspec	{ b->action->act.aliases = $6; }
	;
mailbox_opts: %empty | mailbox_opts mailbox_opt
	;
mailbox_opt: K_ROOT word | K_USERS tspec | K_ALIASES tspec | K_SENT word
	;
lmtp_opts: %empty | lmtp_opts K_TO { build_dests(b, &@2); } dests
	| lmtp_opts K_USERS tspec
	;
action_opts: %empty | action_opts action_opt
	;
action_opt:
	  K_TO { ONCE(@1, K_TO); build_dests(b, &@1); } dests
	| K_TO K_POOL word	{
		ONCE(@1, K_TO);
		build_to_pool(b, &@3, $3);
	}
	| K_TO TABLEREF K_BY by	{
		ONCE(@1, K_TO);
		build_to_table(b, &@2, $2, $4);
	}
	| K_HELO word		{
		ONCE(@1, K_HELO);
		b->action->act.helo = build_hostname(b, &@2, $2);
	}
	| K_SOURCE word		{
		ONCE(@1, K_SOURCE);
		b->action->act.source = build_addr(b, &@2, $2, 0);
	}
	| K_MAX_CONNECTIONS word {
		ONCE(@1, K_MAX_CONNECTIONS);
		b->action->act.max_connections = build_number(b, &@2, $2, 1,
		    10000);
	}
	| K_TTL word		{
		ONCE(@1, K_TTL);
		build_ttl(b, &@2, $2, &b->action->act.ttl_ms);
	}
	| K_OPEN		{ b->action->act.open = true; }
	| tls_use		{ b->action->act.tls = b->tls; }
	| K_AUTH word auth_clear {
		ONCE(@1, K_AUTH);
		b->action->act.auth = build_label(b, &@2, $2);
		b->action->act.auth_plaintext = $3;
	}
	| K_RECIPIENTS { ONCE(@1, K_RECIPIENTS); } known
	| K_UNKNOWN NUMBER	{
		ONCE(@1, K_UNKNOWN);
		build_unknown(b, &@2, $2);
	}
	| K_KNOWN_GOOD word	{
		ONCE(@1, K_KNOWN_GOOD);
		b->action->act.known_good_ms = build_duration(b, &@2, $2, 0,
		    TTL_MAX_MS);
	}
	| K_MAIL_FROM word	{
		ONCE(@1, K_MAIL_FROM);
		build_mail_from(b, &@2, $2);
	}
	| K_MAIL_FROM TABLEREF	{
		ONCE(@1, K_MAIL_FROM);
		b->action->act.mail_from_table = build_table(b, &@2, $2);
	}
	| K_SRS			{ b->action->act.srs = true; }
	| K_BACKUP_MX		{ b->action->act.backup_mx = true; }
	| K_IDENTITY identity	{
		ONCE(@1, K_IDENTITY);
		b->action->act.identity = $2;
	}
	| K_ON_FAILURE		{ ONCE(@1, K_ON_FAILURE); } when_down
	| K_PATIENCE word	{ LATER(@1, "patience"); }
	| K_ON_SLOW K_TEMPFAIL	{ LATER(@1, "on-slow"); }
	| K_ON_SLOW K_QUEUE word { LATER(@1, "on-slow"); }
	| K_REPLIES K_PASS	{ ONCE(@1, K_REPLIES); }
	| K_REPLIES K_PLAIN	{
		ONCE(@1, K_REPLIES);
		b->action->act.replies_plain = true;
	}
	| K_IDLE_CONNECTIONS NUMBER {
		ONCE(@1, K_IDLE_CONNECTIONS);
		b->action->act.idle_connections = build_number(b, &@2, $2, 1,
		    1000);
	}
	| K_MIRROR word		{
		ONCE(@1, K_MIRROR);
		b->action->act.mirror = build_action_named(b, &@2, $2);
		b->action->act.mirror_percent = 100;
	  } mirror_opts
	;
when_down: K_TEMPFAIL
	| K_QUEUE word		{
		b->action->act.on_failure = build_action_named(b, &@2, $2);
	}
	;
mirror_opts: %empty | mirror_opts mirror_opt
	;
mirror_opt: K_RCPT		{ b->action->act.mirror_what = MIRROR_RCPT; }
	| K_CONTENT		{ b->action->act.mirror_what = MIRROR_CONTENT; }
	| K_SAMPLE word		{
		b->action->act.mirror_percent = build_percent(b, &@2, $2);
	}
	;
by:	  K_RCPT_DOMAIN		{ $$ = BY_RCPT_DOMAIN; }
	| K_RCPT_TO		{ $$ = BY_RCPT_TO; }
	| K_MAIL_FROM		{ $$ = BY_MAIL_FROM; }
	| K_AUTH_USER		{ $$ = BY_AUTH_USER; }
	;
tls_use:  K_TLS {
		ONCE(@1, K_TLS);
		build_tls_begin(b);
	  } tls_mode tls_opts	{ check_tls(b, &@1, &b->tls); }
	;
tls_mode: K_OFF			{ b->tls.mode = TLS_OFF; }
	| K_OPPORTUNISTIC	{ b->tls.mode = TLS_OPPORTUNISTIC; }
	| K_REQUIRE		{ b->tls.mode = TLS_REQUIRE; }
	| K_VERIFY		{ b->tls.mode = TLS_VERIFY; }
	| K_DANE		{ b->tls.mode = TLS_DANE; }
	;
tls_opts: %empty | tls_opts tls_opt
	;
tls_opt:  K_NAME word		{
		ONCE(@1, K_NAME);
		b->tls.name = build_hostname(b, &@2, $2);
	}
	| K_CA word		{
		ONCE(@1, K_CA);
		build_tls_ca(b, &@2, $2);
	}
	| K_PIN word		{ build_tls_pin(b, &@2, $2); }
	;
known:	  '{' known_list opt_comma '}' | known_one
	;
known_list: known_one | known_list ',' known_one
	;
known_one: TABLEREF		{
		build_known(b, KNOWN_TABLE, build_table(b, &@1, $1));
	}
	| K_DIRECTORY TABLEREF	{
		build_known(b, KNOWN_DIRECTORY, build_table(b, &@2, $2));
	}
	| K_SERVER		{ build_known(b, KNOWN_SERVER, NULL); }
	| K_SERVER K_CACHE word	{
		build_known(b, KNOWN_SERVER, NULL);
		b->action->act.known_cache_ms = build_duration(b, &@3, $3,
		    60000, CACHE_MAX_MS);
	}
	;
identity: K_NONE		{ $$ = IDENTITY_NONE; }
	| K_HEADER		{ $$ = IDENTITY_HEADER; }
	| K_XCLIENT		{ $$ = IDENTITY_XCLIENT; }
	| K_PROXY_V1		{ $$ = IDENTITY_PROXY_V1; }
	| K_PROXY_V2		{ $$ = IDENTITY_PROXY_V2; }
	;
dests:	  '{' dest_list opt_comma '}' | dest
	;
dest_list: dest_item | dest_list ',' dest_item
	;
dest_item: dest dest_opts
	;
dest:	  word			{ build_dest(b, &@1, $1); }
	;
dest_opts: %empty
	| dest_opts K_WEIGHT NUMBER {
		build_dest_last(b)->weight = build_number(b, &@3, $3, 1,
		    WEIGHT_MAX);
	}
	| dest_opts K_STANDBY	{ build_dest_last(b)->standby = true; }
	| dest_opts K_AUTH word auth_clear {
		if (build_dest_last(b)->auth != NULL)
			lex_error(&b->lex, &@2, "auth stands twice");
		build_dest_last(b)->auth = build_label(b, &@3, $3);
		build_dest_last(b)->auth_plaintext = $4;
	}
	;
auth_clear: %empty		{ $$ = 0; }
	| K_AUTH_PLAINTEXT	{ $$ = 1; }
	;

match:	  K_MATCH { build_rule_begin(b, &@1); } conditions outcome {
		build_rule_end(b);
	}
	;
conditions: %empty | conditions condition
	;
not:	  %empty		{ $$ = 0; }
	| K_NOT			{ $$ = 1; }
	;
condition:
	  K_FROM not from	{
		ONCE(@1, K_FROM);
		build_not(b, &@1, &b->rule->from_table, $2);
	}
	| K_FOR not for		{
		ONCE(@1, K_FOR);
		build_not(b, &@1, &b->rule->for_table, $2);
	}
	| K_AUTH_USER not tspec	{
		build_cond(b, &@1, K_AUTH_USER, &b->rule->auth_user, $3, $2);
	}
	| K_MAIL_FROM not tspec	{
		build_cond(b, &@1, K_MAIL_FROM, &b->rule->mail_from, $3, $2);
	}
	| K_HELO not tspec	{
		build_cond(b, &@1, K_HELO, &b->rule->helo, $3, $2);
	}
	| K_TAG not tspec	{
		build_cond(b, &@1, K_TAG, &b->rule->tag, $3, $2);
	}
	| not K_TLS		{
		ONCE(@2, K_TLS);
		b->rule->tls_set = true;
		b->rule->tls_not = $1;
	  } tls_certs
	;
tls_certs: %empty
	| tspec			{
		b->rule->tls_certs = $1;
		b->conf->tls_certs = true;
	}
	;
from:	  K_ANY			{ b->rule->from = FROM_ANY; }
	| K_LOCAL		{ b->rule->from = FROM_LOCAL; }
	| K_AUTH		{ b->rule->from = FROM_AUTH; }
	| K_EXPANDED		{ b->rule->from = FROM_EXPANDED; }
	| K_SOURCE not tspec	{ build_from(b, FROM_SOURCE, $3, $2); }
	| K_HOST not tspec	{ build_from(b, FROM_HOST, $3, $2); }
	;
for:	  K_ANY			{ b->rule->fors = FOR_ANY; }
	| K_LOCAL		{ b->rule->fors = FOR_LOCAL; }
	| K_DOMAIN not tspec	{ build_for(b, FOR_DOMAIN, $3, $2); }
	| K_RCPT_TO not tspec	{ build_for(b, FOR_RCPT, $3, $2); }
	;
outcome:  K_ACTION name
	| K_ACTION '{' names opt_comma '}' accept
	| K_REJECT		{ build_reject(b, &@1, NULL); }
	| K_REJECT word		{ build_reject(b, &@2, $2); }
	;
names:	  name | names ',' name
	;
name:	  word			{ build_rule_action(b, &@1, $1); }
	;
accept:	  %empty | K_ACCEPT K_ANY
	| K_ACCEPT K_ALL	{ b->rule->accept_all = true; }
	;

queue:	  K_QUEUE queue_opt
	| queue queue_opt
	;
queue_opt:
	  K_PATH word		{
		build_once_all(b, &@1, K_PATH, "queue path");
		b->conf->queue_path = build_path(b, &@2, $2, QUEUE_PATH_MAX);
	}
	| K_TTL word		{
		build_once_all(b, &@1, K_TTL, "queue ttl");
		build_ttl(b, &@2, $2, &b->conf->ttl_ms);
	}
	| K_BOUNCES word	{
		build_once_all(b, &@1, K_BOUNCES, "queue bounces");
		build_ttl(b, &@2, $2, &b->conf->bounce_ttl_ms);
	}
	| K_WARN_AFTER word	{
		build_once_all(b, &@1, K_WARN_AFTER, "queue warn-after");
		build_ttl(b, &@2, $2, &b->conf->warn_after_ms);
	}
	| K_RETRY word		{
		build_once_all(b, &@1, K_RETRY, "queue retry");
		build_range(b, &@2, $2, &b->conf->retry_min_ms,
		    &b->conf->retry_max_ms, TTL_MAX_MS);
	}
	| K_RESERVE word	{
		build_once_all(b, &@1, K_RESERVE, "queue reserve");
		b->conf->reserve = build_size(b, &@2, $2);
	}
	| K_KEEP word		{
		build_once_all(b, &@1, K_KEEP, "queue keep");
		build_ttl(b, &@2, $2, &b->conf->keep_ms);
	}
	| K_SIZE word		{
		build_once_all(b, &@1, K_SIZE, "queue size");
		b->conf->queue_size = build_size(b, &@2, $2);
	}
	;

limit:	  K_LIMIT limit_opt
	;
limit_opt:
	  K_SESSIONS word	{
		build_limit(b, &@2, LIMIT_SESSIONS, $2);
	}
	| K_SESSIONS K_PER K_SOURCE word for_opt {
		build_limit_for(b, &@4, LIMIT_SESSIONS_SOURCE, $4, 0, $5);
	}
	| K_AUTH_FAILURES K_PER K_SOURCE word for_opt {
		build_limit_for(b, &@4, LIMIT_AUTH_SOURCE, $4, 0, $5);
	}
	| K_AUTH_FAILURES K_PER K_USER word for_opt {
		build_limit_for(b, &@4, LIMIT_AUTH_USER, $4, 0, $5);
	}
	| K_RATE K_PER K_SOURCE word K_PER word for_opt {
		build_limit_for(b, &@4, LIMIT_RATE_SOURCE, $4,
		    build_duration(b, &@6, $6, 1000, RATE_MAX_MS), $7);
	}
	| K_RECIPIENTS word	{
		build_limit(b, &@2, LIMIT_RECIPIENTS, $2);
	}
	| K_MESSAGES word	{ build_limit(b, &@2, LIMIT_MESSAGES, $2); }
	| K_MESSAGE_SIZE word	{
		build_once_all(b, &@1, K_MESSAGE_SIZE, "limit message-size");
		b->conf->limits.message_size = build_size(b, &@2, $2);
	}
	| K_ERRORS word		{ build_limit(b, &@2, LIMIT_ERRORS, $2); }
	| K_RECEIVED word	{ build_limit(b, &@2, LIMIT_RECEIVED, $2); }
	| K_DELIVERIES word	{ build_limit(b, &@2, LIMIT_DELIVERIES, $2); }
	| K_DELIVERIES K_PER K_DESTINATION word for_opt {
		build_limit_for(b, &@4, LIMIT_DELIVERIES_DEST, $4, 0, $5);
	}
	;

pool:	  K_POOL word { build_pool_begin(b, &@2, $2); }
	    '{' dest_list opt_comma '}' pool_opts
	;
pool_opts: %empty | pool_opts pool_opt
	;
pool_opt: K_PROBE word		{
		ONCE(@1, K_PROBE);
		build_range(b, &@2, $2, &b->pool->probe_min_ms,
		    &b->pool->probe_max_ms, PROBE_MAX_MS);
	}
	| K_MAX_CONNECTIONS word {
		ONCE(@1, K_MAX_CONNECTIONS);
		b->pool->max_connections = build_number(b, &@2, $2, 1, 10000);
	}
	| tls_use		{ b->pool->tls = b->tls; }
	;

archive:  K_ARCHIVE K_TO word { build_archive_begin(b, &@3, $3); }
	    archive_opts
	;
archive_opts: %empty | archive_opts archive_opt
	;
archive_opt: K_AS word		{
		ONCE(@1, K_AS);
		b->archive->as = build_mail(b, &@2, $2, false);
	}
	| K_FORMAT { ONCE(@1, K_FORMAT); } format
	| K_ON_FAILURE { ONCE(@1, K_ON_FAILURE); } archive_failure
	| when			{ b->archive->when = b->rule; }
	;
format:	  K_JOURNAL		{ b->archive->journal = true; }
	| K_HEADERS		{ b->archive->journal = false; }
	;
archive_failure: K_TEMPFAIL	{ b->archive->ignore = false; }
	| K_IGNORE		{ b->archive->ignore = true; }
	;

/* ---- later versions: parsed whole, refused at their first word ---------- */

dkim:	  K_DKIM { LATER(@1, "dkim"); } word K_DOMAIN tspec K_SELECTOR word
	    K_KEY word algorithm when_opt
	;
algorithm: %empty | K_ALGORITHM K_ED25519 | K_ALGORITHM K_RSA
	;
when_opt: %empty | when
	;
when:	  when_word conditions
	;
when_word: K_WHEN		{
		build_rule_begin(b, &@1);
		b->rule->from = FROM_ANY;
	}
	;

filter:	  K_FILTER word { LATER(@1, "filter"); } filter_kind filter_opts
	;
filter_kind: K_PHASE phase test verdict
	| K_PHASE phase when_word conditions verdict
	| K_PHASE phase when_word conditions test verdict
	| K_DNSBL '{' zones opt_comma '}' K_THRESHOLD word verdict
	| auth_kind '{' results opt_comma '}'
	| K_GREYLIST greylist_opts
	| K_RATELIMIT K_BY rate_by rate_what word K_PER word verdict
	| K_MILTER word | K_MILTER word K_TIMEOUT word
	| K_CLAMAV word verdict
	| K_RSPAMD word
	| K_ATTACHMENT '{' kinds opt_comma '}' verdict
	| K_CHAIN '{' chain opt_comma '}'
	;
filter_opts: %empty | filter_opts filter_opt
	;
filter_opt: when | K_ON_FAILURE on_failure | K_DRY_RUN
	;
on_failure: K_ACCEPT | K_TEMPFAIL | K_REJECT
	;
phase:	  K_CONNECT | K_HELO | K_AUTH | K_MAIL | K_RCPT | K_DATA | K_CONTENT
	;
test:	  K_RDNS K_REGEX word
	| K_RDNS K_NONE
	| K_HELO K_REGEX word
	| K_HEADER word K_REGEX word
	| K_BODY K_REGEX word
	| K_SIZE GE word
	| K_SCORE GE word
	| K_VERDICT auth_kind result
	;
auth_kind: K_SPF | K_DKIM | K_DMARC | K_ARC
	;
results:  result verdict | results ',' result verdict
	;
result:	  word | K_PASS | K_NONE
	;
zones:	  zone | zones ',' zone
	;
zone:	  word zone_weight | word '=' word zone_weight
	;
zone_weight: %empty | K_WEIGHT word
	;
greylist_opts: %empty | greylist_opts greylist_opt
	;
greylist_opt: K_DELAY word | K_EXPIRE word
	;
rate_by:  K_SOURCE | K_AUTH | K_MAIL_FROM | K_RCPT_DOMAIN
	;
rate_what: K_MESSAGES | K_RECIPIENTS
	;
kinds:	  kind | kinds ',' kind
	;
kind:	  K_EXTENSION tspec | K_TYPE tspec | K_MAGIC tspec
	;
chain:	  word | chain ',' word
	;
verdict:  K_ACCEPT | K_TEMPFAIL | K_DISCONNECT | K_QUARANTINE | K_HOLD | K_STRIP
	| K_REJECT word | K_SCORE word | K_FOLDER word | K_REDIRECT word
	| K_SUBJECT word | K_SKIP '{' chain opt_comma '}'
	| K_DELIVER word	{ build_action_named(b, &@2, $2); }
	| K_HEADER K_ADD word word | K_HEADER K_SET word word
	| K_HEADER K_REMOVE word
	;

%%

const char *
gram_word(int token)
{
	return token < K_ACCEPT || token > K_XCLIENT ? NULL :
	    yysymbol_name(YYTRANSLATE(token));
}

static int
gram_lex(GRAM_STYPE *val, struct conf_pos *pos, struct build *b)
{
	return lex_next(&b->lex, &val->string, pos);
}

static void
gram_error(struct conf_pos *pos, struct build *b, const char *why)
{
	lex_error(&b->lex, pos, "%s", why);
	lex_skip(&b->lex);
}

/* What stood there and what could have, in the words of the language. */
static int
yyreport_syntax_error(const yypcontext_t *ctx, struct build *b)
{
	yysymbol_kind_t	 want[YYNTOKENS];
	const char	*names[YYNTOKENS];
	int		 n = yypcontext_expected_tokens(ctx, want, YYNTOKENS);

	b->muted = false;
	for (int i = 0; i < n; i++)
		names[i] = yysymbol_name(want[i]);
	build_unexpected(b, yypcontext_location(ctx), names,
	    n < 0 ? 0 : (size_t)n);
	lex_skip(&b->lex);
	return 0;
}
