/*
 * keyd: the keeper of keys and credentials. It takes them from the parent by
 * descriptor, holds them against the configuration, and tells posternctl what
 * it has, never the secrets themselves.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/proc/confine.h"
#include "common/proc/start.h"
#include "keyd/passwd.h"
#include "keyd/peer.h"
#include "keyd/set.h"

#define WARN_BEFORE_MS	(14LL * 86400 * 1000)	/* an expiry in 14 days */
#define BEFORE_S	60	/* longer than any handshake takes */
#define DAY_S		86400

static struct set	*current;	/* of the configuration in force */
static struct set	*before;	/* of the one replaced a moment ago */
static struct event	*before_end, *every_day;
static struct set	*next;		/* what is arriving */
static unsigned		 reloads;
static char		 refused[1024];	/* why the last set was not taken */

static const struct seccomp_group *const groups[] = {
	&seccomp_base, &seccomp_loop, NULL
};
static const struct confine_profile profile = { .groups = groups };

/* "2027-01-31T12:00:00Z" */
static char *
utc(struct wall t, char *dst, size_t size)
{
	time_t		s = (time_t)(t.ms / 1000);
	struct tm	tm;

	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(dst, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		dst[0] = '\0';
	return dst;
}

static const char *
validity(const struct key_info *info)
{
	int64_t	now = clock_wall().ms;

	if (now > info->not_after.ms)
		return "expired";
	if (now < info->not_before.ms)
		return "not yet valid";
	return now > info->not_after.ms - WARN_BEFORE_MS ? "expires soon" :
	    "valid";
}

/* An expired certificate is better than none: it is said, and used. An OCSP
 * response that is out of date is not. */
static void
warn_expiry(const struct set *s)
{
	const struct ocsp_info	*ocsp;
	const struct pki	*p;
	struct key_info		 info;
	const char		*name, *is;
	char			 date[32];

	for (size_t i = 0; i < set_pkis(s); i++) {
		p = set_at(s, i, &name);
		pki_info(p, &info);
		is = validity(&info);
		if (strcmp(is, "valid") != 0)
			log_warnx("event=certificate pki=%s key=%s state=%s "
			    "not_after=%s", log_quote(span_str(name)),
			    log_quote(span_str(info.type)),
			    log_quote(span_str(is)),
			    utc(info.not_after, date, sizeof(date)));
		if ((ocsp = pki_ocsp(p)) == NULL)
			continue;
		is = ocsp_state(ocsp, clock_wall());
		if (strcmp(is, "valid") != 0)
			log_warnx("event=ocsp pki=%s key=%s state=%s "
			    "next_update=%s", log_quote(span_str(name)),
			    log_quote(span_str(info.type)),
			    log_quote(span_str(is)),
			    utc(ocsp->next_update, date, sizeof(date)));
	}
}

static void
daily(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	warn_expiry(current);
}

/* Certificates that are not valid, or not for long. */
static unsigned
expiring(const struct set *s)
{
	struct key_info	 info;
	const char	*name;
	unsigned	 n = 0;

	for (size_t i = 0; i < set_pkis(s); i++) {
		pki_info(set_at(s, i, &name), &info);
		n += strcmp(validity(&info), "valid") != 0;
	}
	return n;
}

/* Until the first of them ends; 0 if one has ended. Only with a pki. */
static int64_t
expires_s(const struct set *s)
{
	struct key_info	 info;
	const char	*name;
	int64_t		 ms, least = INT64_MAX;

	for (size_t i = 0; i < set_pkis(s); i++) {
		pki_info(set_at(s, i, &name), &info);
		ms = info.not_after.ms - clock_wall().ms;
		least = ms < least ? ms : least;
	}
	return least > 0 ? least / 1000 : 0;
}

/* Handshakes that were begun with the keys of before are over. */
static void
drop_before(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	peer_set(current, NULL);
	set_free(before);
	before = NULL;
}

/* Takes s for the one in force. */
static void
change(struct proc *p, struct set *s)
{
	const struct timeval	 tv = { BEFORE_S, 0 }, day = { DAY_S, 0 };

	if (before_end == NULL && ((before_end = evtimer_new(proc_base(p),
	    drop_before, NULL)) == NULL || (every_day = event_new(proc_base(p),
	    -1, EV_PERSIST, daily, NULL)) == NULL))
		fatalx("evtimer_new");
	peer_set(s, current);
	set_free(before);
	before = current;
	current = s;
	if ((before != NULL && evtimer_add(before_end, &tv) == -1) ||
	    evtimer_add(every_day, &day) == -1)
		fatalx("evtimer_add");
}

static void
on_secret(struct proc *p, enum ipc_secret_kind kind, const char *name,
    const char *path, int fd)
{
	const char	*why;

	(void)p;
	if (kind == IPC_SECRET_TOKEN_NEW) {
		if (current == NULL)
			close(fd);
		else if (!set_renew(current, name, path, fd, &why))
			log_warnx("event=secret label=%s why=%s",
			    log_quote(span_str(name)),
			    log_quote(span_str(why)));
		return;
	}
	if (next == NULL && (next = set_new()) == NULL)
		fatal("secrets");
	set_add(next, kind, name, path, fd);
}

/* Takes what has arrived since the last call, or throws it away. */
static bool
on_reload(struct proc *p, struct span bundle, bool check, const char **why)
{
	struct set	*s = next;
	struct conf	*c;
	bool		 ok;

	next = NULL;
	if (s == NULL && (s = set_new()) == NULL)
		fatal("secrets");
	c = conf_accept(bundle, why);
	ok = c != NULL && set_finish(s, c, why);
	conf_free(c);
	if (!ok) {
		strlcpy(refused, *why, sizeof(refused));
		*why = refused;
	} else if (!check) {
		warn_expiry(s);
		log_info("event=secrets pkis=%zu credentials=%zu",
		    set_pkis(s), creds_count(set_creds(s)));
		change(p, s);
		s = NULL;
		reloads++;
		refused[0] = '\0';
	}
	set_free(s);
	return ok;
}

static void
credential_row(struct ctl *c, struct span label, struct span user,
    const char *kind)
{
	ctl_row(c, "credential");
	ctl_field(c, "label", label);
	ctl_field(c, "user", user);
	ctl_str(c, "kind", kind);
	ctl_row_end(c);
}

/* All of them, or those that there is something to be done about. */
static void
pki_rows(struct ctl *c, bool all)
{
	struct key_info	 info;
	char		 date[32];

	for (size_t i = 0; i < set_pkis(current); i++) {
		const char		*name, *state, *is = "";
		const struct pki	*p = set_at(current, i, &name);
		const struct ocsp_info	*ocsp = pki_ocsp(p);

		pki_info(p, &info);
		state = validity(&info);
		if (ocsp != NULL)
			is = ocsp_state(ocsp, clock_wall());
		if (!all && strcmp(state, "valid") == 0 &&
		    (ocsp == NULL || strcmp(is, "valid") == 0))
			continue;
		ctl_row(c, "pki");
		ctl_str(c, "name", name);
		ctl_str(c, "subject", info.subject);
		ctl_str(c, "key", info.type);
		ctl_num(c, "chain", info.chain);
		ctl_str(c, "not_after", utc(info.not_after, date,
		    sizeof(date)));
		ctl_str(c, "state", state);
		ctl_str(c, "ocsp", is);
		ctl_row_end(c);
	}
}

static void
run_expiring(struct ctl *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	pki_rows(c, false);
	ctl_end(c, EX_OK, NULL);
}

static void
run_check(struct ctl *c, int argc, char **argv)
{
	struct span	 label, user, secret;

	(void)argc;
	(void)argv;
	pki_rows(c, true);
	for (size_t i = 0; i < creds_count(set_creds(current)); i++) {
		creds_at(set_creds(current), i, &label, &user, &secret);
		credential_row(c, label, user, "password");
	}
	for (size_t i = 0; i < set_tokens(current); i++) {
		set_token(current, i, &label, &user);
		credential_row(c, label, user, "token");
	}
	ctl_end(c, EX_OK, NULL);
}

static void
run_stats(struct ctl *c, int argc, char **argv)
{
	const struct peer_counts	*counts = peer_counts();

	(void)argc;
	(void)argv;
	ctl_row(c, "stats");
	ctl_num(c, "pkis", (int64_t)set_pkis(current));
	ctl_num(c, "expiring", expiring(current));
	if (set_pkis(current) > 0)
		ctl_num(c, "expires_s", expires_s(current));
	ctl_num(c, "credentials", (int64_t)creds_count(set_creds(current)));
	ctl_num(c, "loads", reloads);
	ctl_num(c, "senders", (int64_t)counts->senders);
	ctl_num(c, "signatures", (int64_t)counts->signatures);
	ctl_num(c, "signatures_refused", (int64_t)counts->refusals);
	ctl_num(c, "logins", (int64_t)counts->logins);
	ctl_str(c, "refused", refused);
	ctl_num(c, "secure_bytes", (int64_t)CRYPTO_secure_used());
	ctl_row_end(c);
	ctl_end(c, EX_OK, NULL);
}

static const struct ctl_verb verbs[] = {
	{ "check", CTL_READ, run_check },
	{ "expiring", CTL_READ, run_expiring },
	{ "stats", CTL_READ, run_stats },
	{ NULL }
};

static void
on_stop(struct proc *p)
{
	(void)p;
	peer_set(NULL, NULL);
	set_free(next);
	set_free(before);
	set_free(current);
	next = before = current = NULL;
}

static const struct proc_ops ops = {
	.peer = peer_add,
	.secret = on_secret,
	.reload = on_reload,
	.stop = on_stop,
	.verbs = verbs,
};

int
main(int argc, char **argv)
{
	struct proc	*p;

	/* The title that the parent gave says which of the two it is. */
	if (argc > 0 && strcmp(argv[0], "passwd") == 0)
		return passwd_main(argc, argv);
	p = proc_start(IPC_KEYD, argc, argv);
	if (!key_setup())
		fatalx("OpenSSL could not be set up");
	proc_confine(p, &profile);
	return proc_run(p, &ops, NULL);
}
