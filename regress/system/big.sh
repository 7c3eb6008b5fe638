#!/bin/sh
# Large messages: unchanged both ways, by DATA and BDAT, and a server that reads
# slowly stops the client instead of filling our memory.
. "$(dirname "$0")/lib.sh"

peer() {	# NAME PORT [options]
	_name=$1 _port=$2; shift 2
	mkdir -p "$T/$_name"
	python3 "$TOP/regress/lib/peer.py" "$A:$_port" --log "$T/$_name.log" \
	    --no-content --dir "$T/$_name" "$@" >"$T/$_name.out" 2>&1 &
	PIDS="$PIDS $!"
	wait_until 10 grep -q ready "$T/$_name.out"
}
peer data 2500
peer bdat 2501 --caps "PIPELINING,8BITMIME,CHUNKING,SIZE 50000000"
peer slow 2502 --read-delay 4
gateway_start <<E2 || exit 1
hostname gw.example.org
action "data" relay to { "$A:2500" }
action "bdat" relay to { "$A:2501" }
action "pdata" proxy to { "$A:2500" }
action "pbdat" proxy to { "$A:2501" }
action "pslow" proxy to { "$A:2502" }
listen on $A port 2525
listen on $A port 2526 proxy "pdata"
listen on $A port 2527 proxy "pbdat"
listen on $A port 2528 proxy "pslow"
match from any for domain "data.example" action "data"
match from any for domain "bdat.example" action "bdat"
E2
cat >"$T/big.py" <<'E3'
"""big.py LIB AT DOMAIN data|bdat MIB: sends one, prints its size and digest."""
import hashlib
import random
import sys

sys.path.insert(0, sys.argv[1])
from smtp import Smtp  # noqa: E402

at, domain, how, mib = sys.argv[2:6]
rnd = random.Random(int(mib) * 7)
line = [bytes(rnd.choices(b".abcdefghij \xc3\xa9", k=rnd.randrange(0, 200))) + b"\r\n"
        for _ in range(997)]
content = b"Subject: big\r\nX-Test: big\r\n\r\n"
while len(content) < float(mib) * 1048576:
    content += b"".join(rnd.sample(line, 500))
s = Smtp(at, 300)
s.hello()
s.cmd("MAIL FROM:<a@client.example> BODY=8BITMIME")
got = s.cmd("RCPT TO:<b@%s>" % domain)
assert got[0] == 250, got
if how == "data":
    got = s.cmd("DATA")
    assert got[0] == 354, got
    s.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    got = s.reply()
else:
    at = 0
    while at < len(content):
        part = content[at:at + rnd.randrange(1, 300000)]
        at += len(part)
        s.send(b"BDAT %d%s\r\n" % (len(part), b" LAST" if at == len(content) else b"") + part)
        got = s.reply()
        assert got[0] == 250, got
assert got[0] == 250, got
s.cmd("QUIT")
print(len(content), hashlib.sha256(content).hexdigest())
E3
big() { python3 "$T/big.py" "$TOP/regress/lib" "$@"; }
cat >"$T/arrived.py" <<'E3'
"""arrived.py DIR SIZE DIGEST: that content, behind our Received field alone."""
import hashlib
import os
import sys

size = int(sys.argv[2])
for name in os.listdir(sys.argv[1]):
    with open(os.path.join(sys.argv[1], name), "rb") as f:
        text = f.read()
    front = text[:-size]
    if hashlib.sha256(text[-size:]).hexdigest() == sys.argv[3] and \
            front.startswith(b"Received: ") and len(front) < 400:
        sys.exit(0)
sys.exit(1)
E3
for how in data bdat; do
	for to in data bdat; do
		big "$A:2525" $to.example $how 3 >"$T/sent" 2>"$T/err"
		check "regular: $how from the client, $to to the server" test $? -eq 0
		check "and it is whole" wait_until 30 \
		    python3 "$T/arrived.py" "$T/$to" $(cat "$T/sent")
		port=2526
		[ $to = bdat ] && port=2527
		big "$A:$port" $to.example $how 2 >"$T/sent" 2>"$T/err"
		check "proxy: $how from the client, $to to the server" test $? -eq 0
		check "and it is whole" \
		    python3 "$T/arrived.py" "$T/$to" $(cat "$T/sent")
	done
done

# Six clients of 3 MiB each to a server that reads slowly.
rss() { awk '/^VmHWM/ { print $2 }' "/proc/$(pid_of "$1")/status"; }
jobs=
for i in 1 2 3 4 5 6; do
	big "$A:2528" data.example data 3 >"$T/slow.$i" 2>&1 &
	jobs="$jobs $!"
done
bad=0
for j in $jobs; do wait "$j" || bad=1; done
check "a slow server gets all of six at once" test $bad -eq 0
case $BUILD in
*asan*|*cover*) skip "memory is measured in the build that is shipped" ;;
*)
	for d in smtpd.1 smtpd.2 proxyd.1 proxyd.2; do
		pid_of $d | grep -q . || continue
		m=$(rss $d)
		check "$d stayed under 40 MiB ($m KiB)" test "$m" -lt 40960
	done ;;
esac
