/*
 * See logins.h.
 */
#include "deliverd/logins.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/rand.h"
#include "common/conf/dest.h"

struct logins {
	uint8_t		 addr[ADDR_KEY_LEN];	/* with the label the key */
	char		 label[DEST_LABEL_MAX + 1];
	unsigned	 refs;
	struct health	 health;
	char		 why[512];
};

static const struct health_times times = { LOGINS_MIN_MS, LOGINS_MAX_MS };
static struct map	*known;
static void		(*changed)(const struct srv *);

void
logins_init(void (*f)(const struct srv *))
{
	changed = f;
	if ((known = map_new(LOGINS_MAX)) == NULL)
		fatal("logins");
}

/* In static storage. */
static struct span
key_of(const uint8_t addr[ADDR_KEY_LEN], const char *label)
{
	static uint8_t	 key[ADDR_KEY_LEN + DEST_LABEL_MAX + 1];
	size_t		 len;

	memcpy(key, addr, ADDR_KEY_LEN);
	len = strlcpy((char *)key + ADDR_KEY_LEN, label, DEST_LABEL_MAX + 1);
	return span(key, ADDR_KEY_LEN + len);
}

/* Nobody needs it, and nothing is to be remembered. */
static void
drop(struct logins *l)
{
	map_del(known, key_of(l->addr, l->label));
	free(l);
}

static bool
evict_one(struct span key, void *v, void *arg)
{
	struct logins	*l = v;

	(void)key;
	(void)arg;
	if (l->refs == 0)
		drop(l);
	return true;
}

struct logins *
logins_ref(const struct hosts_cand *c)
{
	uint8_t		 addr[ADDR_KEY_LEN];
	struct logins	*l;

	addr_key(&c->addr, addr);
	if ((l = map_get(known, key_of(addr, c->login))) != NULL) {
		l->refs++;
		return l;
	}
	if (map_count(known) == LOGINS_MAX)
		map_each(known, evict_one, NULL);
	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal("logins");
	memcpy(l->addr, addr, sizeof(addr));
	strlcpy(l->label, c->login, sizeof(l->label));
	l->refs = 1;
	if (!map_set(known, key_of(addr, c->login), l)) {
		free(l);
		return NULL;
	}
	return l;
}

void
logins_unref(struct logins *l)
{
	if (l != NULL && --l->refs == 0 && !health_is_down(&l->health))
		drop(l);
}

const char *
logins_label(const struct logins *l)
{
	return l->label;
}

const char *
logins_refused(const struct logins *l)
{
	return l != NULL && health_is_down(&l->health) ? l->why : NULL;
}

bool
logins_due(const struct logins *l, int64_t now)
{
	return l != NULL && health_due(&l->health, now);
}

bool
logins_probed(const struct logins *l)
{
	return l != NULL && health_is_down(&l->health) && l->health.probing;
}

void
logins_probe(struct logins *l)
{
	health_probe(&l->health, &times, clock_mono().ms,
	    rand_below(UINT32_MAX));
}

void
logins_failed(struct logins *l, struct srv *s, bool probe, const char *why)
{
	char	 ip[ADDR_STRLEN];

	if (l == NULL || !health_failed(&l->health, probe, &times,
	    clock_mono().ms, rand_below(UINT32_MAX)))
		return;
	strlcpy(l->why, why, sizeof(l->why));
	log_warnx("event=login server=%s[%s]:%u label=%s result=refused "
	    "failures=%u next=%llds reply=%s", log_quote(span_str(s->name)),
	    addr_str(&s->addr, ip), s->addr.port,
	    log_quote(span_str(l->label)), l->health.failures,
	    (long long)(l->health.probe_ms - clock_mono().ms + 500) / 1000,
	    log_quote_reply(span_str(l->why)));
	srv_login(s, l->label, l->why);
	changed(s);
}

void
logins_work(struct logins *l, struct srv *s)
{
	bool	 first = l != NULL && l->health.since_ms == 0;
	char	 ip[ADDR_STRLEN];

	if (l == NULL || (!health_works(&l->health, clock_mono().ms) &&
	    !first))
		return;
	log_info("event=login server=%s[%s]:%u label=%s result=ok",
	    log_quote(span_str(s->name)), addr_str(&s->addr, ip),
	    s->addr.port, log_quote(span_str(l->label)));
	srv_login(s, l->label, "");
	changed(s);
}

static bool
clear_one(struct span key, void *v, void *arg)
{
	struct logins	*l = v;

	(void)key;
	(void)arg;
	l->health = (struct health){ 0 };
	return true;
}

void
logins_clear(void)
{
	map_each(known, clear_one, NULL);
}
