/*
 * See json.h.
 */
#include "common/base/json.h"

#include "common/base/utf8.h"

bool
json_string(struct buf *b, struct span s)
{
	bool	 text = utf8_valid(s);

	buf_byte(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", c);
		else if (c == '\n')
			buf_str(b, "\\n");
		else if (c < 0x20 || c == 0x7f || (c > 0x7f && !text))
			buf_fmt(b, "\\u%04x", c);
		else
			buf_byte(b, c);
	}
	return buf_byte(b, '"');
}
