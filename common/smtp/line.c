/*
 * CRLF framing of commands. One line in, one verdict out: whatever odd bytes a
 * line holds, it goes on to its CR LF and counts once, however the bytes were
 * cut by the network.
 */
#include "common/smtp/line.h"

/* Index of the CR of the first CR LF in s, or s.len if there is none. */
static size_t
find_crlf(struct span s)
{
	const uint8_t	*p = s.p, *end = s.p + s.len, *lf;

	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf > s.p && lf[-1] == '\r')
			return (size_t)(lf - 1 - s.p);
		p = lf + 1;
	}
	return s.len;
}

/*
 * Eats bytes that are of no interest up to and with CR LF. A CR at the end of
 * the input stays: it may be half of one. True when the CR LF was eaten.
 */
static bool
drop(struct span *in)
{
	size_t	n = find_crlf(*in);

	if (n < in->len) {
		span_skip(in, n + 2);
		return true;
	}
	if (n > 0 && in->p[n - 1] == '\r')
		n--;
	span_skip(in, n);
	return false;
}

enum smtp_line
smtp_line_next(struct smtp_line_state *st, struct span *in, size_t max,
    struct span *line)
{
	size_t	before = in->len, n, i;

	if (st->told) {
		if (!drop(in))
			return in->len < before ? SMTP_LINE_SKIP :
			    SMTP_LINE_MORE;
		st->told = false;
	}
	if (st->skipping) {
		if (!drop(in))
			return in->len < before ? SMTP_LINE_SKIP :
			    SMTP_LINE_MORE;
		st->skipping = false;
		return SMTP_LINE_LONG;
	}
	n = in->len < max ? in->len : max;
	for (i = 0; i < n; i++) {
		uint8_t	c = in->p[i];

		if (c > '\r' || (c != '\r' && c != '\n' && c != '\0'))
			continue;
		if (c == '\r' && i + 1 == n)
			break;		/* its other half may come */
		if (c == '\r' && in->p[i + 1] == '\n') {
			*line = span(in->p, i);
			span_skip(in, i + 2);
			return SMTP_LINE_OK;
		}
		/* Told at once: who sends bare LF alone waits for a reply. */
		if (!drop(in))
			st->told = true;
		return SMTP_LINE_BARE;
	}
	if (in->len >= max) {
		st->skipping = true;
		if (drop(in)) {
			st->skipping = false;
			return SMTP_LINE_LONG;
		}
		return SMTP_LINE_SKIP;
	}
	return in->len < before ? SMTP_LINE_SKIP : SMTP_LINE_MORE;
}
