#!/bin/sh
# Content that is refused on its way through: a real Postfix behind has nothing
# of it, by DATA and by BDAT, and the client's session goes on.
. "$(dirname "$0")/lib.sh"
need_root "a real Postfix" || exit 0
need_peers "blocked content" || exit 0

postfix_start "$T/chunks" $A 2500
POSTFIX_MORE="smtpd_discard_ehlo_keywords = chunking" \
    postfix_start "$T/dots" $A 2501
wait_until 10 listening $A:2500 || no "Postfix does not listen"
wait_until 10 listening $A:2501 || no "the other Postfix does not listen"

gateway_start <<EOF || exit 1
hostname gw.example.org
action "chunks" proxy to "$A:2500"
action "dots"   proxy to "$A:2501"
action "plain"  proxy to "$A:2501" replies plain
action "long"   proxy to "$A:2510"
listen on $A port 2525 proxy "chunks" max-message-size 1M
listen on $A port 2526 proxy "dots" max-message-size 1M
listen on $A port 2527 tag chunks max-message-size 1M
listen on $A port 2528 tag dots max-message-size 1M
listen on $A port 2529 proxy "plain"
listen on $A port 2530 proxy "long"
listen on $A port 2531 proxy "dots" recognise-retry
match tag chunks from any for domain "example.org" action "chunks"
match tag dots from any for domain "example.org" action "dots"
EOF

block() { python3 "$TOP/regress/lib/block.py" "$@" || FAILED=$((FAILED + 1)); }
block $A:2525 data chunks-data
block $A:2525 bdat chunks-bdat
block $A:2526 data dots-data
block $A:2526 bdat dots-bdat
block $A:2527 data rule-chunks
block $A:2528 bdat rule-dots

have() { [ "$(grep -rl "^Subject: good-" "$T/$1/mail" | wc -l)" -eq "$2" ]; }
check "all good ones arrived by chunks" wait_until 20 have chunks 14
check "all good ones arrived by dots" wait_until 20 have dots 16
check "none of the others" sh -c "! grep -rq '^Subject: bad-' '$T/chunks' '$T/dots'"
check "chunks are reset" logged 'event=block server=\S*:2500 by=reset'
check "and never cut" sh -c "! grep -q 'event=block .*:2500 by=cut' '$T/gw/log'"
check "dots are cut" logged 'event=block server=\S*:2501 by=cut'
check "with another session behind" logged \
    'event=server server=\S*:2501 result=again'
check "no server session was left in doubt" sh -c \
    "! grep -q 'report: ' '$T/gw/log'"

# replies plain
send $A:2529 a@client.example nobody@example.org >"$T/plain" 2>&1
check "replies plain has the standard's words" \
    grep -q '^<\*\* 550 5.1.1 No such mailbox' "$T/plain"
check "no name of the server is in them" sh -c \
    "! grep -q 'actual.example.org' '$T/plain'"
check "the log has the server's" logged \
    'event=rcpt to=<nobody@example.org> .*550 5.1.1 <nobody@example.org>'
check "a message goes through with it" send $A:2529 a@client.example \
    user@example.org --header "Subject: plain"

# The 250 that was lost: the server does not get it twice.
cat >"$T/once.py" <<'E2'
import sys
sys.path.insert(0, sys.argv[2])
from smtp import Smtp
s = Smtp(sys.argv[1])
s.hello()
s.cmd("MAIL FROM:<a@client.example>")
s.cmd("RCPT TO:<user@example.org>")
s.cmd("DATA")
print(*s.cmd("Subject: once\r\nMessage-ID: <1@client.example>\r\n\r\nx\r\n."))
s.close()
E2
once() { python3 "$T/once.py" $A:2531 "$TOP/regress/lib"; }
first=$(once)
check "a message is taken, and its client gone" test "${first%% *}" = 250
check "which is logged" wait_until 10 logged 'event=window side=client'
again=$(once)
check "it comes again, and is known" \
    sh -c "case '$again' in '250 2.0.0 '*' has been taken before') ;; *) exit 1; esac"
check "the log has both ids" logged 'event=again first='
check "the server has it once" wait_until 20 sh -c \
    "[ \$(grep -rl '^Subject: once' '$T/dots/mail' | wc -l) -eq 1 ]"
check "it is counted" sh -c "'$BUILD/posternctl' -s '$T/gw/run' stats |
    grep -q 'window-client: [1-9]'"

# A server that says 100 kB, and no ENHANCEDSTATUSCODES nor codes of them.
long="$(python3 -c 'print("|".join("x" * 500 for i in range(200)))')"
peer long $A:2510 --caps PIPELINING --on rcpt "reply:550 $long"
cat >"$T/long.py" <<'E2'
import sys
sys.path.insert(0, sys.argv[2])
from smtp import Cases, Smtp
c = Cases("block")
s = Smtp(sys.argv[1])
ehlo = s.hello()
c.check("ENHANCEDSTATUSCODES is not offered for a server without",
        ehlo[0] == 250 and "ENHANCED" not in ehlo[1], ehlo)
s.cmd("MAIL FROM:<a@client.example>")
code, text = s.cmd("RCPT TO:<u@example.org>")
lines = text.split("\n")
c.check("of a reply of 100 kB 64 lines reach the client",
        code == 550 and len(lines) == 64 and
        all(set(x) == {"x"} and len(x) > 490 for x in lines),
        (code, len(lines), text[:100]))
c.code("and the session goes on", s.cmd("NOOP"), 250)
c.code("to its end", s.cmd("QUIT"), 221)
sys.exit(c.bad > 0)
E2
python3 "$T/long.py" $A:2530 "$TOP/regress/lib" || FAILED=$((FAILED + 1))

# It comes back with other keywords.
visit() { send $A:2530 a@client.example u@example.org --quit-after EHLO; }
for i in 1 2 3 4 5; do visit >/dev/null 2>&1; done
check "keywords that stay are not news" sh -c "! grep -q 'event=caps' '$T/gw/log'"
kill $PEER
wait $PEER 2>/dev/null
peer long2 $A:2510 --caps "8BITMIME,SIZE 1000"
seen() { visit; logged 'event=caps server=\S*:2510 added="SIZE 1000, 8BITMIME" lost=PIPELINING'; }
check "a change of a server's keywords is logged" wait_until 30 seen
gateway_stop
