/*
 * See learn.h.
 */
#include "smtpd/learn.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/known.h"
#include "common/ipc/codec.h"
#include "common/smtp/reply.h"
#include "smtpd/verify.h"

static const struct conf	*conf;
static struct chan		*queued;
static struct map		*told;
static struct mono		 since;
static bool			 conflicts;	/* some `on-conflict queue` */

static void
forget(void)
{
	map_free(told);
	if ((told = map_new(LEARN_MAX)) == NULL)
		fatal("learn");
	since = clock_mono();
}

void
learn_init(const struct conf *c)
{
	conf = c;
	conflicts = false;
	for (size_t i = 0; i < c->nlistens; i++)
		conflicts |= c->listens[i]->on_conflict == CONFLICT_QUEUE;
	forget();
}

void
learn_queue(struct chan *c)
{
	queued = c;
	if (c != NULL)
		forget();
}

static void
refresh(void)
{
	if (map_count(told) >= LEARN_MAX ||
	    clock_mono().ms - since.ms > LEARN_AGAIN_MS)
		forget();
}

static void
told_key(struct buf *key, const struct conf_action *a, struct span to,
    bool good)
{
	buf_init(key, 2048);
	buf_byte(key, good ? '+' : '-');
	buf_str(key, a->name);
	buf_byte(key, 0);
	buf_span(key, to);
}

/* Has it been told? */
static bool
is_told(const struct conf_action *a, struct span to, bool good)
{
	struct buf	 key;
	bool		 was;

	told_key(&key, a, to, good);
	was = key.failed || map_get(told, buf_content(&key)) != NULL;
	buf_clear(&key);
	return was;
}

static void
note_told(const struct conf_action *a, struct span to, bool good)
{
	struct buf	 key;

	told_key(&key, a, to, good);
	if (!key.failed)
		map_set(told, buf_content(&key), &told);
	buf_clear(&key);
}

/* RFC 3463, 3.2: the mailbox is not there, has moved, or takes no mail. A 550
 * may as well mean the client. */
static bool
is_unknown(uint16_t code, struct span text)
{
	static const char *const codes[] = { "5.1.1", "5.1.6", "5.1.10",
	    "5.2.1" };
	struct span	 word;

	if (code / 100 != 5 || !span_word(&text, " ", &word))
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (span_is(word, codes[i]))
			return true;
	return false;
}

/* ---- domains ---- */

/*
 * A server may take from this client what it takes from no stranger: one that
 * relays for inner machines takes whole foreign domains. So before a good
 * recipient is told, his domain is proven: the server is asked for him once as
 * a stranger would be. In `told` for each domain, nothing where that question
 * has had no answer:
 */
static char	 proven, asked, denied;

/* What is told when it is. */
struct proof {
	const struct conf_action *action;
	char		*domain, *to, *target, *reply, *server;
};
static unsigned	 nproofs;

static void
proof_free(struct proof *p)
{
	free(p->domain);
	free(p->to);
	free(p->target);
	free(p->reply);
	free(p->server);
	free(p);
	nproofs--;
}

static void
domain_key(struct buf *key, const struct conf_action *a, struct span domain)
{
	buf_init(key, 2048);
	buf_byte(key, '@');
	buf_str(key, a->name);
	buf_byte(key, 0);
	for (size_t i = 0; i < domain.len; i++)
		buf_byte(key, domain.p[i] >= 'A' && domain.p[i] <= 'Z' ?
		    (uint8_t)(domain.p[i] + 32) : domain.p[i]);
}

static void *
domain_state(const struct conf_action *a, struct span domain)
{
	struct buf	 key;
	void		*v;

	domain_key(&key, a, domain);
	v = key.failed ? &denied : map_get(told, buf_content(&key));
	buf_clear(&key);
	return v;
}

static void
domain_set(const struct conf_action *a, struct span domain, char *state)
{
	struct buf	 key;

	domain_key(&key, a, domain);
	if (!key.failed)
		map_set(told, buf_content(&key), state);
	buf_clear(&key);
}

