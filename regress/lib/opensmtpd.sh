# A real OpenSMTPD, run from its unpacked package in a root directory of its
# own: sourced by tests. Needs root, no user and no package.
#
#	opensmtpd_start DIR ADDRESS PORT <RULES
#				RULES are of smtpd.conf(5); sets OPENSMTPD (pid)
#	opensmtpd_stop DIR

. "$TOP/regress/lib/jail.sh"

opensmtpd_start() {
	d=$1
	jail_make "$d" opensmtpd opensmtpq
	mkdir -p "$d/root/var/spool/smtpd" "$d/root/var/lib/opensmtpd/empty"
	chmod 711 "$d/root/var/spool/smtpd"
	{
		echo "listen on $2 port $3 hostname opensmtpd.example"
		cat
	} >"$d/smtpd.conf"
	chmod 600 "$d/smtpd.conf"
	( jail_exec "$d" "$PEERS/opensmtpd/usr/sbin/smtpd" -d \
	    -f "$d/smtpd.conf" ) >"$d/log" 2>&1 &
	OPENSMTPD=$!
	echo $OPENSMTPD >"$d/pid"
	PIDS="$PIDS $OPENSMTPD"
}
opensmtpd_stop() {
	kill "$(cat "$1/pid")" 2>/dev/null || return 0
	wait "$(cat "$1/pid")" 2>/dev/null
}
