/*
 * For tests of queued's lives: each runs in a child, which dies as by kill -9,
 * and what one has seen the next and the test can look at. For cmocka.
 */
#ifndef REGRESS_LIVES_H
#define REGRESS_LIVES_H

#include <sys/mman.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/rand.h"
#include "queued/diskio.h"
#include "regress/lib/queuehelp.h"

#define MIN	INT64_C(60000)
#define SEEN	256

static const char	*path;
static struct conf	*conf;

/* What the lives of one test tell each other and the test. */
static struct shared {
	struct help	 h;
	size_t		 nseen;
	struct seen {
		uint64_t	 id;
		uint32_t	 attempt;
		size_t		 nrcpts;
		bool		 bounce;
		char		 to[64];
	} seen[SEEN];
	enum d_status	 status;
	bool		 keep;
	struct job	*job;		/* of the life that goes on */
	int		 what;
} *sh;

static inline void
hand(struct help *x, struct job *j, const struct rec *r,
    const struct rec_msg *m)
{
	struct seen	*s = &sh->seen[sh->nseen++ % SEEN];

	*s = (struct seen){ .id = j->id, .attempt = j->rcpts[0].attempt,
	    .nrcpts = j->nrcpts, .bounce = m->flags & MSG_BOUNCE };
	strlcpy(s->to, j->rcpts[0].to, sizeof(s->to));
	CHECK(s->bounce || help_content_ok(j->id, r->content));
	sh->job = j;
	if (!sh->keep)
		help_end(x, j, sh->status, "x", D_DEST_OK);
}

static inline int
enter(void **state)
{
	(void)state;
	path = help_dir();
	sh = help_shared(sizeof(*sh));
	sh->h.can_hand = true;
	sh->h.hand = hand;
	help_clock();
	return 0;
}

static inline int
leave(void **state)
{
	(void)state;
	munmap(sh, sizeof(*sh));
	help_dir_remove(path);
	return 0;
}

/* Work in child: opens, f, gone. */
static void	(*life_f)(void);

static inline void
life_child(void *arg)
{
	(void)arg;
	help_open(&sh->h, conf);
	CHECK(!sh->h.q->down);
	life_f();
}

static inline void
life(void (*f)(void))
{
	life_f = f;
	assert_int_equal(help_child(life_child, NULL), 0);
	sh->h.q = NULL;
	sh->h.nresults = sh->h.recorded = 0;
}

static inline void
settle(void)
{
	size_t	 before;

	do {
		before = sh->nseen;
		queue_flush(sh->h.q);
		queue_run(sh->h.q);
		queue_flush(sh->h.q);
	} while (sh->nseen != before);
}

static inline void
send_one(uint64_t id)
{
	help_send(&sh->h, id, "a@example.org", "b@x.example c@x.example", 999);
}

static inline void
accepted(void)
{
	send_one(1);
	queue_flush(sh->h.q);
	CHECK(sh->h.nresults == 1 && sh->h.results[0].status == Q_OK);
}

static inline void
empty(void)
{
	settle();
	CHECK(sh->h.q->messages == 0 && !store_msg_get(sh->h.q->store, 1,
	    &(struct store_msg){ 0 }));
}

#define LIFE(f)	cmocka_unit_test_setup_teardown(f, enter, leave)

#endif
