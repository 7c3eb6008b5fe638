#!/usr/bin/env python3
"""Actual servers that misbehave behind a proxy, in every phase of a session, and
clients that vanish at every byte of one.

    badserver.py HOST SERVER-PORT LIVE-PORT RULE-PORT matrix|cuts

Lane k uses the ports SERVER-PORT + k for the server here, and LIVE-PORT + k and
RULE-PORT + k of the gateway: a proxied listener, and one that goes there by a
rule. Printed are the lines that regress/run counts."""
import itertools
import re
import socket
import struct
import sys
import threading
import time

from smtp import Cases, Smtp

LANES = 4
CAPS = {"full": ["PIPELINING", "8BITMIME", "CHUNKING", "SIZE 1000000"],
        "pipe": ["PIPELINING", "8BITMIME"], "none": []}
PHASES = ["greeting", "ehlo", "mail", "rcpt", "data", "content", "dot", "rset",
          "quit"]
ACTIONS = ["drop", "reset", "half", "bytes", "long", "many", "421", "421-open",
           "then-drop", "then-421", "stall", "garbage", "354"]
# Of them, those that leave the session as it should be.
HARMLESS = ["bytes", "long", "many", "stall"]
STALL = 0.3
BIG = 100000


class Gone(Exception):
    pass


