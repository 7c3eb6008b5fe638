#!/bin/sh
# NOTIFY=SUCCESS and actual servers without DSN: the sender is told by us, if
# and only if the server has taken the message.
. "$(dirname "$0")/lib.sh"

peer plain $A:2501 --caps PIPELINING,8BITMIME,CHUNKING
peer picky $A:2502 --caps PIPELINING,8BITMIME --on "dot=" "reply:554 5.7.1 no"
peer able $A:2503 --caps PIPELINING,8BITMIME,DSN
peer back $A:2504
peer slow $A:2505 --caps PIPELINING,8BITMIME --on "dot=" "stall:3"
gateway_start <<E2 || exit 1
hostname gw.example.org
action "plain" proxy to "$A:2501" open
action "picky" proxy to "$A:2502" open
action "able"  proxy to "$A:2503" open
action "slow"  proxy to "$A:2505" open
action "back"  relay to "$A:2504"
listen on $A port 2525
listen on $A port 2526 proxy "plain"
listen on $A port 2527 proxy "picky"
listen on $A port 2528 proxy "able"
listen on $A port 2529 proxy "slow"
match from any for domain "plain.example" action "plain"
match from any for domain "picky.example" action "picky"
match from any for domain "client.example" action "back"
E2
cat >"$T/as.py" <<'E2'
# as.py LIB AT SUBJECT FROM RCPT...: sends; prints the replies, one a line.
import sys
sys.path.insert(0, sys.argv[1])
from smtp import Smtp
at, subject, sender, rcpts = sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
s = Smtp(at)
print("EHLO", *s.hello())
print("MAIL", *s.cmd("MAIL FROM:<%s> RET=HDRS ENVID=q" % sender))
for r in rcpts:
    print("RCPT", *s.cmd(("RCPT TO:<%s> %s" % (r + " ").partition(" ")[::2]).rstrip()))
code, text = s.cmd("DATA")
print("DATA", code, text)
if code == 354:
    s.send("Subject: %s\r\n\r\nHello\r\n.\r\n" % subject)
    code, text = s.reply()
    print("DOT", code, text)
s.close()
sys.exit(code != 250)
E2
as() {
	python3 "$T/as.py" "$TOP/regress/lib" "$@" >"$T/out" 2>&1
}
out() { ! "$@"; }
said() { grep -q "^$1" "$T/out"; }
n=0
for port in 2525 2526; do
	n=$((n + 1))
	check "port $port: taken" as $A:$port "yes-$n-" s@client.example \
	    "u@plain.example NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@orig.example" \
	    "v@plain.example NOTIFY=FAILURE" "w@plain.example NOTIFY=NEVER"
	check "DSN is announced" grep -q '^DSN' "$T/out"
	check "the reply is the server's" said "DOT 250"
	check "the server has it" got plain "Subject: yes-$n-"
	check "without what it has not announced" lacks \
	    'NOTIFY\|ORCPT\|RET=\|ENVID'
	check "the sender is told" wait_until 10 got back "Subject: yes-$n-"
	check "once" once
	check "by the null sender" has '^MAIL FROM:<>'
	check "that he was relayed" has '^Action: relayed'
	check "whom he has named" has '^Original-Recipient: rfc822; *x@orig.example'
	check "with his envelope's name" has '^Original-Envelope-Id: q'
	check "of nobody else" lacks '[vw]@plain.example'
done
as $A:2525 "no-1-" s@client.example "u@picky.example NOTIFY=SUCCESS,FAILURE"
check "by a rule, refused: so it is said" said "DOT 554 5.7.1 no"
as $A:2527 "no-2-" s@client.example "u@picky.example NOTIFY=SUCCESS,FAILURE"
check "on a proxied listener, too" said "DOT 554 5.7.1 no"
check "a server with DSN is asked" as $A:2528 able s@client.example \
    "u@able.example NOTIFY=SUCCESS"
check "and has heard it" got able "Subject: able"
check "with all of it" has 'NOTIFY=SUCCESS'
as $A:2526 "nobody" s@nowhere.example "u@plain.example NOTIFY=SUCCESS"
check "where no notification could go it is refused" said "RCPT 555 5.3.3"

# smtpd dies with the dot at the server, whose reply nobody hears.
as $A:2529 killed s@client.example "u@slow.example NOTIFY=SUCCESS" &
as=$!
check "the message is prepared" wait_until 10 logged \
    'event=fan-out result=prepared'
wait_until 10 grep -q '"event": "message"' "$T/peer/slow"
for w in $(ctl -j status | sed -n 's/.*"title":"\(smtpd[^"]*\)".*/\1/p'); do
	kill -9 "$(pid_of "$w")"
done
wait $as
check "its client has no reply" out said "DOT 2"
check "the message is nobody's any more" wait_until 10 logged \
    'event=finish result=void'
# A queue without anything in it has sent all that it ever will.
check "the queue gets empty" wait_until 20 sh -c \
    "[ -z \"\$('$BUILD/posternctl' -j -s '$T/gw/run' queue list)\" ]"
check "of what was refused, or not known, nobody is told" \
    sh -c \
    "! grep -q 'picky.example\|slow.example' '$T/peer/back'"
got back ""
check "two were" test "$(grep -c '^END$' "$T/got")" -eq 2
