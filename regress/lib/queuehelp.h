/*
 * For tests of queued's core: a configuration made by hand, a queue in a
 * directory of its own, and a client and a delivery agent of a few lines.
 */
#ifndef REGRESS_QUEUEHELP_H
#define REGRESS_QUEUEHELP_H

#include <stdio.h>
#include <unistd.h>

#include "queued/due.h"
#include "queued/queue.h"

#define HELP_MAX	4096	/* results kept */

struct help_result {
	uint64_t	 id;
	enum q_status	 status;
};
struct help {
	struct queue	*q;
	struct help_result results[HELP_MAX];
	size_t		 nresults;
	unsigned	 recorded;
	bool		 can_hand;
	uint8_t		 notify;	/* of recipients that are sent */
	/* What becomes of a job; by default it is delivered. */
	void		(*hand)(struct help *, struct job *, const struct rec *,
			    const struct rec_msg *);
	void		(*committed)(struct help *, uint64_t id, enum q_status);
	void		(*on_recorded)(struct help *, uint64_t id, uint32_t n,
			    uint32_t attempt);
	/* A prepared message ended; told: by q_finished, else by itself. */
	void		(*finished)(struct help *, uint64_t id, enum q_status,
			    bool told);
	unsigned	 handed;
	void		*arg;
};

/* Small sizes: segments of 256 KiB, a cache of 1 MiB. */
extern const struct queue_params help_params;
/* retry 1m..2h, ttl 5d, an action "relay" by MX and "list" with a server. */
struct conf *help_conf(void);
/* A new directory below /dev/shm (or /tmp), entered; gives its path. */
const char *help_dir(void);
void	 help_dir_remove(const char *);
void	 help_open(struct help *, const struct conf *);
void	 help_open_params(struct help *, const struct conf *,
	    const struct queue_params *);
void	 help_close(struct help *);
/* One message of n recipients, content of len bytes made from its id, from one
 * who authenticated as its sender; waits in the batch. */
void	 help_send(struct help *, uint64_t id, const char *from,
	    const char *to, size_t len);
/* The same, prepared: the first recipient is way 0's, the second way 1's and so
 * on, over again from way `ways` - 1. */
void	 help_prepare(struct help *, uint64_t id, const char *from,
	    const char *to, size_t len, unsigned ways);
void	 help_settle(struct help *, uint64_t id, unsigned way, enum q_settled,
	    const char *reply);
/* The byte at place i of message id's content. */
uint8_t	 help_byte(uint64_t id, size_t i);
/* Ends all recipients of the job so. */
void	 help_end(struct help *, struct job *, enum d_status, const char *reply,
	    enum d_dest);
/* One result of a job, or with none of an earlier life's, first attempt. */
void	 help_result(struct help *, struct job *, void *agent, uint64_t id,
	    uint32_t n, enum d_status, const char *reply);
/* Are these the first bytes of message id's content? */
bool	 help_content_ok(uint64_t id, struct span);
/* Both clocks stand still; then go on by so much. */
void	 help_clock(void);
void	 help_advance(int64_t ms);
/* A change as posternctl's verbs make it: CHANGE_REMOVE, CHANGE_HOLD with held,
 * or 0: all waiting recipients are due now. Waits in the batch. */
void	 help_change(struct help *, uint64_t id, uint8_t what, bool held);
/* All waiting recipients go by this action from now on. The same. */
void	 help_route(struct help *, uint64_t id, const char *action);
/* Runs f in a child that then is gone as by kill -9; its exit status, 0 if f
 * returned. */
int	 help_child(void (*f)(void *), void *arg);
/* Zeroed memory that children share. */
void	*help_shared(size_t);
/* For children: cmocka's asserts would go on with the next test there. */
#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);	\
		_exit(99);						\
	}								\
} while (0)

#endif
