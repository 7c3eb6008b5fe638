/*
 * Content is written anew (security.md, R11): canonical lines in, stuffed by
 * the one writer of common/smtp.
 */
#include "deliverd/send.h"

#include "common/base/utf8.h"

void
send_begin(struct send_state *s, const struct job *j, bool stuff)
{
	*s = (struct send_state){ .job = j, .stuff = stuff };
	smtp_content_out_begin(&s->so);
}

enum send
send_fill(struct send_state *s, struct buf *out, size_t mark)
{
	struct span	in;
	size_t		had;

	while (s->pos < s->job->params.size) {
		if (buf_len(out) >= mark)
			return SEND_MORE;
		in = job_bytes(s->job, s->pos, mark - buf_len(out));
		if ((had = in.len) == 0)
			return SEND_FAILED;
		if (s->stuff)
			smtp_content_write(&s->so, &in, out);
		else if (buf_span(out, in))
			in.len = 0;
		if (in.len == had)
			return SEND_MORE;
		s->pos += had - in.len;
	}
	if (s->stuff && !smtp_content_finish(&s->so, out))
		return SEND_MORE;
	return SEND_DONE;
}

bool
send_header_is_8bit(const struct job *j)
{
	static const char	 end[] = "\r\n\r\n";
	size_t			 seen = 2;	/* an empty line may be first */
	struct span		 s;

	if (!utf8_is_ascii(j->prefix))
		return true;
	for (uint64_t pos = 0; (s = job_content(j, pos, SIZE_MAX)).len > 0;
	    pos += s.len) {
		for (size_t i = 0; i < s.len; i++) {
			if (s.p[i] > 127)
				return true;
			if (s.p[i] == (uint8_t)end[seen])
				seen++;
			else
				seen = s.p[i] == '\r';
			if (seen == 4)
				return false;
		}
	}
	return false;
}
