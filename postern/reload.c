/*
 * Reload, all or nothing: read and check everything, ask the providers whether
 * they can, give it to them, start new workers beside the old ones, and only
 * when those are ready let the old ones drain. Any fault changes nothing.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/conf/table.h"
#include "postern/postern.h"

#define DRAIN_MS	3600000	/* of a generation that was replaced */
#define LAST_MS		2000	/* of one too many: to say 421 and be heard */
#define ANSWER_MS	5000	/* for a provider; then it is started again */

enum stage { STAGE_CHECK, STAGE_COMMIT, STAGE_WORKERS, STAGE_UNDO };
struct reload {
	enum stage	 stage;
	struct ctl	*ctl;		/* who asked; NULL: SIGHUP */
	unsigned	 waiting;	/* providers that have not answered */
	struct buf	 msgs;		/* of the parser too: warnings */
	bool		 failed;
	bool		 again;		/* asked for once more meanwhile */
};

void
log_lines(const char *event, struct span text)
{
	struct span	 line;

	while (text.len > 0) {
		span_word(&text, "\n", &line);
		log_warnx("%s why=%s", event, log_quote(line));
	}
}

/* What can't be opened is missed by keyd, which then says no. */
static void
send_file(struct child *c, enum ipc_secret_kind kind, const char *name,
    const char *path, struct buf *msgs)
{
	bool	 public = kind == IPC_SECRET_CERT || kind == IPC_SECRET_OCSP;
	int	 fd;

	if (path != NULL && (fd = file_open(path, !public, msgs)) != -1)
		CHAN_SEND_FD(c->chan, secret, fd, .kind = kind,
		    .name = span_str(name), .path = span_str(path));
}

/* The users' tables are for keyd's second process, and all else is not. */
void
secrets_send(struct child *c, const struct conf *conf)
{
	struct buf	 msgs;

	buf_init(&msgs, 65536);
	if (c->role == IPC_PASSWD) {
		for (size_t i = 0; i < conf->ntables; i++)
			send_file(c, IPC_SECRET_USERS,
			    table_name(conf->tables[i]),
			    table_users(conf->tables[i]), &msgs);
	} else {
		for (size_t i = 0; i < conf->npkis; i++) {
			const struct conf_pki	*p = &conf->pkis[i];

			send_file(c, IPC_SECRET_CERT, p->name, p->cert, &msgs);
			send_file(c, IPC_SECRET_KEY, p->name, p->key, &msgs);
			send_file(c, IPC_SECRET_OCSP, p->name, p->ocsp, &msgs);
		}
		send_file(c, IPC_SECRET_CREDENTIALS, "", conf->credentials,
		    &msgs);
		for (size_t i = 0; i < conf->ntokens; i++)
			token_send(c->chan, &conf->tokens[i], IPC_SECRET_TOKEN,
			    &msgs);
		send_file(c, IPC_SECRET_SRS, "", conf->srs_key, &msgs);
	}
	log_lines("event=secret", buf_content(&msgs));
	buf_clear(&msgs);
}

bool
can_open(const char *path, bool secret, struct buf *msgs)
{
	int	 fd;

	if (path == NULL)
		return true;
	if ((fd = file_open(path, secret, msgs)) == -1)
		return false;
	close(fd);
	return true;
}

bool
secrets_check(const struct conf *conf, struct buf *msgs)
{
	bool	 ok = true;

	for (size_t i = 0; i < conf->npkis; i++) {
		ok = can_open(conf->pkis[i].cert, false, msgs) && ok;
		ok = can_open(conf->pkis[i].key, true, msgs) && ok;
		ok = can_open(conf->pkis[i].ocsp, false, msgs) && ok;
	}
	ok = can_open(conf->credentials, true, msgs) && ok;
	for (size_t i = 0; i < conf->ntokens; i++)
		ok = can_open(conf->tokens[i].path, true, msgs) && ok;
	for (size_t i = 0; i < conf->ntables; i++)
		ok = can_open(table_users(conf->tables[i]), true, msgs) && ok;
	return can_open(conf->srs_key, true, msgs) && ok;
}

