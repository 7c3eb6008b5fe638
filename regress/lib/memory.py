#!/usr/bin/env python3
"""memory.py FILE PID ...: which of FILE's lines stand in the memory of these
processes; of one that begins with "hex:", the bytes that it says. Prints them;
status 1 if any does, 2 if it could not be read. Needs root."""
import re
import sys


def read(pid):
    """Name and bytes of each part that it may write."""
    with open("/proc/%s/maps" % pid) as f:
        maps = f.read().splitlines()
    with open("/proc/%s/mem" % pid, "rb", 0) as mem:
        for m in maps:
            at, mode = m.split()[:2]
            if not mode.startswith("rw"):
                continue
            a, b = (int(x, 16) for x in at.split("-"))
            try:
                mem.seek(a)
                yield m.split()[-1], mem.read(b - a)
            except OSError:
                continue		# it has given it back


def pattern(file):
    """Of all lines of a file."""
    with open(file, "rb") as f:
        words = [bytes.fromhex(x[4:].decode()) if x.startswith(b"hex:") else x
                 for x in f.read().split(b"\n") if x]
    return re.compile(b"|".join(re.escape(x) for x in words))


def main():
    words = pattern(sys.argv[1])
    found, seen = set(), 0
    for pid in sys.argv[2:]:
        try:
            for name, data in read(pid):
                seen += len(data)
                for x in words.finditer(data):
                    found.add((pid, name, x.group()))
        except OSError as e:
            print(e)
            sys.exit(2)
    for f in sorted(found):
        print(*f)
    sys.exit(1 if found else 2 if seen == 0 else 0)


if __name__ == "__main__":
    main()
