/*
 * What Dovecot's auth socket says, whatever it is, is read without harm; a name
 * is text, and a challenge base64.
 */
#include <stdlib.h>

#include "common/base/utf8.h"
#include "common/sasl/dovecot.h"
#include "common/sasl/sasl.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_text(const char *s, size_t size)
{
	size_t	len = strnlen(s, size);

	if (len == size || !utf8_valid(span(s, len)))
		abort();
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)s[i] < ' ' || s[i] == 127)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span		 in = span(data, size);
	struct dovecot_line	 l;
	struct buf		 b;
	const char		*why;

	while (dovecot_read(&in, &l, &why) == PARSE_OK) {
		check_text(l.user, sizeof(l.user));
		check_text(l.reason, sizeof(l.reason));
		if (!sasl_base64(l.data) ||
		    (l.kind >= DOVECOT_CONT && l.kind <= DOVECOT_FAIL &&
		    l.id == 0))
			abort();
	}
	/* What is said with it stays one line. */
	in = span(data, size > 2000 ? 2000 : size);
	buf_init(&b, 8192);
	if (dovecot_cont(&b, 1, in) &&
	    (span_find(buf_content(&b), '\n') != buf_len(&b) - 1))
		abort();
	buf_clear(&b);
	return 0;
}
