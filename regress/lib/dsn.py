#!/usr/bin/env python3
"""Sends messages that come to all kinds of ends, and reads the notifications
that the gateway sends about them with Python's own parser.

    dsn.py GATEWAY BACK DSN     GATEWAY: address:port; BACK, DSN: peer.py's logs
                                of the server that takes the notifications and
                                of the one with DSN
"""
import email
import email.policy
import json
import sys
import time
import os
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from smtp import Cases, Smtp

GATEWAY, BACK, DSN = sys.argv[1:4]
t = Cases("dsn")


def send(sender, rcpts, body=b"Hello\r\n", mail="", subject="x", header=b""):
    s = Smtp(GATEWAY)
    s.hello()
    got = [s.cmd("MAIL FROM:<%s>%s" % (sender, mail))]
    got += [s.cmd("RCPT TO:<%s>%s" % r) for r in rcpts]
    got.append(s.cmd("DATA"))
    s.send(b"Message-ID: <%s@client.example>\r\nSubject: %s\r\n%s\r\n" %
           (subject.encode(), subject.encode(), header) + body + b".\r\n")
    got.append(s.reply())
    s.cmd("QUIT")
    s.close()
    bad = [g for g in got if g[0] // 100 > 3]
    t.check("the gateway takes %s" % subject, not bad, bad)


def messages(path):
    try:
        with open(path) as f:
            for x in map(json.loads, f):
                if x["event"] == "message":
                    yield x
    except OSError:
        return


class Report:
    """One notification, as it came: its envelope and its parts."""

    def __init__(self, x):
        self.raw = x["content"].encode("latin-1")
        self.x = x
        self.msg = email.message_from_bytes(self.raw, policy=email.policy.SMTPUTF8)
        self.parts = list(self.msg.iter_parts())
        self.text = self.parts[0].get_content()
        self.kinds = [p.get_content_type() for p in self.parts]
        self.returned = self.parts[2] if len(self.parts) > 2 else None
        blocks = []
        p = self.parts[1]
        if self.kinds[1] == "message/delivery-status":
            blocks = p.get_payload()
        else:
            raw = p.get_payload(decode=True)
            if raw is None:
                raw = p.get_payload()[0].as_bytes()
            blocks = [email.message_from_bytes(b + b"\r\n", policy=email.policy.SMTPUTF8)
                      for b in raw.replace(b"\r\n", b"\n").split(b"\n\n") if b.strip()]
        self.about, self.rcpts = blocks[0], [b for b in blocks[1:] if len(b)]

    def rcpt(self, address):
        for r in self.rcpts:
            if r["Final-Recipient"].endswith(address):
                return r
        return {}


def wait(to, n=1, seconds=30):
    """The n-th notification to this address."""
    end = time.time() + seconds
    while time.time() < end:
        found = [x for x in messages(BACK) if x["to"] == [to]]
        if len(found) >= n:
            return Report(found[n - 1])
        time.sleep(0.1)
    return None


def formed(what, r, sender=""):
    """What holds for all of them."""
    if r is None:
        t.check(what + ": a notification comes", False)
        return False
    x = r.x
    ok = (x["from"] == "" and r.msg["Auto-Submitted"] == "auto-replied" and
          r.msg.get_content_type() == "multipart/report" and
          r.msg.get_param("report-type") == "delivery-status" and
          not r.msg.defects and not any(p.defects for p in r.parts) and
          r.msg["From"].addresses[0].username == "MAILER-DAEMON" and
          r.about["Reporting-MTA"] == "dns; gw.example.org" and
          r.about["Arrival-Date"] is not None and
          r.kinds[0] == "text/plain" and r.kinds[1].endswith("delivery-status"))
    t.check(what + ": well formed, from nobody", ok, r.raw)
    bits = max(r.raw) > 127
    t.check(what + ": 8 bit only where it is announced", not bits or
            "BODY=8BITMIME" in x["mail"].upper(), x["mail"])
    return True


# ---- what takes its time: read at the end ----
send("late@client.example", [("later@dest.example", ""), ("later2@dest.example", " NOTIFY=FAILURE")],
     subject="late")
send("never@client.example", [("later3@dest.example", " NOTIFY=NEVER")], subject="never")

# ---- failure ----
send("Ann+v=b@client.example",
     [("no1@dest.example", " ORCPT=rfc822;old+2Bone@else.example"),
      ("no2@dest.example", ""), ("yes@dest.example", ""),
      ("no3@dest.example", " NOTIFY=NEVER"), ("no4@dest.example", " NOTIFY=SUCCESS,DELAY")],
     subject="failure", mail=" ENVID=e+2B1 RET=HDRS")
r = wait("Ann+v=b@client.example")
if formed("failure", r):
    one = r.rcpt("no1@dest.example")
    t.check("failure: two recipients in one, no others",
            sorted(x["Final-Recipient"] for x in r.rcpts) ==
            ["rfc822; no1@dest.example", "rfc822; no2@dest.example"], r.raw)
    t.check("failure: fields", one["Action"] == "failed" and one["Status"] == "5.1.1" and
            one["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user here" and
            one["Remote-MTA"].startswith("dns; [127.") and
            one["Last-Attempt-Date"] is not None and
            one["Original-Recipient"] == "rfc822; old+one@else.example" and
            r.about["Original-Envelope-Id"] == "e+1", r.raw)
    t.check("failure: the text has the reply word for word, and advice",
            "550 5.1.1 no such user here" in r.text and "no such mailbox" in r.text, r.text)
    t.check("failure: RET=HDRS gives the header", r.kinds[2] == "text/rfc822-headers" and
            "Subject: failure" in r.returned.get_content() and b"Hello" not in r.raw, r.raw)
    t.check("failure: it refers to the message",
            r.msg["In-Reply-To"] == "<failure@client.example>" and
            r.msg["References"] == "<failure@client.example>", r.raw)
    t.check("failure: no NOTIFY but NEVER", "NOTIFY" not in " ".join(r.x["rcpt"]).upper(),
            r.x["rcpt"])

# ---- RET=FULL, 8 bit, too long ----
send("full@client.example", [("no@dest.example", "")], mail=" RET=FULL", subject="full",
     body=b"--=_0.x\r\n..\r\nHello\r\n")
r = wait("full@client.example")
if formed("RET=FULL", r):
    t.check("RET=FULL gives the message", r.kinds[2] == "message/rfc822" and
            r.returned.get_content()["Subject"] == "full" and
            b"--=_0.x\r\n.\r\nHello\r\n" in r.raw, r.raw)
send("eight@client.example", [("no@dest.example", "")], mail=" RET=FULL BODY=8BITMIME",
     subject="eight", body="J\u00f6rg\r\n".encode())
r = wait("eight@client.example")
if formed("8 bit", r):
    t.check("8 bit comes back as it was", "J\u00f6rg".encode() in r.raw, r.raw)
send("oct@client.example", [("no@dest.example", "")], subject="oct",
     header=b"X-Raw: \xe4\xf6\r\n")
r = wait("oct@client.example")
if formed("8 bit in the header", r):
    t.check("a header of 8 bit is encoded", b"=E4=F6" in r.raw, r.raw)
send("long@client.example", [("no@dest.example", "")], mail=" RET=FULL", subject="long",
     body=b"".join(b"line %d of a long message\r\n" % i for i in range(20000)))
r = wait("long@client.example")
if formed("a long message", r):
    t.check("a long message: its header, and a word", "too long" in r.text and
            "Subject: long" in r.returned.get_content(), r.text)

# ---- success ----
send("ok@client.example", [("a@dest.example", " NOTIFY=SUCCESS"),
                           ("b@dest.example", " NOTIFY=SUCCESS,FAILURE"),
                           ("c@dest.example", "")], subject="ok", mail=" RET=FULL")
r = wait("ok@client.example")
if formed("relayed", r):
    t.check("relayed: two of three, with the header alone", len(r.rcpts) == 2 and
            all(x["Action"] == "relayed" and x["Status"].startswith("2.") for x in r.rcpts) and
            b"Hello" not in r.raw, r.raw)
send("drop@client.example", [("a@drop.example", " NOTIFY=SUCCESS")], subject="drop")
r = wait("drop@client.example")
if formed("delivered", r):
    t.check("delivered", r.rcpts[0]["Action"] == "delivered" and
            "Diagnostic-Code" not in r.rcpts[0], r.raw)
send("passed@client.example", [("a@dsn.example", " NOTIFY=SUCCESS ORCPT=rfc822;o+2Ba@x.example")],
     subject="passed", mail=" RET=FULL ENVID=zz")
end = time.time() + 20
got = []
while not got and time.time() < end:
    got = [x for x in messages(DSN)]
    time.sleep(0.1)
t.check("a server with DSN is given all of it", got and
        "NOTIFY=SUCCESS" in got[0]["rcpt"][0] and "ORCPT=rfc822;o+2Ba@x.example" in got[0]["rcpt"][0]
        and "RET=FULL" in got[0]["mail"] and "ENVID=zz" in got[0]["mail"], got)

# ---- UTF-8 ----
send("eai@client.example", [("no-j\u00f6rg@dest.example", " ORCPT=utf-8;no-j\\x{F6}rg@x.example")],
     mail=" SMTPUTF8", subject="gr\u00fc\u00dfe")
r = wait("eai@client.example")
if formed("UTF-8", r):
    raw = r.parts[1]
    t.check("UTF-8: its own types", r.kinds[1:] == ["message/global-delivery-status",
            "message/global-headers"] and "no-j\u00f6rg@dest.example" in r.text and
            "SMTPUTF8" not in r.x["mail"], r.raw)
    t.check("UTF-8: addresses", b"Final-Recipient: utf-8; no-j=C3=B6rg@dest.example" in r.raw and
            b"Original-Recipient: utf-8; no-j=C3=B6rg@x.example" in r.raw, r.raw)
send("j\u00fcrgen@client.example", [("no@dest.example", "")], mail=" SMTPUTF8", subject="eai2")
end = time.time() + 20
got = []
while not got and time.time() < end:
    got = [x for x in messages(BACK) if "SMTPUTF8" in x["mail"]]
    time.sleep(0.1)
t.check("UTF-8: to such a sender with SMTPUTF8", got and
        "To: <j\u00fcrgen@client.example>".encode() in got[0]["content"].encode("latin-1"), got)

# ---- a sender that stands for others ----
send("team@client.example", [("no@dest.example", "")], subject="team")
for one in "t1@client.example", "t2@client.example":
    end = time.time() + 20
    got = []
    while not got and time.time() < end:
        got = [x for x in messages(BACK) if one in x["to"]]
        time.sleep(0.1)
    t.check("a sender that is an alias: " + one + " is told", got and got[0]["from"] == "" and
            "To: <team@client.example>" in got[0]["content"], got)

# ---- nobody, and the postmaster ----
send("", [("no@dest.example", " NOTIFY=SUCCESS,FAILURE")], subject="null")
r = wait("pm@client.example")
if formed("no sender", r):
    t.check("no sender: the postmaster is told", "neither be delivered nor returned" in
            r.msg["Subject"] and r.rcpt("no@dest.example").get("Action") == "failed", r.raw)
send("refused@client.example", [("no@dest.example", "")], subject="double")
r = wait("pm@client.example", 2)
if formed("a bounce that fails", r):
    t.check("a bounce that fails goes to the postmaster",
            r.rcpt("refused@client.example").get("Action") == "failed", r.raw)

# ---- delay, and the end of it ----
r = wait("late@client.example", 1, 90)
if formed("delay", r):
    one = r.rcpts[0]
    t.check("delay: fields", len(r.rcpts) == 1 and one["Action"] == "delayed" and
            one["Status"] == "4.2.2" and one["Will-Retry-Until"] is not None and
            "will be tried again until" in r.text and "mailbox is full" in r.text, r.raw)
r = wait("late@client.example", 2)
if formed("expiry", r):
    t.check("expiry: both, with the last reply", len(r.rcpts) == 2 and
            all(x["Action"] == "failed" and x["Status"] == "5.4.7" and
                x["Diagnostic-Code"] == "smtp; 452 4.2.2 mailbox full" for x in r.rcpts) and
            "was not delivered in time" in r.text, r.raw)
t.check("nobody hears what he did not ask for",
        not [x for x in messages(BACK) if x["to"] == ["never@client.example"]])
t.check("what a server with DSN took over is told by that one",
        not [x for x in messages(BACK) if x["to"] == ["passed@client.example"]])
t.check("each hears once", len([x for x in messages(BACK)
        if x["to"] == ["Ann+v=b@client.example"]]) == 1)
sys.exit(t.bad > 0)
