# For the system tests: a scratch folder, a loopback address of this test alone,
# a gateway as shipped, peers, and counting. Sourced first by each test:
#
#	. "$(dirname "$0")/lib.sh"
#
# Gives TOP, BUILD, T (scratch, removed at a clean end), A (an address in
# 127.0.0.0/8; every port of it is ours). A test prints one line a case through
# ok, no, skip; regress/run adds them up.
set -u
TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
NAME=$(basename "$0" .sh)
T=$BUILD/test/$NAME
rm -rf "$T"
mkdir -p "$T"
chmod 755 "$BUILD/test" "$T"
A=127.$((16 + $$ / 256 % 200)).$(($$ % 256)).1
. "$TOP/regress/lib/postfix.sh"

FAILED=0
PIDS=
ok() { echo "ok - $NAME: $*"; }
no() { echo "not ok - $NAME: $*"; FAILED=$((FAILED + 1)); }
skip() { echo "skip - $NAME: $*"; }
# check WHAT COMMAND ...: one case, by the command's status.
check() {
	what=$1; shift
	if "$@" >"$T/check.out" 2>&1; then
		ok "$what"
	else
		no "$what ($*)"
		sed 's/^/    /' "$T/check.out" | tail -n 20
	fi
}
# wait_until SECONDS COMMAND ...: true as soon as the command is.
# What takes longer is looked at less often: looking costs the others time.
wait_until() {
	read -r _now _ </proc/uptime
	_end=$((${_now%.*} + $1)) _nap=0.05 _naps=0; shift
	until "$@" >/dev/null 2>&1; do
		read -r _now _ </proc/uptime
		[ "${_now%.*}" -lt "$_end" ] || return 1
		[ $((_naps += 1)) -ne 20 ] || _nap=0.2
		sleep $_nap
	done
}
# loaded FILE N: has load.py written that many lines, so is it under way?
loaded() { [ "$(wc -l <"$1")" -ge "$2" ]; }
need_root() {
	[ "$(id -u)" -eq 0 ] && return 0
	skip "$1: needs root"
	return 1
}
# need_peers WHAT [SERVER ...]: their packages, Postfix's if none is named.
need_peers() {
	_what=$1; shift
	"$TOP/regress/peers" "$PEERS" "$@" >"$T/peers" 2>&1 && return 0
	skip "$_what: the package of ${*:-postfix} could not be fetched"
	return 1
}

