/*
 * See learn.h.
 */
#include "smtpd/learn.h"

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/conf/known.h"
#include "common/ipc/codec.h"
#include "common/smtp/reply.h"

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

/* Has it been told? It has now. */
static bool
is_told(const struct conf_action *a, struct span to, bool good)
{
	struct buf	 key;
	bool		 was;

	if (map_count(told) >= LEARN_MAX ||
	    clock_mono().ms - since.ms > LEARN_AGAIN_MS)
		forget();
	buf_init(&key, 2048);
	buf_byte(&key, good ? '+' : '-');
	buf_str(&key, a->name);
	buf_byte(&key, 0);
	buf_span(&key, to);
	was = key.failed || map_get(told, buf_content(&key)) != NULL;
	if (!was)
		map_set(told, buf_content(&key), &told);
	buf_clear(&key);
	return was;
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

void
learn_rcpt(const struct txn *t, const struct conf_action *a, struct span to,
    uint16_t code, struct span text, const char *server)
{
	char		 where[KNOWN_WHERE_MAX], target[CONF_TARGET_MAX];
	bool		 good = code == 250;
	struct buf	 flat;

	/* Whom a server takes from those who have logged in says nothing of
	 * others. */
	if (queued == NULL || (a->on_failure == NULL && !conflicts) ||
	    t->s->authed || (!good && !is_unknown(code, text)) ||
	    is_told(a, to, good) || !conf_target(conf, a, to, t->from,
	    span(NULL, 0), target))
		return;
	buf_init(&flat, 300);
	smtp_reply_flat(&flat, code, text);
	CHAN_SEND(queued, v_learn, .tid = 0,
	    .where = span_str(conf_known_where(a, where)),
	    .target = span_str(target), .to = to,
	    .cache_ms = (uint64_t)a->known_cache_ms,
	    .good_ms = (uint64_t)a->known_good_ms, .good = good,
	    .reply = buf_content(&flat),
	    .server = span_sub(span_str(server), 0, 300));
	buf_clear(&flat);
}