static void
reload_end(struct gateway *gw, bool ok)
{
	struct reload	*r = gw->reload;
	const char	*s;

	log_info("event=reload result=%s generation=%u", ok ? "ok" : "failed",
	    gw->set->generation);
	if (!ok)
		log_lines("event=reload", buf_content(&r->msgs));
	s = buf_cstr(&r->msgs);
	if (r->ctl != NULL)
		ctl_end(r->ctl, ok ? 0 : EX_CONFIG, s);
	notify("READY=1\nSTATUS=%s", ok ? "serving" :
	    "serving; the last reload failed");
	gw->reload = NULL;
	buf_clear(&r->msgs);
	gw->hup = gw->hup || r->again;
	free(r);
	if (gw->hup)
		reload_begin(gw, NULL);
}

/* Sends a configuration to the providers, who answer with `reloaded`. */
static void
ask_providers(struct gateway *gw, const struct set *set, bool check)
{
	struct child	*c;

	gw->reload->waiting = 0;
	TAILQ_FOREACH(c, &gw->children, next) {
		if (c->set != NULL || c->state != CHILD_READY)
			continue;
		CHAN_SEND_FD(c->chan, reload, fcntl(set->conf_fd,
		    F_DUPFD_CLOEXEC, 3), .generation = set->generation,
		    .check = check);
		if (c->role == IPC_KEYD || c->role == IPC_PASSWD)
			secrets_send(c, set->conf);
		CHAN_SEND(c->chan, reload_end, .tid = 0);
		c->asked = true;
		child_deadline(c, ANSWER_MS);
		gw->reload->waiting++;
	}
}

static void
drop_next(struct gateway *gw)
{
	bind_close(gw->next, gw->set);
	set_free(gw->next);
	gw->next = NULL;
}

static bool
same_paths(const struct conf *a, const struct conf *b, struct buf *msgs)
{
	if (strcmp(a->queue_path, b->queue_path) == 0 &&
	    strcmp(a->control_path, b->control_path) == 0)
		return true;
	buf_str(msgs, "queue path and control path change by a restart, not by "
	    "a reload\n");
	return false;
}

/* Are all providers there to be asked? One that starts just now would come up
 * with the old configuration. */
static bool
providers_are_ready(const struct gateway *gw)
{
	const struct child	*c;

	TAILQ_FOREACH(c, &gw->children, next)
		if (c->set == NULL && c->state != CHILD_READY &&
		    c->state != CHILD_ENDING)
			return false;
	return gw->ready;
}

/* sd_notify(3) wants the time of the very start, and compares it. */
static void
notify_reloading(void)
{
	struct timespec	 now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec *
	    1000000 + now.tv_nsec / 1000);
}

void
reload_begin(struct gateway *gw, struct ctl *ctl)
{
	struct reload	*r;

	if (gw->reload != NULL || gw->stopping) {
		if (ctl != NULL)
			ctl_end(ctl, EX_TEMPFAIL, "a reload is under way");
		else if (gw->reload != NULL)
			gw->reload->again = true;
		return;
	}
	if (!providers_are_ready(gw)) {
		if (ctl != NULL)
			ctl_end(ctl, EX_TEMPFAIL, "a daemon is being started; "
			    "nothing has changed");
		else
			gw->hup = true;
		return;
	}
	gw->hup = false;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatalx("out of memory");
	r->ctl = ctl;
	buf_init(&r->msgs, 65536);
	gw->reload = r;
	notify_reloading();
	gw->next = set_load(gw, gw->generation + 1, &r->msgs);
	if (gw->next == NULL) {
		reload_end(gw, false);
		return;
	}
	if (!same_paths(gw->set->conf, gw->next->conf, &r->msgs) ||
	    !secrets_check(gw->next->conf, &r->msgs) ||
	    !trust_check(gw->next->conf, &r->msgs) ||
	    !bind_all(gw, gw->next, gw->set, &r->msgs)) {
		set_free(gw->next);
		gw->next = NULL;
		reload_end(gw, false);
		return;
	}
	r->stage = STAGE_CHECK;
	ask_providers(gw, gw->next, true);
}

