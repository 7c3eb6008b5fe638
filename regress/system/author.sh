#!/bin/sh
# `senders ... strict`: who has logged in says in the header, too, who he is; on
# a listener of ours and on a proxied one. What is refused reaches nobody.
. "$(dirname "$0")/lib.sh"

mkdir -p "$T/gw"
printf 'anna:{PLAIN}geheim\n' >"$T/gw/people"
chmod 600 "$T/gw/people"
peer out "$A:2500"
peer live "$A:2501" --caps "AUTH PLAIN,CHUNKING,8BITMIME" \
    --on "auth=PLAIN" "reply:235 2.7.0 welcome"
gateway_start <<E2 || exit 1
hostname gw.example.org
table people passwd "$T/gw/people"
table owners { anna = "anna@own.example, other.example" }
table hidden { "own.example" = "@public.example" }
action "live" proxy to { "$A:2501" }
action "out" relay to { "$A:2500" }
listen on $A port 2525 auth-optional <people> senders <owners> strict auth-plaintext
listen on $A port 2526 proxy "live" auth-plaintext senders <owners> strict
listen on $A port 2527 auth <people> senders <owners> auth-plaintext
listen on $A port 2528 auth <people> senders <owners> strict auth-plaintext masquerade <hidden>
match from any for domain { "else.example", "y.example" } action "out"
E2
cat >"$T/author.py" <<'E2'
"""author.py LIB A"""
import base64
import sys

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

at = sys.argv[2]
c = Cases("author")
number = 0


def session(port, auth=True):
    s = Smtp("%s:%d" % (at, port))
    s.hello()
    if auth:
        s.cmd("AUTH PLAIN " +
              base64.b64encode(b"\0anna\0geheim").decode())
    return s


def send(s, header, bdat=0, sender="anna@own.example"):
    """Its number stands in the body, after "taken" or "not"; the reply."""
    global number
    number += 1
    s.cmd("MAIL FROM:<%s>" % sender)
    s.cmd("RCPT TO:<x@else.example>")
    m = header + b"\r\nmessage %d.\r\n" % number
    if not bdat:
        s.cmd("DATA")
        return s.cmd(m + b".")
    while len(m) > bdat:
        s.send(b"BDAT %d\r\n" % bdat + m[:bdat])
        got = s.reply()
        if got[0] != 250:		# at a chunk behind the header
            return got
        m = m[bdat:]
    s.send(b"BDAT %d LAST\r\n" % len(m) + m)
    return s.reply()


good = (b"From: anna@own.example\r\n",
        b"From: Anna <ANNA@Own.Example>, (x@y) b@other.example\r\n"
        b"Sender: anna@own.example\r\nReply-To: boss@big.example\r\n",
        b"From: \"boss@big.example\"\r\n <anna@own.example>\r\n",
        b"From: =?utf-8?q?boss=40big=2Eexample?= <\"anna\"@own.example>\r\n",
        b"From: both: anna@own.example, b@other.example;\r\n")
other = (b"From: boss@big.example\r\n",
         b"From: anna@own.example, boss@big.example\r\n",
         b"From: g: anna@own.example,\r\n\tboss@big.example;\r\n",
         b"From: anna@own.example\r\nSender: boss@big.example\r\n",
         b"From: anna@own.example.\r\n",
         b"From: anna@sub.other.example\r\n",
         b"X: y\r\n" * 900 + b"From: boss@big.example\r\n")
unclear = (b"Subject: x\r\n", b"From: nobody:;\r\n", b"From: anna\r\n",
           b"From: anna@own.example\r\nFROM : anna@own.example\r\n",
           b"From: boss@big.example <anna@own.example>\r\n",
           b"From: <@big.example:anna@own.example>\r\n",
           b"From: anna@own.example\r\nno field\r\nFrom: b@big.example\r\n",
           b"From: anna@own.example" + b"," * 9000 + b"\r\n")
taken = []
for port in (2525, 2526):
    for bdat in (0, 61):
        s = session(port)
        for h in good:
            got = send(s, h, bdat)
            c.check("%d: %r is taken" % (port, h[:40]), got[0] == 250, got)
            taken.append(number)
        for h in other + unclear:
            got = send(s, h, bdat)
            c.check("%d: %r is refused" % (port, h[-40:]), got[0] == 550 and
                    got[1].startswith("5.7.1"), got)
        got = send(s, good[0], bdat)
        c.code("%d: the session goes on" % port, got, 250)
        taken.append(number)
        s.close()
s = session(2525)
c.code("the empty sender may be his, boss is not",
       send(s, other[0], sender=""), 550)
c.code("a message that is a header alone, and another's",
       (s.cmd("MAIL FROM:<anna@own.example>"), s.cmd("RCPT TO:<x@y.example>"),
        s.cmd("DATA"), s.cmd(b"From: boss@big.example\r\n."))[3], 550)
s.close()
s = session(2525, False)
c.code("who has not logged in is not asked",
       send(s, other[0], sender="x@y.example"), 250)
taken.append(number)
s.close()
s = session(2527)
c.code("nor anybody without strict", send(s, other[0]), 250)
taken.append(number)
s.close()
s = session(2528)
c.code("it is about what the client says, not what becomes of it",
       send(s, good[0]), 250)
taken.append(number)
c.code("and that is not his", send(s, b"From: anna@public.example\r\n"), 550)
s.close()
with open(sys.argv[3], "w") as f:
    print(*taken, file=f)
sys.exit(c.bad > 0)
E2
python3 "$T/author.py" "$TOP/regress/lib" "$A" "$T/taken" || FAILED=1
# Those that were taken, and no other one, have come.
all_came() {
	python3 - "$T/taken" "$T/peer/out" "$T/peer/live" <<'E2'
import json, re, sys
want = sorted(map(int, open(sys.argv[1]).read().split()))
got = []
for log in sys.argv[2:]:
    for line in open(log):
        e = json.loads(line)
        if e["event"] == "message":
            got.append(int(re.search(r"message (\d+)\.", e["content"]).group(1)))
print(want, sorted(got))
sys.exit(want != sorted(got))
E2
}
wait_until 20 all_came
check "what was taken has come, and nothing else" all_came
check "the log has the address" \
    logged 'id=[^ ]+ event=author result=refused user=anna from=<boss@big.example>'
check "and why nothing could be told" \
    logged 'id=[^ ]+ event=author result=refused user=anna why="more than one From"'
check "and the reply" logged 'event=refused .* reply="550 5.7.1 From or Sender '
