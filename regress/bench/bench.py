#!/usr/bin/env python3
"""postern beside Postfix on this machine, in interleaved rounds of one run.

    regress/bench/bench.py [--rounds N] [--messages N] [--only CASE]

Each case is measured for both in turn, round by round, with the same load
generators (Postfix's smtp-source and smtp-sink); printed are min, median and
max of each and the ratio of the medians. Standard library only; root (Postfix's
master needs it)."""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

import servers
from servers import POSTFIX, POSTFIX_ENV, SINK, TOP

SIZE = 4096


def source(port, sessions, messages, kept, timeout=120):
    """Seconds that smtp-source needs for so many messages."""
    argv = [POSTFIX + "/usr/sbin/smtp-source", "-s", str(sessions), "-m", str(messages),
            "-l", str(SIZE), "-f", "a@client.example", "-t", "b@dest.example"]
    if kept:
        argv.append("-d")
    t = time.monotonic()
    subprocess.run(argv + ["127.0.0.1:%d" % port], env=POSTFIX_ENV, check=True,
                   stderr=subprocess.DEVNULL, timeout=timeout)
    return time.monotonic() - t


def flushes(path):
    """Cache flushes of the disk under path since boot; None if not told."""
    dev = os.stat(path).st_dev
    with open("/proc/diskstats") as f:
        for line in f:
            a = line.split()
            if (int(a[0]), int(a[1])) == (os.major(dev), os.minor(dev)):
                return int(a[18]) if len(a) > 18 else None
    return None


def accept(server, sessions, messages, kept=True):
    server.start("hold")
    try:
        source(server.port, sessions, 2 * sessions, kept)
        cpu, sync = server.cpu(), flushes(server.dir)
        t = source(server.port, sessions, messages, kept)
        out = {"msg/s": messages / t,
               "cpu us/msg": (server.cpu() - cpu) / messages * 1e6}
        if sync is not None:
            out["syncs/msg"] = (flushes(server.dir) - sync) / messages
        return out
    finally:
        server.stop()


def relay(server, messages):
    sink = servers.Sink()
    server.start("relay")
    try:
        source(server.port, 50, 100, True)
        wait_count(sink, 100)
        cpu = server.cpu()
        t = time.monotonic()
        source(server.port, 50, messages, True)
        wait_count(sink, 100 + messages)
        t = time.monotonic() - t
        return {"msg/s": messages / t,
                "cpu us/msg": (server.cpu() - cpu) / messages * 1e6}
    finally:
        server.stop()
        sink.stop()


def wait_count(sink, n, seconds=120):
    end = time.monotonic() + seconds
    while sink.count() < n:
        if time.monotonic() > end:
            raise RuntimeError("%d of %d messages arrived" % (sink.count(), n))
        time.sleep(0.002)


