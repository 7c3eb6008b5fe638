"""A bare SMTP client for tests: sends bytes exactly as given and reads replies.
Standard library only."""
import socket


class Smtp:
    def __init__(self, at, timeout=20):
        host, port = at.rsplit(":", 1)
        self.s = socket.create_connection((host, int(port)), timeout)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        """One reply: (code, text of all lines); (0, "") at the end."""
        lines = []
        while True:
            while b"\r\n" not in self.buf:
                try:
                    b = self.s.recv(65536)
                except ConnectionError:
                    b = b""
                if not b:
                    return 0, ""
                self.buf += b
            line, self.buf = self.buf.split(b"\r\n", 1)
            lines.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def cmd(self, line):
        """Sends a line with CRLF; its reply."""
        self.send((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply()

    def hello(self):
        self.reply()
        return self.cmd("EHLO client.example")

    def close(self):
        self.s.close()


class Cases:
    """Prints the lines that regress/run counts."""

    def __init__(self, name):
        self.name, self.bad = name, 0

    def check(self, what, good, got=""):
        if good:
            print("ok - %s: %s" % (self.name, what), flush=True)
        else:
            self.bad += 1
            print("not ok - %s: %s\n    %r" % (self.name, what, got), flush=True)

    def code(self, what, got, want):
        self.check(what, got[0] == want or (isinstance(want, tuple) and got[0] in want), got)
