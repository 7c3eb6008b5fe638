#!/usr/bin/env python3
"""memory.py FILE PID ...: which of FILE's lines stand in the memory of these
processes; of one that begins with "hex:", the bytes that it says. Prints them;
status 1 if any does, 2 if it could not be read. Needs root."""
import re
import sys

words = [bytes.fromhex(x[4:].decode()) if x.startswith(b"hex:") else x
         for x in open(sys.argv[1], "rb").read().split(b"\n") if x]
pattern = re.compile(b"|".join(re.escape(x) for x in words))
found, seen = set(), 0
for pid in sys.argv[2:]:
    try:
        maps = open("/proc/%s/maps" % pid).read().splitlines()
        mem = open("/proc/%s/mem" % pid, "rb", 0)
    except OSError as e:
        print(e)
        sys.exit(2)
    for m in maps:
        at, mode = m.split()[:2]
        if not mode.startswith("rw"):
            continue
        a, b = (int(x, 16) for x in at.split("-"))
        try:
            mem.seek(a)
            data = mem.read(b - a)
        except OSError:
            continue
        seen += len(data)
        for x in pattern.finditer(data):
            found.add((pid, m.split()[-1], x.group()))
for f in sorted(found):
    print(*f)
sys.exit(1 if found else 2 if seen == 0 else 0)
