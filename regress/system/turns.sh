#!/bin/sh
# One sender with much mail to a server that is slow, and another with a line or
# two: the second does not wait for the first, whether that one's mail is many
# messages or one to many recipients.
. "$(dirname "$0")/lib.sh"

python3 "$TOP/regress/lib/peer.py" "$A:2500" --log "$T/peer.log" --no-content \
    --reply-delay 30 >"$T/peer.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 grep -q ready "$T/peer.out"
gateway_start <<E2 || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } max-connections 2
listen on $A port 2525
match from any for domain "dest.example" action "out"
limit sessions per source 1000
E2
left() { ctl -j queue stats | sed 's/.*"messages":\([0-9]*\).*/\1/'; }
empty() { [ "$(left)" = 0 ]; }
came() { grep -q "\"to\": \[\"$1@dest.example\"" "$T/peer.log"; }

# ---- many messages ----
python3 "$TOP/regress/lib/load.py" "$A:2525" --out "$T/acked" --sessions 8 \
    --count 150 --to dest.example
check "a letter among many of another is taken" \
    send "$A:2525" one@other.example letter@dest.example
check "and delivered soon" wait_until 5 came letter
n=$(left)
check "while most of the others wait: $n" test "$n" -gt 75
check "which are delivered too" wait_until 90 empty

# ---- many recipients ----
rcpts=$(seq -f r%g@dest.example 1 300 | paste -sd, -)
check "a message to 300 is taken" send "$A:2525" bulk@a.example "$rcpts"
check "and a letter" send "$A:2525" one@other.example second@dest.example
check "which is delivered before the 300" wait_until 10 came second
check "no more than a hundred at a time" python3 - "$T/peer.log" <<'E3'
import json
import sys
got = [json.loads(x) for x in open(sys.argv[1])]
sys.exit(any(len(x["to"]) > 100 for x in got if x["event"] == "message"))
E3
# With the 150 letters of the load, whose recipients are named so too.
all() { [ "$(grep -o '"r[0-9]*@dest.example"' "$T/peer.log" | wc -l)" -ge 450 ]; }
check "all of them are delivered" wait_until 90 all
check "nobody broke the protocol" sh -c "! grep '\"event\": \"error\"' '$T/peer.log'"
