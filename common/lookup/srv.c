/*
 * A map by address and port. See srv.h.
 */
#include "common/lookup/srv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/rand.h"

static struct map	*servers;
static struct chan	*queued;
static void		(*changed)(const struct srv *);

void
srvs_init(void (*f)(const struct srv *))
{
	changed = f;
	if ((servers = map_new(SRVS_MAX)) == NULL)
		fatal("servers");
}

/* ---- to and from queued ------------------------------------------------ */

static void
tell(struct srv *s)
{
	int64_t	 now = clock_mono().ms;

	if (queued == NULL)
		return;
	CHAN_SEND(queued, d_server, .addr = s->addr, .name = span_str(s->name),
	    .label = span_str(s->label), .failures = s->health.failures,
	    .since_ms = (uint64_t)(now - s->health.since_ms),
	    .probe_ms = s->health.probe_ms > now ?
	    (uint64_t)(s->health.probe_ms - now) : 0, .why = span_str(s->why),
	    .conns = s->conns, .delivered = s->delivered, .failed = s->failed,
	    .tls = span_str(s->tls));
	s->news = false;
	s->delivered = s->failed = 0;
}

static void
tell_login(struct srv *s)
{
	if (queued != NULL)
		CHAN_SEND(queued, d_login, .addr = s->addr,
		    .label = span_str(s->login),
		    .why = span_str(s->login_why));
}

static bool
tell_one(struct span key, void *v, void *arg)
{
	struct srv	*s = v;

	(void)key;
	(void)arg;
	tell(s);
	if (s->login_why[0] != '\0')
		tell_login(s);
	return true;
}

void
srvs_peer(struct chan *c)
{
	queued = c;
	if (servers != NULL)
		map_each(servers, tell_one, NULL);
}

static bool
tick_one(struct span key, void *v, void *arg)
{
	struct srv	*s = v;
	int64_t		 now = *(int64_t *)arg;

	if (s->news)
		tell(s);
	if (s->refs > 0 || s->conns > 0 || s->news)
		return true;
	if (health_is_down(&s->health) &&
	    now - s->used_ms <= SRVS_KEEP_MS)
		return true;
	map_del(servers, key);
	free(s);
	return true;
}

void
srvs_tick(void)
{
	int64_t	 now = clock_mono().ms;

	map_each(servers, tick_one, &now);
}

static bool
clear_one(struct span key, void *v, void *arg)
{
	struct srv	*s = v;

	(void)key;
	(void)arg;
	s->health = (struct health){ .since_ms = clock_mono().ms };
	changed(s);
	return true;
}

void
srvs_clear(void)
{
	map_each(servers, clear_one, NULL);
}

/* ---- one of them ------------------------------------------------------- */

static struct srv *
make(const struct addr *a)
{
	struct srv	*s = calloc(1, sizeof(*s));
	uint8_t		 k[ADDR_KEY_LEN];

	if (s == NULL)
		fatal("server");
	s->addr = *a;
	s->used_ms = s->health.since_ms = clock_mono().ms;
	if (!map_set(servers, addr_key(a, k), s)) {
		free(s);
		return NULL;
	}
	return s;
}

struct srv *
srv_find(const struct addr *a)
{
	uint8_t	 k[ADDR_KEY_LEN];

	return map_get(servers, addr_key(a, k));
}

struct srv *
srv_ref(const struct addr *a, const char *name, const char *label,
    const struct health_times *t)
{
	struct srv	*s = srv_find(a);

	if (s == NULL && (s = make(a)) == NULL)
		return NULL;
	if (s->name[0] == '\0')
		strlcpy(s->name, name, sizeof(s->name));
	if (s->label[0] == '\0')
		strlcpy(s->label, label, sizeof(s->label));
	s->times = *t;
	s->used_ms = clock_mono().ms;
	s->refs++;
	return s;
}

void
srv_unref(struct srv *s)
{
	if (s != NULL)
		s->refs--;
}

void
srv_conns(struct srv *s, int by)
{
	s->conns = (unsigned)((int)s->conns + by);
	s->used_ms = clock_mono().ms;
	s->news = true;
}

void
srv_count(struct srv *s, bool delivered)
{
	if (delivered)
		s->delivered++;
	else
		s->failed++;
	s->news = true;
}

void
srv_tls(struct srv *s, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(s->tls, sizeof(s->tls), fmt, ap);
	va_end(ap);
	s->news = true;
}

static void
log_health(const struct srv *s)
{
	char	 ip[ADDR_STRLEN];
	int64_t	 next = s->health.probe_ms - clock_mono().ms;

	if (!health_is_down(&s->health))
		log_info("event=health server=%s[%s]:%u state=up",
		    log_quote(span_str(s->name)), addr_str(&s->addr, ip),
		    s->addr.port);
	else
		log_info("event=health server=%s[%s]:%u state=down "
		    "failures=%u next=%llds reply=%s",
		    log_quote(span_str(s->name)), addr_str(&s->addr, ip),
		    s->addr.port, s->health.failures,
		    (long long)(next + 500) / 1000,
		    log_quote_reply(span_str(s->why)));
}

void
srv_works(struct srv *s)
{
	if (!health_works(&s->health, clock_mono().ms))
		return;
	log_health(s);
	tell(s);
	changed(s);
}

void
srv_failed(struct srv *s, bool probe, const char *why)
{
	if (!health_failed(&s->health, probe, &s->times, clock_mono().ms,
	    rand_below(UINT32_MAX)))
		return;
	strlcpy(s->why, why, sizeof(s->why));
	log_health(s);
	tell(s);
	changed(s);
}

void
srv_probe(struct srv *s)
{
	health_probe(&s->health, &s->times, clock_mono().ms,
	    rand_below(UINT32_MAX));
	/* The others leave this one to us. */
	tell(s);
}

void
srv_login(struct srv *s, const char *label, const char *why)
{
	strlcpy(s->login, label, sizeof(s->login));
	strlcpy(s->login_why, why, sizeof(s->login_why));
	/* Of a server that queued has heard of. */
	tell(s);
	tell_login(s);
}

/*
 * What queued knows is newer than what we do: it hears of each change at once.
 * A probe of ours that is under way ends as it ends.
 */
void
srvs_heard(struct chan *c, const void *msg, int fd)
{
	const struct ipc_d_server_state *m = msg;
	int64_t		 now = clock_mono().ms;
	struct srv	*s;
	bool		 was;

	(void)fd;
	if (m->addr.family == 0 || m->since_ms > INT64_MAX / 2 ||
	    m->probe_ms > INT64_MAX / 2) {
		chan_reject(c, "state of a server");
		return;
	}
	s = srv_find(&m->addr);
	if (s == NULL && (m->failures == 0 || (s = make(&m->addr)) == NULL))
		return;
	was = health_is_down(&s->health);
	s->health.failures = m->failures;
	s->health.since_ms = now - (int64_t)m->since_ms;
	s->health.probe_ms = now + (int64_t)m->probe_ms;
	span_cstr(span_sub(m->why, 0, sizeof(s->why) - 1), s->why,
	    sizeof(s->why));
	if (was != health_is_down(&s->health))
		changed(s);
}
