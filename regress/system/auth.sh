#!/bin/sh
# AUTH through a proxied listener (RFC 4954): opaque to the actual server, hidden
# without TLS unless the listener says otherwise, and never in the log.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/regress/lib/peer.py" "$A:2500" --log "$T/peer.log" \
    --caps "PIPELINING,8BITMIME,AUTH PLAIN LOGIN GSSAPI,ENHANCEDSTATUSCODES" \
    --on "auth=GSSAPI" "reply:334 $(printf 'A%.0s' $(seq 5000))" \
    --on "auth=aW50cnVkZXI=" "reply:535 5.7.8 wrong" >"$T/peer.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 grep -q ready "$T/peer.out"
gateway_start <<E2 || exit 1
hostname gw.example.org
action "live" proxy to { "$A:2500" }
listen on $A port 2525 proxy "live"
listen on $A port 2526 proxy "live" auth-plaintext announce { GSSAPI }
E2
cat >"$T/auth.py" <<'E2'
"""auth.py LIB HIDDEN OFFERED"""
import base64
import sys

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

hidden, offered = sys.argv[2:4]
c = Cases("auth")
PLAIN = base64.b64encode(b"\0user\0geheim-sesam").decode()

s = Smtp(hidden)
got = s.hello()
c.check("without TLS it is not offered", "AUTH" not in got[1], got)
got = s.cmd("AUTH PLAIN " + PLAIN)
c.check("and refused with 538 5.7.11", got == (538, got[1]) and
        got[1].startswith("5.7.11"), got)
c.code("the session goes on", s.cmd("MAIL FROM:<a@b.example>"), 250)
s.close()


def open_():
    s = Smtp(offered)
    got = s.hello()
    return s, got


s, got = open_()
c.check("auth-plaintext: offered as the server does", "AUTH PLAIN LOGIN" in got[1], got)
c.code("PLAIN with an initial response", s.cmd("AUTH PLAIN " + PLAIN), 235)
c.code("a second AUTH", s.cmd("AUTH PLAIN " + PLAIN), 503)
c.code("MAIL after it", s.cmd("MAIL FROM:<a@b.example>"), 250)
c.code("AUTH in a transaction", s.cmd("AUTH PLAIN " + PLAIN), 503)
c.code("RCPT", s.cmd("RCPT TO:<b@dest.example>"), 250)
c.code("DATA", s.cmd("DATA"), 354)
c.code("its message", s.cmd(b"Subject: authenticated\r\n\r\nx\r\n."), 250)
s.close()

s, _ = open_()
c.check("PLAIN asks for the response", s.cmd("AUTH PLAIN") == (334, ""))
c.code("and takes it", s.cmd(PLAIN), 235)
s.close()
s, _ = open_()
got = s.cmd("AUTH LOGIN")
c.check("LOGIN's first question as it was", got == (334, "VXNlcm5hbWU6"), got)
got = s.cmd(base64.b64encode(b"user"))
c.check("LOGIN's second question as it was", got == (334, "UGFzc3dvcmQ6"), got)
c.code("LOGIN", s.cmd(base64.b64encode(b"geheim-sesam")), 235)
s.close()
s, _ = open_()
got = s.cmd("AUTH GSSAPI")
c.check("a long challenge as it was", got == (334, "A" * 5000), got)
s.close()
s, _ = open_()
s.cmd("AUTH LOGIN")
c.code("* cancels", s.cmd("*"), 501)
c.code("the session goes on after it", s.cmd("NOOP"), 250)
s.cmd("AUTH LOGIN")
c.code("what is no base64 cancels", s.cmd("geheim sesam!"), 501)
s.cmd("AUTH LOGIN")
c.code("a line over the limit", s.cmd("A" * 13000), (500, 501))
s.close()
s, _ = open_()
c.code("an over-long initial response", s.cmd("AUTH PLAIN " + "A" * 13000), 500)
c.code("no mechanism", s.cmd("AUTH"), 501)
c.code("a mechanism with odd bytes", s.cmd("AUTH PL\x01AIN"), 501)
got = s.cmd("AUTH PLAIN " + base64.b64encode(b"intruder").decode())
c.check("the server's refusal as it was", got == (535, "5.7.8 wrong"), got)
s.close()
sys.exit(c.bad > 0)
E2
python3 "$T/auth.py" "$TOP/regress/lib" "$A:2525" "$A:2526" || FAILED=1
check "Received says that the client was authenticated" \
    grep -q 'with ESMTPA id' "$T/peer.log"
check "the log tells the result" logged 'event=auth result=ok mech=LOGIN user=user client=127.0.0.1 reply="235 2.7.0 ok"'
check "and the failure" logged 'event=auth result=failed mech=PLAIN user="" client=127.0.0.1 reply="535 5.7.8 wrong"'
ctl log level debug
python3 "$T/auth.py" "$TOP/regress/lib" "$A:2525" "$A:2526" >/dev/null
check "no password is in the log, even at debug" sh -c "! grep -qE 'AHVzZXIAZ2VoZWlt|Z2VoZWltLXNlc2Ft|geheim|aW50cnVkZXI' '$T/gw/log'"
