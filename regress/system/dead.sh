#!/bin/sh
# A dead server: the regular way keeps the mail and delivers when it is back,
# the proxy way says 4xx at once; a permanent refusal makes a bounce.
. "$(dirname "$0")/lib.sh"
need_peers "dead server" || exit 0

gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
action "back" relay to { "$A:2501" } open
action "live" proxy to { "$A:2500" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
listen on $A port 2527 tag rule
match tag rule from any for any action "live"
match from any for domain "client.example" action "back"
match from any for any action "out"
queue retry 1s..2s
EOF
arrived() { grep -rlq "^Subject: $1\$" "$T/in"; }

check "the queue takes mail for a server that is down" \
    send $A:2525 a@client.example b@dest.example --header "Subject: waits"
check "it is deferred" wait_until 10 logged 'event=deliver .*result=deferred'
check "queue list shows it with the reason" \
    sh -c "'$BUILD/posternctl' -s '$T/gw/run' queue list | grep -qi refused"
send $A:2526 a@client.example b@dest.example >"$T/proxy" 2>&1
check "the proxy says 421 at once" grep -q '421 ' "$T/proxy"
send $A:2527 a@client.example b@dest.example >"$T/rule" 2>&1
check "a rule of type proxy says 451 or 421 at RCPT" \
    grep -Eq '(451|421) ' "$T/rule"

sink $A:2500 "$T/in"
check "it is delivered when the server is back" wait_until 20 arrived waits
kill $SINK

# A server that refuses for good, and one that takes the bounce.
sink $A:2501 "$T/bounces"
sink $A:2500 "$T/no" -f rcpt
bounced() { grep -rq "^Auto-Submitted: auto-replied" "$T/bounces"; }
send $A:2525 a@client.example b@dest.example --header "Subject: refused" \
    >"$T/out" 2>&1
check "a permanent refusal is failed" \
    wait_until 20 logged 'event=deliver .*result=failed'
check "the sender gets a bounce" wait_until 20 bounced
check "from the null sender" grep -rq '^X-Mail-Args: <>' "$T/bounces"
check "it says which address and which reply" sh -c \
    "grep -rq 'b@dest.example' '$T/bounces' && grep -rq '^.*5[05][0-9]' '$T/bounces'"
send $A:2525 '<>' b@dest.example >"$T/out" 2>&1
check "no bounce for the null sender" wait_until 20 logged 'event=bounce .*result=dropped'
