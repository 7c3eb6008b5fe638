#!/bin/sh
# posternctl on a running gateway: each command, for people and with -j, and who
# may use it.
. "$(dirname "$0")/lib.sh"

gateway_start <<EOF || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } open
listen on $A port 2525
match from any for any action "out"
queue retry 1h..2h
EOF
json() { python3 -c 'import json,sys
for l in sys.stdin: json.loads(l)'; }

check "status" sh -c "'$BUILD/posternctl' -s '$T/gw/run' status | grep -q smtpd.1"
check "status -j is JSON" sh -c "'$BUILD/posternctl' -s '$T/gw/run' -j status |
    python3 -c 'import json,sys; [json.loads(l) for l in sys.stdin]'"
check "listeners" sh -c "'$BUILD/posternctl' -s '$T/gw/run' listeners | grep -q $A"
check "stats" sh -c "'$BUILD/posternctl' -s '$T/gw/run' stats | grep -q smtpd"

for i in 1 2 3; do
	send $A:2525 a$i@client.example b$i@dest$i.example \
	    --header "Subject: number $i" >"$T/out" 2>&1
done
id() { ctl -j queue list "sender=a$1@client.example" |
    sed -n 's/.*"id":"\([^"]*\)".*/\1/p'; }
three() { [ "$(ctl -j queue list | grep -c '"kind":"queued"')" -eq 3 ]; }
check "queue list has three" wait_until 5 three
check "a filter by sender" test -n "$(id 2)"
check "a filter by domain" sh -c \
    "[ \$('$BUILD/posternctl' -s '$T/gw/run' -j queue list domain=dest3.example | wc -l) = 1 ]"
check "queue stats" sh -c "'$BUILD/posternctl' -s '$T/gw/run' queue stats | grep -q 3"
check "message show" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message show $(id 1) | grep -q b1@dest1.example"
check "message headers" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message headers $(id 1) | grep -q 'Subject: number 1'"
check "message content" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message content $(id 1) | grep -q 'This is a test mailing'"
cat >"$T/read.py" <<'E3'
import base64, json, subprocess, sys
def ask(*a): return subprocess.run(sys.argv[1:4] + list(a), capture_output=True).stdout
i = sys.argv[4]
raw = ask("message", "content", i)
one = json.loads(ask("-j", "message", "content", i))
assert base64.b64decode(one["base64"]) == raw and one["complete"] is True, one
assert b"\xff\x00" in raw or b"\xff" in raw, raw
head = ask("message", "headers", i)
assert raw.startswith(head) and head.endswith(b"\r\n\r\n")
f = {x["name"]: x for x in map(json.loads, ask("-j", "message", "headers", i).splitlines())}
assert f["Subject"]["value"].startswith("number 9"), f
assert base64.b64decode(f["X-Odd"]["base64"]).startswith(b"X-Odd: \xfe"), f
rows = [json.loads(x) for x in ask("-j", "message", "show", i).splitlines()]
m = [x for x in rows if x["kind"] == "message"][0]
r = [x for x in rows if x["kind"] == "recipient"]
assert m["envid"] == "QQ314159" and m["ret"] == "hdrs" and m["body"] == "8bitmime", m
assert m["client"] and m["helo"] == "odd.example" and m["left"] == 2, m
assert r[0]["orcpt"] == "rfc822;o1@dest.example" and r[0]["notify"] == "failure,delay", r
assert r[1]["to"] == "o2@dest.example" and r[1]["notify"] == "never", r
E3
python3 - "$TOP/regress/lib" $A:2525 <<'E4' || no "a message of odd bytes is taken"
import sys
sys.path.insert(0, sys.argv[1])
from smtp import Smtp
s = Smtp(sys.argv[2])
s.reply()
for l in ("EHLO odd.example",
          "MAIL FROM:<odd@client.example> BODY=8BITMIME RET=HDRS ENVID=QQ314159",
          "RCPT TO:<o1@dest.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;o1@dest.example",
          "RCPT TO:<o2@dest.example> NOTIFY=NEVER", "DATA"):
    assert s.cmd(l)[0] in (250, 354), l
long = b"".join(b"X-Long: %060d\r\n" % n for n in range(300))
got = s.cmd(b"Subject: number 9\r\n folded\r\nX-Odd: \xfe\r\n" + long +
            b"\r\nbytes \xff\x80\xc3\r\n" + (b"z" * 76 + b"\r\n") * 1500 + b".")
assert got[0] == 250, got
E4
odd() { ctl -j queue list sender=odd@client.example |
    sed -n 's/.*"id":"\([^"]*\)".*/\1/p'; }
check "all of a message is read back, as JSON too" python3 "$T/read.py" \
    "$BUILD/posternctl" -s "$T/gw/run" "$(odd)"
ctl -p -y bounce rcpt=o1@dest.example >"$T/out" 2>"$T/err"
check "bounce gives up what the filter means" sh -c \
    "[ $? -eq 0 ] && grep -q 'changed: 1' '$T/out'"
check "and nothing else" sh -c "'$BUILD/posternctl' -s '$T/gw/run' -j message show $(odd) |
    grep o2@ | grep -q waiting"
check "the sender is told" wait_until 5 logged 'event=bounce of=.*to=<odd@client.example>|event=bounce .*odd@client.example'
check "remove of the rest" ctl -y remove "$(odd)"
tried() { ctl -j message show "$(id 1)" | grep -Eq '"attempts":[1-9]'; }
check "the first attempt was made" wait_until 10 tried
before=$(ctl -j message show "$(id 1)" | sed -n 's/.*"attempts":\([0-9]*\).*/\1/p')
check "schedule" ctl -y schedule "$(id 1)"
again() { [ "$(ctl -j message show "$(id 1)" | sed -n 's/.*"attempts":\([0-9]*\).*/\1/p')" -gt "$before" ]; }
check "it is tried again at once" wait_until 10 again
ctl schedule all </dev/null >"$T/out" 2>&1
check "without -y and a terminal nothing is done" test $? -eq 64
ctl -y remove >"$T/out" 2>&1
check "an empty filter is an error" test $? -eq 64
check "hold" ctl -y hold "$(id 2)"
check "it is held" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' queue list state=held | grep -q a2@client.example"
check "release" ctl -y release "$(id 2)"
check "it is not held" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' queue list state=held | grep -q a2@client.example"
check "remove" ctl -y remove "$(id 3)"
check "it is gone" test -z "$(id 3)"
check "pause mta" ctl pause mta
check "status says so" sh -c "'$BUILD/posternctl' -s '$T/gw/run' status | grep -qi paused"
check "resume mta" ctl resume mta
check "pause destination" ctl pause destination out
check "resume destination" ctl resume destination out
check "pause listener" ctl pause listener $A:2525
held() { ! timeout 2 swaks --server $A:2525 --quit-after CONNECT --timeout 1; }
check "a paused listener does not greet" held
check "resume listener" ctl resume listener $A:2525
check "it greets again" swaks --server $A:2525 --quit-after CONNECT
check "log level debug" ctl log level debug
check "log level is told" sh -c "'$BUILD/posternctl' -s '$T/gw/run' log level | grep -q debug"
check "check" ctl check
check "version" ctl version
python3 - $A 2525 <<'E2' &
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"EHLO waiting.example\r\n"); time.sleep(20)
E2
PIDS="$PIDS $!"
check "sessions shows who is connected" wait_until 15 sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' sessions | grep -q $A"
ctl nonsense >"$T/out" 2>&1
check "an unknown command is a usage error" test $? -eq 64
"$BUILD/posternctl" -s "$T/nowhere" status >"$T/out" 2>&1
check "no gateway: 69 and a hint" sh -c "[ $? -eq 69 ] && grep -q running '$T/out'"

if [ "$(command id -u)" -eq 0 ]; then
	chmod 755 "$T" "$T/gw"
	cp "$BUILD/posternctl" "$T/posternctl"
	chmod 755 "$T/posternctl"
	setpriv --reuid nobody --regid nogroup --clear-groups \
	    "$T/posternctl" -s "$T/gw/run" status >"$T/out" 2>&1
	check "a stranger may not ask" test $? -eq 77
	setpriv --reuid nobody --regid nogroup --groups "$(getent group _postern-adm | cut -d: -f3)" \
	    "$T/posternctl" -s "$T/gw/run" status >"$T/out" 2>&1
	check "a member of the group may look" test $? -eq 0
else
	skip "who may ask: needs root"
fi
