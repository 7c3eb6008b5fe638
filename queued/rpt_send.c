/*
 * A domain's report (RFC 8460, 4 and 5): made of its rows when it is due, and
 * put into the queue as a message of our own before they go; so a crash between
 * the two may send it twice, but never loses it.
 */
#include "queued/rpt_i.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/mime/tlsrpt.h"
#include "common/smtp/param.h"
#include "queued/queue.h"
#include "queued/readers.h"
#include "queued/side.h"

#define KEYS_STEP	64	/* rows that are dropped at a time */
#define DETAIL_MAX	3000	/* bytes that one, or a bare policy, needs */

struct report {
	struct queue	*q;
	const char	*id;		/* of the report */
	struct span	 name;		/* of the domain */
	struct rpt_domain d;
	char		 rua[RPT_RUA_MAX + 1];
	struct rpt_writer w;
	struct buf	 json;
	bool		 begun;		/* its own row was there */
};

/* ---- the rows ---- */

static bool
has_room(const struct report *r, size_t n)
{
	return buf_len(&r->json) + n + DETAIL_MAX < TLSRPT_JSON_MAX;
}

static void
begin(struct report *r, const struct rpt_domain *d)
{
	const struct conf *c = r->q->conf;
	char		 id[ID_STRLEN + 300];

	r->d = *d;
	r->d.domain = r->name;
	span_cstr(d->rua, r->rua, sizeof(r->rua));
	r->d.rua = span_str(r->rua);
	if (r->d.end_s > clock_wall().ms / 1000)
		r->d.end_s = clock_wall().ms / 1000;
	snprintf(id, sizeof(id), "%s.tlsrpt@%s", r->id, c->hostname);
	rpt_begin(&r->w, &r->json, &(struct rpt_head){
	    .organization = span_str(c->report_organization != NULL ?
	    c->report_organization : c->hostname),
	    .contact = span_str(c->report_contact != NULL ?
	    c->report_contact : c->report_from), .id = span_str(id),
	    .begin_s = r->d.begin_s, .end_s = r->d.end_s });
	r->begun = true;
}

/* Sums go before details, and those before strings, where there is much. */
static bool
row_write(struct span key, struct span row, void *arg)
{
	struct report	*r = arg;
	struct rpt_any	 a;

	(void)key;
	if (!rpt_row_get(row, &a))
		return true;
	if (a.row == RPT_ROW_DOMAIN)
		begin(r, &a.domain);
	else if (a.row == RPT_ROW_POLICY && r->begun && has_room(r, 0)) {
		if (!has_room(r, 2 * a.policy.strings.len +
		    (RPT_POLICIES_MAX - r->w.policies) * DETAIL_MAX / 4))
			a.policy.strings = span(NULL, 0);
		rpt_policy(&r->w, &a.policy);
	} else if (a.row == RPT_ROW_DETAIL && r->w.policies > 0 &&
	    has_room(r, (RPT_POLICIES_MAX - r->w.policies) * DETAIL_MAX / 4))
		rpt_detail(&r->w, &a.detail);
	return true;
}

struct keys {
	uint8_t		 p[KEYS_STEP][RPT_KEY_MAX];
	size_t		 len[KEYS_STEP], n;
};

static bool
key_note(struct span key, struct span row, void *arg)
{
	struct keys	*k = arg;

	(void)row;
	if (key.len <= RPT_KEY_MAX) {
		memcpy(k->p[k->n], key.p, key.len);
		k->len[k->n++] = key.len;
	}
	return k->n < KEYS_STEP;
}

static void
drop_rows(struct side *s, struct span front)
{
	struct keys	 k;

	do {
		k.n = 0;
		side_each(s, front, span(NULL, 0), key_note, &k);
		for (size_t i = 0; i < k.n; i++)
			side_del(s, span(k.p[i], k.len[i]));
	} while (k.n == KEYS_STEP);
}

/* ---- the message ---- */