def talk(port, messages):
    """A lock-step client on one kept connection: microseconds a message, each."""
    body = b"Subject: bench\r\n\r\n" + (b"x" * 78 + b"\r\n") * (SIZE // 80) + b".\r\n"
    out = []
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def say(line, want):
            if line:
                s.sendall(line)
            got = b""
            while not got.endswith(b"\r\n") or got[got[:-2].rfind(b"\n") + 1:][3:4] == b"-":
                b = s.recv(4096)
                if not b:
                    raise RuntimeError("connection closed")
                got += b
            if not got.startswith(want):
                raise RuntimeError("got %r" % got)
        say(b"", b"220")
        say(b"EHLO client.example\r\n", b"250")
        for i in range(messages + 20):
            t = time.perf_counter()
            say(b"MAIL FROM:<a@client.example>\r\n", b"250")
            say(b"RCPT TO:<b@dest.example>\r\n", b"250")
            say(b"DATA\r\n", b"354")
            say(body, b"250")
            if i >= 20:
                out.append((time.perf_counter() - t) * 1e6)
        say(b"QUIT\r\n", b"221")
    return out


def proxy_latency(server, messages):
    sink = servers.Sink()
    server.start("proxy")
    try:
        direct = statistics.median(talk(SINK, messages))
        through = statistics.median(talk(server.port, messages))
        return {"added us": through - direct}
    finally:
        server.stop()
        sink.stop()


def proxy_rate(server, messages):
    sink = servers.Sink()
    server.start("proxy")
    try:
        source(server.port, 50, 100, True)
        cpu = server.cpu()
        t = source(server.port, 50, messages, True)
        return {"msg/s": messages / t,
                "cpu us/msg": (server.cpu() - cpu) / messages * 1e6}
    finally:
        server.stop()
        sink.stop()


def idle(server, mode):
    sink = servers.Sink() if mode == "proxy" else None
    n = 1000 if server.name == "postern" else 140      # its process limit
    server.start(mode)
    held = []
    try:
        before = server.pss()
        for _ in range(n):
            s = socket.create_connection(("127.0.0.1", server.port), 30)
            s.recv(512)
            s.sendall(b"EHLO client.example\r\n")
            s.recv(1024)
            held.append(s)
        time.sleep(0.5)
        return {"KiB/session": (server.pss() - before) / n}
    finally:
        for s in held:
            s.close()
        server.stop()
        if sink:
            sink.stop()


# name, function, arguments, {figure: (goal, kind)}: ">=" ratio of rates,
# "<=" ratio of costs, "abs" a value of postern's own.
CASES = [
    ("accept, 50 sessions, kept", accept, lambda n: (50, n, True),
     {"msg/s": (5, ">="), "cpu us/msg": (0.2, "<="), "syncs/msg": (0.15, "abs")}),
    ("accept, 50 sessions, a connection each", accept, lambda n: (50, n, False),
     {"msg/s": (3, ">=")}),
    ("accept, 1 session, kept", accept, lambda n: (1, n // 4, True),
     {"msg/s": (1.6, ">=")}),
    ("relay end to end", relay, lambda n: (n,), {"msg/s": (4, ">=")}),
    ("proxy, lock-step client", proxy_latency, lambda n: (n // 10,),
     {"added us": (0.5, "<=")}),
    ("proxy, 50 sessions, kept", proxy_rate, lambda n: (n,), {"msg/s": (2.5, ">=")}),
    ("idle session, regular", idle, lambda n: ("hold",), {"KiB/session": (16, "abs")}),
    ("idle session, proxied", idle, lambda n: ("proxy",), {"KiB/session": (16, "abs")}),
]


def figure(runs, key):
    v = sorted(r[key] for r in runs if key in r)
    return (v[0], statistics.median(v), v[-1]) if v else None


def report(name, goals, ours, theirs):
    print(name)
    for key in ours[0]:
        a, b = figure(ours, key), figure(theirs, key)
        line = "  %-12s postern %8.1f %8.1f %8.1f" % ((key,) + a)
        if key == "syncs/msg" or key == "KiB/session":
            line = "  %-12s postern %8.3f %8.3f %8.3f" % ((key,) + a)
        verdict = ""
        if b:
            ratio = a[1] / b[1] if b[1] else float("inf")
            line += "   Postfix %8.1f %8.1f %8.1f   ratio %6.3f" % (b + (ratio,))
        if key in goals:
            goal, kind = goals[key]
            good = a[1] <= goal if kind == "abs" else (
                b and (ratio >= goal if kind == ">=" else ratio <= goal))
            verdict = "   goal %s %g %s" % ("<=" if kind == "abs" else kind, goal,
                                            "held" if good else "MISSED")
        print(line + verdict)
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--messages", type=int, default=4000)
    p.add_argument("--only", default="")
    a = p.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: Postfix's master needs root")
    scratch = os.path.join(TOP, "build/bench")
    os.makedirs(scratch, exist_ok=True)
    os.chmod(scratch, 0o755)
    print("%d rounds, %d messages of %d bytes, %d CPUs shared with the generators; "
          "min median max" % (a.rounds, a.messages, SIZE, os.cpu_count()))
    for name, run, args, goals in CASES:
        if a.only not in name:
            continue
        ours, theirs = [], []
        for i in range(a.rounds):
            pair = [(servers.Postern, ours), (servers.Postfix, theirs)]
            for cls, out in pair if i % 2 == 0 else reversed(pair):
                out.append(run(cls(scratch), *args(a.messages)))
        report(name, goals, ours, theirs)
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
