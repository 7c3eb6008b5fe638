/*
 * What a client says in an exchange: the first line is the mechanism, the others
 * its messages. What is to be judged lies in what was said; SCRAM's proof is
 * never right, since nobody here knows the key, and what goes back has its form.
 */
#include <stdlib.h>

#include "common/sasl/scram.h"
#include "common/sasl/server.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
scram(struct span first, struct span last, bool plus, const char *binding)
{
	struct hash_scram	 keys = { .iterations = 4096, .salt_len = 16 };
	struct scram		 s;
	struct buf		 out;
	const char		*why = NULL;

	buf_init(&out, 1024);
	memset(keys.stored, 0x55, sizeof(keys.stored));
	scram_init(&s, &keys, plus, span_str(binding));
	if (scram_first(&s, first, span_str("server"), &out, &why)) {
		if (!span_starts(buf_content(&out), span_str("r=")))
			abort();
		buf_reset(&out);
		if (scram_final(&s, last, &out, &why) == SCRAM_YES ||
		    buf_len(&out) > 0)
			abort();
	} else if (why == NULL)
		abort();
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span		 in = span(data, size), mech, said, out, first;
	struct sasl_server	 s;
	const char		*why = "";
	enum sasl_next		 next = SASL_CHALLENGE;

	mech = span_sub(in, 0, span_find(in, '\n'));
	span_skip(&in, mech.len + 1);
	first = span_sub(in, 0, span_find(in, '\n'));
	scram(first, span_sub(in, first.len + 1, in.len), false, "");
	scram(first, span_sub(in, first.len + 1, in.len), true, "channel");
	if (!sasl_server_init(&s, mech, span_str("<1@x>")))
		return 0;
	sasl_server_open(&s, &out);
	while (next == SASL_CHALLENGE && in.len > 0) {
		said = span_sub(in, 0, span_find(in, '\n'));
		span_skip(&in, said.len + 1);
		out = span(NULL, 0);
		next = sasl_server_say(&s, said, span_str("anna"), &out, &why);
		if (next == SASL_JUDGE && out.len > 0 && (out.p < said.p ||
		    out.p + out.len > said.p + said.len))
			abort();
	}
	return 0;
}
