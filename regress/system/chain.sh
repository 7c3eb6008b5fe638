#!/bin/sh
# Mail through a chain: sendmail, postern, Postfix, postern, OpenSMTPD, postern,
# Exim, and a server that writes down what arrives. It arrives as it was sent but
# for trace fields, once; a refusal at the end comes back through the chain.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/opensmtpd.sh"
. "$TOP/regress/lib/exim.sh"
need_root "real servers" || exit 0
need_peers "a chain" postfix opensmtpd exim || exit 0
jail_able || { skip "a chain: no mount namespaces here"; exit 0; }

# Ports: 25xx real servers, 262x postern from the one before, 2630 the end, 2631
# the sender's home.
peer end $A:2630 --on rcpt=bad "reply:550 5.1.1 nobody of that name"
peer home $A:2631
POSTFIX_MORE="relayhost = [$A]:2621
smtp_dns_support_level = disabled
smtpd_relay_restrictions = permit_mynetworks, reject
transport_maps = inline:{ home.example=smtp:[$A]:2624 }"
postfix_start "$T/pf" $A 2501
opensmtpd_start "$T/os" $A 2502 <<E2
action "on" relay host smtp+notls://$A:2622
action "back" relay host smtp+notls://$A:2623
match from any for domain "home.example" action "back"
match from any for any action "on"
E2
EXIM_OUT=2630
exim_start "$T/ex" $A 2503 <<E2
back:
  driver = manualroute
  domains = home.example
  transport = out
  route_list = * $A::2625 byname
  self = send
  no_more
on:
  driver = manualroute
  transport = out
  route_list = * $A byname
  self = send
E2
for p in 2501 2502 2503; do
	wait_until 10 listening $A:$p || no "the server at port $p does not listen"
done
gateway_start <<E2 || exit 1
hostname gw.example.org
action "postfix" relay to { "$A:2501" }
action "opensmtpd" relay to { "$A:2502" }
action "exim" relay to { "$A:2503" }
action "home" relay to { "$A:2631" }
listen on $A port 2621 tag on2
listen on $A port 2622 tag on3
listen on $A port 2625 tag back1
listen on $A port 2623 tag back2
listen on $A port 2624 tag back3
match tag on2 for any action "opensmtpd"
match tag on3 for any action "exim"
match tag back1 for any action "opensmtpd"
match tag back2 for any action "postfix"
match tag back3 for any action "home"
match for any action "postfix"
queue retry 1s..2s
E2
ln -s "$BUILD/posternctl" "$T/sendmail"
sm() { "$T/sendmail" -s "$T/gw/run" -O Timeout.connect=5s -i "$@"; }

# What changes easily on a way: points, blanks at ends, 8-bit bytes, tabs, empty
# lines, folds, a line of 998, what looks like an mbox or an end.
python3 - >"$T/sent" <<'E2'
import sys
out = sys.stdout.buffer
out.write(b"Subject: first through the chain\n"
    b"From: \"A, B\" <sender@home.example> (comment)\n"
    b"To: good@far.example,\n\tother <other@far.example>\n"
    b"Date: Wed, 25 Nov 2026 12:00:00 +0000\n"
    b"Message-ID: <chain.1@home.example>\n"
    b"X-Odd:value without a blank\n"
    b"X-Folded: one\n two\n\tthree \n"
    b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
    b"Content-Transfer-Encoding: 8bit\n\n")
out.write(b".\n..\n.leading\n...\nFrom the start\n>From quoted\n"
    b"trailing blanks   \ntab\t\n\n\n" + "ünï €\n".encode() +
    b"\xff\xfe not UTF-8\n" + b"x" * 998 + b"\n-- \nQUIT\n.QUIT\n\n\n")
E2
check "sendmail hands it in" sh -c "'$T/sendmail' -s '$T/gw/run' -i -f sender@home.example \
    good@far.example other@far.example <'$T/sent'"
check "it comes to the end of the chain" wait_until 20 got end "first through"
check "once, for both" sh -c "[ \$(grep -c ^END '$T/got') = 1 ] &&
    [ \$(grep -c ^RCPT '$T/got') = 2 ]"
check "from who sent it" has '^MAIL FROM:<sender@home.example>'
check "byte by byte as it was, but for trace fields" sh -c \
    "'$TOP/regress/lib/bodies.py' '$T/sent' '$T/peer/end' 'first through' >'$T/trace'"
check "six of them: each server has written its own" sh -c \
    "[ \$(tr ' ' '\n' <'$T/trace' | grep -ic '^received') -eq 6 ]"

i=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	printf 'Subject: number %d of many\n\n' $i | sm -f sender@home.example \
	    r$i@far.example || no "number $i is handed in"
done
arrived() {
	[ "$(python3 "$TOP/regress/lib/peerlog.py" "$T/peer/end" "of many" |
	    grep '^RCPT' | sort -u | wc -l)" -eq 20 ]
}
check "twenty more arrive" wait_until 30 arrived
got end "of many"
check "none twice" test "$(grep -c '^END$' "$T/got")" -eq 20

printf 'Subject: refused\nMessage-ID: <chain.2@home.example>\n\nfar away\n' |
    sm -f sender@home.example bad@far.example
check "a refusal at the end comes back" wait_until 20 got home bad@far.example
check "once" once
check "from the null sender, to who sent it" sh -c \
    "grep -q '^MAIL FROM:<>' '$T/got' && grep -q '^RCPT TO:<sender@home.example>' '$T/got'"
check "with the last server's words" has 'nobody of that name'
check "through the chain" sh -c "[ \$(grep -ci '^received: ' '$T/got') -ge 5 ]"
check "nothing is left in the queue" wait_until 10 sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' -j queue list | grep -q queued"
