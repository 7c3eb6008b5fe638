#!/usr/bin/env python3
"""A scripted SMTP server that misbehaves on purpose, and writes down what it
got. Python's standard library only; each connection has its own thread.

    peer.py ADDRESS:PORT | unix:PATH [OPTION ...]

It serves until it is killed. Once it listens it prints "ready" on its standard
output, and with --port-file FILE writes the port there (PORT may be 0).

What it announces
    --greet "220 text"       the greeting; "" sends none at all
    --caps "PIPELINING,SIZE 1000,8BITMIME"     EHLO keywords, comma between;
                             default: PIPELINING,8BITMIME,ENHANCEDSTATUSCODES
    --no-ehlo                EHLO gets 502, HELO is taken

What it answers: rules, the first that fits is used, else the usual reply
    --on STEP[:N][@C][=TEXT] ACTION            may be given many times
        STEP   connect helo mail rcpt data dot bdat rset noop quit auth vrfy
               content (inside DATA or BDAT, once N bytes have come; N default 1)
               any (any command)
        N      only the N-th of this step on its connection (from 1)
        @C     only on the C-th connection (from 1)
        =TEXT  only if the command line contains TEXT
        ACTION
            reply:CODE TEXT          "|" separates the lines of a longer reply:
                                     "reply:250 one|two" is 250-one, 250 two
            raw:BYTES                these bytes, with \\r \\n \\0 \\xNN escapes
            drop                     closes at once
            reset                    closes with RST
            reply-drop:CODE TEXT     answers, then closes
            stall[:SECONDS]          no answer (for SECONDS, then the usual one)
            slow[:MS]:CODE TEXT      the reply byte by byte, MS between (1)
            extra:CODE TEXT          the usual reply, then this one unasked for
            flood:COUNT              a reply of COUNT lines
            endless                  one line that never ends (64 MiB)
    --single-bytes           every reply is written byte by byte
    --reply-delay MS         every reply is late by MS
    --read-delay MS          pause before each read of content
    --idle SECONDS           says 421 and closes after that much silence
    --max-messages N         421 and close at the MAIL behind N messages

What it keeps
    --log FILE               JSON lines, one an event, appended and flushed:
        {"event": "connect"|"command"|"message"|"close"|"partial"|"error",
         "conn": C, "t": seconds, ...}
        command: "line"; message: "from", "to" (list, with <> and parameters
        taken off), "mail" and "rcpt" (the whole arguments), "how" ("data" or
        "bdat"), "size", "sha256", "reply", and "content" (latin-1) unless
        --no-content; partial: the connection ended inside content; "size" and
        "content" as far as they came; error: a breach of the protocol by the
        client, e.g. commands behind a group's end: "what"
    --no-content             leave the content out of the log
    --dir DIR                each complete message as DIR/C-N.eml

Strictness: only CR LF ends a line; a bare CR or LF in a command or in content
is logged as an error and answered 500 (in content 550 at its end).
"""
import argparse
import hashlib
import json
import os
import re
import socket
import struct
import sys
import threading
import time


def parse_rule(spec, action):
    m = re.match(r"([a-z]+)(?::(\d+))?(?:@(\d+))?(?:=(.*))?$", spec)
    if not m:
        sys.exit("peer.py: bad --on " + spec)
    verb, _, arg = action.partition(":")
    return {"step": m.group(1), "n": int(m.group(2) or 0),
            "conn": int(m.group(3) or 0), "text": m.group(4),
            "verb": verb, "arg": arg}


class Log:
    def __init__(self, path):
        self.f = open(path, "a") if path else None
        self.lock = threading.Lock()
        self.t0 = time.time()

    def write(self, event, conn, **kw):
        if self.f is None:
            return
        kw.update(event=event, conn=conn, t=round(time.time() - self.t0, 3))
        with self.lock:
            self.f.write(json.dumps(kw) + "\n")
            self.f.flush()


class Gone(Exception):
    pass


