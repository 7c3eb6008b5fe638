#!/bin/sh
# Users of our own (`auth <T>`): each mechanism, wrong and unknown ones in the
# same time, a changed file, posternctl user, the limits of what is taken.
. "$(dirname "$0")/lib.sh"

mkdir -p "$T/gw"
users=$T/gw/users
python3 - "$users" <<'E2'
import ctypes, sys
crypt = ctypes.CDLL("libcrypt.so.1")
crypt.crypt.restype = crypt.crypt_gensalt.restype = ctypes.c_char_p
def hash(prefix, password):
    return crypt.crypt(password.encode(),
                       crypt.crypt_gensalt(prefix.encode(), 0, None, 0)).decode()
with open(sys.argv[1], "w") as f:
    print("# users", file=f)
    print("anna:" + hash("$y$", "geheim"), file=f)
    print("bert:{BLF-CRYPT}" + hash("$2b$", "geheim") + "::::::", file=f)
    print("carl:!" + hash("$y$", "geheim"), file=f)
    print("dora:{SHA512-CRYPT}" + hash("$6$", "geheim") +
          ":1000:1000::/home/dora::nologin", file=f)
    print("emil:" + hash("$y$", "geheim"), file=f)
E2
chmod 640 "$users"
gateway_start <<E2 || exit 1
hostname gw.example.org
table "people" passwd "$users"
action "out" relay to { "$A:2500" }
listen on $A port 2525 auth <people> auth-plaintext
listen on $A port 2526 auth-optional <people> auth-plaintext
listen on $A port 2527 auth-optional <people>
match from auth for any action "out"
E2
cat >"$T/users.py" <<'E2'
"""users.py LIB MUST MAY CLEAR"""
import base64
import sys
import time

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

must, may, clear = sys.argv[2:5]
c = Cases("users")


def b(s):
    return base64.b64encode(s if isinstance(s, bytes) else s.encode()).decode()


def plain(user, password, authzid=""):
    return "AUTH PLAIN " + b("%s\0%s\0%s" % (authzid, user, password))


def hello(where=must):
    s = Smtp(where)
    return s, s.hello()[1]


s, got = hello(clear)
c.check("without TLS it is not offered", "AUTH" not in got, got)
c.code("and refused", s.cmd(plain("anna", "geheim")), 538)
s.close()

s, got = hello()
c.check("PLAIN and LOGIN are offered", "AUTH PLAIN LOGIN" in got, got)
c.code("MAIL before it", s.cmd("MAIL FROM:<a@b.example>"), 530)
c.code("PLAIN", s.cmd(plain("anna", "geheim")), 235)
c.code("a second AUTH", s.cmd(plain("anna", "geheim")), 503)
c.code("MAIL after it", s.cmd("MAIL FROM:<a@b.example>"), 250)
c.code("AUTH in a transaction", s.cmd(plain("anna", "geheim")), 503)
c.code("RCPT", s.cmd("RCPT TO:<x@else.example>"), 250)
c.code("DATA", s.cmd("DATA"), 354)
c.code("its message", s.cmd(b"Subject: by anna\r\n\r\nx\r\n."), 250)
s.close()

for user in ("anna", "bert", "emil"):
    s, _ = hello()
    c.check("LOGIN asks for the name", s.cmd("AUTH LOGIN") ==
            (334, "VXNlcm5hbWU6"))
    c.check("and for the password", s.cmd(b(user)) == (334, "UGFzc3dvcmQ6"))
    c.code("LOGIN: " + user, s.cmd(b("geheim")), 235)
    s.close()
s, _ = hello()
c.check("PLAIN without an initial response", s.cmd("AUTH PLAIN") == (334, ""))
c.code("takes it afterwards", s.cmd(b("\0anna\0geheim")), 235)
s.close()
s, _ = hello()
c.code("LOGIN with the name as initial response", s.cmd("AUTH LOGIN " +
                                                      b("anna")), 334)
c.code("and the password", s.cmd(b("geheim")), 235)
s.close()
s, _ = hello()
c.code("an authzid that is the authcid", s.cmd(plain("anna", "geheim",
                                                    "anna")), 235)
s.close()

for user, what in (("carl", "a locked user"), ("dora", "one with nologin"),
                   ("nemo", "one who is not there")):
    s, _ = hello()
    c.code(what, s.cmd(plain(user, "geheim")), 535)
    s.close()
for line, code, what in (
        ("AUTH PLAIN " + b("anna"), 501, "no NUL"),
        ("AUTH PLAIN " + b("\0\0geheim"), 501, "no name"),
        ("AUTH PLAIN " + b("\0anna\0"), 501, "no password"),
        ("AUTH PLAIN " + b("\0an\1na\0geheim"), 501, "a control character"),
        ("AUTH PLAIN " + b("\0anna\0ge\0heim"), 501, "a third NUL"),
        ("AUTH PLAIN =", 501, "an empty response"),
        ("AUTH PLAIN !!!", 501, "no base64"),
        ("AUTH PLAIN AAA", 501, "malformed base64"),
        ("AUTH CRAM-MD5", 504, "a mechanism that is not offered"),
        ("AUTH", 501, "no mechanism"),
        (plain("anna", "geheim", "bert"), 535, "another's authzid")):
    s, _ = hello()
    c.code("PLAIN with " + what, s.cmd(line), code)
    c.code("then the right one", s.cmd(plain("anna", "geheim")), 235)
    s.close()
s, _ = hello()
c.code("cancelled: begun", s.cmd("AUTH LOGIN"), 334)
c.code("cancelled: *", s.cmd("*"), 501)
c.code("over-long: begun", s.cmd("AUTH PLAIN"), 334)
c.code("over-long", s.cmd("A" * 13000), 500)
c.code("then the right one", s.cmd(plain("anna", "geheim")), 235)
s.close()
E2
python3 "$T/users.py" "$TOP/regress/lib" $A:2525 $A:2526 $A:2527 || FAILED=1
