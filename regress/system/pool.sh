#!/bin/sh
# A pool under load: shares by weight, a standby, servers that are stopped and
# started again. Nothing is lost, nothing waits while a server answers, a server
# that is down is tried by one probe at a growing interval, and a reload forgets
# none of it.
. "$(dirname "$0")/lib.sh"

# server NAME PORT: its log goes on where it was.
server() {
	: >"$T/$1.out"
	python3 "$TOP/regress/lib/peer.py" "$A:$2" --log "$T/$1.log" --no-content \
	    >"$T/$1.out" 2>&1 &
	PIDS="$PIDS $!"
	eval "PID_$1=$!"
	wait_until 10 grep -q ready "$T/$1.out"
}
stop() {
	for _s in "$@"; do
		eval "kill -9 \$PID_$_s"
		eval "wait \$PID_$_s" 2>/dev/null
	done
}
took() { cat "$T/$1.log" 2>/dev/null | grep -c '"event": "message"'; }
# host PORT: its line of "posternctl -j hosts"; is PORT KEY VALUE
host() { ctl -j hosts | grep "]:$1\""; }
is() { host "$1" | grep -q "\"$2\":$3[,}]"; }
failures() { host "$1" | sed 's/.*"failures":\([0-9]*\).*/\1/'; }
FIRST=1
# load COUNT [SESSIONS]
load() {
	python3 "$TOP/regress/lib/load.py" "$A:2525" --out "$T/acked.$FIRST" \
	    --sessions "${2:-8}" --count "$1" --first "$FIRST" --to dest.example
}
# All that was taken so far is delivered.
delivered() { [ "$(ctl -j queue stats | sed 's/.*"messages":\([0-9]*\).*/\1/')" = 0 ]; }
between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }

server one 2501
server two 2502
server spare 2503
gateway_start <<E2 || exit 1
hostname gw.example.org
pool "inside" { "$A:2501" weight 3, "$A:2502" weight 1, "$A:2503" standby } \
    probe 1s..4s max-connections 6
action "in" relay to pool "inside"
listen on $A port 2525
match from any for domain "dest.example" action "in"
queue retry 10m..2h
limit sessions per source 1000
log level debug
E2

# ---- shares ----
# Not more than they take at once, or the shares are those of connections.
load 800 2; FIRST=801
check "all of a load is delivered" wait_until 30 delivered
one=$(took one) two=$(took two)
check "three parts of four to the first: $one of 800" between "$one" 540 660
check "one to the second: $two" between "$two" 140 260
check "none to the standby" test "$(took spare)" -eq 0
check "hosts has the pool, and what was delivered" wait_until 5 is 2501 delivered "$one"
check "hosts is a table for people" sh -c "$BUILD/posternctl -s $T/gw/run hosts |
    grep -q '^$A\[$A\]:2502  *inside  *up '"

# ---- one dies under load ----
load 800 & LOAD=$!
FIRST=1601
wait_until 10 loaded "$T/acked.801" 200
stop one
wait $LOAD
check "one server killed: all is delivered at once" wait_until 20 delivered
check "nothing waited for it" sh -c "! grep -q 'event=deliver .*result=deferred' '$T/gw/log'"
check "the standby has nothing to do" test "$(took spare)" -eq 0
check "hosts: down" wait_until 5 is 2501 state '"down"'
more() { [ "$(failures 2501)" -ge 3 ]; }
check "it is probed" wait_until 20 more
check "a reload" ctl reload
n=$(failures 2501)
check "the new deliverd knows it as down" test "$n" -ge 3
check "and probes it on" wait_until 30 sh -c "
    [ \$($BUILD/posternctl -s $T/gw/run -j hosts | grep ']:2501' |
    sed 's/.*\"failures\":\([0-9]*\).*/\1/') -gt $n ]"
# 1 s, 2 s, 4 s, each spread by a fifth, found within the second.
grep 'event=health .*:2501 state=down' "$T/gw/log" >"$T/probes"
check "its probes are one at a time, the intervals grow" python3 - "$T/probes" <<'E3'
import datetime
import sys
at = [datetime.datetime.fromisoformat(x.split()[0]) for x in open(sys.argv[1])]
gaps = [(b - a).total_seconds() for a, b in zip(at, at[1:])]
print(gaps)
want = 1.0
for g in gaps:
    if not 0.75 * want <= g <= 1.25 * want + 1.6:
        sys.exit("%.1f s instead of %.1f" % (g, want))
    want = min(want * 2, 4)
sys.exit(len(gaps) < 3)
E3

# ---- it comes back ----
server one 2501
check "it is back by a probe" wait_until 15 is 2501 state '"up"'
one=$(took one)
load 400 2; FIRST=2001
check "delivered" wait_until 20 delivered
one=$(($(took one) - one))
check "with its full share: $one of 400" between "$one" 260 340

# ---- only the standby is left ----
stop one two
load 200; FIRST=2201
check "both down: all goes to the standby at once" wait_until 30 delivered
check "which took them" between "$(took spare)" 190 220
check "still nothing waited" sh -c "! grep -q 'event=deliver .*result=deferred' '$T/gw/log'"

# ---- none is left ----
stop spare
load 50; FIRST=2251
check "all down: mail waits" wait_until 10 logged 'result=deferred'
server two 2502
check "one is back: what waited goes at once" wait_until 25 delivered

# ---- counting ----
cat "$T"/acked.* | awk '$1 == "acked" { print $2 }' | sort -n >"$T/acked"
cat "$T"/one.log "$T"/two.log "$T"/spare.log | grep '"event": "message"' |
    sed 's/.*"to": \["r\([0-9]*\)@.*/\1/' | sort -n >"$T/got"
sort -n -u "$T/got" >"$T/once"
check "each of $(wc -l <"$T/acked") was taken" test "$(wc -l <"$T/acked")" -eq 2250
check "nothing is lost" cmp "$T/acked" "$T/once"
# RFC 5321, 6.1: where a server was killed between the dot and its answer.
twice=$(($(wc -l <"$T/got") - $(wc -l <"$T/once")))
lost=$(grep -c 'result=lost .*after end of data' "$T/gw/log")
check "nothing twice but what was lost behind the dot: $twice of $lost" \
    test "$twice" -le "$lost"
check "nobody broke the protocol" sh -c "! grep -h '\"event\": \"error\"' '$T'/*.log"
