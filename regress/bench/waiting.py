#!/usr/bin/env python3
"""What a queue costs by the number of messages that wait in it.

    regress/bench/waiting.py [--few N] [--many N]

One gateway is filled to FEW messages, looked at, filled to MANY and looked at
again. A look: processor time of queued for a message that is accepted, listed,
and delivered. At MANY also what queued has in memory, the first line of the
list, changes of all messages, and how long after its kill -9 a client gets 250
again. Standard library and Postfix's generators; the goals are told beside."""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import servers
from bench import source, wait_count
from servers import TOP

CTL = None
ROUNDS, STEP = 16, 1000


def ctl(*args, out=subprocess.DEVNULL):
    return subprocess.run(CTL + list(args), stdout=out, stderr=subprocess.DEVNULL, check=True)


def pid_of(gw, title):
    for p in servers.children(gw.pid):
        try:
            with open("/proc/%d/comm" % p) as f:
                if f.read().strip() == title:
                    return p
        except OSError:
            pass
    raise RuntimeError("no " + title)


def cpu_us(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e3


def count():
    text = ctl("-j", "queue", "stats", out=subprocess.PIPE).stdout
    return int(json.loads(text.splitlines()[0])["messages"])


def fill(gw, n):
    have = count()
    if have < n:
        source(gw.port, 50, n - have, True, timeout=1800)


def accepted(gw, q, n):
    """The length stays near n: what is measured with is removed in between."""
    used = 0
    for _ in range(ROUNDS):
        t = cpu_us(q)
        source(gw.port, 50, STEP, True)
        used += cpu_us(q) - t
        if n < 10 * STEP:
            ctl("-y", "remove", "all")
            fill(gw, n)
    return used / ROUNDS / STEP


def listed(q, n):
    times, have, t = max(1, 200000 // n), count(), cpu_us(q)
    for _ in range(times):
        ctl("-j", "queue", "list")
    return (cpu_us(q) - t) / times / have


def delivered(gw, q, n):
    used = arrived = 0
    sink = servers.Sink()
    try:
        for _ in range(ROUNDS):
            fill(gw, n + STEP)
            t, before = cpu_us(q), sink.count()
            ctl("resume", "mta")
            wait_count(sink, before + STEP)
            ctl("pause", "mta")
            time.sleep(0.3)         # what is under way
            used += cpu_us(q) - t
            arrived += sink.count() - before
    finally:
        sink.stop()
    return used / arrived


def look(gw, n):
    """Microseconds of queued for one message that is accepted, listed, delivered."""
    q = pid_of(gw, "queued")
    return {"accept": accepted(gw, q, n), "list": listed(q, n), "deliver": delivered(gw, q, n)}


def send_one(port):
    """True: a message got its 250."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            f = s.makefile("rwb", buffering=0)
            for line, want in ((b"", b"220"), (b"HELO client.example\r\n", b"250"),
                               (b"MAIL FROM:<a@client.example>\r\n", b"250"),
                               (b"RCPT TO:<b@dest.example>\r\n", b"250"), (b"DATA\r\n", b"354"),
                               (b"Subject: again\r\n\r\n.\r\n", b"250")):
                if line:
                    f.write(line)
                if not f.readline().startswith(want):
                    return False
            return True
    except OSError:
        return False


def after_kill(gw):
    os.kill(pid_of(gw, "queued"), signal.SIGKILL)
    t = time.monotonic()
    while not send_one(gw.port):
        if time.monotonic() - t > 120:
            raise RuntimeError("no 250 for two minutes")
        time.sleep(0.01)
    return time.monotonic() - t


def memory(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


def first_line():
    t = time.monotonic()
    p = subprocess.Popen(CTL + ["queue", "list"], stdout=subprocess.PIPE)
    p.stdout.readline()
    t = time.monotonic() - t
    p.kill()
    p.wait()
    p.stdout.close()
    return t


def changes():
    for what in ("hold", "release", "schedule", "remove"):
        t = time.monotonic()
        ctl("-y", what, "all")
        print("  %-28s %8.2f s" % (what + " all", time.monotonic() - t))
        sys.stdout.flush()


def told(name, value, goal, unit):
    print("  %-28s %8.3f %s   goal <= %g %s" % (
        name, value, unit, goal, "held" if value <= goal else "MISSED"))
    sys.stdout.flush()


def main():
    global CTL
    p = argparse.ArgumentParser()
    p.add_argument("--few", type=int, default=1000)
    p.add_argument("--many", type=int, default=1000000)
    a = p.parse_args()
    scratch = os.path.join(TOP, "build/bench")
    os.makedirs(scratch, exist_ok=True)
    os.chmod(scratch, 0o755)
    gw = servers.Postern(scratch)
    CTL = [gw.build + "/posternctl", "-s", gw.dir + "/run"]
    gw.start("hold")
    try:
        fill(gw, a.few)
        few = look(gw, a.few)
        t, n = time.monotonic(), count()
        fill(gw, a.many)
        print("%d messages wait; the last %d came in %.0f s" % (
            count(), count() - n, time.monotonic() - t))
        many = look(gw, a.many)
        for k in few:
            told("%s, us of queued" % k, many[k], few[k] * 1.15, "us")
            print("  %-28s %8.3f us" % ("  with %d" % a.few, few[k]))
        told("memory of queued", memory(pid_of(gw, "queued")), 200, "MiB")
        told("first line of the list", first_line(), 0.1, "s")
        for _ in range(3):
            told("250 after a kill -9", after_kill(gw), 2, "s")
        told("memory after it", memory(pid_of(gw, "queued")), 200, "MiB")
        changes()
    finally:
        gw.stop()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
