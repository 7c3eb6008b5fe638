/*
 * Files of CAs on their way to those who look at certificates. They hold no
 * secret, but whoever could write one would say whom we trust.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/tls/trust.h"
#include "postern/postern.h"

struct paths {			/* different ones */
	const char	*v[TRUST_FILES_MAX];
	size_t		 n;
	bool		 full;		/* there were more */
};

static void
add(struct paths *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i], path) == 0)
			return;
	if (p->n == TRUST_FILES_MAX)
		p->full = true;
	else
		p->v[p->n++] = path;
}

/* Those for servers: the usual one and what else the configuration names. */
static void
named(struct paths *p, const struct conf *c)
{
	const char	*path;
	size_t		 at = 0;

	add(p, c->ca != NULL ? c->ca : CONF_CA_SYSTEM);
	while ((path = conf_ca_next(c, &at)) != NULL)
		add(p, path);
}

bool
trust_check(const struct conf *c, struct buf *msgs)
{
	struct paths	 p = { .n = 0 };
	bool		 ok = true;

	named(&p, c);
	if (p.full) {
		buf_fmt(msgs, "more than %d files of CAs\n", TRUST_FILES_MAX);
		return false;
	}
	/* The system's, which is the first then, may be missing. */
	for (size_t i = c->ca == NULL; i < p.n; i++)
		ok = can_open(p.v[i], false, msgs) && ok;
	return ok;
}

static void
send_one(struct child *c, const char *path)
{
	struct buf	 msgs;
	int		 fd;

	buf_init(&msgs, 4096);
	if ((fd = file_open(path, false, &msgs)) != -1)
		CHAN_SEND_FD(c->chan, trust, fd, .path = span_str(path));
	else if (strcmp(path, CONF_CA_SYSTEM) != 0)
		log_warnx("event=trust path=%s result=failed why=%s",
		    log_quote(span_str(path)), log_quote(span_trim(
		    buf_content(&msgs))));
	buf_clear(&msgs);
}

void
trust_send(struct child *c, const struct conf *conf)
{
	struct paths	 p = { .n = 0 };

	switch (c->role) {
	case IPC_SMTPD:
		/* That the world's CAs know somebody is no permission. */
		if (conf->ca != NULL)
			send_one(c, conf->ca);
		break;
	case IPC_DELIVERD:
	case IPC_PROXYD:
		named(&p, conf);
		for (size_t i = 0; i < p.n; i++)
			send_one(c, p.v[i]);
		break;
	default:
		break;
	}
}
