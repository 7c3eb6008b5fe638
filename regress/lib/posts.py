#!/usr/bin/env python3
"""A server for POSTs over TLS that writes down what it got, a line of JSON each.

    posts.py ADDRESS:PORT CERT KEY LOG
"""
import http.server
import json
import ssl
import sys

host, port = sys.argv[1].rsplit(":", 1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[4], "a") as f:
            print(json.dumps({"path": self.path,
                              "host": self.headers["Host"],
                              "type": self.headers["Content-Type"],
                              "body": body.decode()}), file=f)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
