#!/bin/sh
# Both ways with a real Postfix as the actual server: what it accepts, what it
# refuses, and what the log tells.
. "$(dirname "$0")/lib.sh"
need_root "a real Postfix" || exit 0
need_peers "both ways" || exit 0

postfix_start "$T/pf" $A 2500
wait_until 10 listening $A:2500 || no "Postfix does not listen"

gateway_start <<EOF || exit 1
hostname gw.example.org
action "exchange" relay to { "$A:2500" }
action "live"     proxy to { "$A:2500" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
listen on $A port 2527 tag rule
match tag rule from any for domain "example.org" action "live"
match from any for domain "example.org" action "exchange"
EOF

delivered() { grep -rlq "^Subject: $1\$" "$T/pf/mail/$2/new" 2>/dev/null; }
# The one file of that subject.
the() { grep -rl "^Subject: $1\$" "$T/pf/mail" | head -n 1; }

check "regular way takes a message" \
    send $A:2525 a@client.example user@example.org --header "Subject: regular"
check "regular way delivers it" wait_until 20 delivered regular user
check "proxy way takes a message" \
    send $A:2526 a@client.example user@example.org --header "Subject: proxied"
check "proxy way delivers it" wait_until 20 delivered proxied user
check "a rule of type proxy takes a message" \
    send $A:2527 a@client.example user@example.org --header "Subject: ruled"
check "a rule of type proxy delivers it" wait_until 20 delivered ruled user

# The submission socket, which any local user may use.
cat >"$T/local.py" <<'E2'
import socket
import sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rwb")
def say(line, want):
    f.write(line)
    f.flush()
    while (got := f.readline())[3:4] == b"-":
        pass
    assert got.startswith(want), got
say(b"", b"220")
say(b"EHLO localhost\r\nMAIL FROM:<root@gw.example.org>\r\n"
    b"RCPT TO:<user@example.org>\r\nDATA\r\n", b"250")
for want in b"250", b"250", b"354":
    say(b"", want)
say(b"Subject: local\r\n\r\nfrom cron\r\n.\r\nQUIT\r\n", b"250")
say(b"", b"221")
E2
check "the submission socket takes a message" python3 "$T/local.py" \
    "$T/gw/run-submission"
check "and it is delivered" wait_until 20 delivered local user
check "its Received says so" grep -q '^Received: from localhost (local)' \
    "$(the local)"

check "our Received is in the regular one" \
    grep -q 'by gw.example.org' "$(the regular)"
check "our Received is in the proxied one" \
    grep -q 'by gw.example.org' "$(the proxied)"

send $A:2526 a@client.example nobody@example.org >"$T/refused" 2>&1
check "the actual server's refusal reaches the client as it was" \
    grep -q '550 5.1.1 <nobody@example.org>: Recipient address rejected' \
    "$T/refused"
send $A:2527 a@client.example nobody@example.org >"$T/refused2" 2>&1
check "the same by a rule" \
    grep -q '550 5.1.1 <nobody@example.org>: Recipient address rejected' \
    "$T/refused2"
send $A:2525 a@client.example user@elsewhere.example >"$T/relay" 2>&1
check "a stranger's domain is refused" grep -q '550 5.7.1' "$T/relay"

id=$(sed -n 's/.*id=\([0-9a-v]*\) event=accepted.*/\1/p' "$T/gw/log" | head -n 1)
check "the log knows the queued message by its id" test -n "$id"
check "one id tells its delivery too" \
    logged "id=$id .*event=deliver .*result=delivered"
check "the proxied one is logged with the server's reply" \
    logged 'event=proxied .*reply="250 2.0.0 Ok: .*queued as'

gateway_stop
check "SIGTERM ends it in order" test $? -eq 0
