/*
 * A segment's record and its envelope from any bytes, as they are and with
 * checksums made right: nothing outside is read, what is taken is consistent
 * and is written again as the same bytes.
 */
#include <stdlib.h>

#include "queued/record.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
same(struct span in, struct buf *out, bool ok)
{
	if (!ok || !span_eq(in, buf_content(out)))
		abort();
	buf_clear(out);
}

static void
message(struct span env, uint8_t version)
{
	struct rec_msg	 m;
	struct rec_rcpt	 r;
	struct buf	 b;
	struct span	 s;
	const char	*why = NULL;
	uint32_t	 n = 0;
	/* Before version 4 a string less: it is written as an empty one. */
	size_t		 more = version < 4 ? 2 : 0;

	if (rec_msg_decode(env, version, &m, &why) != PARSE_OK) {
		if (why == NULL)
			abort();
		return;
	}
	for (s = m.rcpts; rec_rcpt_next(&s, version, &r); n++)
		if (r.n != n || r.state > RCPT_STATE_MAX || r.group > n ||
		    r.way > WAY_MAX || (version < 3 &&
		    r.state > RCPT_FAILED) || (r.state != RCPT_PREPARED &&
		    r.way + r.settled != 0))
			abort();
	if (s.len != 0 || n != m.nrcpts)
		abort();
	/* `held` is a bool: any byte but 0 becomes 1. */
	buf_init(&b, env.len + more);
	if (!rec_msg_encode(&b, &m) || buf_len(&b) != env.len + more ||
	    (more > 0 && m.mail_auth.len > 0))
		abort();
	if (more == 0 && env.p[3] <= 1)
		same(env, &b, true);
	buf_clear(&b);
}

static void
change(struct span env, uint8_t version)
{
	struct rec_change ch;
	struct rec_fate	 f;
	struct buf	 b;
	struct span	 s;
	const char	*why;
	uint32_t	 n = 0;

	if (rec_change_decode(env, version, &ch, &why) != PARSE_OK)
		return;
	for (s = ch.rcpts; rec_fate_next(&s, version, &f); n++)
		if (f.state > RCPT_FAILED)
			abort();
	if (s.len != 0 || n != ch.nrcpts)
		abort();
	buf_init(&b, env.len);
	if (!rec_change_encode(&b, &ch) || buf_len(&b) != env.len)
		abort();
	if (env.p[1] <= 1)
		same(env, &b, true);
	buf_clear(&b);
}

static void
state(struct span env)
{
	struct rec_state st;
	struct buf	 b;
	const char	*why;

	if (rec_state_decode(env, &st, &why) != PARSE_OK)
		return;
	buf_init(&b, env.len);
	if (!rec_state_encode(&b, &st) || buf_len(&b) != env.len)
		abort();
	buf_clear(&b);
}

static void
settled(struct span env)
{
	struct rec_settled s;
	struct buf	 b;
	const char	*why;

	if (rec_settled_decode(env, &s, &why) != PARSE_OK)
		return;
	if (s.way > WAY_MAX || s.outcome > SETTLED_LAST)
		abort();
	buf_init(&b, env.len + 1);
	if (!rec_settled_encode(&b, &s))
		abort();
	/* Longer words than are kept are cut. */
	if (s.reply.len <= REC_REASON_MAX && s.server.len <= REC_SERVER_MAX)
		same(env, &b, true);
	buf_clear(&b);
}

static void
record(struct span in)
{
	struct rec	 r, e;
	const char	*why = NULL;
	size_t		 need = 0, need_env = 0;
	enum parse	 st, st_env;

	st = rec_decode(in, &r, &need, &why);
	st_env = rec_decode_env(in, &e, &need_env, &why);
	if (st == PARSE_MORE && need <= in.len)
		abort();
	if (st == PARSE_BAD && (st_env != PARSE_BAD || why == NULL))
		abort();
	if (st != PARSE_OK)
		return;
	if (st_env != PARSE_OK || e.total != r.total || r.total > in.len ||
	    r.total % REC_ALIGN != 0 || r.kind < REC_MESSAGE ||
	    r.kind > REC_KIND_MAX || rec_total(in.p) != r.total)
		abort();
	(void)rec_content_ok(&r);
	message(r.env, r.version);
	change(r.env, r.version);
	state(r.env);
	settled(r.env);
}

static void
u32_max(uint8_t *p, uint32_t max)
{
	uint32_t	 v;

	memcpy(&v, p, sizeof(v));
	v %= max + 1;
	memcpy(p, &v, sizeof(v));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span	 in = span(data, size);
	uint8_t		*p;

	record(in);
	for (uint8_t v = REC_VERSION_MIN; v <= REC_VERSION; v++) {
		message(in, v);
		change(in, v);
	}
	state(in);
	settled(in);
	/* The same with lengths that fit and with checksums, else no fuzzer
	 * comes far. */
	if (size < REC_HEAD || (p = malloc(size)) == NULL)
		return 0;
	memcpy(p, data, size);
	memcpy(p, "PQR1", 4);
	p[4] = p[4] % REC_VERSION + REC_VERSION_MIN;
	u32_max(p + 32, (uint32_t)(size - REC_HEAD));
	rec_stamp(p, 1, 0);
	record(span(p, size));
	free(p);
	return 0;
}
