/*
 * The server's keywords as p_caps. smtpd decides which of them its client sees;
 * PIPELINING and CHUNKING are translated here whatever the server has.
 */
#include "proxyd/caps.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/map.h"

#define OTHERS_MAX	1000	/* bytes of them: msg.def */
#define TEXT_MAX	2000	/* all keywords, with values */

static struct map	*known;		/* server -> its struct smtp_caps */

uint32_t
caps_of(const struct link *l)
{
	uint32_t	bits = smtp_client_caps(l->c)->bits;

	/* RFC 8689, 2 and 4.2.1: said without TLS it means nothing, and a server
	 * that has not proved its name can't be told to keep to it. */
	return l->secured.verified ? bits : bits & ~(uint32_t)CAP_REQUIRETLS;
}

static void
send_caps(struct link *l, struct span others)
{
	const struct smtp_caps	*caps = smtp_client_caps(l->c);

	CHAN_SEND(l->chan, p_caps, .tid = l->tid, .caps = caps_of(l),
	    .size = caps->size,
	    .auth = span_sub(span_str(caps->auth), 0, 500),
	    .others = others);
	if (!l->learned)
		caps_learn(l->server, caps);
	l->learned = true;
}

void
caps_send(struct link *l)
{
	send_caps(l, span(NULL, 0));
}

void
caps_send_all(struct link *l, struct span ehlo)
{
	struct buf	others;

	buf_init(&others, OTHERS_MAX);
	smtp_caps_others(ehlo, &others);
	send_caps(l, buf_content(&others));
	buf_clear(&others);
}

/* ---- changes --------------------------------------------------------------- */

static bool
has_line(struct span text, struct span want)
{
	struct span	line;

	while (span_word(&text, "\n", &line))
		if (span_eq(line, want))
			return true;
	return false;
}

/* The lines of a that b has not. */
static void
only_in(struct span a, struct span b, struct buf *to)
{
	struct span	line;

	while (span_word(&a, "\n", &line)) {
		if (has_line(b, line))
			continue;
		if (buf_len(to) > 0)
			buf_str(to, ", ");
		buf_span(to, line);
	}
}

/* XCLIENT is announced by nobody but who says with what. */
static bool
keywords(struct buf *b, const struct smtp_caps *caps)
{
	return smtp_caps_text(b, "-", caps) &&
	    ((caps->bits & CAP_XCLIENT) == 0 || buf_str(b, "\nXCLIENT"));
}

void
caps_differ(const struct smtp_caps *was, const struct smtp_caps *is,
    struct buf *added, struct buf *lost)
{
	struct buf	a, b;

	buf_init(&a, TEXT_MAX);
	buf_init(&b, TEXT_MAX);
	if (keywords(&a, was) && keywords(&b, is)) {
		only_in(buf_content(&b), buf_content(&a), added);
		only_in(buf_content(&a), buf_content(&b), lost);
	}
	buf_clear(&a);
	buf_clear(&b);
}

static void
compare(const char *server, const struct smtp_caps *was,
    const struct smtp_caps *is)
{
	struct buf	added, lost;

	buf_init(&added, TEXT_MAX);
	buf_init(&lost, TEXT_MAX);
	caps_differ(was, is, &added, &lost);
	if (buf_len(&added) + buf_len(&lost) > 0)
		log_info("event=caps server=%s added=%s lost=%s",
		    log_quote(span_str(server)), log_quote(buf_content(&added)),
		    log_quote(buf_content(&lost)));
	buf_clear(&added);
	buf_clear(&lost);
}

void
caps_learn(const char *server, const struct smtp_caps *caps)
{
	struct span	  name = span_str(server);
	struct smtp_caps *had;

	if ((caps->bits & CAP_ESMTP) == 0 || server == NULL ||
	    (known == NULL && (known = map_new(CAPS_SERVERS)) == NULL))
		return;
	if ((had = map_get(known, name)) != NULL) {
		compare(server, had, caps);
		*had = *caps;
		return;
	}
	if ((had = malloc(sizeof(*had))) == NULL)
		return;
	*had = *caps;
	if (!map_set(known, name, had))
		free(had);
}

static bool
free_one(struct span key, void *value, void *arg)
{
	(void)key;
	(void)arg;
	free(value);
	return true;
}

void
caps_forget(void)
{
	if (known == NULL)
		return;
	map_each(known, free_one, NULL);
	map_free(known);
	known = NULL;
}
