# Objects of daemons and libraries that unit tests need beside libpostern.
UNIT_test_cache = lookupd/cache.o
UNIT_test_resolve = lookupd/resolve.o lookupd/cache.o
UNITLIBS_test_resolve = -lcares
UNIT_test_keys = regress/lib/certhelp.o \
	$(addprefix keyd/,key.o ocsp.o cred.o set.o file.o token.o)
UNITLIBS_test_keys = -lcrypto
UNIT_test_judge = $(addprefix keyd/,judge.o check.o lately.o scrams.o tables.o file.o)
UNITLIBS_test_judge = -lcrypto -lcrypt \
	$(addprefix -Wl$(comma)--wrap=,hash_check chan_send_now)
UNITLIBS_fuzz_users = -lcrypto -lcrypt
UNITLIBS_fuzz_scram = -lcrypto -lcrypt
UNIT_test_sign = regress/lib/certhelp.o keyd/sign.o
UNITLIBS_test_sign = -lcrypto
UNIT_test_keypeer = regress/lib/certhelp.o $(addprefix keyd/,key.o ocsp.o \
	cred.o set.o file.o token.o login.o sign.o srs.o push.o peer.o)
UNIT_test_provider = regress/lib/certhelp.o
UNITLIBS_test_provider = -lssl -lcrypto
UNITLIBS_test_keypeer = -lcrypto
UNIT_test_saslclient = keyd/login.o
UNITLIBS_test_saslclient = -lcrypto
UNIT_fuzz_saslclient = keyd/login.o
UNITLIBS_fuzz_saslclient = -lcrypto
UNITLIBS_test_hash = -lcrypto -lcrypt
UNIT_test_srs = keyd/srs.o
UNITLIBS_test_srs = -lcrypto
UNIT_test_stream_tls = regress/lib/certhelp.o
UNITLIBS_test_stream_tls = -lssl -lcrypto
UNIT_test_stream_tls_ends = regress/lib/certhelp.o
UNITLIBS_test_stream_tls_ends = -lssl -lcrypto
UNIT_fuzz_srs = keyd/srs.o
UNITLIBS_fuzz_srs = -lcrypto
# Stand-ins for what a test makes fail or watches.
UNITLIBS_test_ctl = -Wl,--wrap=event_add
comma = ,
UNITLIBS_test_confine = $(addprefix -Wl$(comma)--wrap=,stat chroot chdir prctl \
	cap_drop_bound cap_init cap_reset_ambient cap_set_proc cap_get_proc \
	cap_compare setgroups setresgid setresuid getresuid getresgid getgroups \
	setrlimit getrlimit landlock_install seccomp_install)
# The parent, in parts.
UNIT_test_boot = postern/boot.o
UNIT_test_dirs = postern/dirs.o postern/bind.o postern/load.o postern/boot.o
UNIT_test_reload = postern/reload.o postern/token.o postern/trust.o
UNITLIBS_test_reload = $(addprefix -Wl$(comma)--wrap=,chan_send ctl_end kill \
	event_del)
UNIT_test_wire = postern/wire.o
UNITLIBS_test_wire = $(addprefix -Wl$(comma)--wrap=,chan_send kill)
UNIT_test_bind = postern/bind.o postern/load.o postern/boot.o
UNITLIBS_test_bind = -Wl,--wrap=socket

