#!/bin/sh
# A second server beside the actual one: a real Postfix, and an OpenSMTPD that
# knows other recipients; then mirrors that die, stall, or refuse what the
# actual server takes. The client sees nothing of it.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/opensmtpd.sh"
need_root "a real Postfix and an OpenSMTPD" || exit 0
need_peers "mirrors" postfix opensmtpd || exit 0
jail_able || { skip "mirrors: no namespaces"; exit 0; }
cleanup() { opensmtpd_stop "$T/os"; }

postfix_start "$T/pf" $A 2500
opensmtpd_start "$T/os" $A 2501 <<E2
table known { "user@example.org", "new@example.org" }
action "on" relay host smtp+notls://$A:2600
match from any for rcpt-to <known> action "on"
E2
sink $A:2600 "$T/sunk" || no "the sink does not listen"
peer takes $A:2502
TAKES=$PEER
peer slow $A:2503 --reply-delay 700
peer actual $A:2504 --on "dot=" "reply:554 5.7.1 spam"
peer stalls $A:2505 --on rcpt stall
wait_until 10 listening $A:2500 || no "Postfix does not listen"
wait_until 10 listening $A:2501 || no "OpenSMTPD does not listen"

gateway_start <<E2 || exit 1
hostname gw.example.org
action "opensmtpd" proxy to "$A:2501"
action "takes"     proxy to "$A:2502"
action "slow"      proxy to "$A:2503"
action "stalls"    proxy to "$A:2505"
action "down"      proxy to "$A:2599"
action "first"     proxy to "$A:2500" mirror "opensmtpd"
action "whole"     proxy to "$A:2500" mirror "takes" content
action "refusing"  proxy to "$A:2504" mirror "takes" content
action "late"      proxy to "$A:2500" mirror "slow"
action "never"     proxy to "$A:2500" mirror "stalls"
action "nobody"    proxy to "$A:2500" mirror "down"
listen on $A port 2525 proxy "first"
listen on $A port 2526 proxy "whole"
listen on $A port 2527 proxy "refusing"
listen on $A port 2528 proxy "late"
listen on $A port 2529 proxy "never"
listen on $A port 2530 proxy "nobody"
listen on $A port 2531
match from any for domain "example.org" action "first"
E2

heard() { send "$1" a@client.example "$2" --header "Subject: $3" 2>&1; }
ALL=user@example.org,other@example.org,new@example.org
heard $A:2525 $ALL mirrored >"$T/with"
check "the client hears Postfix" grep -q \
    '550 5.1.1 <new@example.org>: Recipient address rejected' "$T/with"
check "and that its message is taken" grep -q '250 2.0.0 Ok: .*queued as' "$T/with"
check "a recipient that Postfix alone knows is told" wait_until 10 logged \
    'event=mirror what=rcpt to=<other@example.org> server=.*:2500 reply="250 2.1.5 Ok" mirror=.*:2501 mirror-reply="550 '
check "and one that OpenSMTPD alone knows" wait_until 10 logged \
    'event=mirror what=rcpt to=<new@example.org> .*reply="550 5.1.1.* mirror-reply="250 '
check "who is known to both is not" \
    test -z "$(grep 'event=mirror .*to=<user@' "$T/gw/log")"
check "keywords that differ are told" logged \
    'event=mirror what=keywords server=.*:2500 only=.* mirror=.*:2501 mirror-only='
delivered() { grep -rlq "^Subject: $1\$" "$T/pf/mail/$2/new" 2>/dev/null; }
check "Postfix delivers" wait_until 20 delivered mirrored user
heard $A:2525 $ALL again >"$T/with2"
check "keywords once by each worker" test "$(grep -c \
    'event=mirror what=keywords .*:2501' "$T/gw/log")" -le "$(ls "$T/gw/run" |
    grep -c '^smtpd')"
heard $A:2531 $ALL ruled >"$T/ruled"
check "a rule's action is mirrored too" wait_until 10 sh -c \
    "[ \$(grep -c 'event=mirror what=rcpt to=<other@' '$T/gw/log') -eq 3 ]"
check "by rule the client hears the same of its recipients" test \
    "$(grep -c '550 5.1.1' "$T/ruled")" -eq 1
