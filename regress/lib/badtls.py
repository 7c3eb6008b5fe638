#!/usr/bin/env python3
"""Servers that offer STARTTLS and then break it, for one gateway at a time.

    badtls.py HOST:PORT garbage|inject|drop

The first session is broken: behind the 220 comes no TLS (garbage), the replies
of somebody in between with the 220 itself (inject), or nothing (drop). In others
that are not asked for TLS mail is taken. Each session's lines are printed."""
import socket
import sys

REPLIES = {"EHLO": "250-bad.example\r\n250-STARTTLS\r\n250 8BITMIME",
           "DATA": "354 go", "QUIT": "221 bye"}


def session(sock, how):
    f = sock.makefile("rb")
    sock.sendall(b"220 bad.example\r\n")
    content = False
    for line in f:
        if content:
            if line == b".\r\n":
                content = False
                sock.sendall(b"250 taken\r\n")
            continue
        word = line.decode("latin-1").strip()
        print("line", word, flush=True)
        verb = word.split(" ")[0].upper()
        if verb == "STARTTLS":
            if how == "inject":
                sock.sendall(b"220 go\r\n250-bad.example\r\n250 SIZE\r\n")
                f.read()
                return
            sock.sendall(b"220 go\r\n")
            if how == "garbage":
                sock.recv(5)
                sock.sendall(b"this is no TLS at all, and never was\r\n")
                sock.settimeout(5)
                try:
                    f.read()
                except OSError:
                    pass
            return
        sock.sendall(REPLIES.get(verb, "250 ok").encode() + b"\r\n")
        content = verb == "DATA"


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    print("ready", flush=True)
    while True:
        sock, _ = listener.accept()
        print("session", flush=True)
        try:
            session(sock, sys.argv[2])
        except OSError:
            pass
        sock.close()
        print("end", flush=True)


main()
