/*
 * Files of CAs on their way to those who look at certificates. They hold no
 * secret, but whoever could write one would say whom we trust.
 */
#include <string.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define PATHS_MAX	64		/* different ones */

struct paths {
	const char	*v[PATHS_MAX];
	size_t		 n;
};

static void
add(struct paths *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i], path) == 0)
			return;
	if (p->n < PATHS_MAX)
		p->v[p->n++] = path;
}

/* Those that the configuration names. */
static void
named(struct paths *p, const struct conf *c)
{
	const char	*path;
	size_t		 at = 0;

	if (c->ca != NULL)
		add(p, c->ca);
	while ((path = conf_ca_next(c, &at)) != NULL)
		add(p, path);
}

bool
trust_check(const struct conf *c, struct buf *msgs)
{
	struct paths	 p = { .n = 0 };
	bool		 ok = true;

	named(&p, c);
	for (size_t i = 0; i < p.n; i++)
		ok = can_open(p.v[i], false, msgs) && ok;
	return ok;
}

static void
send_one(struct child *c, enum ipc_trust_kind kind, const char *path)
{
	struct buf	 msgs;
	int		 fd;

	buf_init(&msgs, 4096);
	if ((fd = file_open(path, false, &msgs)) != -1)
		CHAN_SEND_FD(c->chan, trust, fd, .kind = (uint8_t)kind,
		    .path = span_str(path));
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
			send_one(c, IPC_TRUST_CLIENTS, conf->ca);
		break;
	case IPC_DELIVERD:
	case IPC_PROXYD:
		named(&p, conf);
		if (conf->ca == NULL)
			add(&p, CONF_CA_SYSTEM);
		for (size_t i = 0; i < p.n; i++)
			send_one(c, IPC_TRUST_SERVERS, p.v[i]);
		break;
	default:
		break;
	}
}
