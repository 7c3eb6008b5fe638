#!/usr/bin/env python3
"""Messages for two live servers and the queue, in one transaction each; at a
moment of each the smtpd that has it is killed.

    fankill.py GATEWAY POSTERNCTL RUN ONE TWO KEPT

GATEWAY: address:port; RUN: the gateway's control path; ONE, TWO, KEPT: the logs
of peer.py of the servers of user@one.example, user@two.example, user@kept.example.
To the dot ONE answers late, and TWO later than that."""
import json
import os
import re
import signal
import subprocess
import sys
import time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from smtp import Cases, Smtp

AT, CTL, RUN = sys.argv[1:4]
LOGS = dict(zip(("one", "two", "kept"), sys.argv[4:7]))
t = Cases("fankill")


def workers():
    out = subprocess.run([CTL, "-s", RUN, "-j", "status"], timeout=20,
                         stdout=subprocess.PIPE).stdout.decode()
    return [r["pid"] for r in map(json.loads, out.splitlines())
            if str(r.get("title", "")).startswith("smtpd.") and r.get("pid")]


def kill():
    for pid in workers():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def connect():
    end = time.time() + 20
    while True:
        try:
            s = Smtp(AT, 15)
            if s.hello()[0] == 250:
                return s
        except OSError:
            pass
        if time.time() > end:
            sys.exit("no session within 20 s")
        time.sleep(0.05)


def messages(name):
    try:
        with open(LOGS[name]) as f:
            return [x for x in map(json.loads, f) if x["event"] == "message"]
    except OSError:
        return []


def has(name, subject):
    """How often that server has it."""
    return sum("Subject: %s\r\n" % subject in m["content"]
               for m in messages(name))


def wait(seconds, what):
    end = time.time() + seconds
    while not what() and time.time() < end:
        time.sleep(0.02)
    return what()


def send(subject, moment):
    """The reply to the content; 0: none came. moment: None, or what is waited for
    behind the dot before the kill."""
    try:
        s = connect()
        s.cmd("MAIL FROM:<a@client.example>")
        for who in LOGS:
            if s.cmd("RCPT TO:<user@%s.example>" % who)[0] != 250:
                return -1
        if s.cmd("DATA")[0] != 354:
            return -1
        s.send("Subject: %s\r\n\r\nx\r\n.\r\n" % subject)
        if moment is not None:
            moment(subject)
            kill()
        code = s.reply()[0]
        s.close()
        return code
    except OSError:
        return 0


MOMENTS = {
    # ONE has the dot, so the message is prepared, and has not answered.
    "prepared": lambda x: wait(10, lambda: has("one", x)),
    # TWO has it, so ONE has taken it, and TWO has not answered.
    "first": lambda x: wait(10, lambda: has("two", x)),
}
for delay in (0, 5, 20, 1050, 1600, 2500):
    MOMENTS["%d ms" % delay] = lambda x, d=delay: time.sleep(d / 1000)

told = {"whole": send("whole", None)}
t.check("one that nothing happens to is taken", told["whole"] == 250, told)
for name, moment in MOMENTS.items():
    told[name] = send(name, moment)
t.check("prepared, and the first has not answered: no reply", told["prepared"] == 0,
        told)
t.check("the first has taken it, the second not: no reply", told["first"] == 0,
        told)
good = [x for x in told if told[x] == 250]
t.check("service is there after each", -1 not in told.values(), told)

want = {x: {"one": 1, "two": 1, "kept": 1} for x in good}


def missing():
    return [(x, w) for x in want for w in LOGS if has(w, x) == 0]


wait(30, lambda: not missing())
t.check("what was told to be taken is everywhere", not missing(), missing())
more = [(x, w, has(w, x)) for x in good for w in LOGS if has(w, x) > 1]
t.check("once", not more, more)
# Its dot was with ONE alone; TWO and the queue were to have nothing.
t.check("prepared only: nobody else has it",
        has("two", "prepared") == has("kept", "prepared") == 0)
t.check("with the first's 250 all is finished without the client",
        wait(30, lambda: has("two", "first") and has("kept", "first")) and
        has("one", "first") == 1, [has(w, "first") for w in LOGS])
# All that queued has called ours, whatever its client heard.
ids = set()
for line in sys.stdin:
    m = re.search(r" id=(\S+) event=finish result=ours", line)
    if m:
        ids.add(m.group(1))


def unfinished():
    return [(i, w) for i in ids for w in LOGS
            if not any("id %s" % i in m["content"] for m in messages(w))]


t.check("some are ours", len(ids) >= len(good) + 1, (ids, told))
t.check("what is ours is delivered everywhere", wait(30, lambda: not unfinished()),
        unfinished())
sys.exit(t.bad > 0)
