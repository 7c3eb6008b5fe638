#!/bin/sh
# Smuggling and injection: what ends a message for one server and not for
# another, both ways and by a rule, with a real Postfix and smtp-sink behind;
# each byte at each place of a command, with a server that writes down what it
# gets; and the log of all that.
. "$(dirname "$0")/lib.sh"
need_root "a real Postfix" || exit 0
need_peers "smuggling" || exit 0

postfix_start "$T/pf" $A 2500
wait_until 10 listening $A:2500 || no "Postfix does not listen"
sink $A:2501 "$T/in"
python3 "$TOP/regress/lib/peer.py" $A:2502 --log "$T/peer.log" --no-content \
    --caps 'PIPELINING,SIZE 1000000,8BITMIME,DSN,SMTPUTF8,ENHANCEDSTATUSCODES' \
    --on 'rcpt=evil' 'raw:550 5.1.1 \x1b[31m%n%s\x00\x01\xff\r\n' \
    >"$T/peer.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 5 listening $A:2502

gateway_start <<EOF2 || exit 1
hostname gw.example.org
action "pf"       relay to { "$A:2500" } open
action "pflive"   proxy to { "$A:2500" }
action "sink"     relay to { "$A:2501" } open
action "sinklive" proxy to { "$A:2501" }
action "peer"     relay to { "$A:2502" } open
action "peerlive" proxy to { "$A:2502" }
listen on $A port 2525
listen on $A port 2526 proxy "pflive"
listen on $A port 2536 proxy "sinklive"
listen on $A port 2546 proxy "peerlive"
match from any for domain "example.org" tag rule action "pflive"
match from any for domain "example.org" action "pf"
match from any for domain "sink.example" action "sink"
match from any for domain "rule.sink.example" action "sinklive"
match from any for domain "peer.example" action "peer"
match from any for domain "rule.peer.example" action "peerlive"
listen on $A port 2527 tag rule
listen on $A port 2528 bare-newline normalize
listen on $A port 2529 proxy "pflive" bare-newline normalize
limit errors 10000
EOF2
smuggle() {
	python3 "$TOP/regress/lib/smuggle.py" "$TOP/regress/lib" "$@"
}
# Those begun with & before it.
together() {
	for p; do wait "$p" || FAILED=1; done
}

smuggle send "$T/pf.good" queue $A:2525 user@example.org & a=$!
smuggle send "$T/pf.good" proxy $A:2526 user@example.org & b=$!
smuggle send "$T/pf.good" rule $A:2527 user@example.org & c=$!
smuggle send "$T/sink.good" queue $A:2525 user@sink.example & d=$!
smuggle send "$T/sink.good" proxy $A:2536 user@sink.example & e=$!
smuggle send "$T/sink.good" rule $A:2525 user@rule.sink.example & f=$!
smuggle send "$T/pf.good" mend-queue $A:2528 user@example.org & g=$!
smuggle send "$T/pf.good" mend-proxy $A:2529 user@example.org & h=$!
together $a $b $c $d $e $f $g $h
smuggle arrived "$T/pf.good" "$T/pf/mail/user/new" || FAILED=1
smuggle arrived "$T/sink.good" "$T/in" || FAILED=1

smuggle bytes regular $A:2525 peer.example & a=$!
smuggle bytes proxy $A:2546 peer.example & b=$!
smuggle bytes rule $A:2525 rule.peer.example & c=$!
together $a $b $c
smuggle server "$T/peer.log" || FAILED=1
# What a server says does not get far either.
for at in $A:2546 $A:2525; do
	send $at 'a@client.example' evil@rule.peer.example >"$T/said" 2>&1
	check "$at: a server's odd bytes reach the client as text" \
	    grep -q '550 5.1.1 ?\[31m%n%s???' "$T/said"
done
gateway_stop
smuggle log "$T/gw/log" || FAILED=1
