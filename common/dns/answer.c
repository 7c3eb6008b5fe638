/*
 * The parser of DNS responses. A cursor over the packet with a sticky error;
 * names are expanded into wire form without pointers and compared there, so
 * that no text of a server decides anything before it has been judged.
 */
#include "common/dns/answer.h"

#define HEADER_LEN	12
#define CLASS_IN	1
#define TYPE_SOA	6
#define LABEL_MAX	63
#define RRS_LOOKED_MAX	1000	/* records of a section that are looked at */

enum { RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

struct cursor {
	struct span	 pkt;
	size_t		 at;
	bool		 bad;
};

/* A name in wire form, lower case, ended by the root label. */
struct wire {
	uint8_t		 b[DNS_NAME_MAX];
	size_t		 len;
};

struct record {
	struct wire	 owner;
	uint16_t	 type, class;
	uint32_t	 ttl;
	size_t		 rdata, rdlen;
};

static uint16_t
get16(struct cursor *c)
{
	uint16_t	v;

	if (c->bad || c->pkt.len - c->at < 2) {
		c->bad = true;
		return 0;
	}
	v = (uint16_t)(c->pkt.p[c->at] << 8 | c->pkt.p[c->at + 1]);
	c->at += 2;
	return v;
}

static uint32_t
get32(struct cursor *c)
{
	uint32_t	hi = get16(c);

	return hi << 16 | get16(c);
}

static uint8_t
lower(uint8_t b)
{
	return b >= 'A' && b <= 'Z' ? (uint8_t)(b - 'A' + 'a') : b;
}

/*
 * RFC 1035, 4.1.4. Each pointer leads before the place where the piece that
 * holds it began, so the loop ends.
 */
static void
get_name(struct cursor *c, struct wire *w)
{
	size_t	at = c->at, piece = at, end = 0, to;
	uint8_t	n;

	w->len = 0;
	while (!c->bad) {
		if (at >= c->pkt.len)
			break;
		n = c->pkt.p[at];
		if ((n & 0xc0) == 0xc0) {
			if (c->pkt.len - at < 2)
				break;
			to = (size_t)(n & 0x3f) << 8 | c->pkt.p[at + 1];
			if (to >= piece)
				break;
			if (end == 0)
				end = at + 2;
			at = piece = to;
			continue;
		}
		if (n > LABEL_MAX || c->pkt.len - at < (size_t)n + 1 ||
		    w->len + n + 1 > sizeof(w->b))
			break;
		w->b[w->len++] = n;
		for (size_t i = 1; i <= n; i++)
			w->b[w->len++] = lower(c->pkt.p[at + i]);
		at += (size_t)n + 1;
		if (n == 0) {
			c->at = end != 0 ? end : at;
			return;
		}
	}
	c->bad = true;
	w->len = 0;
}

static bool
wire_eq(const struct wire *a, const struct wire *b)
{
	return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

static bool
label_byte(uint8_t b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') ||
	    (b >= '0' && b <= '9') || b == '-' || b == '_' || b == '/';
}

/*
 * As text, without the final dot. False if a label has a byte that no host has
 * and no text could carry: such a record is passed over.
 */
static bool
wire_text(const struct wire *w, char dst[DNS_NAME_MAX + 1])
{
	size_t	n = 0;

	for (size_t i = 0; i < w->len && w->b[i] != 0; i += w->b[i] + 1U) {
		if (n > 0)
			dst[n++] = '.';
		for (size_t k = 1; k <= w->b[i]; k++) {
			if (!label_byte(w->b[i + k]))
				return false;
			dst[n++] = (char)w->b[i + k];
		}
	}
	dst[n] = '\0';
	return true;
}

static bool
wire_from_text(struct span name, struct wire *w)
{
	size_t	n;

	w->len = 0;
	if (name.len == 0)
		return false;
	for (;;) {
		n = span_find(name, '.');
		if (n == 0 || n > LABEL_MAX ||
		    w->len + n + 2 > sizeof(w->b))
			return false;
		w->b[w->len++] = (uint8_t)n;
		for (size_t i = 0; i < n; i++) {
			if (!label_byte(name.p[i]))
				return false;
			w->b[w->len++] = lower(name.p[i]);
		}
		if (n >= name.len)
			break;
		span_skip(&name, n + 1);
	}
	w->b[w->len++] = 0;
	return true;
}

bool
dns_name_ok(struct span name)
{
	struct wire	w;

	return wire_from_text(name, &w);
}

/* RFC 1035, 4.1.3. The cursor ends behind the record. */
static bool
get_record(struct cursor *c, struct record *r)
{
	get_name(c, &r->owner);
	r->type = get16(c);
	r->class = get16(c);
	r->ttl = get32(c);
	r->rdlen = get16(c);
	r->rdata = c->at;
	if (c->bad || c->pkt.len - c->at < r->rdlen) {
		c->bad = true;
		return false;
	}
	c->at += r->rdlen;
	/* RFC 2181, 8: a TTL with the highest bit set is 0. */
	if (r->ttl > INT32_MAX)
		r->ttl = 0;
	return true;
}

/* A name that fills the rest of the record's data from `skip` on. */
static bool
rdata_name(struct span pkt, const struct record *r, size_t skip,
    struct wire *w)
{
	struct cursor	c = { .pkt = pkt, .at = r->rdata + skip };

	if (skip > r->rdlen)
		return false;
	get_name(&c, w);
	return !c.bad && c.at == r->rdata + r->rdlen;
}

/* character-strings, joined into the store. 1: kept, 0: no room, -1: bad. */
static int
get_txt(struct span rdata, struct dns_answer *a, size_t *used,
    struct dns_rr *rr)
{
	rr->text = a->store + *used;
	while (rdata.len > 0) {
		size_t	n = rdata.p[0];

		if (n + 1 > rdata.len)
			return -1;
		if (rr->text_len + n > DNS_TXT_MAX ||
		    n > sizeof(a->store) - *used)
			return 0;
		memcpy(a->store + *used, rdata.p + 1, n);
		*used += n;
		rr->text_len += n;
		span_skip(&rdata, n + 1);
	}
	return 1;
}

/* The data as it is; as above. */
static int
get_bytes(struct span rdata, struct dns_answer *a, size_t *used,
    struct dns_rr *rr)
{
	if (rdata.len > DNS_TXT_MAX || rdata.len > sizeof(a->store) - *used)
		return 0;
	rr->text = a->store + *used;
	rr->text_len = rdata.len;
	memcpy(rr->text, rdata.p, rdata.len);
	*used += rdata.len;
	return 1;
}

/* One record of the type asked for into the answer; false: malformed. */
static bool
keep(struct span pkt, const struct record *r, struct dns_answer *a,
    size_t *used)
{
	struct span	rdata = span_sub(pkt, r->rdata, r->rdlen);
	struct dns_rr	rr = { .type = (enum dns_type)r->type,
			    .ttl = r->ttl };
	struct wire	w;
	size_t		skip = r->type == DNS_MX ? 2 : 0;

	if (a->nrr == DNS_RRS_MAX)
		return true;
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		if (rdata.len != (r->type == DNS_A ? 4 : 16))
			return false;
		rr.addr.family = r->type == DNS_A ? 4 : 6;
		memcpy(rr.addr.ip, rdata.p, rdata.len);
		break;
	case DNS_MX:
	case DNS_PTR:
	case DNS_CNAME:
		if (!rdata_name(pkt, r, skip, &w))
			return false;
		if (skip > 0)
			rr.pref = (uint16_t)(rdata.p[0] << 8 | rdata.p[1]);
		if (!wire_text(&w, rr.name))
			return true;
		break;
	case DNS_TXT:
	case DNS_TLSA:
		switch (r->type == DNS_TXT ? get_txt(rdata, a, used, &rr) :
		    get_bytes(rdata, a, used, &rr)) {
		case -1:
			return false;
		case 0:
			/* Leaving it out could turn a policy into none. */
			a->status = DNS_TEMPFAIL;
			return true;
		}
		break;
	default:
		return true;
	}
	if (rr.ttl < a->ttl)
		a->ttl = rr.ttl;
	a->rr[a->nrr++] = rr;
	return true;
}

/*
 * Looks through the answer section for records of name cur: those of the type
 * asked for are kept; of a CNAME the target is given. False: malformed.
 */
static bool
look(struct cursor c, unsigned n, enum dns_type type, const struct wire *cur,
    struct dns_answer *a, struct wire *target, bool *has_target)
{
	struct record	r;
	size_t		used = 0, matched = 0;

