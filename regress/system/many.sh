#!/bin/sh
# Many sessions: 2,000 that do nothing, work beside them, slow clients among
# them, and more than the limit allows, which wait and are served later.
. "$(dirname "$0")/lib.sh"
need_peers "smtp-sink" || exit 0
[ "$(ulimit -n)" -ge 12000 ] || ulimit -n 12000 2>/dev/null || {
	skip "2,000 sessions: only $(ulimit -n) descriptors"
	exit 0
}
sink $A:2500 "$T/in"
gateway_start <<EOF2 || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } open
listen on $A port 2525
match from any for domain "dest.example" action "out"
limit sessions 2200
EOF2
workers=$(ctl -j status | sed -n 's/.*"title":"smtpd\.[0-9]*".*"pid":\([0-9]*\).*/\1/p')
# shellcheck disable=SC2086
python3 "$TOP/regress/lib/many.py" "$TOP/regress/lib" $A:2525 "$T/in" 2200 2000 \
    $workers || FAILED=1
none_left() { ! ctl -j sessions | grep -q '"client"'; }
check "no session is left" wait_until 10 none_left
check "and the gateway still answers" send $A:2525 a@c.example b@dest.example
