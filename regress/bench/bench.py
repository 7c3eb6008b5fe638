#!/usr/bin/env python3
"""postern beside its peers on this machine, in interleaved rounds of one run.

    regress/bench/bench.py [--rounds N] [--messages N] [--only CASE]

Each case is measured for all in turn, round by round, with the same load
generators (Postfix's smtp-source and smtp-sink); printed are min, median and
max of each and the ratio of the medians. Peers are Postfix, and of the proxy
nginx and haproxy, which read nothing. Standard library only; root (Postfix's
master needs it)."""
import argparse
import os
import re
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


def replies(s, n, want):
    """Reads n replies; the last must begin with want."""
    got, lines = b"", []
    while True:
        lines = [x for x in got.split(b"\r\n")[:-1] if x[3:4] != b"-"]
        if len(lines) >= n and got.endswith(b"\r\n"):
            break
        b = s.recv(4096)
        if not b:
            raise RuntimeError("connection closed")
        got += b
    if not lines[n - 1].startswith(want):
        raise RuntimeError("got %r" % got)


def talk(port, messages, pipelined=False):
    """A client on one kept connection: microseconds a message, each."""
    body = b"Subject: bench\r\n\r\n" + (b"x" * 78 + b"\r\n") * (SIZE // 80) + b".\r\n"
    mail, rcpt, data = (b"MAIL FROM:<a@client.example>\r\n",
                        b"RCPT TO:<b@dest.example>\r\n", b"DATA\r\n")
    groups = [(mail + rcpt + data, 3, b"354"), (body, 1, b"250")] if pipelined else [
        (mail, 1, b"250"), (rcpt, 1, b"250"), (data, 1, b"354"), (body, 1, b"250")]
    out = []
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies(s, 1, b"220")
        s.sendall(b"EHLO client.example\r\n")
        replies(s, 1, b"250")
        for i in range(messages + 20):
            t = time.perf_counter()
            for lines, n, want in groups:
                s.sendall(lines)
                replies(s, n, want)
            if i >= 20:
                out.append((time.perf_counter() - t) * 1e6)
        s.sendall(b"QUIT\r\n")
        replies(s, 1, b"221")
    return out


def proxy_latency(server, messages, pipelined):
    sink = servers.Sink()
    server.start("proxy")
    try:
        direct = statistics.median(talk(SINK, messages, pipelined))
        through = statistics.median(talk(server.port, messages, pipelined))
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


def handshakes(server, seconds, at_once):
    """New sessions a second; server and clients have a core each."""
    cores = sorted(os.sched_getaffinity(0))
    server.start("tls")
    try:
        for p in servers.children(server.pid):
            os.sched_setaffinity(p, {cores[0]})
        argv = ["openssl", "s_time", "-connect", "127.0.0.1:%d" % server.smtps, "-new",
                "-time", str(seconds)]
        clients = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    text=True, preexec_fn=lambda: os.sched_setaffinity(
                                        0, {cores[-1]})) for _ in range(at_once)]
        out = [c.communicate(timeout=60)[0] for c in clients]
        n = [re.search(r"^(\d+) connections in (\d+) real", x, re.M) for x in out]
        return {"handshakes/s": sum(int(m[1]) for m in n) / seconds}
    finally:
        server.stop()


POSTFIX_ONLY = (servers.Postfix,)
PROXIES = (servers.Postfix, servers.Nginx, servers.Haproxy)
# name, function, arguments, peers, goals: (figure, peer or None: a value of
# postern's own, ">=" of rates or "<=" of costs, the ratio of medians).
CASES = [
    ("accept, 50 sessions, kept", accept, lambda n: (50, n, True), POSTFIX_ONLY,
     [("msg/s", "postfix", ">=", 5), ("cpu us/msg", "postfix", "<=", 0.2),
      ("syncs/msg", None, "<=", 0.15)]),
    ("accept, 50 sessions, a connection each", accept, lambda n: (50, n, False),
     POSTFIX_ONLY, [("msg/s", "postfix", ">=", 3)]),
    ("accept, 1 session, kept", accept, lambda n: (1, n // 4, True), POSTFIX_ONLY,
     [("msg/s", "postfix", ">=", 1.6)]),
    ("relay end to end", relay, lambda n: (n,), POSTFIX_ONLY, [("msg/s", "postfix", ">=", 4)]),
    ("proxy, lock-step client", proxy_latency, lambda n: (n // 10, False), PROXIES,
     [("added us", "postfix", "<=", 0.4), ("added us", "nginx", "<=", 2)]),
    ("proxy, pipelining client", proxy_latency, lambda n: (n // 10, True), PROXIES,
     [("added us", "nginx", "<=", 1.5)]),
    ("proxy, 50 sessions, kept", proxy_rate, lambda n: (n,), PROXIES,
     [("msg/s", "postfix", ">=", 3.5), ("msg/s", "haproxy", ">=", 0.8)]),
    ("idle session, regular", idle, lambda n: ("hold",), POSTFIX_ONLY,
     [("KiB/session", None, "<=", 16)]),
    ("idle session, proxied", idle, lambda n: ("proxy",), POSTFIX_ONLY,
     [("KiB/session", None, "<=", 10)]),
    ("TLS, 8 handshakes at once, ECDSA P-256", handshakes, lambda n: (3, 8),
     (servers.Openssl,), [("handshakes/s", "openssl", ">=", 0.85)]),
]


def figure(runs, key):
    v = sorted(r[key] for r in runs if key in r)
    return (v[0], statistics.median(v), v[-1]) if v else None


def judged(goals, key, peer, value):
    out = ""
    for k, p, kind, goal in goals:
        if (k, p) == (key, peer):
            good = value >= goal if kind == ">=" else value <= goal
            out += "   goal %s %g %s" % (kind, goal, "held" if good else "MISSED")
    return out


def report(name, goals, runs):
    """runs: [(server's name, its rounds)], postern's first."""
    print(name)
    ours = runs[0][1]
    for key in ours[0]:
        digits = 3 if key in ("syncs/msg", "KiB/session") else 1
        a = figure(ours, key)
        for peer, theirs in runs:
            b = figure(theirs, key)
            if b is None:
                continue
            line = "  %-12s %-9s" % (key, peer) + "".join(" %9.*f" % (digits, x) for x in b)
            if peer == "postern":
                line += judged(goals, key, None, a[1])
            else:
                ratio = a[1] / b[1] if b[1] else float("inf")
                line += "   ratio %6.3f" % ratio + judged(goals, key, peer, ratio)
            print(line)
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
    for name, run, args, peers, goals in CASES:
        if a.only not in name:
            continue
        runs = [(cls, []) for cls in (servers.Postern,) + peers]
        for i in range(a.rounds):
            for cls, out in runs if i % 2 == 0 else reversed(runs):
                out.append(run(cls(scratch), *args(a.messages)))
        report(name, goals, [(cls.name, out) for cls, out in runs])
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