class Session:
    def __init__(self, opt, log, sock, conn):
        self.opt, self.log, self.s, self.conn = opt, log, sock, conn
        self.buf = b""
        self.count = {}
        self.messages = 0
        self.clear()
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if opt.idle:
            sock.settimeout(opt.idle)

    def clear(self):
        self.mail, self.rcpts, self.chunks = None, [], b""

    # ---- bytes ----
    def put(self, data, single=False, ms=1):
        if self.opt.reply_delay:
            time.sleep(self.opt.reply_delay / 1000)
        try:
            if not (single or self.opt.single_bytes):
                self.s.sendall(data)
                return
            for i in range(len(data)):
                self.s.sendall(data[i:i + 1])
                time.sleep(ms / 1000)
        except OSError:
            raise Gone()

    def more(self):
        try:
            b = self.s.recv(65536)
        except socket.timeout:
            self.put(b"421 4.4.2 idle for too long\r\n")
            raise Gone()
        except OSError:
            b = b""
        if not b:
            raise Gone()
        self.buf += b

    def line(self):
        while b"\r\n" not in self.buf:
            if len(self.buf) > 1 << 20:
                raise Gone()
            self.more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    @staticmethod
    def format(text):
        code, _, rest = text.partition(" ")
        lines = rest.split("|")
        out = ["%s-%s\r\n" % (code, x) for x in lines[:-1]]
        return ("".join(out) + "%s %s\r\n" % (code, lines[-1])).encode("utf-8")

    # ---- rules ----
    def rule(self, step, line=""):
        self.count[step] = self.count.get(step, 0) + 1
        for r in self.opt.rules:
            if r["step"] != step and not (r["step"] == "any" and line):
                continue
            if r["n"] and step != "content" and r["n"] != self.count[step]:
                continue
            if r["conn"] and r["conn"] != self.conn:
                continue
            if r["text"] is not None and r["text"] not in line:
                continue
            return r
        return None

    def act(self, r, usual):
        """Does what the rule says; returns the reply that was given."""
        verb, arg = r["verb"], r["arg"]
        if verb == "reply":
            self.put(self.format(arg))
            return arg
        if verb == "raw":
            data = arg.encode("latin-1").decode("unicode_escape")
            self.put(data.encode("latin-1"))
        elif verb == "drop":
            raise Gone()
        elif verb == "reset":
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            raise Gone()
        elif verb == "reply-drop":
            self.put(self.format(arg))
            raise Gone()
        elif verb == "stall":
            if not arg:
                while True:
                    self.more()
            time.sleep(float(arg))
            self.put(self.format(usual))
            return usual
        elif verb == "slow":
            ms, _, text = arg.partition(":")
            if not text:
                ms, text = "1", arg
            self.put(self.format(text), True, float(ms))
            return text
        elif verb == "extra":
            self.put(self.format(usual) + self.format(arg))
            return usual
        elif verb == "flood":
            n = int(arg)
            code = usual[:3].encode()
            self.put(b"".join(code + b"-line %d\r\n" % i
                              for i in range(n - 1)) + code + b" last\r\n")
            return usual
        elif verb == "endless":
            for _ in range(1024):
                self.put(b"x" * 65536)
        else:
            sys.exit("peer.py: no such action: " + verb)
        return usual

    def answer(self, step, usual, line=""):
        r = self.rule(step, line)
        if r is None:
            self.put(self.format(usual))
            return usual
        return self.act(r, usual)

    # ---- the session ----
    def run(self):
        self.log.write("connect", self.conn)
        try:
            r = self.rule("connect")
            if r is not None:
                self.act(r, self.opt.greet)
            elif self.opt.greet:
                self.put(self.format(self.opt.greet))
            while self.command():
                pass
        except Gone:
            pass
        finally:
            self.log.write("close", self.conn)
            self.s.close()

    def command(self):
        raw = self.line()
        line = raw.decode("latin-1")
        self.log.write("command", self.conn, line=line)
        if "\r" in line or "\n" in line or "\0" in line:
            self.log.write("error", self.conn, what="bare CR, LF or NUL")
            self.put(b"500 5.5.2 bare CR, LF or NUL\r\n")
            return True
        verb, _, arg = line.partition(" ")
        f = getattr(self, "do_" + verb.lower(), None)
        if f is None:
            self.answer("any", "500 5.5.1 no such command", line)
            return True
        return f(arg, line) is not False

    def do_ehlo(self, arg, line):
        self.clear()
        if self.opt.no_ehlo:
            self.answer("helo", "502 5.5.1 no EHLO here", line)
            return
        caps = [c for c in self.opt.caps.split(",") if c]
        self.answer("helo", "250 " + "|".join(["peer.test"] + caps), line)

    def do_helo(self, arg, line):
        self.clear()
        self.answer("helo", "250 peer.test", line)

    def do_mail(self, arg, line):
        if self.opt.max_messages and self.messages >= self.opt.max_messages:
            self.put(b"421 4.7.0 enough messages\r\n")
            raise Gone()
        usual = "250 2.1.0 sender ok"
        if self.mail is not None:
            usual = "503 5.5.1 nested MAIL"
            self.log.write("error", self.conn, what="nested MAIL")
        if self.answer("mail", usual, line).startswith("2"):
            self.mail = arg

    def do_rcpt(self, arg, line):
        usual = ("250 2.1.5 recipient ok" if self.mail is not None
                 else "503 5.5.1 no MAIL")
        if self.answer("rcpt", usual, line).startswith("2"):
            self.rcpts.append(arg)

    def do_data(self, arg, line):
        if self.buf:
            self.log.write("error", self.conn, what="bytes behind DATA")
        usual = ("354 go on" if self.rcpts else "554 5.5.1 no recipients"
                 if self.mail is not None else "503 5.5.1 no MAIL")
        if not self.answer("data", usual, line).startswith("354"):
            return
        raw, self.buf = bytearray(b"\r\n" + self.buf), b""
        seen = 0
        try:
            while True:
                end = raw.find(b"\r\n.\r\n", max(0, seen - 4))
                if end >= 0:
                    break
                seen = len(raw)
                self.inside(raw)
                if self.opt.read_delay:
                    time.sleep(self.opt.read_delay / 1000)
                self.more()
                raw += self.buf
                self.buf = b""
        except Gone:
            self.partial(bytes(raw[2:]))
            raise
        self.buf = bytes(raw[end + 5:])
        lines = bytes(raw[2:end]).split(b"\r\n") if end > 0 else []
        rest = b"".join(lines)
        bare = b"\r" in rest or b"\n" in rest or b"\0" in rest
        content = b"".join((x[1:] if x[:1] == b"." else x) + b"\r\n"
                           for x in lines)
        self.got("data", "dot", content, bare)

    def inside(self, so_far):
        for r in self.opt.rules:
            if r["step"] == "content" and len(so_far) >= max(r["n"], 1) and \
                    r["conn"] in (0, self.conn) and not r.get("used"):
                r["used"] = True
                self.act(r, "")

    def do_bdat(self, arg, line):
        m = re.match(r"(\d+)( LAST)?$", arg, re.I)
        if not m:
            self.put(b"501 5.5.4 BDAT size\r\n")
            raise Gone()
        size = int(m.group(1))
        raw, self.buf = bytearray(self.buf), b""
        try:
            while len(raw) < size:
                if self.opt.read_delay:
                    time.sleep(self.opt.read_delay / 1000)
                self.inside(self.chunks + raw)
                self.more()
                raw += self.buf
                self.buf = b""
        except Gone:
            self.partial(self.chunks + bytes(raw))
            raise
        chunk, self.buf = bytes(raw[:size]), bytes(raw[size:])
        if not self.rcpts:
            self.answer("bdat", "503 5.5.1 no recipients", line)
            return
        self.chunks += chunk
        if not m.group(2):
            reply = self.answer("bdat", "250 2.0.0 %d octets" % size, line)
            if not reply.startswith("2"):
                self.clear()
            return
        c = self.chunks
        rest = c.replace(b"\r\n", b"")
        self.got("bdat", "bdat", c, b"\r" in rest or b"\n" in rest, line)

    def partial(self, content):
        kw = {} if self.opt.no_content else {"content": content.decode("latin-1")}
        self.log.write("partial", self.conn, size=len(content), **kw)

    def got(self, how, step, content, bare, line=""):
        self.messages += 1
        usual = "250 2.0.0 ok %d-%d" % (self.conn, self.messages)
        if bare:
            usual = "550 5.6.0 bare CR, LF or NUL"
            self.log.write("error", self.conn, what="bare bytes in content")
        kw = {} if self.opt.no_content else {"content": content.decode("latin-1")}

        def path(arg):
            m = re.match(r"(?:FROM|TO):\s*<(.*?)>(?: |$)", arg, re.I)
            return m.group(1) if m else arg
        r = self.rule(step, line)
        kw.update({"from": path(self.mail), "to": [path(x) for x in self.rcpts],
                   "mail": self.mail, "rcpt": self.rcpts, "how": how,
                   "size": len(content),
                   "sha256": hashlib.sha256(content).hexdigest()})
        if self.opt.dir:
            name = "%d-%d.eml" % (self.conn, self.messages)
            with open(os.path.join(self.opt.dir, name), "wb") as f:
                f.write(content)
        self.clear()
        # Written before the answer, so who has the answer finds it.
        reply = usual
        if r is not None:
            reply = r["arg"] if "reply" in r["verb"] else "(%s)" % r["verb"]
        self.log.write("message", self.conn, reply=reply, **kw)
        if r is None:
            self.put(self.format(usual))
        else:
            self.act(r, usual)

    def do_rset(self, arg, line):
        self.clear()
        self.answer("rset", "250 2.0.0 ok", line)

    def do_noop(self, arg, line):
        self.answer("noop", "250 2.0.0 ok", line)

    def do_vrfy(self, arg, line):
        self.answer("vrfy", "252 2.0.0 send some mail", line)

    do_expn = do_help = do_vrfy

    def do_auth(self, arg, line):
        """Takes any PLAIN; LOGIN asks two questions."""
        mech, _, initial = arg.partition(" ")
        if self.rule("auth", line) is not None:
            self.count["auth"] -= 1
            self.answer("auth", "235 2.7.0 ok", line)
            return
        for question in ((b"334 \r\n",) if mech.upper() == "PLAIN" and
                         not initial else
                         (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n")
                         if mech.upper() == "LOGIN" else ()):
            self.put(question)
            got = self.line().decode("latin-1")
            self.log.write("command", self.conn, line=got)
            if got == "*":
                self.put(b"501 5.7.0 cancelled\r\n")
                return
        self.put(b"235 2.7.0 ok\r\n")

    def do_quit(self, arg, line):
        self.answer("quit", "221 2.0.0 bye", line)
        return False


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("address")
    p.add_argument("--greet", default="220 peer.test ESMTP")
    p.add_argument("--caps", default="PIPELINING,8BITMIME,ENHANCEDSTATUSCODES")
    p.add_argument("--no-ehlo", action="store_true")
    p.add_argument("--on", nargs=2, action="append", default=[])
    p.add_argument("--single-bytes", action="store_true")
    p.add_argument("--reply-delay", type=float, default=0)
    p.add_argument("--read-delay", type=float, default=0)
    p.add_argument("--idle", type=float, default=0)
    p.add_argument("--max-messages", type=int, default=0)
    p.add_argument("--log")
    p.add_argument("--no-content", action="store_true")
    p.add_argument("--dir")
    p.add_argument("--port-file")
    opt = p.parse_args()
    opt.rules = [parse_rule(a, b) for a, b in opt.on]
    log = Log(opt.log)
    if opt.address.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.bind(opt.address[5:])
    else:
        host, port = opt.address.rsplit(":", 1)
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, int(port)))
    s.listen(1024)
    if opt.port_file:
        with open(opt.port_file + ".new", "w") as f:
            f.write("%d\n" % s.getsockname()[1])
        os.rename(opt.port_file + ".new", opt.port_file)
    print("ready", flush=True)
    conn = 0
    while True:
        c, _ = s.accept()
        conn += 1
        threading.Thread(target=Session(opt, log, c, conn).run,
                         daemon=True).start()


if __name__ == "__main__":
    main()
