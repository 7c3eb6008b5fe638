#!/bin/sh
# Delivery status notifications of a real gateway: who is told what, read by a
# parser of mail.
. "$(dirname "$0")/lib.sh"

# peer PORT OPTION ...
peer() {
	_port=$1; shift
	python3 "$TOP/regress/lib/peer.py" "$A:$_port" --log "$T/$_port.log" "$@" \
	    >"$T/$_port.out" 2>&1 &
	PIDS="$PIDS $!"
	wait_until 10 grep -q ready "$T/$_port.out" ||
	    no "the server at $_port does not listen"
}
caps=PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SMTPUTF8
peer 2500 --caps "$caps" --on "rcpt=TO:<no" "reply:550 5.1.1 no such user here" \
    --on "rcpt=TO:<later" "reply:452 4.2.2 mailbox full"
peer 2501 --caps "$caps" --on "rcpt=TO:<refused" "reply:550 5.1.1 gone"
peer 2503 --caps "$caps,DSN"

gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" }
action "back" relay to { "$A:2501" }
action "dsn"  relay to { "$A:2503" }
action "drop" discard
listen on $A port 2525
action "team" expand aliases { team@client.example = "t1, t2" }
match from any for rcpt-to "team@client.example" action "team"
match from any for domain "client.example" action "back"
match from any for domain "dsn.example" action "dsn"
match from any for domain "drop.example" action "drop"
match from any for domain "dest.example" action "out"
postmaster pm@client.example double-bounces
queue retry 1s..2s warn-after 12s ttl 20s
EOF
python3 "$TOP/regress/lib/dsn.py" "$A:2525" "$T/2501.log" "$T/2503.log" ||
    FAILED=$((FAILED + 1))

check "the log tells of failures" logged 'event=bounce of=.* rcpts=2 result=queued'
check "of delays" logged 'event=delay of=.* result=queued'
check "of success" logged 'event=notify of=.* what=relayed rcpts=2 result=queued'
check "the queue gets empty" wait_until 20 sh -c \
    "[ \$('$BUILD/posternctl' -s '$T/gw/run' -j queue list | wc -l) = 0 ]"
