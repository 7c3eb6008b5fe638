"""The cases of system/smuggle.sh.

    smuggle.py LIB send FILE NAME ADDRESS:PORT RCPT     each end of a message
    smuggle.py LIB arrived FILE DIR...                  what came of them
    smuggle.py LIB bytes NAME ADDRESS:PORT RCPTDOMAIN   a byte at each place
    smuggle.py LIB server LOG                           what the server saw
    smuggle.py LIB log FILE                             the gateway's log
"""
import json
import os
import re
import sys
import time

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

what, args = sys.argv[2], sys.argv[3:]
c = Cases("smuggle")

# What is no end of DATA, or a message to which it would be one elsewhere.
NL = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\n", b"\x00\r\n", b"\r\n\x00", b"\r\x00\n"]
ENDS = [a + b"." + b for a in NL for b in NL if (a, b) != (b"\r\n", b"\r\n") and
        not (a.endswith(b"\r\n") and b.startswith(b"\r\n"))]
ENDS += [b"\r\n..\r\n", b"\r\n...\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n .\r\n",
         b"\r\n.x\r\n", b"\r\n.\x0b\r\n", b"\r\n.\xc2\x85", b"\r\n.\x85\r\n", b"\x85.\x85",
         b"\r\n.\\r\\n", b"\r\n=2E\r\n", b"\r\n.\r", b"\r\n.\n", b".\r\n"]
# What stands behind: a transaction of its own, if anybody ends the first there.
EVIL = (b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<%s>\r\nDATA\r\n"
        b"Subject: smuggled\r\n\r\nevil\r\n")


def bare(data):
    rest = data.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest or b"\x00" in rest


def begin(at, rcpt):
    s = Smtp(at)
    s.hello()
    s.cmd("MAIL FROM:<a@client.example>")
    got = s.cmd("RCPT TO:<%s>" % rcpt)
    return s if got[0] == 250 else sys.exit("RCPT: %r" % (got,))


def send(out, name, at, rcpt):
    evil = EVIL % rcpt.encode()
    good = {}
    wrong = []
    for n, end in enumerate(ENDS + [b"\r\n.\r\n"]):
        for how in ("data", "bdat"):
            if how == "data" and end == b"\r\n.\r\n":
                continue            # the one that is an end
            mark = "%s-%s-%d" % (name, how, n)
            text = b"Subject: %s\r\n\r\nfirst" % mark.encode() + end + evil
            s = begin(at, rcpt)
            if how == "data":
                s.cmd("DATA")
                s.send(text + b".\r\nNOOP\r\n")
            else:
                s.send(b"BDAT %d LAST\r\n" % len(text) + text + b"NOOP\r\n")
            got, after = s.reply(), s.reply()
            # Made whole by the gateway, all but a NUL is content.
            fault = b"\0" in text if name.startswith("mend") else bare(text)
            want = 550 if fault else 250
            # A proxied listener cannot go on behind half a message.
            if got[0] != want or after[0] not in (250, 421):
                wrong.append((mark, end, got, after))
            if got[0] == 250:
                good[mark] = 1
            s.close()
    c.check("%s: %d ends of messages, %d of them good, have their replies" %
            (name, 2 * len(ENDS) + 1, len(good)), not wrong, wrong[:5])
    with open(out, "a") as f:
        f.write("".join(m + "\n" for m in good))


def arrived(out, *dirs):
    want = set(open(out).read().split())
    deadline = time.time() + 30
    while True:
        subjects = []
        for d in dirs:
            for folder, _, names in os.walk(d):
                for name in names:
                    try:
                        head = open(os.path.join(folder, name), "rb").read()
                    except OSError:
                        continue
                    head = re.split(rb"\r?\n\r?\n", head, 1)[0]
                    m = re.search(rb"^Subject: (.*?)\r?$", head, re.M)
                    if m:
                        subjects.append(m.group(1).decode("latin-1"))
        if len(set(subjects)) >= len(want) or time.time() > deadline:
            break
        time.sleep(0.2)
    c.check("each good message arrived, once (%d)" % len(want),
            sorted(subjects) == sorted(want),
            sorted(set(subjects) ^ want)[:5] or "twice")
    c.check("nothing was smuggled", "smuggled" not in subjects)


