#!/usr/bin/env python3
"""A load of numbered messages that survives the server's faults and writes down
what became of each: "acked N", "refused N CODE" or "unknown N" (the connection
was lost before an answer to the final dot). Standard library only.

    load.py HOST:PORT --out FILE [--sessions S] [--seconds T | --count N]
            [--size BYTES] [--to DOMAIN|ADDRESS] [--first N] [--until FILE]

Message N goes to rN@DOMAIN, or to the one ADDRESS, and has the header "X-Number: N". Ends, also
before its time, when FILE is there. Its status is 0 when it could work to its
end; what is right or wrong is the caller's to say."""
import argparse
import itertools
import os
import socket
import threading
import time


class Refused(Exception):
    pass


class Session:
    def __init__(self, at):
        self.s = socket.create_connection(at, 30)
        self.s.settimeout(90)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.reply(b"220")
        self.say(b"EHLO client.example", b"250")

    def reply(self, want):
        while True:
            while b"\n" not in self.buf:
                b = self.s.recv(65536)
                if not b:
                    raise ConnectionError("closed")
                self.buf += b
            line, self.buf = self.buf.split(b"\n", 1)
            if line[3:4] != b"-":
                break
        if not line.startswith(want):
            raise Refused(line.decode("utf-8", "replace").strip())

    def say(self, line, want):
        self.s.sendall(line + b"\r\n")
        self.reply(want)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("at")
    p.add_argument("--out", required=True)
    p.add_argument("--sessions", type=int, default=10)
    p.add_argument("--seconds", type=float, default=0)
    p.add_argument("--count", type=int, default=0)
    p.add_argument("--size", type=int, default=2000)
    p.add_argument("--to", default="dest.example")
    p.add_argument("--first", type=int, default=1)
    p.add_argument("--until")
    p.add_argument("--pause", type=float, default=0)
    a = p.parse_args()
    host, port = a.at.rsplit(":", 1)
    numbers = itertools.count(a.first)
    end = time.time() + a.seconds if a.seconds else None
    lock = threading.Lock()
    out = open(a.out, "w")

    def say(line):
        with lock:
            out.write(line + "\n")
            out.flush()

    def take():
        with lock:
            n = next(numbers)
        if end is not None and time.time() >= end:
            return None
        if a.until and os.path.exists(a.until):
            return None
        if a.count and n >= a.first + a.count:
            return None
        return n

    def work():
        s = None
        while (n := take()) is not None:
            body = (b"From: <a@client.example>\r\nSubject: load %d\r\nX-Number: %d\r\n\r\n"
                    % (n, n) + (b"y" * 76 + b"\r\n") * (a.size // 78) + b".")
            sent = False
            try:
                if s is None:
                    s = Session((host, int(port)))
                s.say(b"MAIL FROM:<a@client.example>", b"250")
                to = a.to if "@" in a.to else "r%d@%s" % (n, a.to)
                s.say(b"RCPT TO:<%s>" % to.encode(), b"250")
                s.say(b"DATA", b"354")
                sent = True
                s.say(body, b"250")
                say("acked %d" % n)
                if a.pause:
                    time.sleep(a.pause)
            except Refused as e:
                say("refused %d %s" % (n, e))
                try:
                    s.s.close()
                except (OSError, AttributeError):
                    pass
                s = None
                time.sleep(0.02)
            except OSError:
                say(("unknown %d" if sent else "refused %d connection") % n)
                s = None
                time.sleep(0.02)
        if s is not None:
            try:
                s.say(b"QUIT", b"221")
            except (OSError, Refused):
                pass

    threads = [threading.Thread(target=work, daemon=True) for _ in range(a.sessions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


if __name__ == "__main__":
    main()
