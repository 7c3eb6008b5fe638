/*
 * Tokens for logins at other servers (OAUTHBEARER, XOAUTH2): files that another
 * program renews. Each is looked at now and then, and what is new goes to keyd.
 */
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define LOOK_S		5

/* What a file was like when it was handed over. */
struct seen {
	dev_t		 dev;
	ino_t		 ino;
	off_t		 size;
	struct timespec	 changed;
};
static struct {
	uint32_t	 generation;	/* of this one's tokens; 0: none yet */
	struct seen	*v;
	struct event	*timer;
} watch;

void
token_send(struct chan *c, const struct conf_token *t,
    enum ipc_secret_kind kind, struct buf *msgs)
{
	int	fd = file_open(t->path, true, msgs);

	if (fd != -1)
		CHAN_SEND_FD(c, secret, fd, .kind = (uint8_t)kind,
		    .name = span_str(t->label), .path = span_str(t->path));
}

static struct child *
keyd(struct gateway *gw)
{
	struct child	*c;

	TAILQ_FOREACH(c, &gw->children, next)
		if (c->role == IPC_KEYD && c->chan != NULL &&
		    c->state == CHILD_READY)
			return c;
	return NULL;
}

/* Is it another one than before? What can't be looked at now is later. */
static bool
is_new(const char *path, struct seen *s)
{
	struct stat	st;
	struct seen	now;

	if (stat(path, &st) == -1)
		return false;
	memset(&now, 0, sizeof(now));
	now.dev = st.st_dev;
	now.ino = st.st_ino;
	now.size = st.st_size;
	now.changed = st.st_ctim;
	if (memcmp(&now, s, sizeof(now)) == 0)
		return false;
	*s = now;
	return true;
}

static void
look(evutil_socket_t fd, short what, void *arg)
{
	struct gateway		*gw = arg;
	const struct conf	*conf = gw->set->conf;
	struct child		*c = keyd(gw);
	struct buf		 msgs;

	(void)fd;
	(void)what;
	if (conf->ntokens == 0 || c == NULL || gw->reload != NULL)
		return;
	if (watch.generation != gw->set->generation) {
		/* Not known which ones keyd has: it gets them once more. */
		free(watch.v);
		if ((watch.v = calloc(conf->ntokens, sizeof(*watch.v))) == NULL)
			fatal("tokens");
		watch.generation = gw->set->generation;
	}
	buf_init(&msgs, 65536);
	for (size_t i = 0; i < conf->ntokens; i++)
		if (is_new(conf->tokens[i].path, &watch.v[i]))
			token_send(c->chan, &conf->tokens[i],
			    IPC_SECRET_TOKEN_NEW, &msgs);
	log_lines("event=secret", buf_content(&msgs));
	buf_clear(&msgs);
}

void
tokens_watch(struct gateway *gw)
{
	const struct timeval	tv = { LOOK_S, 0 };

	watch.timer = event_new(gw->base, -1, EV_PERSIST, look, gw);
	if (watch.timer == NULL || event_add(watch.timer, &tv) == -1)
		fatalx("out of memory");
}