# The processes of this test, the gateway's and the peers': our own and, since
# Postfix's master detaches itself, what stands below that.
ours() {
	for _m in "$T"/*/spool/pid/master.pid; do
		[ ! -s "$_m" ] || tr -d ' ' <"$_m"
	done >"$T/masters"
	ps -eo pid=,ppid= | awk -v first="$$ $(tr '\n' ' ' <"$T/masters")" '
	{ pid[NR] = $1; parent[NR] = $2 }
	END {
		for (n = split(first, f); n > 0; n--)
			in_[f[n]] = 1
		do {
			more = 0
			for (i = 1; i <= NR; i++)
				if (!(pid[i] in in_) && parent[i] in in_)
					more = in_[pid[i]] = 1
		} while (more)
		for (p in in_)
			print p
	}'
}
# Notes sockets of ours that are not within 127.0.0.0/8 or ::1, now; nor where
# INSIDE, a pattern, says that a test has a network of its own.
look_around() {
	ours >"$T/ours"
	ss -Htunap 2>/dev/null | awk -v more="${INSIDE:-^$}" '
	function inside(a) {
		return a ~ /^127\./ || a ~ /^\[::1\]/ ||
		    a ~ /^\[::ffff:127\./ || a ~ more
	}
	FNR == NR { mine[$1] = 1; next }
	{
		for (s = $0; match(s, /pid=[0-9]+/); s = substr(s, RSTART + 4))
			if (substr(s, RSTART + 4, RLENGTH - 4) in mine &&
			    (!inside($5) || !(inside($6) || $6 ~ /:\*$/))) {
				print
				break
			}
	}' "$T/ours" - >>"$T/outside"
}

# gateway_start [OPTION ...] <CONFIGURATION: starts one and waits for "ready".
# The statements that name its own paths are added.
gateway_start() {
	mkdir -p "$T/gw"
	cat >"$T/gw/test.conf"
	{
		grep -q '^queue path' "$T/gw/test.conf" ||
		    echo "queue path \"$T/gw/spool\""
		echo "control path \"$T/gw/run\""
		cat "$T/gw/test.conf"
	} >"$T/gw/postern.conf"
	chmod 644 "$T/gw/postern.conf"
	gateway_again "$@"
}
# The same gateway once more, with its queue.
gateway_again() {
	: >"$T/gw/out"
	"$BUILD/postern" -d -f "$T/gw/postern.conf" -L "$BUILD" "$@" \
	    >"$T/gw/out" 2>>"$T/gw/log" &
	GW=$!
	PIDS="$PIDS $GW"
	wait_until 20 gateway_ready_or_gone
	grep -q '^ready$' "$T/gw/out" && { look_around; return 0; }
	no "the gateway did not get ready"
	tail -n 20 "$T/gw/log" | sed 's/^/    /'
	return 1
}
gateway_ready_or_gone() { grep -q '^ready$' "$T/gw/out" || ! kill -0 "$GW"; }
gateway_stop() {
	look_around
	kill "$GW" 2>/dev/null
	wait "$GW" 2>/dev/null
	st=$?
	GW=
	return $st
}
gateway_log() { cat "$T/gw/log"; }
logged() { grep -Eq "$1" "$T/gw/log"; }
ctl() { "$BUILD/posternctl" -s "$T/gw/run" "$@"; }
# pid_of TITLE
pid_of() { ctl -j status | sed -n "s/.*\"title\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p"; }

# send ADDRESS:PORT FROM TO [swaks options]
send() {
	_server=$1 _from=$2 _to=$3; shift 3
	swaks --server "$_server" --from "$_from" --to "$_to" \
	    --helo client.example.org --timeout 20 "$@"
}
# sink ADDRESS:PORT DIR [options]: Postfix's smtp-sink that keeps each message.
sink() {
	mkdir -p "$2"
	_at=$1 _dir=$2 _user=; shift 2
	[ "$(id -u)" -ne 0 ] || { _user="-u nobody"; chown nobody "$_dir"; }
	LD_LIBRARY_PATH="$POSTFIX/usr/lib/postfix" \
	    "$POSTFIX/usr/sbin/smtp-sink" $_user -d "$_dir/%M." "$@" "$_at" 1024 \
	    >"$_dir.out" 2>&1 &
	SINK=$!
	PIDS="$PIDS $SINK"
	wait_until 5 listening "$_at"
}
# peer NAME ADDRESS:PORT [options]: a scripted server, regress/lib/peer.py, that
# writes to T/peer/NAME; sets PEER.
peer() {
	mkdir -p "$T/peer"
	_name=$1; shift
	: >"$T/peer/$_name.out"
	python3 "$TOP/regress/lib/peer.py" "$@" --log "$T/peer/$_name" \
	    >"$T/peer/$_name.out" 2>&1 &
	PEER=$!
	PIDS="$PIDS $PEER"
	wait_until 10 grep -q ready "$T/peer/$_name.out"
}
# got NAME TEXT: has that peer a message with TEXT in it? T/got then has it.
got() {
	python3 "$TOP/regress/lib/peerlog.py" "$T/peer/$1" "$2" >"$T/got" &&
	    [ -s "$T/got" ]
}
# has, lacks PATTERN; once: what got found.
has() { grep -q -e "$1" "$T/got"; }
lacks() { ! grep -q -e "$1" "$T/got"; }
once() { [ "$(grep -c '^END$' "$T/got")" -eq 1 ]; }
listening() { ss -Hltn "src $1" | grep -q .; }

# What each test must not have, whatever it is about.
afterwards() {
	look_around
	if [ -s "$T/outside" ]; then
		no "nothing listens or connects outside 127.0.0.0/8 and ::1"
		sort -u "$T/outside" | sed 's/^/    /'
	fi
	grep -rhE --exclude-dir=spool --exclude-dir=in --exclude-dir=mail \
	    'ERROR: (Address|Leak)Sanitizer|SUMMARY: |runtime error: ' "$T" \
	    >"$T/sanitizer" 2>/dev/null
	if [ -s "$T/sanitizer" ]; then
		no "the sanitizers found nothing"
		grep -rhE -A 30 --exclude-dir=spool --exclude-dir=in \
		    'ERROR: (Address|Leak)Sanitizer|runtime error: ' "$T" |
		    head -n 60 | sed 's/^/    /'
	fi
}
finish() {
	st=$?
	trap - EXIT INT TERM
	afterwards
	# Postfix's masters detach themselves; their pids are in their spools.
	for p in $PIDS; do kill "$p" 2>/dev/null; done
	for d in "$T"/*/; do postfix_stop "${d%/}"; done
	for p in $PIDS; do wait "$p" 2>/dev/null; done
	cleanup 2>/dev/null
	[ "$FAILED" -gt 0 ] && st=1
	[ "$st" -ne 0 ] || [ -n "${KEEP:-}" ] || rm -rf "$T"
	exit $st
}
cleanup() { :; }
trap finish EXIT
trap 'exit 1' INT TERM