/* The workers of the next generation are to be stopped, the providers get the
 * configuration in force back. */
static void
undo(struct gateway *gw)
{
	struct child	*c, *tmp;

	TAILQ_FOREACH_SAFE(c, &gw->children, next, tmp)
		if (c->set == gw->next) {
			c->set = NULL;
			c->state = c->state == CHILD_WAITING ? CHILD_WAITING :
			    CHILD_ENDING;
			child_stop(c);
		}
	drop_next(gw);
	gw->reload->stage = STAGE_UNDO;
	ask_providers(gw, gw->set, false);
	if (gw->reload->waiting == 0)
		reload_end(gw, false);
}

void
reload_answer(struct child *c, bool ok, struct span why)
{
	struct gateway	*gw = c->gw;
	struct reload	*r = gw->reload;

	c->asked = false;
	if (c->state == CHILD_READY)
		event_del(c->timer);
	if (gw->stopping)
		return;
	/* One that can't take back what is in force begins with it anew. */
	if (!ok && r->stage == STAGE_UNDO && c->pid > 0)
		(void)kill(c->pid, SIGKILL);
	if (!ok && r->stage != STAGE_UNDO) {
		r->failed = true;
		buf_fmt(&r->msgs, "%s: ", c->title);
		buf_span(&r->msgs, why);
		buf_byte(&r->msgs, '\n');
	}
	if (--r->waiting > 0)
		return;
	switch (r->stage) {
	case STAGE_CHECK:
		if (r->failed) {
			drop_next(gw);
			reload_end(gw, false);
			return;
		}
		r->stage = STAGE_COMMIT;
		ask_providers(gw, gw->next, false);
		return;
	case STAGE_COMMIT:
		if (r->failed) {
			undo(gw);
			return;
		}
		r->stage = STAGE_WORKERS;
		set_start(gw, gw->next);
		return;
	case STAGE_UNDO:
		reload_end(gw, false);
		return;
	case STAGE_WORKERS:
		return;
	}
}

/* Whether it had answered or not: the one that is started in its place has the
 * old configuration, so the new one is not for all. */
void
reload_provider_died(struct child *c)
{
	struct reload	*r = c->gw->reload;

	if (r == NULL || c->gw->stopping)
		return;
	if (c->asked) {
		reload_answer(c, false, span_str("it died"));
		return;
	}
	if (r->stage == STAGE_UNDO)
		return;
	r->failed = true;
	buf_fmt(&r->msgs, "%s: it died\n", c->title);
	if (r->stage == STAGE_WORKERS)
		undo(c->gw);
}

void
reload_child_died(struct child *c)
{
	struct gateway	*gw = c->gw;

	buf_fmt(&gw->reload->msgs, "%s did not get ready\n", c->title);
	c->state = CHILD_WAITING;
	undo(gw);
}

/* Is the next generation complete? Then it is the one in force. */
void
reload_child_ready(struct gateway *gw)
{
	struct set	*old = gw->set, *s;
	struct child	*c;
	unsigned	 n = 0;
	int		 level;

	if (gw->stopping || gw->reload->stage != STAGE_WORKERS ||
	    children_in(gw, gw->next, CHILD_STARTING) > 0)
		return;
	gw->set = gw->next;
	gw->next = NULL;
	gw->generation = gw->set->generation;
	/* A level set at run time ends with the generation it was set for. */
	gw->log_level = gw->verbose ? LOG_LV_DEBUG : -1;
	level = gw->log_level >= 0 ? gw->log_level :
	    (int)gw->set->conf->log_level;
	log_set_level((enum log_level)level);
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->chan != NULL)
			CHAN_SEND(c->chan, log_level, .level = (uint8_t)level);
	bind_close(old, gw->set);
	TAILQ_INSERT_HEAD(&gw->old, old, next);
	set_drain(gw, old, DRAIN_MS);
	TAILQ_FOREACH(s, &gw->old, next)
		if (++n > OLD_SETS_MAX)
			set_drain(gw, s, LAST_MS);
	reload_end(gw, true);
	gateway_check_end(gw);
}
