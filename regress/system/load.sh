#!/bin/sh
# 10,000 messages over 50 sessions, each way, to smtp-sink: all arrive, once,
# unchanged but for the Received header.
. "$(dirname "$0")/lib.sh"
need_peers "smtp-source and smtp-sink" || exit 0
N=${N:-10000}

cat >"$T/compare.py" <<'E2'
"""Messages of a dump folder against one sent straight to the sink: the envelope
recipients (smtp-source numbers them) and the content without our Received."""
import os, re, sys
from collections import Counter

direct, through, want = sys.argv[1], sys.argv[2], int(sys.argv[3])

def read(d):
    for n in os.listdir(d):
        with open(os.path.join(d, n), "rb") as f:
            yield f.read()

def parts(text):
    """Recipient that the sink noted, and the content from the client's own
    first header on."""
    rcpt = re.search(rb"^X-Rcpt-Args: <([^>]*)>", text, re.M).group(1)
    content = text[text.index(b"From: <"):] if b"\nFrom: <" in text else text
    # The sink's notes end with its own Received field.
    return rcpt, content

def strip(content):
    """What differs from message to message by the sender's own doing."""
    return re.sub(rb"(?m)^(Message-Id|Date|To):.*\n", b"", content)

ref = strip(parts(next(read(direct)))[1])
seen, bad = Counter(), 0
for text in read(through):
    rcpt, content = parts(text)
    seen[rcpt] += 1
    if strip(content) != ref:
        bad += 1
    if text.count(b"by gw.example.org") != 1:
        bad += 1
twice = sum(1 for v in seen.values() if v > 1)
print(f"{len(seen)} recipients, {twice} more than once, {bad} changed")
sys.exit(not (len(seen) == want and twice == 0 and bad == 0))
E2

sink $A:2501 "$T/direct"
smtp_source -N -d -s 1 -m 1 -l 4096 -f a@client.example -t b@dest.example $A:2501
kill $SINK
sink $A:2500 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
action "live" proxy to { "$A:2500" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
match from any for any action "out"
log level warn
EOF
arrived() { [ "$(find "$T/in" -type f | wc -l)" -ge "$1" ]; }

check "the regular way takes $N messages over 50 sessions" \
    smtp_source -N -d -s 50 -m "$N" -l 4096 -f a@client.example \
    -t b@dest.example $A:2525
check "all of them arrive" wait_until 120 arrived "$N"
check "once, and unchanged" python3 "$T/compare.py" "$T/direct" "$T/in" "$N"
queue_empty() { [ "$(ctl -j queue list | grep -c queued)" -eq 0 ]; }
check "the queue is empty then" wait_until 20 queue_empty

find "$T/in" -type f -delete
check "the proxy way takes $N messages over 50 sessions" \
    smtp_source -N -d -s 50 -m "$N" -l 4096 -f a@client.example \
    -t b@dest.example $A:2526
check "all of them are there when the client has its last 250" arrived "$N"
check "once, and unchanged" python3 "$T/compare.py" "$T/direct" "$T/in" "$N"
