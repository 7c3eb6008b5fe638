#!/usr/bin/env python3
"""Holds a message that arrived against the one that was sent:

    bodies.py SENT PEERLOG TEXT

The one message of a peer.py log with TEXT in it must have each line of SENT's
header in its order, with nothing but trace fields added, and
its body byte for byte. Prints the trace fields' names, or what differs."""
import json
import sys

TRACE = (b"received:", b"return-path:", b"delivered-to:", b"envelope-to:",
         b"delivery-date:")


def fields(header):
    out = []
    for line in header.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and out:
            out[-1] += b"\r\n" + line
        else:
            out.append(line)
    return out


def main():
    with open(sys.argv[1], "rb") as f:
        sent = f.read().replace(b"\n", b"\r\n")
    got = []
    with open(sys.argv[2]) as f:
        for line in f:
            m = json.loads(line)
            if m["event"] == "message" and sys.argv[3] in m["content"]:
                got.append(m["content"].encode("latin-1"))
    if len(got) != 1:
        sys.exit("%d messages" % len(got))
    head, _, body = sent.partition(b"\r\n\r\n")
    ghead, _, gbody = got[0].partition(b"\r\n\r\n")
    if gbody != body:
        sys.exit("the body differs: %r, not %r" % (gbody[:200], body[:200]))
    want, have = fields(head), fields(ghead)
    added = [f for f in have if f not in want]
    kept = [f for f in have if f in want]
    if kept != want:
        sys.exit("the header differs: %r, not %r" % (kept, want))
    names = [f.split(b":")[0].decode() for f in added]
    other = [f for f in added if not f.lower().startswith(TRACE)]
    if other:
        sys.exit("added: %r" % other)
    print(" ".join(names))


if __name__ == "__main__":
    main()