PLACES = [
    (b"EHLO cl%sient.example", ()),
    (b"EHLO [192.0.2.%s]", ()),
    (b"HELO cl%sient.example", ()),
    (b"MAIL FROM:<a%sb@client.example>", ()),
    (b"MAIL FROM:<\"a%sb\"@client.example>", ()),
    (b"MAIL FROM:<a@cli%sent.example>", ()),
    (b"MAIL FROM:%s<a@client.example>", ()),
    (b"MAIL FROM:<a@client.example>%s", ()),
    (b"MAIL FROM:<@r%ss.example:a@client.example>", ()),
    (b"MAIL FROM:<a@client.example> SIZE=1%s0", ()),
    (b"MAIL FROM:<a@client.example> ENVID=x%sx", ()),
    (b"MAIL FROM:<a@client.example> BODY=8BITMIME%s", ()),
    (b"MAIL FROM:<a%sb@client.example> SMTPUTF8", ()),
    (b"RCPT TO:<a%sb@DOMAIN>", (b"MAIL FROM:<a@client.example>",)),
    (b"RCPT TO:<a@%sDOMAIN>", (b"MAIL FROM:<a@client.example>",)),
    (b"RCPT TO:<a@DOMAIN> ORCPT=rfc822;x%sx", (b"MAIL FROM:<a@client.example>",)),
    (b"VRFY a%sb", ()),
    (b"FR%sOB", ()),
]


def bytes_(name, at, domain):
    wrong = []
    commands = 0
    s = None
    for place, before in PLACES:
        place = place.replace(b"DOMAIN", domain.encode())
        for b in range(256):
            if s is None:
                s = Smtp(at)
                s.hello()
            for line in before:
                s.cmd(line)
            s.send(place.replace(b"%s", bytes((b,))) + b"\r\n")
            got = s.reply()
            # RSET shows that the session goes on with one reply to each.
            after = s.cmd("RSET") if got[0] != 421 else (0, "")
            commands += 1
            if got[0] not in (250, 251, 252, 421) and not 500 <= got[0] < 560:
                wrong.append((place, b, got))
            if after[0] == 0:
                s.close()
                s = None
            elif after != (250, "2.0.0 ok") and after != (250, "2.0.0 Ok"):
                if after[0] != 421:
                    wrong.append((place, b, got, after))
                s.close()
                s = None
    c.check("%s: %d commands with a byte of each kind have their replies" %
            (name, commands), not wrong, wrong[:5])


LOCAL = r'(?:"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"|[A-Za-z0-9.!#$%&\'*+/=?^_`{|}~\x80-\U0010ffff-]+)'
PATH = r"<(?:%s@(?:[a-z0-9.-]+|\[[0-9A-Za-z.:]+\]))?>" % LOCAL
XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"
CANONICAL = re.compile(
    r"(?:EHLO|HELO) [!-~]+$|"
    r"MAIL FROM:" + PATH + r"(?: (?:SIZE=\d+|BODY=(?:7BIT|8BITMIME)|SMTPUTF8|"
    r"RET=(?:FULL|HDRS)|ENVID=" + XTEXT + r"))*$|"
    r"RCPT TO:" + PATH + r"(?: (?:NOTIFY=[A-Z,]+|ORCPT=[!-:<-~]+;" + XTEXT + r"))*$|"
    r"DATA$|BDAT \d+(?: LAST)?$|RSET$|NOOP$|QUIT$|VRFY [ -~]+$")


def server(log):
    lines, bad, errors = 0, [], []
    for line in open(log):
        e = json.loads(line)
        if e["event"] == "error":
            errors.append(e)
        elif e["event"] == "command":
            lines += 1
            said = e["line"]
            try:
                said = said.encode("latin-1").decode("utf-8")
            except (UnicodeDecodeError, UnicodeEncodeError):
                pass
            if not CANONICAL.match(said):
                bad.append(said)
    c.check("the server saw %d commands, all canonical" % lines,
            lines > 1000 and not bad, bad[:5])
    c.check("and no breach of the protocol", not errors, errors[:3])


def log_(path):
    bad = []
    n = 0
    for line in open(path, "rb").read().split(b"\n")[:-1]:
        n += 1
        if line.startswith(b"=="):
            continue            # a sanitizer, at the end of a confined process
        if not re.match(rb"\d{4}-\d\d-\d\dT[\d:.]+ [a-z.0-9]+\[\d+\]: [ -~]*$", line):
            bad.append(line)
    c.check("the log has %d lines, each of ours alone" % n, n > 100 and not bad, bad[:5])


{"send": send, "arrived": arrived, "bytes": bytes_, "server": server, "log": log_}[what](*args)
sys.exit(c.bad > 0)
