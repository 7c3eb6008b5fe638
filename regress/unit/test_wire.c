/*
 * Who talks to whom, and what becomes of a pair of which one reports the other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "postern/postern.h"

static struct gateway	gw;
static struct set	set_a, set_b;
static int		peers, last_role[2];
static struct chan	*last_to[2];
static pid_t		killed;
static int		kills;

void	 __wrap_chan_send(struct chan *, uint16_t, const void *, int);
int	 __wrap_kill(pid_t, int);

void
__wrap_chan_send(struct chan *c, uint16_t type, const void *msg, int fd)
{
	assert_non_null(c);
	assert_int_equal(type, IPC_T_peer);
	assert_true(fd >= 0);
	close(fd);
	last_to[peers % 2] = c;
	last_role[peers++ % 2] = ((const struct ipc_peer *)msg)->role;
}

int
__wrap_kill(pid_t pid, int sig)
{
	assert_int_equal(sig, SIGKILL);
	killed = pid;
	kills++;
	return 0;
}

static struct child *
add(enum ipc_role role, unsigned class, uint16_t worker, struct set *set)
{
	static pid_t	 pid = 100000;
	struct child	*c = calloc(1, sizeof(*c));

	c->gw = &gw;
	c->role = role;
	c->class = class;
	c->worker = worker;
	c->set = set;
	c->state = CHILD_READY;
	c->pid = ++pid;
	c->chan = (struct chan *)c;
	snprintf(c->title, sizeof(c->title), "%d.%u", role, worker);
	TAILQ_INSERT_TAIL(&gw.children, c, next);
	return c;
}

static void
begin(void)
{
	struct child	*c;

	while ((c = TAILQ_FIRST(&gw.children)) != NULL) {
		TAILQ_REMOVE(&gw.children, c, next);
		free(c);
	}
	peers = kills = 0;
	killed = 0;
}

static void
pairs(void **state)
{
	static const struct {
		enum ipc_role	 a, b;
	} wanted[] = {
		{ IPC_SMTPD, IPC_PROXYD }, { IPC_SMTPD, IPC_QUEUED },
		{ IPC_SMTPD, IPC_LOOKUPD }, { IPC_PROXYD, IPC_LOOKUPD },
		{ IPC_DELIVERD, IPC_LOOKUPD }, { IPC_DELIVERD, IPC_QUEUED },
		{ IPC_DELIVERD, IPC_KEYD }, { IPC_SMTPD, IPC_KEYD },
		{ IPC_PROXYD, IPC_QUEUED }
	};
	struct child	 a = { .set = &set_a }, b = { .set = &set_a };
	bool		 is;

	(void)state;
	/* Of smtpd's workers, those that take passwords (R1). */
	a.role = IPC_SMTPD;
	b.role = IPC_PASSWD;
	assert_false(wire_wanted(&a, &b));
	a.class = 1;
	assert_true(wire_wanted(&a, &b));
	assert_true(wire_wanted(&b, &a));
	a.class = 0;

	for (int i = 1; i < NROLES; i++)
		for (int k = 1; k < NROLES; k++) {
			a.role = (enum ipc_role)(1 << i);
			b.role = (enum ipc_role)(1 << k);
			is = false;
			for (size_t n = 0; n < sizeof(wanted) / sizeof(wanted[0]);
			    n++)
				is = is || (wanted[n].a == a.role &&
				    wanted[n].b == b.role) ||
				    (wanted[n].a == b.role &&
				    wanted[n].b == a.role);
			assert_int_equal(wire_wanted(&a, &b), is);
		}
	/* A session's server side: same generation, same class (R1). */
	a.role = IPC_SMTPD;
	b.role = IPC_PROXYD;
	b.class = 1;
	assert_false(wire_wanted(&a, &b));
	b.class = 0;
	b.set = &set_b;
	assert_false(wire_wanted(&a, &b));
	/* Providers serve all generations. */
	b.role = IPC_QUEUED;
	b.set = NULL;
	assert_true(wire_wanted(&a, &b));
}

