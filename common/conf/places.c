/*
 * See places.h.
 */
#include "common/conf/places.h"

#include <stdio.h>
#include <string.h>

#include "common/conf/scan.h"

static void
set(char dst[PLACE_MAX], const char *path)
{
	if (path[0] == '/' && strlen(path) < PLACE_MAX)
		strlcpy(dst, path, PLACE_MAX);
}

void
conf_places(struct span bundle, struct conf_places *p)
{
	struct scan	*s = scan_new(bundle);

	*p = (struct conf_places){ .control = "/run/postern" };
	while (s != NULL && scan_next(s)) {
		if (s->n >= 3 && s->token[0] == K_CONTROL &&
		    s->token[1] == K_PATH && s->token[2] == STRING)
			set(p->control, s->text[2]);
		if (s->n >= 4 && s->token[0] == K_LISTEN &&
		    s->token[1] == K_ON && s->token[2] == K_SOCKET &&
		    s->token[3] == STRING && p->submission[0] == '\0')
			set(p->submission, s->text[3]);
	}
	scan_free(s);
	if (p->submission[0] == '\0')
		(void)snprintf(p->submission, PLACE_MAX, "%.90s-submission",
		    p->control);
}

bool
conf_users(struct span bundle, const char *name, char path[USERS_PATH_LEN])
{
	struct scan	*s = scan_new(bundle);
	unsigned	 n = 0;

	while (s != NULL && scan_next(s))
		if (s->n >= 4 && s->token[0] == K_TABLE &&
		    s->token[2] == K_PASSWD && (name == NULL ||
		    strcmp(s->text[1], name) == 0) && strlcpy(path,
		    s->text[3], USERS_PATH_LEN) < USERS_PATH_LEN)
			n++;
	scan_free(s);
	return n == 1;
}