static void
domain_unset(const struct conf_action *a, struct span domain)
{
	struct buf	 key;

	domain_key(&key, a, domain);
	if (!key.failed)
		map_del(told, buf_content(&key));
	buf_clear(&key);
}

/* ---- what is told ---- */

static void
tell(const struct conf_action *a, struct span target, struct span to,
    bool good, struct span reply, struct span server)
{
	char	where[KNOWN_WHERE_MAX];

	if (queued == NULL || is_told(a, to, good))
		return;
	note_told(a, to, good);
	CHAN_SEND(queued, v_learn, .tid = 0,
	    .where = span_str(conf_known_where(a, where)),
	    .target = target, .to = to,
	    .cache_ms = (uint64_t)a->known_cache_ms,
	    .good_ms = (uint64_t)a->known_good_ms, .good = good,
	    .reply = reply, .server = span_sub(server, 0, 300));
}

static void
on_proof(void *arg, const struct verify_verdict *v)
{
	struct proof	*p = arg;
	struct span	 domain = span_str(p->domain);

	switch (v->kind) {
	case VERIFY_KNOWN:
		domain_set(p->action, domain, &proven);
		tell(p->action, span_str(p->target), span_str(p->to), true,
		    span_str(p->reply), span_str(p->server));
		break;
	case VERIFY_UNKNOWN:
		domain_set(p->action, domain, &denied);
		log_info("event=learn action=%s domain=%s result=not "
		    "server=%s why=%s", log_quote(span_str(p->action->name)),
		    log_quote(domain), log_quote(span_str(v->server)),
		    log_quote_reply(span_str(v->reply)));
		break;
	case VERIFY_LATER:
		domain_unset(p->action, domain);
		break;
	}
	proof_free(p);
}

static void
prove(const struct conf_action *a, struct span domain, struct span target,
    struct span to, struct span reply, const char *server)
{
	struct proof	*p;

	if (nproofs >= LEARN_PROOFS || (p = calloc(1, sizeof(*p))) == NULL)
		return;
	nproofs++;
	p->action = a;
	p->domain = span_dup(domain);
	p->to = span_dup(to);
	p->target = target.len > 0 ? span_dup(target) : strdup("");
	p->reply = span_dup(reply);
	p->server = strdup(server != NULL ? server : "");
	if (p->domain == NULL || p->to == NULL || p->target == NULL ||
	    p->reply == NULL || p->server == NULL)
		fatal("learn");
	domain_set(a, domain, &asked);
	if (!verify_stranger(a, to, target, on_proof, p)) {
		domain_unset(a, domain);
		proof_free(p);
	}
}

void
learn_rcpt(const struct txn *t, const struct conf_action *a, struct span to,
    uint16_t code, struct span text, const char *server)
{
	char		 target[CONF_TARGET_MAX];
	struct span	 domain;
	bool		 good = code == 250;
	struct buf	 flat;
	void		*state;

	/* Whom a server takes from those who have logged in says nothing of
	 * others. */
	if (queued == NULL || (a->on_failure == NULL && !conflicts) ||
	    t->s->authed || (!good && !is_unknown(code, text)))
		return;
	domain = span_sub(to, span_rfind(to, '@'), to.len);
	span_skip(&domain, 1);
	if (domain.len == 0)
		return;
	refresh();
	/* There is nothing to do for most. */
	state = good ? domain_state(a, domain) : &proven;
	if (state == &proven ? is_told(a, to, good) : state != NULL)
		return;
	if (!conf_target(conf, a, to, t->from, span(NULL, 0), target))
		return;
	buf_init(&flat, 300);
	smtp_reply_flat(&flat, code, text);
	if (state == &proven)
		tell(a, span_str(target), to, good, buf_content(&flat),
		    span_str(server != NULL ? server : ""));
	else
		prove(a, domain, span_str(target), to, buf_content(&flat),
		    server);
	buf_clear(&flat);
}