# queued's core: all but its channels and its control socket.
QUEUED	= $(filter-out queued/main.o queued/front.o queued/ctl%.o queued/job%.o queued/sources.o \
	queued/verify.o queued/proxies.o queued/offline.o,$(patsubst %.c,%.o,$(wildcard queued/*.c)))
UNIT_test_record = queued/record.o queued/envelope.o
UNIT_test_envelope = queued/record.o queued/envelope.o
UNIT_test_retry = queued/retry.o
UNIT_test_readers = $(QUEUED)
UNITLIBS_test_readers = -ldb-5.3
UNIT_test_sources = queued/sources.o
UNIT_test_segment = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_segment = -ldb-5.3
UNIT_test_dest = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_dest = -ldb-5.3
UNIT_test_bytable = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_bytable = -ldb-5.3
UNIT_test_turns = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_turns = -ldb-5.3
UNIT_test_filter = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_filter = -ldb-5.3
UNIT_test_upgrade = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_upgrade = -ldb-5.3
UNIT_test_keep = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_keep = -ldb-5.3
UNIT_test_walk = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_walk = -ldb-5.3
UNIT_test_notice = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_notice = -ldb-5.3
UNIT_test_queue = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_queue = -ldb-5.3
UNIT_test_schedule = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_schedule = -ldb-5.3
UNIT_test_restart = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_restart = -ldb-5.3
UNIT_test_found = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_found = -ldb-5.3
UNIT_test_compact = regress/lib/queuehelp.o $(QUEUED)
UNIT_test_load = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_compact = -ldb-5.3
UNITLIBS_test_load = -ldb-5.3
UNIT_test_prepared = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_prepared = -ldb-5.3
UNIT_test_prepared_lost = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_prepared_lost = -ldb-5.3
UNIT_test_faults = $(addprefix regress/lib/,queuehelp.o queuerun.o diskmodel.o) \
    $(QUEUED)
UNITLIBS_test_faults = -ldb-5.3
UNIT_test_known = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_known = -ldb-5.3
UNIT_test_policies = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_policies = -ldb-5.3
UNIT_test_tlsrpt = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_tlsrpt = -ldb-5.3
UNIT_test_asked = regress/lib/queuehelp.o queued/verify.o $(QUEUED)
UNITLIBS_test_asked = -ldb-5.3
UNIT_fuzz_record = queued/record.o queued/envelope.o
UNIT_fuzz_verify = queued/verify_row.o
PROXYD	= $(filter-out proxyd/main.o proxyd/ctl.o,\
	$(patsubst %.c,%.o,$(wildcard proxyd/*.c)))
PROXYD	+= regress/lib/script.o regress/lib/proxydhelp.o
UNIT_test_proxyd = $(PROXYD)
UNIT_test_proxyd_content = $(PROXYD)
UNIT_test_asks = $(PROXYD)
UNIT_test_caps = $(PROXYD)
UNIT_test_idle = $(PROXYD)
UNIT_test_workers = $(PROXYD)
UNIT_test_relaytest = $(PROXYD)
UNIT_test_identity = $(PROXYD)
UNIT_test_tls_proxyd = regress/lib/certhelp.o $(PROXYD)
# deliverd, all but its main(), and the world around it.
DELIVERD = $(addprefix regress/lib/,script.o deliverdhelp.o loghelp.o) \
	$(filter-out deliverd/main.o deliverd/ctl.o,\
	$(patsubst %.c,%.o,$(wildcard deliverd/*.c)))
UNIT_test_deliverd = $(DELIVERD)
UNIT_test_deliverd_content = $(DELIVERD)
UNIT_test_pool = $(DELIVERD)
UNIT_test_tls_deliverd = regress/lib/certhelp.o $(DELIVERD)
UNIT_test_requiretls_out = regress/lib/certhelp.o $(DELIVERD)
UNIT_test_servers = proxyd/servers.o
UNIT_test_cost = regress/lib/queuehelp.o $(QUEUED)
UNITLIBS_test_cost = -ldb-5.3
UNIT_test_pools = $(DELIVERD)
UNIT_test_login = keyd/login.o $(DELIVERD)
UNITLIBS_test_login = -lcrypto
AGENTS = regress/lib/agenthelp.o regress/lib/queuehelp.o \
    $(addprefix queued/,job.o job_send.o) $(QUEUED)
UNIT_test_agents = $(AGENTS)
UNITLIBS_test_agents = -ldb-5.3
UNIT_test_agents_told = $(AGENTS)
UNITLIBS_test_agents_told = -ldb-5.3
UNIT_test_stskeep = deliverd/sts.o
UNIT_test_report = deliverd/report.o
UNIT_test_proxies = queued/proxies.o queued/hosts.o
UNIT_test_again = queued/again.o
UNIT_test_archive = queued/archive.o queued/record.o queued/envelope.o
# A worker of smtpd, all but its main(), and the world around it.
SMTPD	= $(addprefix regress/lib/,smtpdhelp.o smtpdhelp_queued.o smtpdhelp_proxyd.o) \
	$(filter-out smtpd/main.o smtpd/ctl.o,\
	$(patsubst %.c,%.o,$(wildcard smtpd/*.c)))
# One a line, so that lists of several changes go together.
SMTPD_TESTS = \
	archived \
	auth \
	balancer \
	block \
	byrule \
	failover \
	fan \
	fan_falls \
	gateway \
	auth_dovecot \
	listener \
	mirror \
	notify_server \
	peer \
	prdr \
	prepare \
	proxied \
	relay \
	replies \
	routing \
	session \
	session_content \
	session_limits \
	session_options \
	starttls \
	tee \
	verify \
	verify_away \
	window
$(foreach t,$(SMTPD_TESTS),$(eval UNIT_test_$t = $(SMTPD)))
$(foreach t,$(SMTPD_TESTS) source,$(eval UNITLIBS_test_$t = -lssl -lcrypto))
UNITLIBS_fuzz_session = -lssl -lcrypto
UNIT_test_verify = regress/lib/loghelp.o $(SMTPD)
UNIT_test_verify_away = regress/lib/loghelp.o $(SMTPD)
UNIT_test_pki = regress/lib/certhelp.o \
	$(addprefix smtpd/,keyd.o pki.o pki_ask.o pki_ctx.o srs.o) \
	$(addprefix keyd/,key.o ocsp.o cred.o token.o set.o file.o login.o sign.o \
	srs.o push.o peer.o)
UNITLIBS_test_pki = -lssl -lcrypto -Wl,--wrap=event_add
UNIT_test_starttls = regress/lib/loghelp.o regress/lib/certhelp.o $(SMTPD)
UNITLIBS_test_prdr = -Wl,--wrap=arena_str -lssl -lcrypto
UNITLIBS_test_starttls = -Wl,--wrap=pki_ssl -Wl,--wrap=pki_has \
	-lssl -lcrypto
UNIT_test_requiretls = $(UNIT_test_starttls)
UNITLIBS_test_requiretls = $(UNITLIBS_test_starttls)
UNIT_test_source = smtpd/source.o
UNIT_test_guess = smtpd/guess.o smtpd/digest.o queued/guesses.o
UNITLIBS_test_guess = -lcrypto
UNIT_fuzz_session = $(SMTPD)
UNIT_test_places = posternctl/places.o
# sendmail, all but its main().
UNIT_test_sendmail = $(addprefix posternctl/,intake.o letter.o link.o \
    options.o spill.o submit.o)
# TLS towards servers.
UNIT_test_tls_verify = regress/lib/certhelp.o
UNIT_test_dane_ssl = regress/lib/certhelp.o
