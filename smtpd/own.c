/*
 * See own.h.
 */
#include "smtpd/own.h"

#include <stdlib.h>

#include "common/base/enc.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/conf/table.h"
#include "common/sasl/server.h"
#include "smtpd/auth.h"
#include "smtpd/login.h"

#define SAID_MAX	12288	/* bytes of what a client says */

struct own {
	struct sasl_server sasl;
	char		 challenge[320];	/* CRAM-MD5's */
	uint32_t	 tid;		/* of the exchange; 0: not asked yet */
	bool		 asking;
	struct cmd	*cmd;		/* that waits for the answer */
};

void
own_clear(struct session *s)
{
	struct own	*o = s->own;

	if (o == NULL)
		return;
	s->own = NULL;
	if (o->asking)
		login_cancel(o->tid);
	freezero(o, sizeof(*o));
}

static void
challenge(struct cmd *c, struct span what)
{
	struct buf	b;

	buf_init(&b, SAID_MAX);
	if (!enc_base64(&b, what))
		fatalx("challenge");
	session_answer(c, 334, buf_content(&b));
	buf_clear(&b);
}

static void
answered(void *arg, const struct login_answer *a)
{
	struct session	*s = arg;
	struct own	*o = s->own;
	struct cmd	*c = o->cmd;

	o->asking = false;
	switch (a->verdict) {
	case K_MORE:
		challenge(c, a->said);
		break;
	case K_YES:
		/* RFC 4954, 4: there is no room for it beside 235. */
		if (a->said.len > 0) {
			challenge(c, a->said);
			break;
		}
		auth_judged(s, c, 235, "2.7.0 Authentication successful",
		    span(NULL, 0));
		break;
	case K_NO:
		auth_judged(s, c, 535, "5.7.8 Authentication credentials "
		    "invalid", a->why);
		break;
	case K_LATER:
		auth_judged(s, c, 454, "4.7.0 Temporary authentication "
		    "failure", a->why);
		break;
	case K_MALFORMED:
		auth_judged(s, c, 501, "5.5.2 Malformed authentication",
		    a->why);
		break;
	}
}

static enum k_how
how_of(const struct own *o)
{
	switch (o->sasl.how) {
	case SASL_CRAM_MD5:
		return K_CRAM_MD5;
	case SASL_SCRAM:
		return K_SCRAM;
	case SASL_SCRAM_PLUS:
		return K_SCRAM_PLUS;
	default:
		return K_PASSWORD;
	}
}

static void
judge(struct cmd *c, const char *user, struct span said)
{
	struct session	*s = c->s;
	struct own	*o = s->own;
	uint32_t	 tid;

	tid = login_ask(&(struct ipc_k_login){
	    .table = span_str(table_name(s->listen->auth_users)),
	    .tid = o->tid, .first = o->tid == 0, .how = (uint8_t)how_of(o),
	    .user = span_str(user), .said = said,
	    .challenge = o->sasl.challenge,
	    .binding = span(s->binding, s->binding_len) }, answered, s);
	if (tid == 0) {
		auth_judged(s, c, 454, "4.7.0 Temporary authentication "
		    "failure", span_str("passwd is away"));
		return;
	}
	o->tid = tid;
	o->cmd = c;
	o->asking = true;
}

static void
say(struct cmd *c, const char *user, struct span said)
{
	struct session	*s = c->s;
	struct span	 out;
	const char	*why = "";

	switch (sasl_server_say(&s->own->sasl, said, span_str(user), &out,
	    &why)) {
	case SASL_CHALLENGE:
		challenge(c, out);
		break;
	case SASL_JUDGE:
		judge(c, user, out);
		break;
	case SASL_DONE:
		auth_judged(s, c, 235, "2.7.0 Authentication successful",
		    span(NULL, 0));
		break;
	case SASL_OTHER:
		auth_judged(s, c, 535, "5.7.8 Nobody may act for another",
		    span_str("an authzid that is not the authcid"));
		break;
	case SASL_BAD:
		auth_judged(s, c, 501, "5.5.2 Malformed authentication",
		    span_str(why));
		break;
	}
}

/* base64, "=" for nothing in an initial response (RFC 4954, 4). */
static void
decode(struct cmd *c, const char *user, struct span line)
{
	struct buf	b;

	buf_init(&b, SAID_MAX);
	b.secret = true;
	if (dec_base64(&b, line))
		say(c, user, buf_content(&b));
	else
		auth_judged(c->s, c, 501, "5.5.2 This is no base64",
		    span_str("malformed base64"));
	buf_clear(&b);
}

void
own_begin(struct cmd *c, const char *mech, const char *user,
    const struct span *initial)
{
	struct session	*s = c->s;
	struct own	*o = calloc(1, sizeof(*o));
	struct span	 out;

	if (o == NULL)
		fatal("auth");
	s->own = o;
	/* RFC 2195, 2: never the same twice. */
	snprintf(o->challenge, sizeof(o->challenge), "<%016llx.%lld@%s>",
	    (unsigned long long)rand_u64(), (long long)clock_wall().ms,
	    s->listen->hostname);
	if (!sasl_server_init(&o->sasl, span_str(mech),
	    span_str(o->challenge)))
		fatalx("a mechanism that was not offered");
	if (initial == NULL) {
		sasl_server_open(&o->sasl, &out);
		challenge(c, out);
	} else if (!sasl_server_takes_initial(&o->sasl)) {
		auth_judged(s, c, 501, "5.7.0 This mechanism has no initial "
		    "response", span_str("an initial response"));
	} else
		decode(c, user, span_is(*initial, "=") ? span(NULL, 0) :
		    *initial);
}

void
own_line(struct cmd *c, const char *user, struct span line)
{
	decode(c, user, line);
}
