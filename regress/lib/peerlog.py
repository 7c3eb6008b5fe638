#!/usr/bin/env python3
"""The messages in a log of peer.py, as text for grep(1):

    peerlog.py LOG [TEXT]

those whose content has TEXT in it (all without it): the arguments of MAIL and
of each RCPT on a line, the content with LF as its ends of line, and END."""
import json
import sys


def main():
    text = sys.argv[2] if len(sys.argv) > 2 else ""
    with open(sys.argv[1]) as f:
        events = [json.loads(line) for line in f]
    for m in events:
        if m["event"] != "message" or text not in m["content"]:
            continue
        print("MAIL", m["mail"])
        for r in m["rcpt"]:
            print("RCPT", r)
        content = m["content"].encode("latin-1").decode("utf-8", "replace")
        print(content.replace("\r\n", "\n"), end="")
        print("END")


if __name__ == "__main__":
    main()
