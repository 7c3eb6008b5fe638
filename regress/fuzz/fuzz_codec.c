/*
 * A packet between two processes: each message in it that is taken is written
 * again to the same bytes, shown without a control character, and the fields of
 * a control row are walked through as posternctl does.
 */
#include <stdlib.h>
#include <string.h>

#include "common/ipc/ctl.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
walk_row(struct span fields)
{
	struct span	 k, v;
	bool		 number;

	while (ctl_pair(&fields, &k, &v, &number))
		if (k.len + v.len > IPC_PACKET_MAX)
			abort();
}

static void
check(uint16_t type, const union ipc_any *m, struct span was)
{
	struct buf	 b;
	struct span	 s;

	buf_init(&b, IPC_PACKET_MAX);
	if (!ipc_encode(&b, type, m))
		abort();
	s = buf_content(&b);
	if (s.len != was.len || memcmp(s.p, was.p, s.len) != 0)
		abort();
	buf_clear(&b);
	buf_init(&b, 1 << 20);
	ipc_dump(&b, type, m);
	s = buf_content(&b);
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			abort();
	buf_clear(&b);
	if (type == IPC_T_c_row)
		walk_row(m->c_row.fields);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union ipc_any	 m;
	struct span		 in = span(data, size), before;
	const char		*why = NULL;
	uint16_t		 type;

	if (size > IPC_PACKET_MAX)
		return 0;
	while (in.len > 0) {
		before = in;
		if (ipc_decode(&in, &type, &m, &why) != PARSE_OK) {
			if (why == NULL)
				abort();
			break;
		}
		if (in.len >= before.len)
			abort();
		check(type, &m, span(before.p, before.len - in.len));
	}
	return 0;
}
