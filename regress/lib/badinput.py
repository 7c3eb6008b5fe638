"""The cases of system/badinput.sh: badinput.py LIB REGULAR PROXY SINKDIR"""
import os
import sys
import time

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

regular, proxied, sink = sys.argv[2:5]
c = Cases("badinput")


def open_(at=regular):
    s = Smtp(at)
    s.hello()
    return s


# What a command gets, and that the session goes on.
TABLE = [
    ("an unknown verb", b"FROB x", (500, 502)),
    ("MAIL without FROM", b"MAIL a@b.example", 501),
    ("MAIL without brackets", b"MAIL FROM:a@b.example", 501),
    ("MAIL with an unknown parameter", b"MAIL FROM:<a@b.example> FROB=1", 555),
    ("MAIL with BODY=BINARYMIME", b"MAIL FROM:<a@b.example> BODY=BINARYMIME", (501, 504, 555)),
    ("MAIL with a size over the limit", b"MAIL FROM:<a@b.example> SIZE=99999999", 552),
    ("MAIL with a control character", b"MAIL FROM:<a\x01@b.example>", 501),
    ("RCPT before MAIL", b"RCPT TO:<b@dest.example>", 503),
    ("DATA before RCPT", b"DATA", (503, 554)),
    ("EXPN", b"EXPN list", (502, 550, 252)),
    ("VRFY", b"VRFY someone", (252, 502)),
    ("a line of 600 octets", b"NOOP " + b"x" * 600, 500),
    ("a line of 100,000 octets", b"NOOP " + b"x" * 100000, 500),
    ("a NUL", b"NOOP \x00", 500),
    ("BDAT without a size", b"BDAT", 501),
    ("an empty line", b"", 500),
]
for what, line, want in TABLE:
    s = open_()
    c.code(what, s.cmd(line), want)
    c.code(what + ": the session goes on", s.cmd("NOOP"), 250)
    s.close()

for what, line in (("a bare LF", b"NOOP\nNOOP"), ("a bare CR", b"NOOP\rNOOP")):
    s = open_()
    c.code(what + " in a command", s.cmd(line), 500)
    c.code(what + ": the session goes on", s.cmd("NOOP"), 250)
    s.close()

# Some go on with their password whatever AUTH was answered.
for at, want in ((regular, 502), (proxied, 538)):
    s = open_(at)
    c.code("AUTH is not offered", s.cmd("AUTH PLAIN AGEAc2VjcmV0"), want)
    c.code("nor is what follows a command", s.cmd("c2VjcmV0"), 500)
    s.close()

s = open_()
codes = [s.cmd("FROB")[0] for _ in range(5)]
last = s.reply() if codes[-1] != 421 else (421, "")
c.check("the limit of errors ends the session with 421", 421 in codes or last[0] in (421, 0),
        (codes, last))

s = open_()
s.cmd("MAIL FROM:<a@b.example>")
c.code("%-hack is only a local part", s.cmd("RCPT TO:<a%dest.example@other.example>"), 550)
c.code("! is only a local part", s.cmd("RCPT TO:<dest.example!a@other.example>"), 550)
c.code("a source route is ignored", s.cmd("RCPT TO:<@x.example,@y.example:a@dest.example>"), 250)
c.code("a quoted local part", s.cmd('RCPT TO:<"a b"@dest.example>'), 250)
c.code("a third recipient", s.cmd("RCPT TO:<c@dest.example>"), 250)
c.code("one over the limit", s.cmd("RCPT TO:<d@dest.example>"), 452)
c.code("RSET", s.cmd("RSET"), 250)
s.close()


def content(at, what, data, want, bdat=False):
    """One message with these bytes; the reply at its end."""
    s = open_(at)
    s.cmd("MAIL FROM:<a@b.example>")
    s.cmd("RCPT TO:<b@dest.example>")
    if bdat:
        s.send(b"BDAT %d LAST\r\n" % len(data) + data)
        got = s.reply()
    else:
        s.cmd("DATA")
        s.send(data + b"\r\n.\r\n")
        got = s.reply()
    c.code(what, got, want)
    return s


