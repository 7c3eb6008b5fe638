/*
 * Reports of TLS that queued wants to be sent by POST (RFC 8460, 5.4).
 */
#ifndef DELIVERD_POST_H
#define DELIVERD_POST_H

#include "common/ipc/chan.h"

#define POSTS_MAX	20		/* at a time; queued asks again */

/* For job.c: d_post. Each is answered by d_posted, if queued is still there. */
chan_handler post_asked;

#endif
