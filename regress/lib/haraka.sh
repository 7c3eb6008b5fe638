# A real Haraka, run from its unpacked package in a root directory of its own,
# where it finds no resolver to ask: sourced by tests. Needs root and node.
#
#	haraka_start DIR ADDRESS PORT NEXT	takes every recipient but
#				unknown@, gives messages to NEXT (ADDRESS:PORT)

. "$TOP/regress/lib/jail.sh"

haraka_start() {
	d=$1
	jail_make "$d"
	mkdir -p "$d/config" "$d/plugins" "$d/queue"
	printf 'listen=%s:%s\nnodes=0\n' "$2" "$3" >"$d/config/smtp.ini"
	echo "haraka.example" >"$d/config/me"
	echo "WARN" >"$d/config/loglevel"
	printf '[haproxy]\n[headers]\nadd_received=true\n[max]\nbytes=9000000\n[message]\ngreeting=haraka.example ESMTP\n[uuid]\n' \
	    >"$d/config/connection.ini"
	printf 'taken\nqueue/smtp_forward\n' >"$d/config/plugins"
	printf 'host=%s\nport=%s\nenable_tls=false\nenable_outbound=false\n' \
	    "${4%:*}" "${4##*:}" >"$d/config/smtp_forward.ini"
	cat >"$d/plugins/taken.js" <<-'EOF'
	exports.hook_rcpt = (next, connection, params) =>
	    params[0].user === 'unknown' ?
	    next(DENY, 'no such user') : next(OK);
	EOF
	( jail_exec "$d" node "$PEERS/haraka/node_modules/Haraka/bin/haraka" \
	    -c "$d" ) >"$d/log" 2>&1 &
	HARAKA=$!
	PIDS="$PIDS $HARAKA"
	wait_until 20 listening "$2:$3"
}
