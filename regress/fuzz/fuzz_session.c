/*
 * A whole session: the input's bytes are the client's, cut where it says so,
 * and between the cuts its other bytes are what queued, proxyd, lookupd and the
 * clock do; a capital letter means the link before the last one, whose mirror
 * that may be. The stand-ins (smtpdhelp.h) abort on any message that is not in
 * order, as they do on a reply that is none. At the end nothing may be left,
 * and each command has had its reply unless the session is over.
 */
#include <sys/socket.h>
#include <stdlib.h>

#include "common/dns/answer.h"
#include "common/ipc/codec.h"
#include "regress/lib/smtpdhelp.h"
#include "smtpd/txn.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define CUT		0xff	/* then what happens, a letter; and its value */
#define INPUT_MAX	20000

static const char	conf[] =
    "hostname gw.example.org\n"
    "action \"out\" relay to { \"192.0.2.9\" } open\n"
    "action \"live\" proxy to { \"192.0.2.9\" } open\n"
    "action \"other\" proxy to { \"192.0.2.10\" } open identity xclient\n"
    "listen on 192.0.2.1 port 25\n"
    "listen on 192.0.2.1 port 26 proxy \"live\"\n"
    "listen on 192.0.2.1 port 27 proxy \"live\" auth-plaintext tag named\n"
    "action \"both\" proxy to { \"192.0.2.9\" } open mirror \"new\" content\n"
    "action \"new\" proxy to { \"192.0.2.11\" } open\n"
    "listen on 192.0.2.1 port 28 proxy \"both\" auth-plaintext\n"
    "listen on 192.0.2.1 port 29 proxy \"live\" xclient from 192.0.2.7\n"
    "listen on 192.0.2.1 port 30 xclient from 192.0.2.7\n"
    "limit errors 60\n"
    "limit recipients 5\n"
    "match tag named from host { evil.example } for any reject\n"
    "match from host { good.example } for domain \"named.example\" "
    "action \"out\"\n"
    "match from any for domain \"dest.example\" action \"out\"\n"
    "match from any for domain \"live.example\" action \"live\"\n"
    "match from any for domain \"other.example\" action \"other\"\n"
    "match from any for domain \"both.example\" action \"both\"\n";

static struct client	*c;
static unsigned		 replies, started;

static void
take_replies(void)
{
	const char	*r;

	while ((r = client_next(c)) != NULL) {
		replies++;
		started += r[0] == '3' && r[1] == '5';
	}
}

static void
server_says(uint32_t tid, uint8_t how)
{
	static const uint16_t	codes[] = { 250, 220, 251, 235, 334, 421, 450,
	    451, 452, 501, 503, 535, 550, 552, 554, 221, 200, 599 };
	static const char *const texts[] = { "2.0.0 x", "",
	    "5.7.1 no\nnot\n\nat all",
	    "\x1b[31m%n%s\t\xc3\xa4\xff" };

	proxyd_answer(tid,
	    codes[how % (sizeof(codes) / sizeof(codes[0]))], texts[how / 64]);
}

static void
queue_does(uint8_t how)
{
	switch (how % 8) {
	case 0:
		queued_die();
		break;
	case 1:
		if (queued.chan == NULL)
			queued_start();
		break;
	case 2:
		queued.hold = !queued.hold;
		break;
	case 3:
		queued.stingy = !queued.stingy;
		break;
	case 4:
		if (queued.chan != NULL)
			queued_credit(how * 100U);
		break;
	case 5:
		if (queued.chan != NULL)
			queued_have(how / 8 % 2);
		break;
	case 6:
		if (queued.chan != NULL)
			queued_state(how / 8 % 2, "\x1b%n");
		break;
	case 7:
		if (queued.chan != NULL)
			queued_result(how / 8 % 4);
		break;
	}
}

static void
proxy_does(uint32_t tid, uint8_t how)
{
	switch (how % 8) {
	case 0:
		proxyd_close(tid, "\x1b%n");
		break;
	case 1:
		proxyd_die();
		proxyd_start();
		break;
	case 2:
		proxyd.hold = !proxyd.hold;
		break;
	case 3:
		proxyd.stingy = !proxyd.stingy;
		break;
	case 4:
		proxyd_credit(tid, how * 100U);
		break;
	case 5:
		proxyd.caps.bits ^= 1U << how / 8 % 14;
		break;
	default:
		proxyd_answer(tid, 0, NULL);
		break;
	}
}

static void
happens(uint8_t what, uint8_t how)
{
	if (what == 's' || what == 'S')
		server_says(what == 's' ? proxyd.tid : proxyd.before, how);
	else if (what == 'q')
		queue_does(how);
	else if (what == 'p' || what == 'P')
		proxy_does(what == 'p' ? proxyd.tid : proxyd.before, how);
	else if (what == 't')
		world_skip_ms((how + 1) * 10000);
	else if (what == 'd' && lookupd.asked > 0)
		lookupd_answer(how % 4, how / 4 % 2 == 0 ? NULL :
		    lookupd.type != DNS_PTR ? WORLD_SOURCE :
		    how / 8 % 2 ? "good.example" : "evil.example");
	else if (what == 'e')
		shutdown(c->fd, SHUT_WR);
	else if (what == 'f')
		client_write(c, &(uint8_t){ CUT }, 1);
}

/* Nobody owes anybody anything any more. */
static void
settle(void)
{
	proxyd.hold = proxyd.stingy = queued.hold = queued.stingy = false;
	if (queued.chan == NULL)
		queued_start();
	for (int i = 0; i < 200; i++) {
		world_run();
		take_replies();
		if (!proxyd_answer(proxyd.before, 0, NULL) &&
		    !proxyd_answer(proxyd.tid, 0, NULL))
			break;
	}
	queued_result(Q_OK);
	queued_have(false);
	queued_credit(200000);
	proxyd_credit(proxyd.before, 200000);
	proxyd_credit(proxyd.tid, 200000);
	world_run();
	while (proxyd_answer(proxyd.before, 0, NULL) ||
	    proxyd_answer(proxyd.tid, 0, NULL))
		world_run();
	take_replies();
}

static void
is_there(struct session *s, void *arg)
{
	if (s->phase != PH_CLOSING)
		*(struct session **)arg = s;
}

/* Each command that was read has had its reply, and each content its own. */
static void
count(void)
{
	struct session	*s = NULL;
	unsigned	 want;

	session_each(is_there, &s);
	if (s == NULL || s->phase == PH_CONNECT)
		return;
	want = 1 + s->commands + started - (s->phase == PH_DATA);
	if (replies + s->ncmds < want)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t size)
{
	const uint8_t	*end = p + size, *cut;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	if (world_base == NULL) {
		world_init(conf);
		lookupd_start();
	}
	replies = started = 0;
	c = client_new(*p++ % 6, NULL);
	while (p < end) {
		if ((cut = memchr(p, CUT, (size_t)(end - p))) == NULL)
			cut = end;
		client_write(c, p, (size_t)(cut - p));
		world_run();
		take_replies();
		if (end - cut >= 3)
			happens(cut[1], cut[2]);
		p = end - cut >= 3 ? cut + 3 : end;
	}
	settle();
	count();
	client_free(c);
	queued_result(Q_OK);
	world_skip_ms(2000000);
	if (world_leak() != NULL)
		abort();
	world_reset();
	return 0;
}
