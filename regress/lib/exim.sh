# A real Exim, run from its unpacked package in a root directory of its own:
# sourced by tests. Needs root, no user and no package.
#
#	exim_start DIR ADDRESS PORT <ROUTERS
#				ROUTERS are what stands behind "begin routers";
#				the transport "out" speaks SMTP to the port of
#				$EXIM_OUT, $EXIM_TLS may be main options of
#				TLS; sets EXIM (pid)
#	exim_stop DIR

. "$TOP/regress/lib/jail.sh"

exim_start() {
	d=$1
	jail_make "$d" Debian-exim
	mkdir -p "$d/spool" "$d/log" "$d/root/etc/exim4"
	chown "$(jail_uid "$d" Debian-exim)" "$d/spool" "$d/log"
	echo "$d/exim.conf" >"$d/root/etc/exim4/trusted_configs"
	cat >"$d/exim.conf" <<-EOF2
	exim_path = $PEERS/exim/usr/sbin/exim4
	spool_directory = $d/spool
	log_file_path = $d/log/%slog
	primary_hostname = exim.example
	local_interfaces = $2
	daemon_smtp_ports = $3
	acl_smtp_rcpt = take
	acl_smtp_data = take
	host_lookup =
	rfc1413_hosts =
	${EXIM_TLS:-tls_advertise_hosts =}
	keep_environment =
	deliver_drop_privilege = true
	message_logs = false
	smtp_enforce_sync = false
	prdr_enable = false
	begin acl
	take:
	  accept
	begin routers
	$(cat)
	begin transports
	out:
	  driver = smtp
	  port = ${EXIM_OUT:-25}
	  allow_localhost
	  hosts_avoid_tls = *
	  hosts_try_dane =
	  dnssec_request_domains =
	begin retry
	* * F,1h,1s
	EOF2
	# -q1s: what waits is looked at each second.
	( jail_exec "$d" "$PEERS/exim/usr/sbin/exim4" -C "$d/exim.conf" \
	    -bdf -q1s ) >"$d/out" 2>&1 &
	EXIM=$!
	echo $EXIM >"$d/pid"
	PIDS="$PIDS $EXIM"
}
exim_stop() {
	kill "$(cat "$1/pid")" 2>/dev/null || return 0
	wait "$(cat "$1/pid")" 2>/dev/null
}
