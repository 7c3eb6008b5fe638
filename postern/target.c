/*
 * Sockets of other programs, connected here for the daemons that may use them
 * and can make none themselves. Not a byte of theirs is read.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/conf/table.h"
#include "postern/postern.h"

/* A local socket takes us at once or never: nobody is waited for. */
static int
connect_unix(const char *path, char *why, size_t size)
{
	struct sockaddr_un	 sa = { .sun_family = AF_UNIX };
	struct buf		 msgs;
	int			 fd = -1;
	bool			 safe;

	buf_init(&msgs, 4096);
	safe = dir_is_safe(path, &msgs);
	if (!safe)
		snprintf(why, size, "%.*s", (int)span_find(buf_content(&msgs),
		    '\n'), buf_len(&msgs) == 0 ? "" : buf_cstr(&msgs));
	buf_clear(&msgs);
	if (!safe)
		return -1;
	if (strlcpy(sa.sun_path, path, sizeof(sa.sun_path)) >=
	    sizeof(sa.sun_path)) {
		snprintf(why, size, "%s: too long", path);
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) == -1 || connect(fd, (struct sockaddr *)&sa,
	    sizeof(sa)) == -1) {
		snprintf(why, size, "%s: %s", path, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

static const char *
auth_path(const struct child *c, struct span table)
{
	const struct conf	*conf = child_conf(c);

	/* Only who takes passwords has somebody to ask about them (R1). */
	if (c->role != IPC_SMTPD || c->class != 1)
		return NULL;
	for (size_t i = 0; i < conf->ntables; i++)
		if (span_is(table, table_name(conf->tables[i])))
			return table_dovecot(conf->tables[i]);
	return NULL;
}

void
target_auth(struct child *c, struct span table)
{
	const char	*path = auth_path(c, table);
	char		 why[257] = "";
	int		 fd = -1;

	/* No answer: it is not to come again. */
	if (path == NULL)
		return;
	if ((fd = connect_unix(path, why, sizeof(why))) != -1)
		why[0] = '\0';
	CHAN_SEND_FD(c->chan, auth_socket, fd, .table = table,
	    .why = span_str(why));
}
