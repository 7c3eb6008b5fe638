#!/bin/sh
# Old and odd clients: bare newlines, long lines, missing fields, inner names,
# masked sources, messages that come again; what arrives at a scripted server.
. "$(dirname "$0")/lib.sh"

mkdir -p "$T/peer"
python3 "$TOP/regress/lib/peer.py" $A:2500 --log "$T/peer/in" \
    --caps PIPELINING,8BITMIME,ENHANCEDSTATUSCODES >"$T/peer/out" 2>&1 &
PIDS="$PIDS $!"
wait_until 5 grep -q ready "$T/peer/out"
# say PORT COMMAND ...: a session; "\\" as in printf; a last word "@drop" closes
# without QUIT. Its replies are in $T/said.
cat >"$T/say.py" <<'E2'
import socket, sys
host, port, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
s = socket.create_connection((host, port), 20)
f = s.makefile("rb")
def reply():
    while True:
        line = f.readline()
        if not line:
            return
        print(line.decode("latin-1").rstrip())
        if line[3:4] != b"-":
            return
reply()
for w in words:
    if w == "@drop":
        sys.exit(0)
    s.sendall(w.encode("latin-1").decode("unicode_escape").encode("latin-1"))
    reply()
s.sendall(b"QUIT\r\n")
reply()
E2
say() { python3 "$T/say.py" $A "$@" >"$T/said" 2>&1; }
message() {
	_port=$1 _data=$2; shift 2
	say "$_port" 'EHLO pc.inner.example\r\n' \
	    'MAIL FROM:<scan@pc.inner.example>\r\n' \
	    'RCPT TO:<u@dest.example>\r\n' 'DATA\r\n' "$_data" "$@"
}
cat >"$T/got.py" <<'E2'
import json, sys
n = 0
for line in open(sys.argv[1]):
    m = json.loads(line)
    if m["event"] == "error":
        sys.exit("the server saw: " + m["what"])
    if m["event"] == "message" and sys.argv[2] in m["content"]:
        n += 1
        last = m
if n != 1:
    sys.exit("%d messages" % n)
text = "MAIL " + last["mail"] + "\r\n" + last["content"]
for want in sys.argv[3:]:
    no = want.startswith("!")
    want = (want[1:] if no else want).encode("latin-1").decode("unicode_escape")
    if (want in text) == no:
        sys.exit("%r in %r" % (want, text))
E2
arrived() { wait_until 10 python3 "$T/got.py" "$T/peer/in" "$@" ||
    python3 "$T/got.py" "$T/peer/in" "$@"; }

gateway_start <<E2 || exit 1
hostname gw.example.org
action "in" relay to { "$A:2500" } open
action "live" proxy to { "$A:2500" } open
table outside { ".inner.example" = "@example.org" }
listen on $A port 2525
listen on $A port 2526 bare-newline normalize long-lines fold complete-headers mask-source masquerade <outside>
listen on $A port 2527 long-lines reject
listen on $A port 2528 recognise-retry
listen on $A port 2529 proxy "live" bare-newline normalize long-lines fold masquerade <outside>
limit messages 2
match from any for any action "in"
queue retry 1s..2s
E2

H='Date: x\r\nMessage-ID: <x>\r\nFrom: scan@pc.inner.example\r\n'
message 2525 "${H}S: one\\n\\nx\\r\\n.\\r\\n"
check "bare newlines are refused by default" grep -q '^550 5.6.0' "$T/said"
for port in 2526 2529; do
	message $port "${H}Subject: two$port\\n\\nx\\n.\\ny\\r.\\rz\\r\\n.\\r\\n"
	check "$port: bare newlines: taken" grep -q '^250 2.0.0' "$T/said"
	check "$port: bare newlines: whole lines arrive, as one message" \
	    arrived two$port '\r\n\r\nx\r\n.\r\ny\r\n.\r\nz\r\n'
	message $port "${H}Subject: three$port\\n\\nx\\n.\\nMAIL FROM:<evil@x>\\r\\nRCPT TO:<v@y>\\r\\nDATA\\r\\nbad\\r\\n.\\r\\n"
	check "$port: nothing is smuggled" arrived three$port \
	    '\r\n.\r\nMAIL FROM:<evil@x>\r\n' 'MAIL FROM:<scan@example.org>'
	check "$port: inner names are not shown" arrived three$port \
	    'From: scan@example.org' '!From: scan@pc'
	L=$(printf 'long%.0s' $(seq 1 600))
	message $port "${H}Subject: four$port\\r\\n\\r\\n$L\\r\\n.\\r\\n"
	check "$port: long lines are folded" arrived four$port \
	    "$(echo "$L" | cut -c 1-998)\\r\\n" "$(echo "$L" |
	    cut -c 1997-)\\r\\n"
done
message 2526 "Subject: five\\r\\n\\r\\nx\\r\\n.\\r\\n"
check "missing fields are put in" arrived five '\r\nDate: ' \
    '\r\nMessage-ID: <' '@gw.example.org>\r\nFrom: scan@example.org\r\n'
check "the source is masked" arrived five 'Received: from localhost (local)' \
    '!pc.inner' "!$A"
message 2527 "${H}\\r\\n$L\\r\\n.\\r\\n"
check "long lines are refused" grep -q '^554 5.6.0' "$T/said"

# A client that does not see our 250, and one that does.
message 2528 "${H}Subject: six\\r\\n\\r\\nx\\r\\n.\\r\\n" @drop
first=$(sed -n 's/^250 2.0.0 \(.*\) queued/\1/p' "$T/said")
wait_until 5 logged 'event=disconnect.*closed by the client'
message 2528 "${H}Subject: six\\r\\n\\r\\nx\\r\\n.\\r\\n"
check "again: 250 with the first one's id" grep -q "^250 2.0.0 $first queued" \
    "$T/said"
check "again: it arrives once" arrived six 'Subject: six'
check "again: told and counted" sh -c \
    "grep -q 'event=again first=$first' '$T/gw/log' &&
    '$BUILD/posternctl' -j -s '$T/gw/run' queue stats | grep -q '\"again\":1'"
message 2528 "${H}Subject: seven\\r\\n\\r\\nx\\r\\n.\\r\\n"
first=$(sed -n 's/^250 2.0.0 \(.*\) queued/\1/p' "$T/said")
message 2528 "${H}Subject: seven\\r\\n\\r\\nx\\r\\n.\\r\\n"
check "one that was seen is sent twice if it comes twice" sh -c \
    "grep -q '^250 2.0.0 .* queued' '$T/said' && ! grep -q '$first' '$T/said'"

say 2525 'EHLO a\r\n' 'MAIL FROM:<>\r\n' 'RSET\r\n' 'MAIL FROM:<>\r\n' \
    'RSET\r\n' 'MAIL FROM:<>\r\n'
check "limit messages: announced" grep -q '^250.LIMITS MAILMAX=2 RCPTMAX=1000' \
    "$T/said"
check "limit messages: the next one is for another session" \
    grep -q '^452 4.7.0' "$T/said"
gateway_stop
exit $FAILED