	*has_target = false;
	for (; n > 0; n--) {
		if (!get_record(&c, &r))
			return false;
		if (r.class != CLASS_IN || !wire_eq(&r.owner, cur))
			continue;
		if (r.type == type) {
			matched++;
			if (!keep(c.pkt, &r, a, &used))
				return false;
		} else if (r.type == DNS_CNAME && !*has_target) {
			if (!rdata_name(c.pkt, &r, 0, target))
				return false;
			*has_target = true;
			if (r.ttl < a->ttl)
				a->ttl = r.ttl;
		}
	}
	/* Records, but none that we can read, are not "no records". */
	if (matched > 0 && a->nrr == 0)
		a->status = DNS_TEMPFAIL;
	return true;
}

/* RFC 2308, 5: how long "no" holds is the smaller of the SOA's own TTL and its
 * MINIMUM. False: no SOA there. */
static bool
negative_ttl(struct cursor *c, unsigned n, struct dns_answer *a)
{
	struct cursor	f;
	struct record	r;
	struct wire	w;
	uint32_t	minimum;

	for (; n > 0; n--) {
		if (!get_record(c, &r))
			return false;
		if (r.type != TYPE_SOA || r.class != CLASS_IN)
			continue;
		f = (struct cursor){ .pkt = span_sub(c->pkt, 0,
		    r.rdata + r.rdlen), .at = r.rdata };
		get_name(&f, &w);
		get_name(&f, &w);
		for (int i = 0; i < 4; i++)
			get32(&f);
		minimum = get32(&f);
		if (f.bad)
			return false;
		if (r.ttl < a->ttl)
			a->ttl = r.ttl;
		if (minimum < a->ttl)
			a->ttl = minimum;
		return true;
	}
	return false;
}

/* Follows the chain from the question's name to records or to its end. */
static enum parse
answer_section(struct cursor *c, unsigned an, unsigned ns, struct wire *cur,
    enum dns_type type, bool nxdomain, struct dns_answer *a,
    const char **why)
{
	struct wire	target;
	struct record	r;
	bool		more;

	for (;;) {
		if (!look(*c, an, type, cur, a, &target, &more)) {
			*why = "malformed record";
			return PARSE_BAD;
		}
		if (a->nrr > 0 || a->status == DNS_TEMPFAIL || !more)
			break;
		if (++a->cnames > DNS_CNAMES_MAX) {
			a->status = DNS_TEMPFAIL;
			break;
		}
		*cur = target;
	}
	if (a->status == DNS_TEMPFAIL)
		return PARSE_OK;
	if (a->cnames > 0 && !wire_text(cur, a->canon))
		a->canon[0] = '\0';
	if (a->nrr > 0) {
		a->status = DNS_OK;
		return PARSE_OK;
	}
	for (; an > 0; an--)
		get_record(c, &r);
	a->status = nxdomain ? DNS_NXDOMAIN : DNS_NODATA;
	if (negative_ttl(c, ns, a))
		return PARSE_OK;
	if (c->bad) {
		*why = "malformed record";
		return PARSE_BAD;
	}
	if (a->cnames > 0 && !nxdomain) {
		if (!wire_text(cur, a->next))
			a->status = DNS_TEMPFAIL;
	} else
		a->ttl = 0;
	return PARSE_OK;
}

/* The question section must repeat what was asked. */
static bool
question(struct cursor *c, const char *name, enum dns_type type,
    struct wire *asked)
{
	struct wire	w;

