#!/usr/bin/env python3
"""Holds what load.py wrote down against the messages that arrived: each file of
the folders is one message with "X-Number: N" in it.

    tally.py OUT DIR...

Status 0 if nothing acknowledged is missing, nothing refused was delivered, and
none is cut short. Says how many came twice; with --once that is an error too.
With --again a message that was answered 4xx may have arrived: whoever waited for
the answer died, and the client sends it again."""
import os
import re
import sys
from collections import Counter

args = [a for a in sys.argv[1:] if not a.startswith("--")]
once = "--once" in sys.argv
wait = "--missing" in sys.argv           # print only how many are missing
again = "--again" in sys.argv
fate, code = {}, {}
for line in open(args[0]):
    w = line.split(None, 2)
    fate[int(w[1])] = w[0]
    code[int(w[1])] = w[2] if len(w) > 2 else ""
got, short = Counter(), 0
sizes = Counter()
for d in args[1:]:
    for name in os.listdir(d):
        with open(os.path.join(d, name), "rb") as f:
            text = f.read()
        m = re.search(rb"^X-Number: (\d+)\s*$", text, re.M)
        if not m:
            short += b"\nX-Late: " not in text      # kill.sh's own
            continue
        got[int(m.group(1))] += 1
        sizes[text[m.end():].count(b"y")] += 1
if len(sizes) > 1:
    short += sum(sizes.values()) - max(sizes.values())
acked = [n for n, f in fate.items() if f == "acked"]
missing = [n for n in acked if got[n] == 0]
if wait:
    print(len(missing))
    sys.exit(bool(missing))
ghosts = [n for n, f in fate.items() if f == "refused" and got[n] and
          not (again and code[n].startswith("4"))]
twice = [n for n, c in got.items() if c > 1]
print("%d acknowledged, %d missing, %d refused but delivered, %d cut short, %d twice; "
      "%d refused, %d unknown" % (len(acked), len(missing), len(ghosts), short, len(twice),
                                  sum(f == "refused" for f in fate.values()),
                                  sum(f == "unknown" for f in fate.values())))
sys.exit(bool(missing or ghosts or short or not acked or (once and twice)))
