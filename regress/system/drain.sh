#!/bin/sh
# A delivery that takes long, and one reload after the other: a generation that
# is one too many ends in order and soon, whatever time it was given at first.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/regress/lib/peer.py" "$A:2500" --log "$T/peer.log" \
    --on "data@1" stall --on "data@2" stall --on "data@3" stall >"$T/peer.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 grep -q ready "$T/peer.out"
gateway_start <<E2 || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } open
listen on $A port 2525
match from any for any action "out"
queue retry 1s..2s
E2
first=$(pid_of deliverd.1)
hang() { [ "$(grep -c '"line": "DATA"' "$T/peer.log")" -ge "$1" ]; }
# Each generation has one that hangs, so none ends by itself.
for n in 1 2 3; do
	check "message $n is taken" send "$A:2525" a@client.example "b$n@dest.example"
	check "its delivery hangs" wait_until 10 hang $n
	check "reload $n" ctl reload
done
gone() { ! kill -0 "$first" 2>/dev/null; }
check "its deliverd is gone soon" wait_until 15 gone
check "having told queued, not killed" logged \
    'event=deliver to=<b1@.*result=deferred .*The gateway is shutting down'
check "no daemon had to be killed" sh -c "! grep -q 'event=died.*SIGKILL' '$T/gw/log'"
check "another deliverd delivers it" wait_until 20 logged \
    'event=deliver to=<b1@.*result=delivered'
