/*
 * Content framing as byte machines (RFC 5321, 4.5.2; RFC 3030). Reading knows
 * one end of line, CR LF, and one end of message, CR LF . CR LF; every other
 * place where a CR, LF or NUL stands is a fault, and the byte is left out, so
 * that what comes out is canonical even then. Bytes are found by memchr(3) and
 * copied in runs of many lines.
 */
#include "common/smtp/content.h"

/*
 * state	last bytes seen				next
 * ST_BOL	nothing yet, or CR LF			"." -> ST_DOT
 * ST_MID	anything within a line			CR -> ST_CR
 * ST_CR	CR, not yet passed on			LF -> ST_BOL
 * ST_DOT	CR LF "."  (the dot is eaten)		CR -> ST_DOT_CR
 * ST_DOT_CR	CR LF "." CR				LF -> done
 * After any faulty byte the state is ST_MID: it ends no line, so a dot behind
 * it is a dot. The same holds behind one that was made a CR LF (normalize): it
 * ends a line of what comes out, not of what came in. BDAT has no dots: there
 * ST_BOL is never entered.
 */
enum { ST_BOL, ST_MID, ST_CR, ST_DOT, ST_DOT_CR };

void
smtp_content_begin(struct smtp_content_in *c, bool bdat)
{
	*c = (struct smtp_content_in){ .bdat = bdat,
	    .state = bdat ? ST_MID : ST_BOL };
}

static size_t
room(const struct buf *b)
{
	return b->failed ? 0 : b->max - buf_len(b);
}

static bool
has_high(const uint8_t *p, size_t n)
{
	uint64_t	w, any = 0;

	for (; n >= sizeof(w); p += sizeof(w), n -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		any |= w;
	}
	for (; n > 0; p++, n--)
		any |= *p;
	return (any & UINT64_C(0x8080808080808080)) != 0;
}

static void
end_line(struct smtp_content_in *c)
{
	if (c->line > c->line_max)
		c->line_max = c->line;
	c->line = 0;
	c->state = c->bdat ? ST_MID : ST_BOL;
}

static void
faulty(struct smtp_content_in *c, enum smtp_content_fault f, struct span *in)
{
	c->faults |= f;
	c->state = ST_MID;
	span_skip(in, 1);
}

/* A CR LF in the place of a bare CR or LF. False: out is full. */
static bool
mend(struct smtp_content_in *c, struct buf *out)
{
	if (room(out) < 2 || !buf_add(out, "\r\n", 2))
		return false;
	c->size += 2;
	c->mended = true;
	end_line(c);
	c->state = ST_MID;
	return true;
}

/* A dot that was taken for one in front of another, and stood alone. */
static bool
lone_dot(struct smtp_content_in *c, uint8_t next, struct buf *out)
{
	if (room(out) < 1 || !buf_byte(out, '.'))
		return false;
	c->size++;
	c->line = 1;
	c->state = next;
	return true;
}

/* Copies n bytes of in to out. False: no memory. */
static bool
copy(struct smtp_content_in *c, struct span *in, size_t n, struct buf *out)
{
	if (n == 0)
		return true;
	if (!buf_add(out, in->p, n))
		return false;
	if (!c->eight)
		c->eight = has_high(in->p, n);
	c->size += n;
	span_skip(in, n);
	return true;
}

/*
 * From within a line: how many of the n NUL-free bytes at p can be copied as
 * they are, over any number of good lines. Stops before a dot that begins a
 * line, a CR whose LF is not in view, and a faulty CR or LF.
 */
static size_t
clean_run(struct smtp_content_in *c, const uint8_t *p, size_t n)
{
	const uint8_t	*q = p, *end = p + n, *lf, *cr, *stop;

	while (q < end) {
		lf = memchr(q, '\n', (size_t)(end - q));
		stop = lf != NULL ? lf : end;
		cr = memchr(q, '\r', (size_t)(stop - q));
		if (lf == NULL || cr == NULL || cr + 1 != lf) {
			if (cr != NULL)
				stop = cr;
			c->line += (size_t)(stop - q);
			if (stop > q)
				c->state = ST_MID;
			return (size_t)(stop - p);
		}
		c->line += (size_t)(cr - q);
		end_line(c);
		q = lf + 1;
		if (!c->bdat && q < end && *q == '.')
			break;
	}
	return (size_t)(q - p);
}

/* A run of text, and the byte that ended it. False: out is full. */
static bool
text(struct smtp_content_in *c, struct span *in, const uint8_t **nul_free,
    struct buf *out)
{
	const uint8_t	*nul;
	size_t		 n = room(out);