class Conn(threading.Thread):
    """A session at the server. What it has taken, and what it has said of that:
    messages is a list of [sender, reply that was sent in full or None]."""

    def __init__(self, server, sock):
        super().__init__(daemon=True)
        self.server, self.s = server, sock
        self.phase, self.action, self.caps = server.case
        self.buf, self.messages, self.done = b"", [], False
        self.sender, self.rcpts, self.chunks = None, 0, b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(20)

    def put(self, data):
        try:
            self.s.sendall(data)
        except OSError:
            raise Gone()

    def more(self):
        try:
            b = self.s.recv(65536)
        except OSError:
            b = b""
        if not b:
            raise Gone()
        self.buf += b

    def line(self):
        while b"\r\n" not in self.buf:
            self.more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def reset(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
        raise Gone()

    def reply(self, phase, code, *lines):
        """The usual reply, or what the case has; the code that was said."""
        usual = b"".join(b"%d%s%s\r\n" % (code, b" " if i + 1 == len(lines)
                                          else b"-", x.encode())
                         for i, x in enumerate(lines))
        if phase != self.phase:
            self.put(usual)
            return code
        a = self.action
        if a == "drop":
            raise Gone()
        if a == "reset":
            self.reset()
        if a == "half":
            self.put(usual[:2])
            raise Gone()
        if a == "bytes":
            for i in range(len(usual)):
                self.put(usual[i:i + 1])
        elif a == "long":
            self.put(b"%d %s\r\n" % (code, b"x" * BIG))
        elif a == "many":
            self.put(b"%d-%s\r\n" % (code, b"y" * 400) * (BIG // 400) +
                     b"%d z\r\n" % code)
        elif a in ("421", "421-open"):
            self.put(b"421 4.3.2 going down\r\n")
            if a == "421":
                raise Gone()
            return 421
        elif a == "then-drop":
            self.put(usual)
            self.said(code)
            raise Gone()
        elif a == "then-421":
            self.put(usual + b"421 4.3.2 going down\r\n")
            self.said(code)
            raise Gone()
        elif a == "stall":
            time.sleep(STALL)
            self.put(usual)
        elif a == "garbage":
            self.put(b"hello there\r\n")
            return 0
        elif a == "354":
            self.put(b"354 go on\r\n")
            return 354
        return code

    def said(self, code):
        """The last message's reply is out."""
        if self.phase == "dot" and self.messages:
            self.messages[-1][1] = code

    def inside(self):
        """Bytes of content have come."""
        if self.phase != "content":
            return
        a, self.action = self.action, None
        if a in ("drop", "half", "then-drop"):
            raise Gone()
        if a == "reset":
            self.reset()
        if a in ("421", "421-open", "then-421"):
            self.put(b"421 4.3.2 going down\r\n")
            if a != "421-open":
                raise Gone()
        elif a in ("stall", "bytes"):
            time.sleep(STALL)

    def message(self):
        self.messages.append([self.sender, None])
        self.sender, self.rcpts = None, 0
        code = self.reply("dot", 250, "2.0.0 taken")
        self.messages[-1][1] = code

    def data(self):
        if not self.rcpts:
            self.reply("data", 554, "5.5.1 no recipients")
            return
        if self.reply("data", 354, "go on") != 354:
            return
        body = b"\r\n" + self.buf
        while b"\r\n.\r\n" not in body:
            self.buf = b""
            self.more()
            body += self.buf
            self.inside()
        self.buf = body.split(b"\r\n.\r\n", 1)[1]
        self.message()

    def bdat(self, line):
        size, _, last = line[5:].partition(b" ")
        while len(self.buf) < int(size):
            self.more()
            self.inside()
        self.buf = self.buf[int(size):]
        if not self.rcpts:
            self.put(b"503 5.5.1 no recipients\r\n")
        elif last:
            self.message()
        else:
            self.put(b"250 2.0.0 so far\r\n")

    def session(self):
        self.reply("greeting", 220, "server.example ESMTP")
        while True:
            line = self.line()
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                self.sender, self.rcpts = None, 0
                self.reply("ehlo", 250, "server.example",
                           *(CAPS[self.caps] if verb == b"EHLO" else []))
            elif verb == b"MAIL":
                sender = re.search(rb"<(.*?)>", line).group(1).decode()
                if self.reply("mail", 250, "2.1.0 fine") == 250:
                    self.sender = sender
            elif verb == b"RCPT":
                if self.sender is None:
                    self.put(b"503 5.5.1 no sender\r\n")
                elif self.reply("rcpt", 250, "2.1.5 fine") == 250:
                    self.rcpts += 1
            elif verb == b"DATA":
                self.data()
            elif verb == b"BDAT":
                self.bdat(line)
            elif verb == b"RSET":
                self.sender, self.rcpts = None, 0
                self.reply("rset", 250, "2.0.0 fine")
            elif verb == b"QUIT":
                self.reply("quit", 221, "2.0.0 bye")
                return
            else:
                self.put(b"250 2.0.0 fine\r\n")

    def run(self):
        try:
            self.session()
        except Gone:
            pass
        self.s.close()
        self.done = True


class Server(threading.Thread):
    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.case, self.conns = ("", "", "full"), []
        self.s = socket.create_server((host, port), backlog=256)

    def run(self):
        while True:
            c = Conn(self, self.s.accept()[0])
            self.conns.append(c)
            c.start()

    def settled(self, seconds=10):
        """Has every session of the server ended?"""
        end = time.monotonic() + seconds
        while not all(c.done for c in self.conns):
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True


# ---- the matrix ----

BODY = b"".join(b"line %d of the message\r\n" % i for i in range(100))
ENVELOPE = [b"MAIL FROM:<a@b.example>", b"RCPT TO:<u@dest.example>"]


class Client:
    """A session that wants one message delivered; all replies that came."""

    def __init__(self, at, mode):
        self.mode, self.replies = mode, []
        self.wanted, self.final, self.closed = 0, None, False
        self.s = Smtp(at, timeout=15)
        try:
            self.run()
        except OSError as e:
            # A session that was ended while we were sending.
            if isinstance(e, socket.timeout):
                self.replies.append((-1, "nothing came"))
        self.s.close()

    def send(self, data, n):
        self.wanted += n
        try:
            self.s.send(data)
        except ConnectionError:
            pass			# what it said before is read yet

    def take(self, n=1):
        for _ in range(n):
            r = self.s.reply()
            if r[0] == 0:
                self.closed = True
                raise ConnectionError()
            self.replies.append(r)
        return self.replies[-1][0]

    def group(self, lines):
        """Commands, one by one or all at once."""
        if self.mode == "lock":
            for x in lines:
                self.send(x + b"\r\n", 1)
                self.take()
        else:
            self.send(b"".join(x + b"\r\n" for x in lines), len(lines))
            self.take(len(lines))
        return self.replies[-1][0]

    def run(self):
        self.wanted = 1
        self.take()
        self.group([b"EHLO c.example"])
        if self.replies[-1][0] != 250:
            self.group([b"QUIT"])
            return
        lines = ENVELOPE + [b"RSET"] + ENVELOPE
        if self.mode == "bdat":
            half = len(BODY) // 2
            self.send(b"".join(x + b"\r\n" for x in lines) +
                      b"BDAT %d\r\n" % half + BODY[:half] +
                      b"BDAT %d LAST\r\n" % (len(BODY) - half) + BODY[half:] +
                      b"QUIT\r\n", len(lines) + 3)
            self.take(len(lines) + 1)
            self.final = self.take()
            self.take()
            return
        if self.group(lines + [b"DATA"]) == 354:
            end = b".\r\n" if self.mode == "lock" else b".\r\nQUIT\r\n"
            self.send(BODY + end, 1 if self.mode == "lock" else 2)
            self.final = self.take()
            if self.mode != "lock":
                self.take()
                return
        self.group([b"QUIT"])


def judge(case, c, conns):
    """What is wrong with that session, or None."""
    phase, action, caps, mode, way = case
    codes = [r[0] for r in c.replies]
    taken = [m for x in conns for m in x.messages if m[1] == 250]
    whole = [m for x in conns for m in x.messages]
    last = codes[-1] if codes else 0
    if -1 in codes:
        return "no answer came: %r" % codes
    if len(codes) < c.wanted and last != 421:
        return "closed without a word: %r of %d" % (codes, c.wanted)
    if c.final is not None and c.final // 100 == 2 and not taken:
        return "a false %d" % c.final
    if c.final is None and codes and last // 100 == 2 and len(codes) >= c.wanted \
            and 354 in codes:
        return "no answer to content: %r" % codes
    # One that says that it leaves, and goes on, has itself to thank.
    if (phase, action) == ("content", "421-open"):
        return None
    if taken and (c.final is None or c.final // 100 != 2):
        return "it was taken, but the client heard %r" % codes
    if whole and not taken and c.final is not None and c.final // 100 != 4:
        return "not known to be taken, but the client heard %r" % codes
    if len(whole) > 1:
        return "%d messages" % len(whole)
    if any(x // 100 == 5 and x != 554 for x in codes) and mode == "lock":
        return "a refusal that nobody gave: %r" % codes
    if action in HARMLESS and (not taken or last != 221):
        return "nothing was wrong, but the client heard %r" % codes
    return None


def lane(host, k, ports, cases, bad, server):
    for case in cases:
        phase, action, caps, mode, way = case
        server.case, server.conns = (phase, action, caps), []
        try:
            c = Client("%s:%d" % (host, ports[way] + k), mode)
        except OSError as e:
            bad.setdefault((phase, action), []).append((case, repr(e)))
            continue
        what = None if server.settled() else "the server's session is left"
        what = judge(case, c, server.conns) or what
        if what:
            bad.setdefault((phase, action), []).append((case, what))


def lanes(target, args):
    threads = [threading.Thread(target=target, args=a) for a in args]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def matrix(host, ports, servers):
    combos = [("full", "bdat"), ("full", "pipe"), ("pipe", "lock"),
              ("none", "pipe"), ("none", "bdat")]
    cases = [(p, a, c, m, w) for p, a, (c, m), w in
             itertools.product(PHASES, ACTIONS, combos, ("live", "rule"))
             # 354 is the usual one there.
             if (p, a) != ("data", "354")]
    bad = {}
    lanes(lane, [(host, k, ports, cases[k::LANES], bad, servers[k])
                 for k in range(LANES)])
    t = Cases("badserver")
    for p, a in itertools.product(PHASES, ACTIONS):
        if (p, a) == ("data", "354"):
            continue
        t.check("%s, %s: the client hears what is true" % (p, a),
                (p, a) not in bad, bad.get((p, a)))
    return t.bad


# ---- clients that vanish ----

def session(sender, mode):
    """The bytes of a session as (bytes, replies to wait for before the next),
    and how many of them it takes until the message is whole."""
    head = [b"EHLO c\r\n", b"MAIL FROM:<%s>\r\n" % sender,
            b"RCPT TO:<u@dest.example>\r\n"]
    if mode == "pipe":
        parts = [(b"".join(head) + b"BDAT 9\r\na: b\r\n\r\nx" +
                  b"BDAT 5 LAST\r\n\r\n.\r\n", 5), (b"QUIT\r\n", 1)]
    else:
        parts = [(x, 1) for x in head] + [(b"DATA\r\n", 1),
                 (b"a: b\r\n\r\nx\r\n..\r\n.\r\n", 1), (b"QUIT\r\n", 1)]
    whole = sum(len(p) for p, _ in parts[:-1])
    return parts, whole


def vanish(at, parts, n, how):
    """Sends the first n bytes, as a client would, and goes."""
    s = Smtp(at, timeout=15)
    s.reply()
    for data, replies in parts:
        if n <= 0:
            break
        s.send(data[:n])
        n -= len(data)
        if n >= 0:
            for _ in range(replies):
                s.reply()
    if how == "reset":
        s.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                       struct.pack("ii", 1, 0))
    s.close()


def cut_lane(host, port, server, caps, mode, how, told):
    server.case, server.conns = ("", "", caps), []
    total = sum(len(p) for p, _ in session(b"0000@b.example", mode)[0])
    early = missing = 0
    try:
        for n in range(total + 1):
            parts, _ = session(b"%04d@b.example" % n, mode)
            vanish("%s:%d" % (host, port), parts, n, how)
    except OSError as e:
        told.append((False, "byte %d: %r" % (n, e)))
        return
    time.sleep(0.3)
    left = not server.settled()
    got = [int(m[0][:4]) for c in server.conns for m in c.messages]
    _, whole = session(b"0000@b.example", mode)
    early = [n for n in got if n < whole]
    # Who waited for the reply has it, and so has the server.
    missing = [n for n in range(whole, total + 1) if n not in got]
    told.append((not (left or early or missing) and len(set(got)) == len(got),
                 (left, early, missing, got)))


def cuts(host, ports, servers):
    t = Cases("badserver")
    for way, caps in itertools.product(("live", "rule"), ("full", "none")):
        jobs = list(itertools.product(("pipe", "lock"), ("close", "reset")))
        told = [[] for _ in jobs]
        lanes(cut_lane, [(host, ports[way] + k, servers[k], caps, m, how, told[k])
                         for k, (m, how) in enumerate(jobs)])
        for (m, how), x in zip(jobs, told):
            t.check("%s, to a server with %s: a %s client that vanishes (%s) at "
                    "any byte has sent a message only behind its last one" %
                    (way, caps, m, how), len(x) == 1 and x[0][0], x)
    return t.bad


def main():
    host, port, live, rule = sys.argv[1], *map(int, sys.argv[2:5])
    servers = [Server(host, port + k) for k in range(LANES)]
    for s in servers:
        s.start()
    f = {"matrix": matrix, "cuts": cuts}[sys.argv[5]]
    sys.exit(f(host, {"live": live, "rule": rule}, servers) > 0)


if __name__ == "__main__":
    main()
