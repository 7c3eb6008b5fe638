#!/usr/bin/env python3
"""What a queue costs by the number of messages that wait in it.

    regress/bench/waiting.py [--few N] [--many N]

Two gateways run beside each other, one with FEW messages waiting and one with
MANY, and are looked at in turn, so that what else happens on the machine meets
both. A look: processor time for a message that is accepted, listed, scheduled,
and delivered, oldest first, while the length stays. Then, of MANY, what queued
has in memory, the first line of the list, changes of all messages, and how long
after its kill -9 a client gets 250 again. Standard library and Postfix's
generators; the goals are told beside."""
import argparse
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

import servers
from bench import source, wait_count
from servers import TOP

ROUNDS, STEP = 24, 1000


def pid_of(gw, title):
    for p in servers.children(gw.pid):
        try:
            with open("/proc/%d/comm" % p) as f:
                if f.read().strip() == title:
                    return p
        except OSError:
            pass
    raise RuntimeError("no " + title)


class Gateway(servers.Postern):
    """One in whose queue n messages wait, and what they cost in queued."""

    def __init__(self, scratch, name, port, n):
        self.name, self.port, self.n = name, port, n
        super().__init__(scratch)
        self.cost = {"accept": [], "list": [], "schedule": [], "deliver": []}

    def ctl(self, *args, out=subprocess.DEVNULL):
        return subprocess.run([self.build + "/posternctl", "-s", self.dir + "/run", *args],
                              stdout=out, stderr=subprocess.DEVNULL, check=True)

    def count(self):
        text = self.ctl("-j", "queue", "stats", out=subprocess.PIPE).stdout
        return int(json.loads(text.splitlines()[0])["messages"])

    def fill(self, n):
        have = self.count()
        if have < n:
            source(self.port, 50, n - have, True, timeout=1800)

    def cpu_us(self):
        with open("/proc/%d/schedstat" % pid_of(self, "queued")) as f:
            return int(f.read().split()[0]) / 1e3

    def measure(self, what, do):
        """do() says how many messages it was."""
        t = self.cpu_us()
        n = do()
        self.cost[what].append((self.cpu_us() - t) / n)

    def accept(self):
        source(self.port, 50, STEP, True)
        return STEP

    def deliver(self):
        sink = servers.Sink()
        try:
            before = sink.count()
            self.ctl("resume", "mta")
            wait_count(sink, before + STEP)
            self.ctl("pause", "mta")
            time.sleep(0.3)         # what is under way
            return sink.count() - before
        finally:
            sink.stop()

    def schedule(self):
        times = max(1, 20000 // self.n)
        for _ in range(times):
            self.ctl("-y", "schedule", "all")
        return times * self.count()

    def list(self):
        """All who take part: queued, and posternctl, which prints it."""
        times = max(1, 100000 // self.n)
        t, q = resource.getrusage(resource.RUSAGE_CHILDREN), self.cpu_us()
        for _ in range(times):
            self.ctl("-j", "queue", "list")
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        us = 1e6 * (u.ru_utime - t.ru_utime + u.ru_stime - t.ru_stime)
        n = times * self.count()
        self.cost["list"].append((us + self.cpu_us() - q) / n)

    def look(self, seldom):
        self.fill(self.n)
        self.measure("accept", self.accept)
        self.measure("deliver", self.deliver)
        if seldom:
            self.list()
            self.measure("schedule", self.schedule)


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


def first_line(gw):
    t = time.monotonic()
    p = subprocess.Popen([gw.build + "/posternctl", "-s", gw.dir + "/run", "queue", "list"], stdout=subprocess.PIPE)
    p.stdout.readline()
    t = time.monotonic() - t
    p.kill()
    p.wait()
    p.stdout.close()
    return t


def changes(gw):
    for what in ("hold", "release", "schedule", "remove"):
        t = time.monotonic()
        gw.ctl("-y", what, "all")
        print("  %-28s %8.2f s" % (what + " all", time.monotonic() - t))
        sys.stdout.flush()


def told(name, value, goal, unit):
    print("  %-28s %8.3f %s   goal <= %g %s" % (
        name, value, unit, goal, "held" if value <= goal else "MISSED"))
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--few", type=int, default=1000)
    p.add_argument("--many", type=int, default=1000000)
    a = p.parse_args()
    scratch = os.path.join(TOP, "build/bench")
    os.makedirs(scratch, exist_ok=True)
    os.chmod(scratch, 0o755)
    few = Gateway(scratch, "few", 2595, a.few)
    many = Gateway(scratch, "many", 2596, a.many)
    started = []
    try:
        for gw in few, many:
            gw.start("hold")
            started.append(gw)
            t = time.monotonic()
            gw.fill(gw.n)
            print("%d messages wait; they came in %.0f s" % (
                gw.count(), time.monotonic() - t))
            sys.stdout.flush()
        for i in range(ROUNDS):
            for gw in few, many:
                gw.look(i % 12 == 0)
        for k in few.cost:
            f, m = (statistics.median(gw.cost[k]) for gw in (few, many))
            told(k + ", a message", m, f * 1.15, "us")
            print("  %-28s %8.3f us" % ("  with %d" % a.few, f))
        told("memory of queued", memory(pid_of(many, "queued")), 200, "MiB")
        told("first line of the list", first_line(many), 0.1, "s")
        for _ in range(3):
            told("250 after a kill -9", after_kill(many), 2, "s")
        told("memory after it", memory(pid_of(many, "queued")), 200, "MiB")
        changes(many)
    finally:
        for gw in started:
            gw.stop()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
