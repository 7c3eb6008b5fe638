#!/bin/sh
# Ten thousand messages on their way while queued and deliverd die again and
# again, at any stage of them: nothing acknowledged is lost, nothing refused is
# delivered, and what comes twice was in doubt when its deliverd died.
. "$(dirname "$0")/lib.sh"
need_peers "smtp-sink" || exit 0
N=10000

sink $A:2500 "$T/in"
gateway_start <<EOF2 || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } open
listen on $A port 2525
match from any for any action "out"
queue retry 1s..2s
log level warn
EOF2
python3 "$TOP/regress/lib/load.py" $A:2525 --out "$T/fates" --sessions 20 \
    --count $N &
load=$!
PIDS="$PIDS $load"

python3 - "$GW" "$load" "$T/kills" <<'E2'
import os
import random
import signal
import sys
import time

gw, load, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seed = int(os.environ.get("SEED", time.time()))
random.seed(seed)
killed = {"queued": 0, "deliverd": 0}
MOST = 6        # each death is followed by a longer pause before the next life


def children(name):
    found = []
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % p) as f:
                stat = f.read()
        except OSError:
            continue
        comm = stat[stat.index("(") + 1:stat.rindex(")")]
        if int(stat[stat.rindex(")") + 2:].split()[1]) == gw and comm == name:
            found.append(int(p))
    return found


end = time.time() + 90
more = 3                                # after the last was taken too
while time.time() < end and more > 0:
    try:
        done = open("/proc/%d/stat" % load).read().rsplit(")", 1)[1][1] == "Z"
    except OSError:
        done = True
    more -= done
    time.sleep(random.uniform(0.05, 0.6))
    left = [n for n in killed if killed[n] < MOST]
    if not left:
        break
    name = random.choice(left)
    for pid in random.sample(children(name), min(1, len(children(name)))):
        os.kill(pid, signal.SIGKILL)
        killed[name] += 1
with open(out, "w") as f:
    print("seed %d, queued %d, deliverd %d" % (seed, killed["queued"],
                                               killed["deliverd"]), file=f)
E2
wait $load
sed 's/^/# killed: /' "$T/kills"
check "each died more than once" sh -c \
    "sed 's/.*queued \([0-9]*\), deliverd \([0-9]*\)/\1 \2/' '$T/kills' | awk '\$1 < 2 || \$2 < 2 { exit 1 }'"
nothing_missing() { python3 "$TOP/regress/lib/tally.py" --missing "$T/fates" "$T/in"; }
wait_until 60 nothing_missing
check "of $N messages nothing acknowledged is lost" \
    python3 "$TOP/regress/lib/tally.py" --again "$T/fates" "$T/in"
sed 's/^/# /' "$T/check.out"
check "most of them were acknowledged" test \
    "$(grep -c acked "$T/fates")" -gt $((N / 2))
empty() { ctl -j queue stats | grep -q '"messages":0'; }
check "the queue is empty in the end" wait_until 30 empty
gateway_stop