static bool
append(struct queue *q, const struct readers *v, uint64_t id,
    struct span text)
{
	struct rec_msg	 m = { .from = span_str(q->conf->report_from),
			    .body = BODY_7BIT, .flags = MSG_TLS_OPTIONAL,
			    .size = text.len,
			    .nrcpts = (uint32_t)v->n,
			    .accepted_ms = queue_now(q),
			    .received_ms = (uint64_t)clock_wall().ms };
	struct rec	 r = { .kind = REC_MESSAGE, .id = id,
			    .content = text };
	struct buf	 env, rcpts;
	bool		 ok;

	m.expire_ms = m.accepted_ms + (q->conf->bounce_ttl_ms < RPT_TTL_MS ?
	    q->conf->bounce_ttl_ms : RPT_TTL_MS);
	buf_init(&env, REC_ENV_MAX);
	buf_init(&rcpts, REC_ENV_MAX);
	for (uint32_t i = 0; i < v->n; i++) {
		/* Nobody wants a notification for each domain whose address
		 * for reports is wrong. */
		struct rec_rcpt	 rc = { .n = i, .to = span_str(v->v[i].to),
				    .action = span_str(v->v[i].action->name),
				    .group = v->v[i].group,
				    .notify = NOTIFY_NEVER,
				    .next_ms = queue_now(q) };

		if (v->v[i].group != i)
			m.flags |= MSG_GROUPS;
		rec_rcpt_add(&rcpts, &rc);
	}
	m.rcpts = buf_content(&rcpts);
	ok = !rcpts.failed && rec_msg_encode(&env, &m);
	r.env = buf_content(&env);
	ok = ok && queue_record(q, &r);
	buf_clear(&env);
	buf_clear(&rcpts);
	return ok;
}

static void
log_report(const struct report *r, const char *to, const char *id,
    const char *why)
{
	log_info("%s%s%sevent=tlsrpt domain=%s to=%s sessions=%llu "
	    "failed=%llu result=%s%s%s", id != NULL ? "id=" : "",
	    id != NULL ? id : "", id != NULL ? " " : "",
	    log_quote(r->name), log_quote(span_str(to)),
	    (unsigned long long)(r->d.ok + r->d.failed),
	    (unsigned long long)r->d.failed, why == NULL ? "queued" :
	    "dropped", why != NULL ? " why=" : "",
	    why != NULL ? log_quote(span_str(why)) : "");
}

static void
mail(struct report *r, const char *to)
{
	struct queue	*q = r->q;
	struct tlsrpt	 t = { .host = span_str(q->conf->hostname),
			    .domain = r->name, .to = span_str(to),
			    .from = span_str(q->conf->report_from),
			    .begin_s = r->d.begin_s, .end_s = r->d.end_s,
			    .now_s = clock_wall().ms / 1000,
			    .json = buf_content(&r->json) };
	uint64_t	 id = id_new();
	char		 ids[ID_STRLEN];
	struct readers	 readers;
	struct buf	 text;
	const char	*why = NULL;

	t.id = span_str(id_str(id, ids));
	buf_init(&text, TLSRPT_MAX);
	readers_find(q->conf, t.to, false, &readers);
	if (readers.n == 0)
		why = readers.why;
	else if (!tlsrpt_write(&text, &t) ||
	    !append(q, &readers, id, buf_content(&text)))
		why = "it is too long";
	else
		q->stats.tls_reports++;
	log_report(r, to, why == NULL ? ids : NULL, why);
	readers_clear(&readers);
	buf_clear(&text);
}

static void
tell(struct report *r)
{
	struct span	 list = r->d.rua;
	struct rpt_uri	 u;
	unsigned	 n = 0;

	while (n < RPT_URIS_MAX && rpt_uri_next(&list, &u)) {
		n++;
		if (!u.https)
			mail(r, u.to);
		else if (rpt_post_add(r->q, r->name, span_str(u.to),
		    buf_content(&r->json)))
			log_report(r, u.to, NULL, NULL);
		else
			log_report(r, u.to, NULL, "no room for it");
	}
	if (n == 0)
		log_report(r, r->rua, NULL, "no address that can be used");
}

