"""The cases of system/many.sh: many.py LIB ADDRESS:PORT SINKDIR LIMIT IDLE PID...

IDLE sessions that say nothing, with work beside them; then as many as LIMIT and
some more. PID: smtpd's workers, whose memory is looked at."""
import os
import select
import socket
import sys
import threading
import time

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

at, sink, limit, idle = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
pids = sys.argv[6:]
host, port = at.rsplit(":", 1)
c = Cases("many")
SANITIZED = os.environ.get("BUILD", "").endswith("asan")


def memory():
    """Bytes of the workers that are theirs alone."""
    total = 0
    for p in pids:
        for line in open("/proc/%s/smaps_rollup" % p):
            if line.startswith(("Private_Dirty:", "Private_Clean:")):
                total += int(line.split()[1]) * 1024
    return total


def connect():
    return socket.create_connection((host, int(port)), 20)


def greeted(socks, seconds):
    """Those that have got a line by then."""
    got, end = set(), time.time() + seconds
    p = select.poll()
    by_fd = {s.fileno(): s for s in socks}
    for fd in by_fd:
        p.register(fd, select.POLLIN)
    while len(got) < len(socks) and time.time() < end:
        for fd, _ in p.poll(100):
            line = by_fd[fd].recv(4096)
            p.unregister(fd)
            if line.startswith(b"2"):
                got.add(by_fd[fd])
    return got


def say(socks, line):
    for s in socks:
        s.sendall(line)
    return len(greeted(socks, 20))


def work(n, times, size=2000):
    """n messages in one session each; how long each command took at most."""
    body = b"Subject: many\r\n\r\n" + b"y" * 76 + (b"\r\n" + b"y" * 76) * (size // 78) + b"\r\n."
    for _ in range(n):
        s = Smtp(at)
        worst = 0
        ok = True
        for line in (None, "EHLO c.example", "MAIL FROM:<a@b.example>",
                     "RCPT TO:<u@dest.example>", "DATA", body, "QUIT"):
            t = time.time()
            got = s.reply() if line is None else s.cmd(line)
            worst = max(worst, time.time() - t)
            ok = ok and got[0] in (220, 250, 354, 221)
        s.close()
        times.append((worst, ok))


before = memory()
socks = [connect() for _ in range(idle)]
c.check("%d clients are greeted" % idle, len(greeted(socks, 20)) == idle)
c.check("and their EHLO answered", say(socks, b"EHLO c.example\r\n") == idle)
each = (memory() - before) // idle
print("# %d bytes an idle session" % each)
c.check("an idle session takes less than 4 KiB (%d)" % each, each < 4096 or SANITIZED, each)

# Work beside them, with some of them in the middle of slow messages.
slow = socks[:100]
say(slow, b"MAIL FROM:<slow@b.example>\r\n")
say(slow, b"RCPT TO:<u@dest.example>\r\n")
for s in slow:
    s.sendall(b"DATA\r\n")
stop = threading.Event()


def drip():
    n = 0
    while not stop.is_set():
        for s in slow:
            s.sendall(b"x" if n % 70 else b"\r\n")
        n += 1
        time.sleep(0.02)


threads = [threading.Thread(target=drip)]
times = []
threads += [threading.Thread(target=work, args=(40, times)) for _ in range(5)]
for t in threads:
    t.start()
for t in threads[1:]:
    t.join()
stop.set()
threads[0].join()
worst = sorted(w for w, _ in times)
print("# slowest command of %d messages: %.0f ms, in the middle %.1f ms" %
      (len(worst), worst[-1] * 1000, worst[len(worst) // 2] * 1000))
c.check("200 messages beside them are taken", len(times) == 200 and all(ok for _, ok in times))
c.check("slow clients keep nobody waiting", worst[len(worst) // 2] < 0.2 and worst[-1] < 3,
        worst[-5:])
greeted(slow, 5)        # their 354
c.check("and the slow messages are taken in the end", say(slow, b"\r\n.\r\n") == len(slow))

# Up to the limit, and beyond it: the backlog.
socks += [connect() for _ in range(limit - idle)]
full = greeted(socks[idle:], 20)
c.check("up to the limit of %d all are greeted" % limit, len(full) == limit - idle, len(full))
late = [connect() for _ in range(40)]
c.check("those beyond it wait", len(greeted(late, 1)) == 0)
for s in socks[:20]:
    s.close()
first = greeted(late, 10)
c.check("and are served as others leave", len(first) == 20, len(first))
rest = [s for s in late if s not in first]
for s in socks[20:60]:
    s.close()
c.check("the rest of them too", len(greeted(rest, 10)) == 20)
c.check("all the others are still there", say(socks[60:], b"NOOP\r\n") == len(socks) - 60)
for s in socks[60:] + late:
    s.close()
end = time.time() + 20
n = 0
while n < 300 and time.time() < end:
    n = len(os.listdir(sink))
    time.sleep(0.1)
c.check("every message arrived", n == 300, n)
sys.exit(c.bad > 0)
