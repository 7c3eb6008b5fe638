# A real Postfix as the actual server, run from its unpacked package: sourced by
# tests. Needs root (its master does), but no user of its own and no package.
#
#	postfix_start DIR ADDRESS PORT	serves example.org into DIR/mail/ (Maildir);
#				$POSTFIX_MORE is more of main.cf,
#				$POSTFIX_SERVICES of master.cf
#	postfix_stop DIR
#	smtp_source, smtp_sink	its load generators

PEERS=${PEERS:-$TOP/build/peers}
POSTFIX=$PEERS/postfix
postfix_run() {
	prog=$1; shift
	LD_LIBRARY_PATH="$POSTFIX/usr/lib/postfix" "$POSTFIX/usr/$prog" "$@"
}
smtp_source() { postfix_run sbin/smtp-source "$@"; }

postfix_start() {
	d=$1
	mkdir -p "$d/etc" "$d/spool" "$d/data" "$d/mail"
	chown daemon "$d/data"
	chown nobody "$d/mail"
	chmod 755 "$d" "$d/mail"
	cat >"$d/etc/main.cf" <<-EOF
	compatibility_level = 3.6
	queue_directory = $d/spool
	data_directory = $d/data
	command_directory = $POSTFIX/usr/sbin
	daemon_directory = $POSTFIX/usr/lib/postfix/sbin
	shlib_directory = $POSTFIX/usr/lib/postfix
	meta_directory = $POSTFIX/etc/postfix
	import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH
	mail_owner = daemon
	setgid_group = games
	default_privs = nobody
	maillog_file = $d/log
	maillog_file_prefixes = $d
	inet_interfaces = 127.0.0.1
	inet_protocols = ipv4
	myhostname = actual.example.org
	mydestination =
	local_recipient_maps =
	alias_maps =
	alias_database =
	mynetworks = 127.0.0.0/8
	smtpd_peername_lookup = no
	smtpd_client_connection_count_limit = 0
	default_process_limit = 100
	virtual_mailbox_domains = example.org
	virtual_mailbox_base = $d/mail
	virtual_mailbox_maps = inline:{ user@example.org=user/, other@example.org=other/ }
	virtual_uid_maps = static:$(id -u nobody)
	virtual_gid_maps = static:$(id -g nobody)
	smtpd_relay_restrictions = reject_unauth_destination
	smtp_tls_security_level = none
	smtpd_tls_security_level = none
	biff = no
	in_flow_delay = 0
	${POSTFIX_MORE:-}
	EOF
	cat >"$d/etc/master.cf" <<-EOF
	$2:$3 inet n - n - 0 smtpd
	${POSTFIX_SERVICES:-}
	postlog unix-dgram n - n - 1 postlogd
	pickup unix n - n 60 1 pickup
	cleanup unix n - n - 0 cleanup
	qmgr unix n - n 300 1 qmgr
	rewrite unix - - n - - trivial-rewrite
	bounce unix - - n - 0 bounce
	defer unix - - n - 0 bounce
	trace unix - - n - 0 bounce
	verify unix - - n - 1 verify
	flush unix n - n 1000? 0 flush
	proxymap unix - - n - - proxymap
	proxywrite unix - - n - 1 proxymap
	smtp unix - - n - - smtp
	relay unix - - n - - smtp
	showq unix n - n - - showq
	error unix - - n - - error
	retry unix - - n - - error
	discard unix - - n - - discard
	local unix - n n - - local
	virtual unix - n n - - virtual
	lmtp unix - - n - - lmtp
	anvil unix - - n - 1 anvil
	scache unix - - n - 1 scache
	tlsmgr unix - - n 1000? 1 tlsmgr
	EOF
	postfix_run sbin/postfix -c "$d/etc" check >>"$d/check" 2>&1
	# The environment of a service of its own; master daemonises by itself.
	LD_LIBRARY_PATH="$POSTFIX/usr/lib/postfix" \
	    "$POSTFIX/usr/lib/postfix/sbin/master" -c "$d/etc" -w >>"$d/check" 2>&1
}

postfix_stop() {
	[ -s "$1/spool/pid/master.pid" ] || return 0
	kill "$(tr -d ' ' <"$1/spool/pid/master.pid")" 2>/dev/null || :
}