/* ---- one domain ---- */

/* Not all of its day is over: the rest is for another report. */
static void
go_on(struct side *s, struct span key, const struct rpt_domain *was)
{
	struct rpt_domain d = { .begin_s = was->end_s + 1,
			    .end_s = was->begin_s / RPT_DAY_S * RPT_DAY_S +
			    RPT_DAY_S - 1, .due_ms = was->due_ms,
			    .rua = was->rua };
	struct buf	 b;

	if (d.begin_s > d.end_s)
		return;
	rpt_domain_put(&b, &d);
	if (!b.failed)
		side_put(s, key, buf_content(&b));
	buf_clear(&b);
}

/* Its rows are over, and it was told of them if there was anything. */
static bool
report(struct queue *q, struct side *s, struct span domain, struct span key)
{
	struct report	 r = { .q = q, .name = domain };
	char		 ids[ID_STRLEN];
	bool		 told = false;

	r.id = id_str(id_new(), ids);
	buf_init(&r.json, TLSRPT_JSON_MAX);
	if (q->conf->report_from != NULL)
		side_each(s, key, span(NULL, 0), row_write, &r);
	if (r.begun && r.w.policies > 0 && rpt_end(&r.w)) {
		tell(&r);
		queue_flush(q);
		told = true;
	}
	drop_rows(s, key);
	if (r.begun)
		go_on(s, key, &r.d);
	buf_clear(&r.json);
	return told;
}

/* A domain by its key, which is copied. False: it is another row's. */
static bool
report_key(struct queue *q, struct side *s, struct span key, bool *told)
{
	uint8_t		 copy[RPT_KEY_MAX];
	struct span	 domain;
	uint32_t	 day;

	if (key.len > sizeof(copy) || !rpt_key_get(key, &day, &domain))
		return false;
	memcpy(copy, key.p, key.len);
	key = span(copy, key.len);
	rpt_key_get(key, &day, &domain);
	*told = report(q, s, domain, key);
	return true;
}

/* Is there room for messages of ours? */
static bool
takes_mail(const struct queue *q)
{
	return !q->low && !q->stuck;
}

bool
rpt_step(struct queue *q)
{
	struct side	*s = rpt_side(q);
	int64_t		 now = clock_wall().ms;
	struct span	 key;
	bool		 told;

	if (s == NULL || clock_mono().ms < q->rpt_again_ms ||
	    !side_due(s, now, &key))
		return false;
	if (!takes_mail(q)) {
		q->rpt_again_ms = clock_mono().ms + RPT_AGAIN_MS;
		return false;
	}
	if (!report_key(q, s, key, &told) && !rpt_post_step(q, key))
		side_sweep(s, now, UINT64_MAX, 1);
	return true;
}

struct first {
	uint8_t		 p[RPT_KEY_MAX];
	size_t		 len;
};

/* The first domain behind some key that has something to tell. */
static bool
domain_note(struct span key, struct span row, void *arg)
{
	struct first	*f = arg;
	struct span	 domain;
	struct rpt_any	 a;
	uint32_t	 day;

	if (key.len > sizeof(f->p) || !rpt_key_get(key, &day, &domain) ||
	    !rpt_row_get(row, &a) || a.row != RPT_ROW_DOMAIN)
		return true;
	memcpy(f->p, key.p, key.len);
	f->len = key.len;
	return false;
}

int
rpt_send_all(struct queue *q)
{
	struct side	*s = rpt_side(q);
	struct first	 f = { .len = 0 };
	size_t		 had;
	int		 n = 0;
	bool		 told;

	if (s == NULL)
		return -1;
	for (;;) {
		if (!takes_mail(q))
			return -1;
		had = f.len;
		f.len = 0;
		side_each(s, span(NULL, 0), span(f.p, had), domain_note, &f);
		if (f.len == 0 || !report_key(q, s, span(f.p, f.len), &told))
			return n;
		n += told;
	}
}
