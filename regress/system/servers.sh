#!/bin/sh
# Actual servers that misbehave, both ways: what each recipient gets, what is
# tried again, what the client hears.
. "$(dirname "$0")/lib.sh"

peer() {	# NAME PORT [options]
	_name=$1 _port=$2; shift 2
	python3 "$TOP/regress/lib/peer.py" "$A:$_port" --log "$T/$_name.log" "$@" \
	    >"$T/$_name.out" 2>&1 &
	PIDS="$PIDS $!"
	wait_until 10 grep -q ready "$T/$_name.out"
}
# Per recipient; a connection lost behind the dot; a 421 in the middle.
# has PEER EVENT TEXT: an event of its log with that text in it.
has() { grep "\"event\": \"$2\"" "$T/$1.log" | grep -q "$3"; }
has_not() { ! has "$@"; }
peer mixed 2501 --on "rcpt=later@" "reply:450 4.2.1 not now" \
    --on "rcpt=never@" "reply:550 5.1.1 no such|550 user" --on "dot@1" "drop" \
    --on "mail:1@2" "reply:421 4.3.2 busy"
peer bounces 2502
# What the client of the proxy hears.
peer live 2503 --caps "PIPELINING,SIZE 200000,8BITMIME,VRFY" \
    --on "rcpt=long@" "reply:550 5.1.1 first line|5.1.1 second line" \
    --on "rcpt=gone@" "drop" --on "rcpt=busy@" "reply:421 4.3.2 closing" \
    --on "content:60000=" "stall:1" --on "dot=" "reply:250 2.6.0 taken as 77"
peer late 2504 --greet ""
peer refuses 2505 --greet "554 5.7.1 not you"
peer nonsense 2506 --greet "hello there"
peer cuts 2507 --on "content:1000" drop
gateway_start <<E2 || exit 1
hostname gw.example.org
action "mixed"   relay to { "$A:2501" }
action "bounces" relay to { "$A:2502" }
action "live"    proxy to { "$A:2503" }
action "second"  proxy to { "$A:2599", "$A:2506", "$A:2503" }
action "refuses" proxy to { "$A:2505" }
action "cuts"    proxy to { "$A:2507" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
listen on $A port 2527 proxy "second"
listen on $A port 2528 proxy "refuses"
listen on $A port 2529 proxy "cuts"
match from any for domain "dest.example" action "mixed"
match from any for domain "client.example" action "bounces"
queue retry 1s..2s
E2

# ---- regular ----
send $A:2525 a@client.example ok@dest.example,later@dest.example,never@dest.example \
    --header "Subject: mixed" >"$T/out" 2>&1
check "three recipients are taken" test $? -eq 0
result() { logged "event=deliver to=<$1@dest.example> result=$2"; }
check "lost behind the dot: deferred, none failed" wait_until 20 result ok deferred
check "450: deferred" wait_until 20 result later deferred
check "550: failed, with the server's words" wait_until 20 logged \
    'to=<never@dest.example> result=failed .*reply="550 5.1.1 no such / 550 user"'
check "421 before a recipient: deferred, not failed" wait_until 20 logged \
    'event=deliver to=<ok@dest.example> result=deferred .*421 4.3.2 busy'
check "delivered in the end" wait_until 30 result ok delivered
check "a bounce for the one that failed" \
    wait_until 20 has bounces message never@dest.example
check "which is not about the others" has_not bounces message "<later@dest"
check "from the null reverse-path" grep -q '"from": ""' "$T/bounces.log"
check "ok@ and later@ in one transaction, never@ no more" sh -c \
    "! sed '1,/never@/d' '$T/mixed.log' | grep -q 'RCPT TO:<never@'"

# ---- proxy ----
cat >"$T/proxy.py" <<'E3'
"""proxy.py LIB LIVE SECOND REFUSES CUTS"""
import sys
import time

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

live, second, refuses, cuts = sys.argv[2:6]
c = Cases("servers")


def begin(at, *rcpts):
    s = Smtp(at)
    s.hello()
    s.cmd("MAIL FROM:<a@client.example>")
    return s, [s.cmd("RCPT TO:<%s@dest.example>" % r) for r in rcpts]


s = Smtp(live)
got = s.reply()
c.check("the greeting has our name and the server's text", got == (220, "gw.example.org ESMTP"), got)
got = s.cmd("EHLO client.example")
lines = got[1].split("\n")
c.check("EHLO: what both can", {"PIPELINING", "SIZE 200000", "8BITMIME", "CHUNKING", "VRFY",
         "DSN"} == set(lines[1:]), got)
c.code("a parameter that the server lacks", s.cmd("MAIL FROM:<a@b.example> BY=120;R"), 555)
c.code("SMTPUTF8 that the server lacks", s.cmd("MAIL FROM:<a@b.example> SMTPUTF8"), 555)
c.code("a size over the server's", s.cmd("MAIL FROM:<a@b.example> SIZE=200001"), 552)
s.close()

s, got = begin(live, "long", "fine")
c.check("a reply of two lines as it was", got[0] == (550, "5.1.1 first line\n5.1.1 second line"), got)
c.check("the next recipient", got[1][0] == 250, got)
s.cmd("DATA")
got = s.cmd(b"Subject: live\r\n\r\nx\r\n.")
c.check("the reply to the content as it was", got == (250, "2.6.0 taken as 77"), got)
got = s.cmd("BDAT 4\r\nab")
c.check("BDAT out of turn eats its bytes", got[0] == 503, got)
s.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<fine@dest.example>\r\nBDAT 19\r\n"
       b"Subject: chunks\r\n\r\nBDAT 5 LAST\r\nxyz\r\n")
got = [s.reply()[0] for _ in range(4)]
c.check("BDAT from the client, DATA to the server", got == [250, 250, 250, 250], got)
c.code("QUIT", s.cmd("QUIT"), 221)
s.close()

s, got = begin(live, "busy")
c.check("421 of the server as it was, and the end", got[0] == (421, "4.3.2 closing"), got)
c.check("the session has ended", s.reply() == (0, ""))
s, got = begin(live, "gone")
c.check("a server that drops: 421", got[0][0] == 421, got)
c.check("the session has ended then", s.reply() == (0, ""))

s, _ = begin(live, "fine")
s.cmd("DATA")
s.send(b"X-Half: 1\r\n\r\n" + b"y" * 30000)
time.sleep(0.3)
s.close()

s = Smtp(second)
got = s.reply()
c.check("a dead server and one that talks nonsense are passed over", got[0] == 220, got)
s.close()
s = Smtp(refuses)
got = s.reply()
c.check("a refusal at connect as it was", got == (554, "5.7.1 not you"), got)
s, _ = begin(cuts, "x")
s.cmd("DATA")
try:
    s.send(b"X-Cut: 1\r\n\r\n" + b"z" * 20000)
    time.sleep(0.3)
    s.send(b"\r\n.\r\n")
except OSError:
    pass
got = s.reply()
c.check("a server gone within the content: 421", got[0] == 421, got)
sys.exit(c.bad > 0)
E3
python3 "$T/proxy.py" "$TOP/regress/lib" "$A:2526" "$A:2527" "$A:2528" "$A:2529" ||
    FAILED=1
check "a client gone within the content: a cut at the server" \
    wait_until 10 has live partial X-Half
check "and no message of it" has_not live message X-Half
check "the server saw the chunks as one message" has live message "Subject: chunks"
check "nobody broke the protocol" sh -c "! grep -h '\"event\": \"error\"' '$T'/*.log"
check "QUIT was said to the server" grep -q '"line": "QUIT"' "$T/live.log"