for way, at in (("regular", regular), ("proxy", proxied)):
    for what, bad in (("bare LF", b"a\nb"), ("bare CR", b"a\rb"), ("NUL", b"a\x00b")):
        s = content(at, "%s: %s in DATA" % (way, what), b"X-Bad: 1\r\n\r\n" + bad, 550)
        c.code("%s: after %s the session goes on or is ended" % (way, what),
               s.cmd("NOOP"), (250, 421, 0))
        s.close()
        content(at, "%s: %s in BDAT" % (way, what),
                b"X-Bad: 1\r\n\r\n" + bad + b"\r\n", 550, True).close()

# Smuggling: nothing but CR LF . CR LF ends a message, so what follows a false
# end is content (refused for its bare bytes), never a command.
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\r\n.\r\n\n",
        b"\n\n.\r\n", b"\r\n.\r\r\n", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n.\r", b"\r\n.\n\r\n"]
for way, at in (("regular", regular), ("proxy", proxied)):
    for end in ENDS:
        s = open_(at)
        s.cmd("MAIL FROM:<a@b.example>")
        s.cmd("RCPT TO:<b@dest.example>")
        s.cmd("DATA")
        s.send(b"Subject: first\r\n\r\nx" + end +
               b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<b@dest.example>\r\nDATA\r\n"
               b"X-Smuggled: 1\r\n\r\nx\r\n.\r\nNOOP\r\n")
        first = s.reply()
        c.check("%s: %r is no end of a message" % (way, end), first[0] == 550, first)
        s.close()

s = content(regular, "a message over max-message-size", (b"x" * 98 + b"\r\n") * 11000, 552)
c.code("the session goes on after it", s.cmd("NOOP"), 250)
s.close()
content(regular, "a Received loop", b"Received: by x\r\n" * 60 + b"\r\nx", 554).close()

s = open_()
s.cmd("MAIL FROM:<a@b.example>")
s.cmd("RCPT TO:<b@dest.example>")
s.cmd("DATA")
s.send(b"X-Cut: 1\r\n\r\nnever ended")
s.close()

# A pipelined group, and dots at the beginning of lines.
s = Smtp(regular)
s.reply()
s.cmd("EHLO client.example")
s.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<b@dest.example>\r\nRCPT TO:<no@where.example>\r\n"
       b"DATA\r\n")
c.check("a pipelined group is answered in order",
        [s.reply()[0] for _ in range(4)] == [250, 250, 550, 354])
s.send(b"X-Dots: 1\r\n\r\n..\r\n...\r\n..a\r\n.\r\nRSET\r\nQUIT\r\n")
c.check("and what follows the dot", [s.reply()[0] for _ in range(3)] == [250, 250, 221])

held = [Smtp(regular) for _ in range(10)]
greetings = [h.reply()[0] for h in held]
# The workers tell each other what they have; one that has none of a source has
# not been told yet, so each but the first may take one too many.
over = []
while len(over) < 8 and (not over or got[0] == 220):
    time.sleep(0.2)
    over.append(Smtp(regular))
    got = over[-1].reply()
c.code("the sessions over the limit per source", got, 421)
for h in held + over:
    h.close()

deadline = time.time() + 20
texts = []
while time.time() < deadline:
    texts = [open(os.path.join(sink, n), "rb").read() for n in os.listdir(sink)]
    if any(b"X-Dots" in t for t in texts):
        break
    time.sleep(0.1)
c.check("dots are as they were", any(b"\n.\n..\n.a\n" in t or b"\r\n.\r\n..\r\n.a\r\n" in t
                                     for t in texts))
for mark in (b"X-Bad", b"X-Smuggled", b"X-Cut"):
    c.check("nothing with %s arrived" % mark.decode(), not any(mark in t for t in texts))
sys.exit(c.bad > 0)