check "nothing of it is delivered by the mirror" test -z "$(ls "$T/sunk")"

counts() {
	ctl mirror "$@" >"$T/mirror" 2>&1 && cat "$T/mirror"
}
counted() { counts first | grep -Eq "^first +opensmtpd +rcpt +9 +3 +6\$"; }
check "posternctl counts over all workers" wait_until 10 counted
check "and shows both replies" grep -q '2501: 550 ' "$T/mirror"
check "an action by its name alone" sh -c "'$BUILD/posternctl' -s '$T/gw/run' \
    mirror late >'$T/none' && [ ! -s '$T/none' ]"
check "as JSON" sh -c "'$BUILD/posternctl' -s '$T/gw/run' -j mirror |
    grep -q '\"kind\":\"difference\".*\"what\":\"rcpt\"'"

# ---- content ----
check "with content both take it" \
    send $A:2526 a@client.example user@example.org --header "Subject: whole"
check "Postfix has it" wait_until 20 delivered whole user
check "and the mirror" wait_until 10 got takes 'Subject: whole'
check "what the actual server refuses, the client hears" sh -c "
    swaks --server $A:2527 --from a@client.example --to user@example.org \
	--header 'Subject: refused' 2>&1 | grep -q '554 5.7.1 spam'"
sleep 1
got takes 'Subject: refused'
check "and the mirror never has it" test $? -ne 0

# ---- mirrors that fail ----
# All of a session within so many seconds, and as Postfix says it.
cat >"$T/timed.py" <<'E3'
import sys
import time
sys.path.insert(0, sys.argv[1])
from smtp import Smtp
t = time.time()
s = Smtp(sys.argv[2])
codes = [s.reply()[0], s.cmd("EHLO c.example")[0]]
for i in range(int(sys.argv[3])):
    for line in ("MAIL FROM:<a@b.example>", "RCPT TO:<user@example.org>",
                 "RCPT TO:<other@example.org>", "RSET"):
        codes.append(s.cmd(line)[0])
codes.append(s.cmd("QUIT")[0])
assert codes == [220] + [250] * (1 + 4 * int(sys.argv[3])) + [221], codes
assert time.time() - t < float(sys.argv[4]), time.time() - t
E3
check "a slow mirror delays nobody" python3 "$T/timed.py" "$TOP/regress/lib" \
    $A:2528 2 2.5
check "and is heard after the session" wait_until 20 sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' mirror late | grep -Eq ' rcpt +4 +4 +0'"
check "one that lags too far is given up" python3 "$T/timed.py" \
    "$TOP/regress/lib" $A:2529 30 10
check "which is told once" test \
    "$(grep -c 'event=mirror result=gave-up .*too many commands' "$T/gw/log")" -eq 1
check "one that is not there is not missed" python3 "$T/timed.py" \
    "$TOP/regress/lib" $A:2530 2 5
check "but counted" wait_until 10 sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' mirror nobody | grep -q '1 of them failed'"

# Killed within a message.
cat >"$T/killed.py" <<'E3'
import os
import signal
import sys
sys.path.insert(0, sys.argv[1])
from smtp import Smtp
s = Smtp(sys.argv[2])
assert s.hello()[0] == 250
def say(line, code):
    got = s.cmd(line)
    assert got[0] == code, got
for i in range(2):
    say("MAIL FROM:<a@b.example>", 250)
    say("RCPT TO:<user@example.org>", 250)
    say("DATA", 354)
    s.send("Subject: killed\r\n\r\n" + ("x" * 70 + "\r\n") * 1000)
    if i == 0:
        os.kill(int(sys.argv[3]), signal.SIGKILL)
    s.send(("y" * 70 + "\r\n") * 1000)
    say(".", 250)
say("QUIT", 221)
E3
check "a mirror that is killed within a message is not noticed" \
    python3 "$T/killed.py" "$TOP/regress/lib" $A:2526 $TAKES
check "and both messages are delivered" wait_until 20 sh -c \
    "[ \$(grep -rl '^Subject: killed' '$T/pf/mail/user/new' | wc -l) -eq 2 ]"

gateway_stop
check "SIGTERM ends it in order" test $? -eq 0