static void
all(void **state)
{
	struct child	*smtpd, *c;

	(void)state;
	begin();
	add(IPC_LOOKUPD, 0, 0, NULL);
	add(IPC_QUEUED, 0, 0, NULL);
	add(IPC_KEYD, 0, 0, NULL);
	add(IPC_PROXYD, 0, 1, &set_a);
	add(IPC_PROXYD, 1, 2, &set_a);
	c = add(IPC_PROXYD, 0, 3, &set_a);
	c->chan = NULL;				/* waits for its start */
	smtpd = add(IPC_SMTPD, 0, 1, &set_a);
	add(IPC_SMTPD, 0, 2, &set_a);
	wire_all(smtpd);
	assert_int_equal(peers, 2 * 4);	/* lookupd, queued, keyd, proxyd.1 */
	assert_int_equal(kills, 0);
}

/* The third within a minute kills the less trusted end; until then, a new
 * pair. */
static void
reports(void **state)
{
	static const struct {
		enum ipc_role	 by, about, dies;
	} table[] = {
		{ IPC_QUEUED, IPC_SMTPD, IPC_SMTPD },
		{ IPC_SMTPD, IPC_QUEUED, IPC_SMTPD },
		{ IPC_LOOKUPD, IPC_DELIVERD, IPC_DELIVERD },
		{ IPC_DELIVERD, IPC_LOOKUPD, IPC_DELIVERD },
		{ IPC_SMTPD, IPC_LOOKUPD, IPC_SMTPD },
		/* alike: the one that is reported */
		{ IPC_SMTPD, IPC_PROXYD, IPC_PROXYD },
		{ IPC_PROXYD, IPC_SMTPD, IPC_SMTPD }
	};
	struct child	*by, *about;
	struct mono	 now = { 1000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		begin();
		by = add(table[i].by, 0, 1, &set_a);
		about = add(table[i].about, 0, 2, &set_a);
		for (int n = 1; n <= 3; n++) {
			clock_fake(&now, NULL);
			wire_report(by, about->role, about->worker, "rubbish");
			now.ms += 20000;
			assert_int_equal(peers, n < 3 ? 2 * n : 4);
			assert_int_equal(kills, n == 3);
		}
		assert_int_equal(killed, table[i].dies == about->role ?
		    about->pid : by->pid);
		/* Both ends got one, each the other's role. */
		assert_int_not_equal(last_to[0] == (struct chan *)by ?
		    last_role[0] : last_role[1], by->role);
	}
	/* Spread over more than a minute: for ever. */
	begin();
	by = add(IPC_QUEUED, 0, 0, NULL);
	about = add(IPC_SMTPD, 0, 1, &set_a);
	for (int n = 1; n <= 20; n++) {
		clock_fake(&now, NULL);
		wire_report(by, IPC_SMTPD, 1, "rubbish");
		now.ms += 31000;
		assert_int_equal(kills, 0);
		assert_int_equal(peers, 2 * n);
	}
	/* About nobody, about one that it does not talk to, about itself. */
	peers = 0;
	for (int n = 0; n < 5; n++) {
		wire_report(by, IPC_SMTPD, 77, "x");
		wire_report(by, IPC_KEYD, 0, "x");
		wire_report(by, (enum ipc_role)200, 0, "x");
		wire_report(by, (enum ipc_role)0, 0, "x");
		wire_report(by, IPC_PARENT, 0, "x");
		wire_report(by, IPC_QUEUED, 0, "x");
	}
	assert_int_equal(peers + kills, 0);
	clock_fake(NULL, NULL);
	begin();
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(all),
		cmocka_unit_test(reports)
	};

	log_init("test", LOG_FORM_TEXT, LOG_LV_WARN);
	TAILQ_INIT(&gw.children);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