	if (!wire_from_text(span_str(name), asked))
		return false;
	get_name(c, &w);
	return get16(c) == type && get16(c) == CLASS_IN && !c->bad &&
	    wire_eq(&w, asked);
}

enum parse
dns_answer_parse(struct span packet, const char *name, enum dns_type type,
    struct dns_answer *a, const char **why)
{
	struct cursor	c = { .pkt = packet };
	struct wire	cur;
	unsigned	flags, rcode, qd, an, ns;
	enum parse	res = PARSE_OK;

	a->status = DNS_NODATA;
	a->ttl = INT32_MAX;
	a->nrr = a->cnames = 0;
	a->next[0] = a->canon[0] = '\0';
	get16(&c);			/* id: the transport's business */
	flags = get16(&c);
	qd = get16(&c);
	an = get16(&c);
	ns = get16(&c);
	get16(&c);
	a->ad = (flags & 0x0020) != 0;
	rcode = flags & 0x000f;
	/* QR set, opcode QUERY. */
	if (c.bad || (flags & 0xf800) != 0x8000 || qd != 1 ||
	    !question(&c, name, type, &cur)) {
		*why = "not an answer to this question";
		return PARSE_BAD;
	}
	if ((rcode != RCODE_OK && rcode != RCODE_NXDOMAIN) ||
	    (flags & 0x0200) != 0 ||	/* TC: and TCP did not help */
	    an > RRS_LOOKED_MAX || ns > RRS_LOOKED_MAX)
		a->status = DNS_TEMPFAIL;
	else
		res = answer_section(&c, an, ns, &cur, type,
		    rcode == RCODE_NXDOMAIN, a, why);
	if (a->status == DNS_TEMPFAIL) {
		a->nrr = 0;
		a->ttl = 0;
	}
	return res;
}
