"""Messages that are refused on their way through a proxied listener, in one
session each: the client's session goes on.
    block.py HOST:PORT data|bdat|rule NAME"""
import sys

from smtp import Cases, Smtp

at, how, name = sys.argv[1:4]
c = Cases("block " + how)
rcpt = "user@example.org"


def begin(s):
    s.cmd("MAIL FROM:<a@client.example>")
    return s.cmd("RCPT TO:<%s>" % rcpt)


def content(s, text, want):
    """By what the client uses; in pieces, so that some of it has gone on."""
    begin(s)
    if how == "bdat":
        half = len(text) // 2
        s.send(b"BDAT %d\r\n" % half + text[:half])
        first = s.reply()
        s.send(b"BDAT %d LAST\r\n" % (len(text) - half) + text[half:])
        last = s.reply()
        return last if first[0] == 250 else first
    got = s.cmd("DATA")
    assert got[0] == 354, got
    s.send(text)
    return s.cmd(".")


def message(subject, body=b"text\r\n"):
    return b"Subject: " + subject.encode() + b"\r\n\r\n" + body


big = b"".join(b"%04d " % i + b"x" * 70 + b"\r\n" for i in range(5000))
s = Smtp(at)
c.code("EHLO", s.hello(), 250)
for i, (what, bad, code) in enumerate([
        ("a bare LF behind 300 kB", message("bad-%s-1" % name, big + b"a\nb\r\n"), 550),
        ("a NUL", message("bad-%s-2" % name, b"a\0b\r\n" + big), 550),
        ("a loop", b"Received: x\r\n" * 101 + message("bad-%s-3" % name), 554),
        ("too much", message("bad-%s-4" % name, big * 4), 552)]):
    c.code(what, content(s, bad, code), code if how != "bdat" else (code, 503))
    c.code("NOOP behind " + what, s.cmd("NOOP"), 250)
    c.code("the next message behind " + what,
           content(s, message("good-%s-%d" % (name, i)), 250), 250)
if how == "bdat":
    begin(s)
    s.send(b"BDAT 8000\r\n" + big[:8000])
    c.code("half a message", s.reply(), 250)
    c.code("RSET between chunks", s.cmd("RSET"), 250)
    c.code("a message behind it", content(s, message("good-%s-4" % name), 250), 250)
    begin(s)
    s.send(b"BDAT 8000\r\n" + big[:8000])
    s.reply()
    c.code("EHLO between chunks", s.cmd("EHLO again.example"), 250)
    c.code("a message behind it", content(s, message("good-%s-5" % name), 250), 250)
c.code("QUIT", s.cmd("QUIT"), 221)
sys.exit(c.bad > 0)
