#!/bin/sh
# kill -9 of smtpd at moments of a transaction with two live servers and the
# queue: what is prepared says what is to be finished, nothing that was taken is
# lost, nobody is told 250 for nothing.
. "$(dirname "$0")/lib.sh"

# The first to be asked is the one of the first recipient.
peer one $A:2501 --on "dot=" stall:1
peer two $A:2502 --on "dot=" stall:1.2
peer kept $A:2503
gateway_start <<E2 || exit 1
hostname gw.example.org
action "one"  proxy to "$A:2501" open
action "two"  proxy to "$A:2502" open
action "kept" relay to "$A:2503"
listen on $A port 2525 on-conflict fan-out
match from any for domain "one.example" action "one"
match from any for domain "two.example" action "two"
match from any for domain "kept.example" action "kept"
queue retry 1s..2s
E2
python3 "$TOP/regress/lib/fankill.py" $A:2525 "$BUILD/posternctl" "$T/gw/run" \
    "$T/peer/one" "$T/peer/two" "$T/peer/kept" <"$T/gw/log" ||
    FAILED=$((FAILED + 1))
check "the queue gets empty" wait_until 20 sh -c \
    "[ -z \"\$('$BUILD/posternctl' -j -s '$T/gw/run' queue list)\" ]"