	/* NULs are looked for once, not once a run. */
	if (*nul_free <= in->p) {
		nul = memchr(in->p, '\0', in->len);
		*nul_free = nul != NULL ? nul : in->p + in->len;
	}
	if (n > (size_t)(*nul_free - in->p))
		n = (size_t)(*nul_free - in->p);
	if (!copy(c, in, clean_run(c, in->p, n), out))
		return false;
	if (in->len == 0 || (c->state == ST_BOL && *in->p == '.'))
		return true;
	switch (*in->p) {
	case '\r':
		c->state = ST_CR;
		span_skip(in, 1);
		return true;
	case '\n':
		if (!c->normalize)
			faulty(c, CONTENT_BARE_LF, in);
		else if (mend(c, out))
			span_skip(in, 1);
		else
			return false;
		return true;
	case '\0':
		faulty(c, CONTENT_NUL, in);
		return true;
	default:
		return room(out) > 0;
	}
}

void
smtp_content_feed(struct smtp_content_in *c, struct span *in, struct buf *out)
{
	const uint8_t	*nul_free = in->p;

	while (in->len > 0 && !c->done) {
		bool	lf = *in->p == '\n', cr = *in->p == '\r';

		switch (c->state) {
		case ST_CR:
			if (!lf) {
				if (c->normalize && !mend(c, out))
					return;
				if (!c->normalize)
					c->faults |= CONTENT_BARE_CR;
				c->state = ST_MID;
				break;
			}
			if (room(out) < 2 || !buf_add(out, "\r\n", 2))
				return;
			c->size += 2;
			span_skip(in, 1);
			end_line(c);
			break;
		case ST_DOT:
			if (lf && c->normalize) {
				if (!lone_dot(c, ST_MID, out))
					return;
				break;
			}
			/* 4.5.2: the first dot of a longer line is deleted. */
			c->state = cr ? ST_DOT_CR : ST_MID;
			if (cr)
				span_skip(in, 1);
			break;
		case ST_DOT_CR:
			if (lf) {
				c->done = true;
				span_skip(in, 1);
				break;
			}
			if (c->normalize) {
				if (!lone_dot(c, ST_CR, out))
					return;
				break;
			}
			c->faults |= CONTENT_BARE_CR;
			c->state = ST_MID;
			break;
		case ST_BOL:
			if (*in->p == '.') {
				c->state = ST_DOT;
				span_skip(in, 1);
				break;
			}
			/* FALLTHROUGH */
		default:
			if (!text(c, in, &nul_free, out))
				return;
		}
	}
}

void
smtp_content_bdat_end(struct smtp_content_in *c, struct buf *out)
{
	if (c->state == ST_CR && c->normalize) {
		(void)mend(c, out);
		return;
	}
	if (c->state == ST_CR)
		c->faults |= CONTENT_BARE_CR;
	c->state = ST_MID;
	if (c->line == 0)
		return;
	if (buf_add(out, "\r\n", 2))
		c->size += 2;
	end_line(c);
}

void
smtp_content_out_begin(struct smtp_content_out *o)
{
	*o = (struct smtp_content_out){ .bol = true };
}

/*
 * How many of n bytes at p go before the next dot that begins a line. A dot
 * behind any LF counts: canonical content has no bare ones, and a reader that
 * is laxer than we are must not see an end there either.
 */
static size_t
unstuffed_run(const uint8_t *p, size_t n)
{
	const uint8_t	*q = p, *end = p + n, *lf;

	while (q < end && (lf = memchr(q, '\n', (size_t)(end - q))) != NULL) {
		q = lf + 1;
		if (q < end && *q == '.')
			return (size_t)(q - p);
	}
	return n;
}

void
smtp_content_write(struct smtp_content_out *o, struct span *in,
    struct buf *out)
{
	size_t	n;

	while (in->len > 0) {
		n = room(out);
		if (o->bol && *in->p == '.') {
			if (n < 2 || !buf_add(out, "..", 2))
				return;
			span_skip(in, 1);
			o->bol = o->cr = false;
			continue;
		}
		if (n > in->len)
			n = in->len;
		n = unstuffed_run(in->p, n);
		if (n == 0 || !buf_add(out, in->p, n))
			return;
		o->bol = in->p[n - 1] == '\n';
		o->cr = in->p[n - 1] == '\r';
		span_skip(in, n);
	}
}

bool
smtp_content_finish(struct smtp_content_out *o, struct buf *out)
{
	const char	*end = o->bol ? ".\r\n" : o->cr ? "\n.\r\n" :
			    "\r\n.\r\n";

	if (room(out) < strlen(end) || !buf_str(out, end))
		return false;
	smtp_content_out_begin(o);
	return true;
}
