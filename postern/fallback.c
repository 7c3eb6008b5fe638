/*
 * `posternctl fallback`: proxied actions whose servers are not to be tried, by
 * hand, until it is taken back or the gateway ends. Kept here by name, so that
 * new workers and new configurations hear of it.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define FALLBACKS_MAX	64	/* as many as a smtpd takes (failover.c) */

static size_t
find(const struct gateway *gw, const char *name)
{
	size_t	 i = 0;

	while (i < gw->nfallbacks && strcmp(gw->fallbacks[i], name) != 0)
		i++;
	return i;
}

static void
set(struct gateway *gw, const char *name, bool on)
{
	size_t	 i = find(gw, name);
	char	**v;

	if (on && i == gw->nfallbacks) {
		v = reallocarray(gw->fallbacks, i + 1, sizeof(*v));
		if (v == NULL || (v[i] = strdup(name)) == NULL)
			fatal("fallback");
		gw->fallbacks = v;
		gw->nfallbacks++;
	} else if (!on && i < gw->nfallbacks) {
		free(gw->fallbacks[i]);
		gw->fallbacks[i] = gw->fallbacks[--gw->nfallbacks];
	}
}

void
fallback_run(struct gateway *gw, struct ctl *ctl, int argc, char **argv)
{
	const struct conf_action *a;
	struct child	*c;
	bool		 on;

	if (argc != 2 || (strcmp(argv[1], "on") != 0 &&
	    strcmp(argv[1], "off") != 0)) {
		ctl_end(ctl, EX_USAGE, "an action, and on or off");
		return;
	}
	on = strcmp(argv[1], "on") == 0;
	a = conf_action_find(gw->set->conf, span_str(argv[0]));
	if (on && (a == NULL || a->type != ACT_PROXY ||
	    a->on_failure == NULL)) {
		ctl_end(ctl, EX_DATAERR, a == NULL ? "no such action" :
		    "the action has no `on-failure queue`");
		return;
	}
	if (on && find(gw, argv[0]) == gw->nfallbacks &&
	    gw->nfallbacks == FALLBACKS_MAX) {
		ctl_end(ctl, EX_DATAERR, "too many are on");
		return;
	}
	set(gw, argv[0], on);
	log_info("event=fallback action=%s state=%s",
	    log_quote(span_str(argv[0])), on ? "on" : "off");
	TAILQ_FOREACH(c, &gw->children, next)
		if (c->role == IPC_SMTPD && c->chan != NULL)
			CHAN_SEND(c->chan, fallback,
			    .action = span_str(argv[0]), .on = on);
	ctl_end(ctl, 0, NULL);
}

void
fallback_tell(const struct gateway *gw, struct chan *chan)
{
	for (size_t i = 0; i < gw->nfallbacks; i++)
		CHAN_SEND(chan, fallback, .action = span_str(gw->fallbacks[i]),
		    .on = true);
}

void
fallback_names(const struct gateway *gw, struct buf *b)
{
	for (size_t i = 0; i < gw->nfallbacks; i++) {
		if (i > 0)
			buf_byte(b, ' ');
		buf_str(b, gw->fallbacks[i]);
	}
}
