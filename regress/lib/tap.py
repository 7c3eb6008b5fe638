#!/usr/bin/env python3
"""tap.py ADDRESS:PORT TARGET:PORT FILE: passes connections on, and writes what
went each way, a line of it a line of FILE: connection, "C" or "S", the line as
it was. "ready" on standard output once it listens."""
import socket
import sys
import threading

lock = threading.Lock()


def split(at):
    host, port = at.rsplit(":", 1)
    return host, int(port)


def pump(a, b, who, out):
    rest = b""
    while True:
        try:
            data = a.recv(65536)
        except OSError:
            data = b""
        if not data:
            break
        rest += data
        with lock:
            while b"\n" in rest:
                line, rest = rest.split(b"\n", 1)
                out.write(who + line + b"\n")
            out.flush()
        try:
            b.sendall(data)
        except OSError:
            break
    try:
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main():
    at, target, path = sys.argv[1:4]
    s = socket.create_server(split(at))
    print("ready", flush=True)
    n = 0
    with open(path, "ab") as out:
        while True:
            a, _ = s.accept()
            n += 1
            try:
                b = socket.create_connection(split(target))
            except OSError:
                a.close()
                continue
            for x in (a, b):
                x.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for x, y, who in ((a, b, b"C"), (b, a, b"S")):
                threading.Thread(target=pump, daemon=True, args=(
                    x, y, b"%d %s " % (n, who), out)).start()


main()
