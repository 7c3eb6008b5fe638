#!/bin/sh
# The parent: what its children start with, how it starts them again, what
# systemd hears, how it ends.
. "$(dirname "$0")/lib.sh"

# What systemd would hear, each datagram a line with its time.
cat >"$T/notify.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    text = s.recv(4096).decode().replace("\n", " ")
    print("%d %s" % (time.monotonic_ns() // 1000, text), flush=True)
PY
NOTIFY_SOCKET=$T/notify
python3 "$T/notify.py" "$NOTIFY_SOCKET" >"$T/heard" &
PIDS="$PIDS $!"
wait_until 5 test -S "$NOTIFY_SOCKET"
export NOTIFY_SOCKET
heard() { grep -q "$1" "$T/heard"; }

gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
action "live" proxy to { "$A:2500" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
match for any action "out"
EOF
unset NOTIFY_SOCKET
state() { ctl -j status | sed -n "s/.*\"title\":\"$1\".*\"state\":\"\([a-z]*\)\".*/\1/p"; }
is_ready() { [ "$(state "$1")" = ready ]; }
back() { p=$(pid_of "$1"); [ "${p:-0}" != 0 ] && [ "$p" != "$2" ] && is_ready "$1"; }
restarts() { ctl -j status | sed -n "s/.*\"title\":\"$1\".*\"restarts\":\([0-9]*\).*/\1/p"; }

check "systemd hears READY once the listeners answer" heard 'READY=1 STATUS=serving'

# What a child starts with.
for title in smtpd.1 queued keyd; do
	pid=$(pid_of $title)
	# A sanitizer's options are passed on in builds that have it.
	tr '\0' '\n' <"/proc/$pid/environ" | grep -v 'SAN_OPTIONS\|^$\|GCOV' |
	    grep '=' | sort >"$T/env"
	# The title overwrites it; what can be seen is nothing of ours.
	check "$title: nothing of our environment" sh -c \
	    "! grep -v '^TZ=:/etc/localtime$\|^LC_ALL=C$' '$T/env'"
	check "$title: descriptors 0 and 1 lead nowhere" sh -c \
	    "[ \$(readlink /proc/$pid/fd/0) = /dev/null ] &&
	    [ \$(readlink /proc/$pid/fd/1) = /dev/null ]"
	check "$title: 3 is the parent" sh -c "readlink /proc/$pid/fd/3 | grep -q socket:"
	check "$title: no file but the log is open" sh -c \
	    "! ls -l /proc/$pid/fd | grep -v '/fd/2\$' | sed -n 's/.*-> //p' |
	    grep '^/' | grep -v '^/dev/null$\|/gw/log\$\|/gw/spool/'"
done

# Died: at once again, with the others as they were.
q=$(pid_of queued)
old=$(pid_of smtpd.1)
kill -QUIT "$old"
check "a worker that crashed is back" wait_until 5 back smtpd.1 "$old"
check "its death is told with the signal" logged "daemon=smtpd.1 event=died pid=$old signal=SIGQUIT"
check "the others went on" test "$(pid_of queued)" = "$q"
check "it was started once more" test "$(restarts smtpd.1)" = 1
send "$A:2525" a@client.example b@dest.example --quit-after RCPT >"$T/out" 2>&1
check "and it serves" grep -q '^<.*250 .*2.1.5' "$T/out"
kill -KILL "$q"
check "the queue's daemon too" wait_until 10 back queued "$q"
# Again and again: later each time, never for good.
for i in 1 2 3 4 5; do
	p=$(pid_of lookupd)
	kill -KILL "$p"
	wait_until 10 back lookupd "$p" || no "lookupd is back ($i)"
done
check "five deaths are five restarts" test "$(restarts lookupd)" = 5
# One that talks rubbish to the others: a new pair twice, then its end. The
# write(2) is put into it by ptrace.
rubbish() {	# PID DESCRIPTOR LENGTH
	at=$(sed -n 's/^\([0-9a-f]*\)-.* r--p .*/0x\1/p' "/proc/$1/maps" | head -n 1)
	"$BUILD/regress/lib/inject" "$1" 1 "$2" "$at" "$3"
}
channels() { ls -l "/proc/$1/fd" | sed -n 's/.* \([0-9]*\) -> socket:.*/\1/p' | grep -vx '[0-3]'; }
if [ "$(id -u)" -eq 0 ]; then
	wait_until 10 is_ready smtpd.1
	p=$(pid_of smtpd.1) q=$(pid_of queued) l=$(pid_of lookupd)
	for fd in $(channels "$p"); do
		rubbish "$p" "$fd" 40 >>"$T/rubbish" 2>&1
	done
	check "malformed messages are told by who got them" wait_until 5 \
	    logged 'daemon=(queued|lookupd) event=malformed by=smtpd.1'
	check "the third within a minute ends who sent them" wait_until 5 \
	    logged 'daemon=smtpd.1 event=kill why="the third malformed'
	check "it is back after that" wait_until 10 back smtpd.1 "$p"
	check "those who got them go on" test \
	    "$(pid_of queued) $(pid_of lookupd)" = "$q $l"
	send "$A:2525" a@client.example b@dest.example --quit-after RCPT \
	    >"$T/out" 2>&1
	check "and all are wired up again" grep -q '^<.*250 .*2.1.5' "$T/out"
	# To the parent: rubbish, and an empty packet, which looks like its end.
	for n in 40 0; do
		wait_until 10 is_ready smtpd.1
		p=$(pid_of smtpd.1)
		rubbish "$p" 3 $n >>"$T/rubbish" 2>&1
		check "$n bytes to the parent end it" wait_until 5 \
		    logged "daemon=smtpd.1 event=died pid=$p signal=SIGKILL"
		check "it is back" wait_until 10 back smtpd.1 "$p"
	done
else
	skip "rubbish between daemons: needs root"
fi
# No descriptor is left for a caller: it waits, and the parent does not spin.
if command -v prlimit >/dev/null; then
	soft=$(awk '/^Max open files/ {print $4}' "/proc/$GW/limits")
	prlimit --pid "$GW" --nofile=3:
	ctl status >"$T/waited" 2>&1 &
	waiting=$!
	wait_until 5 logged 'event=control: Too many open files'
	# Three tries more are 0.3 s by the log, not three turns of the loop.
	tries() { [ "$(grep -c 'event=control: Too many' "$T/gw/log")" -ge "$1" ]; }
	wait_until 5 tries 4
	check "accept is tried again ten times a second" test "$(
	    sed -n 's/^[^ ]*T\([^ ]*\) .*event=control: Too many.*/\1/p' "$T/gw/log" |
	    awk -F: 'NR == 1 { a = $1 * 3600 + $2 * 60 + $3 }
		NR == 4 { printf "%d", ($1 * 3600 + $2 * 60 + $3 - a) * 1000 }')" \
	    -ge 200
	prlimit --pid "$GW" --nofile="$soft:"
	wait $waiting
	check "the caller is answered when there is room" grep -q smtpd.1 "$T/waited"
fi
# Stopped, it does not answer a reload: that fails, and it is started anew.
p=$(pid_of keyd)
kill -STOP "$p"
ctl reload >"$T/out" 2>&1
check "a reload fails when a daemon does not answer" test $? -eq 78
check "the daemon's name is told" grep -q keyd "$T/out"
check "it was killed" logged "daemon=keyd event=kill pid=$p why=.no answer"
check "and is back" wait_until 10 back keyd "$p"
check "generation 1 is in force" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' -j status | grep -q '\"kind\":\"gateway\".*\"generation\":1'"
check "the next reload goes through" ctl reload

# systemd hears of reloads, with a time not before the signal's.
: >"$T/heard"
before=$(python3 -c 'import time; print(time.monotonic_ns() // 1000)')
kill -HUP "$GW"
check "systemd hears RELOADING" wait_until 10 heard RELOADING=1
check "and READY after it" wait_until 10 heard READY=1
usec=$(sed -n 's/.*MONOTONIC_USEC=\([0-9]*\).*/\1/p' "$T/heard")
check "its time is not before the signal" test "${usec:-0}" -ge "$before"

# A session that says nothing and tells what it hears.
quiet_session() {
	python3 - "$A" 2525 >"$T/$1" 2>&1 <<'PY' &
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.settimeout(60)
f = s.makefile("rb")
print(f.readline().decode().strip(), flush=True)
print(f.readline().decode().strip(), flush=True)
PY
	PIDS="$PIDS $!"
	wait_until 5 grep -q ^220 "$T/$1"
}
# Two old generations at most: sessions of the oldest end with 421.
for i in 1 2 3; do
	quiet_session "old$i"
	ctl reload >"$T/out" 2>&1 || no "reload $i"
	[ $i = 3 ] || check "the sessions of $i old generations go on" sh -c \
	    "! grep -q 421 '$T/old1' '$T/old$i'"
done
check "a third old one ends the oldest's with 421" \
    wait_until 15 grep -q '^421 4.3.2' "$T/old1"
check "the others go on" sh -c "! grep -q 421 '$T/old2' '$T/old3'"
generations() { ctl -j status | sed -n 's/.*"generation":\([0-9]*\).*/\1/p' | sort -u | wc -l; }
three() { [ "$(generations)" -eq 3 ]; }
check "its processes are gone" wait_until 10 three

# The end: sessions that run have ten seconds and no more.
quiet_session last
all=$(ctl -j status | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
: >"$T/heard"
t0=$(date +%s)
gateway_stop
check "SIGTERM ends it in order" test $? -eq 0
t1=$(date +%s)
check "within what sessions are given" test $((t1 - t0)) -le 13
check "a running session was told" wait_until 2 grep -q ^421 "$T/last"
check "systemd heard STOPPING" heard STOPPING=1
check "the control sockets are gone" test ! -e "$T/gw/run/postern" -a \
    ! -e "$T/gw/run/smtpd.1" -a ! -e "$T/gw/run/queued"
left() { for p in $all; do [ ! -e "/proc/$p" ] || return 0; done; return 1; }
check "no process is left" sh -c "[ $(left; echo $?) = 1 ]"

# A daemon that does not get ready fails the start.
mkdir "$T/bin"
for d in smtpd queued deliverd proxyd lookupd keyd; do
	ln -s "$BUILD/$d" "$T/bin/$d"
done
ln -sf /bin/false "$T/bin/proxyd"
"$BUILD/postern" -d -f "$T/gw/postern.conf" -L "$T/bin" >"$T/false.out" 2>"$T/false"
check "a daemon that dies before it is ready fails the start" test $? -eq 1
check "it says which" grep -q 'proxyd.* did not get ready' "$T/false"
check "it was never ready" test ! -s "$T/false.out"
