#!/bin/sh
# One message for servers of different make, a real Postfix, OpenSMTPD and Exim:
# each copy is delivered, refused or retried by itself. And one that does as
# qmail: it takes every recipient, bounces later, and knows bare LF.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/opensmtpd.sh"
. "$TOP/regress/lib/exim.sh"
need_root "real servers" || exit 0
need_peers "servers side by side" postfix opensmtpd exim || exit 0
jail_able || { skip "real servers: no mount namespaces here"; exit 0; }

peer two $A:2602
peer three $A:2603
peer back $A:2604
pf_start() {
	postfix_start "$T/pf" $A 2501
	wait_until 10 listening $A:2501 || no "Postfix does not listen"
}
pf_start
os_start() {
	opensmtpd_start "$T/os" $A 2502 <<-E2
	action "on" relay host smtp+notls://$A:2602
	match from any for any action "on"
	E2
	wait_until 10 listening $A:2502
}
os_start || no "OpenSMTPD does not listen"
EXIM_OUT=2603
exim_start "$T/ex" $A 2503 <<E2
all:
  driver = manualroute
  transport = out
  route_list = * $A byname
  self = send
E2
wait_until 10 listening $A:2503 || no "Exim does not listen"

gateway_start <<E2 || exit 1
hostname gw.example.org
action "postfix" relay to { "$A:2501" }
action "opensmtpd" relay to { "$A:2502" }
action "exim" relay to { "$A:2503" }
action "qmail" relay to { "$A:2504" }
action "back" relay to { "$A:2604" }
listen on $A port 2525
match for domain "example.org" action "postfix"
match for domain "two.example" action "opensmtpd"
match for domain "three.example" action "exim"
match for domain "qmail.example" action "qmail"
match for domain "back.example" action "back"
queue retry 1s..1s
E2
mail() {	# subject, recipients
	send $A:2525 a@back.example "$2" --header "Subject: $1" >"$T/out" 2>&1
}
# How many of that subject Postfix has delivered.
in_postfix() {
	[ "$(grep -rl "^Subject: $1\$" "$T/pf/mail" 2>/dev/null | wc -l)" -eq "${2:-1}" ]
}
result() { logged "event=deliver .*to=<?$1.*result=$2"; }

# ---- all are there ----
check "one message for three servers is taken" \
    mail together user@example.org,b@two.example,c@three.example
check "Postfix has its copy" wait_until 10 in_postfix together
check "OpenSMTPD has its copy" wait_until 10 got two together
check "its recipient alone" sh -c "grep ^RCPT '$T/got' | grep -q b@two.example &&
    [ \$(grep -c ^RCPT '$T/got') = 1 ]"
check "Exim has its copy" wait_until 10 got three together
check "once" once

# ---- each by itself ----
opensmtpd_stop "$T/os"
check "a message for one that is down, one that refuses, one that is well" \
    mail apart nobody@example.org,user@example.org,b@two.example,c@three.example
check "Exim's copy is not held up" wait_until 10 got three apart
check "nor Postfix's" wait_until 10 in_postfix apart
check "OpenSMTPD's is deferred" wait_until 10 result b@two.example deferred
check "and tried again" wait_until 10 sh -c \
    "[ \$(grep -c 'event=deliver.*b@two.example.*deferred' '$T/gw/log') -ge 2 ]"
check "what Postfix refuses has failed" wait_until 10 result nobody@example.org failed
check "and is told to the sender" wait_until 10 got back nobody@example.org
check "that one alone" lacks \
    '^\(<\|Final-Recipient:.*; *\)\(b@two\|c@three\|user@\)'
os_start || no "OpenSMTPD does not listen again"
check "OpenSMTPD is back: it has its copy" wait_until 15 got two apart
check "once" once
got three apart
check "the others have no second one" once
check "nor has Postfix" in_postfix apart 1
postfix_stop "$T/pf"
opensmtpd_stop "$T/os"
wait_until 10 sh -c "! ss -Hltn 'src $A:2501' | grep -q ." || no "Postfix goes on"
mail others user@example.org,b@two.example,c@three.example
check "two are down: the third has its copy" wait_until 10 got three others
check "the others wait" wait_until 10 result user@example.org deferred
pf_start
os_start || no "OpenSMTPD does not listen once more"
check "Postfix is back: it has its copy" wait_until 15 in_postfix others
check "OpenSMTPD too" wait_until 15 got two others
check "once" once
check "nothing else was bounced" sh -c \
    "[ \$(grep -c '\"event\": \"message\"' '$T/peer/back') = 1 ]"

# ---- as qmail ----
# Every recipient is good to it; what it cannot deliver comes back later.
peer qmail $A:2504 --greet "220 qmail.example ESMTP" \
    --caps PIPELINING,8BITMIME --on dot "reply:250 ok 1795646034 qp 4711" \
    --on mail@1 'raw:250 ok\n'
mail "qmail" x@qmail.example,nobody@qmail.example
check "replies with bare LF are none: deferred" wait_until 10 \
    logged 'event=deliver .*to=<?x@qmail.example.*result=deferred.*bare LF'
check "with better ones it takes every recipient" wait_until 10 \
    got qmail "Subject: qmail"
check "in one copy" sh -c "[ \$(grep -c ^RCPT '$T/got') = 2 ]"
check "once" once
# Its bounce, from the null sender, as its mail client writes one: the dot is
# right, the lines within end in LF.
cat >"$T/bounce.py" <<'E2'
import socket, sys
s = socket.create_connection((sys.argv[1], 2525))
f = s.makefile("rwb")
def say(line):
    f.write(line)
    f.flush()
    while (got := f.readline())[3:4] == b"-":
        pass
    return got
f.readline()
for line in (b"HELO qmail.example\r\n", b"MAIL FROM:<>\r\n",
             b"RCPT TO:<a@back.example>\r\n", b"DATA\r\n"):
    say(line)
end = b"\n" if sys.argv[2] == "lf" else b"\r\n"
text = (b"From: MAILER-DAEMON@qmail.example\nTo: a@back.example\n"
        b"Subject: failure notice\n\nHi. This is the qmail-send program.\n"
        b"<nobody@qmail.example>:\nno mailbox\n").replace(b"\n", end)
print(say(text + b"\r\n.\r\n").decode())
E2
python3 "$T/bounce.py" $A lf >"$T/out"
check "its bounce with bare LF within is refused, not mended" grep -q '^550 5.6.0' "$T/out"
python3 "$T/bounce.py" $A crlf >"$T/out"
check "its bounce is taken" grep -q '^250' "$T/out"
check "and goes to the sender" wait_until 10 got back "failure notice"
check "from the null sender" has '^MAIL FROM:<>'
