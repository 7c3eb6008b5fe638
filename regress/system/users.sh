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
# user ARGUMENT ...: posternctl user, the password on its standard input.
user() { "$BUILD/posternctl" -q -f "$T/gw/postern.conf" ${SCHEME:+-S $SCHEME} user "$@"; }
for u in anna bert; do
	echo geheim | SCHEME=scram-sha-256 user add $u "$T/gw/scram"
done
check "a new file is its owner's alone" test "$(stat -c %a "$T/gw/scram")" = 600
printf 'anna:{PLAIN}geheim\nbert:{CRAM-MD5}%s\n' \
    e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6 >"$T/gw/cram"
chmod 600 "$T/gw/cram"
gateway_start <<E2 || exit 1
hostname gw.example.org
table "people" passwd "$users"
table "scram" passwd "$T/gw/scram"
table "cram" passwd "$T/gw/cram"
table owners { "anna" = "anna@own.example, other.example" }
listen on $A port 2530 auth-optional <people> senders <owners> auth-plaintext
listen on $A port 2528 auth <scram> auth-plaintext
listen on $A port 2529 auth <cram> auth-plaintext announce "CRAM-MD5"
limit auth-failures per source 10000
limit auth-failures per user 10000
action "out" relay to { "$A:2500" }
listen on $A port 2525 auth <people> auth-plaintext
listen on $A port 2526 auth-optional <people> auth-plaintext
listen on $A port 2527 auth-optional <people>
match from auth for any action "out"
E2
cat >"$T/users.py" <<'E2'
"""users.py LIB MUST MAY CLEAR SCRAM CRAM"""
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

# SCRAM-SHA-256 (RFC 5802), as a client.
import hashlib  # noqa: E402
import hmac  # noqa: E402


def scram(s, user, password, gs2="n,,", spoil=False):
    """The reply to the last message; whether the server knew the password."""
    bare = "n=%s,r=fyko+d2lbbFgONRv9qkxdawL" % user
    code, text = s.cmd("AUTH SCRAM-SHA-256 " + b(gs2 + bare))
    if code != 334:
        return code, False
    first = base64.b64decode(text).decode()
    got = dict(x.split("=", 1) for x in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(),
                                 base64.b64decode(got["s"]), int(got["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    last = "c=%s,r=%s" % (b(gs2), got["r"])
    said = ",".join((bare, first, last)).encode()
    sign = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
    proof = bytes(x ^ y for x, y in zip(key, sign))
    code, text = s.cmd(b(last + ("x" if spoil else "") + ",p=" + b(proof)))
    if code != 334:
        return code, False
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said,
                         "sha256")
    knew = base64.b64decode(text).decode() == "v=" + b(server)
    return s.cmd("")[0], knew


s, got = hello(sys.argv[5])
c.check("SCRAM-SHA-256 is offered first", "AUTH SCRAM-SHA-256 PLAIN LOGIN" in
        got, got)
c.check("SCRAM-SHA-256, and the server knows it too", scram(s, "anna", "geheim")
        == (235, True))
s.close()
for what, args, code in (("with a wrong password", ("anna", "falsch"), 535),
                         ("of nobody", ("nemo", "geheim"), 535),
                         ("for somebody else", ("anna", "geheim",
                                                "n,a=bert,"), 501),
                         ("bound to nothing", ("anna", "geheim",
                                               "p=tls-exporter,,"), 501),
                         ("with another nonce", ("anna", "geheim", "n,,",
                                                 True), 501)):
    s, _ = hello(sys.argv[5])
    got = scram(s, *args)
    c.check("SCRAM-SHA-256 " + what, got == (code, False), got)
    s.close()
s, _ = hello(sys.argv[5])
c.code("PLAIN with the same hash", s.cmd(plain("bert", "geheim")), 235)
s.close()
s, _ = hello(sys.argv[5])
c.code("SCRAM-SHA-256 cancelled: begun", s.cmd("AUTH SCRAM-SHA-256 " +
                                              b("n,,n=anna,r=abc")), 334)
c.code("SCRAM-SHA-256 cancelled", s.cmd("*"), 501)
c.check("and another one", scram(s, "anna", "geheim") == (235, True))
s.close()


def cram(user, password):
    s, got = hello(sys.argv[6])
    c.check("CRAM-MD5 is offered", "AUTH CRAM-MD5 PLAIN" in got, got)
    code, text = s.cmd("AUTH CRAM-MD5")
    digest = hmac.new(password.encode(), base64.b64decode(text),
                      "md5").hexdigest()
    code = s.cmd(b(user + " " + digest))[0]
    s.close()
    return code


c.check("CRAM-MD5 with a password on file", cram("anna", "geheim") == 235)
c.check("CRAM-MD5 with its hash on file", cram("bert", "test") == 235)
c.check("CRAM-MD5 with a wrong one", cram("bert", "geheim") == 535)
c.check("CRAM-MD5 of nobody", cram("nemo", "geheim") == 535)
s, _ = hello(sys.argv[6])
c.code("CRAM-MD5 with an initial response", s.cmd("AUTH CRAM-MD5 " +
                                                 b("anna 00")), 501)
s.close()


s, _ = hello(sys.argv[7])
c.code("senders: who has not logged in is not asked",
       s.cmd("MAIL FROM:<x@y.example>"), 250)
s.cmd("RSET")
c.code("senders: anna", s.cmd(plain("anna", "geheim")), 235)
for sender, code in (("anna@own.example", 250), ("ANNA@Own.example", 250),
                     ("x@other.example", 250), ("", 250),
                     ("bert@own.example", 553), ("x@sub.other.example", 553),
                     ("other.example@own.example", 553)):
    got = s.cmd("MAIL FROM:<%s>" % sender)
    c.check("senders: <%s> gets %d" % (sender, code), got[0] == code, got)
    s.cmd("RSET")
s.close()
s, _ = hello(sys.argv[7])
c.code("senders: emil", s.cmd(plain("emil", "geheim")), 235)
c.code("senders: who has no entry has no address",
       s.cmd("MAIL FROM:<anna@own.example>"), 553)
s.close()
E2
python3 "$T/users.py" "$TOP/regress/lib" $A:2525 $A:2526 $A:2527 $A:2528 $A:2529 $A:2530 ||
    FAILED=1
check "the log says why, the client was not told" \
    logged 'result=failed mech=PLAIN user=nemo client=127.0.0.1 reply="535 [^"]*" why="no such user"'
queued() { ctl queue list | grep -q x@else.example; }
check "who has logged in may relay by the rules" queued

# posternctl user, with the gateway running and not asked.
login() { swaks --server $A:2525 --quit-after AUTH --auth "$1" --auth-user "$2" \
    --auth-password "$3" --timeout 20; }
refused() { ! login "$@"; }
check "swaks logs in by LOGIN" login LOGIN anna geheim
check "swaks is refused" refused PLAIN nora neu
echo neu | user add nora people
check "user add keeps the mode" test "$(stat -c %a "$users")" = 640
check "user add needs a reload" refused PLAIN nora neu
check "reload" ctl reload
check "user add" login PLAIN nora neu
check "there is one of a name" sh -c "! echo x | '$BUILD/posternctl' -q user add nora '$users'"
echo neuer | SCHEME=bcrypt user passwd nora people
ctl reload
check "user passwd: the old one is void at once" refused PLAIN nora neu
check "user passwd" login PLAIN nora neuer
user list people >"$T/list"
check "user list shows schemes" grep -q "^nora	bcrypt$" "$T/list"
check "and who is locked or barred" sh -c \
    "grep -q '^carl	locked' '$T/list' && grep -q '^dora	.*	barred' '$T/list'"
check "and no hash" sh -c "! grep -q '[$]' '$T/list'"
user remove nora people
ctl reload
check "user remove" refused PLAIN nora neuer
check "other lines stay as they are" grep -q '^dora:.*:1000:1000::/home/dora::nologin$' "$users"
check "a comment, too" grep -q '^# users$' "$users"
check "no such user" sh -c "! '$BUILD/posternctl' -q user remove nora '$users'"
check "no name of a user" sh -c "! echo x | '$BUILD/posternctl' -q user add a:b '$users'"
cp "$users" "$T/gw/good"
echo "broken" >>"$users"
check "a malformed file is not taken" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' reload"
check "nor edited" sh -c "! echo x | '$BUILD/posternctl' -q user add otto '$users'"
check "what was in force stays so" login PLAIN emil geheim
cat "$T/gw/good" >"$users"
chmod 644 "$users"
check "a file that others may read is not taken" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' reload"
chmod 640 "$users"
ctl reload

# Workers of the generations before end meanwhile.
check "statistics of passwd" wait_until 20 sh -c "'$BUILD/posternctl' -s '$T/gw/run' -j stats | grep -q '\"good\":'"
for w in geheim neuer falsch; do
	check "no password is in the log: $w" sh -c \
	    "! grep -q -e $w -e $(printf %s "$w" | base64) '$T/gw/log'"
done

# Nobody but keyd's passwd keeps one once the answer is there.
python3 - >"$T/secrets" <<'E2'
import base64
for w in (b"geheim", b"falsch"):
    print(w.decode())
    for n in range(3):
        b = base64.b64encode(b"\0" * n + w).decode().rstrip("=")
        print(b[(0, 2, 3)[n]:len(w) * 4 // 3 - 1 + n])
E2
others() {
	ctl -j status | grep -v '"title":"\(keyd\|passwd\)' |
	    sed -n 's/.*"pid":\([0-9]*\).*/\1/p'
}
case $BUILD in
*asan*) skip "memory is searched in the build that is shipped" ;;
*)
	check "daemons are searched" [ "$(others | wc -l)" -ge 4 ]
	check "no password is left in the memory of any other than passwd" \
	    python3 "$TOP/regress/lib/memory.py" "$T/secrets" $(others)
	;;
esac

# fail2ban's filter on this log: its tags made what fail2ban makes of them.
cat >"$T/fail2ban.py" <<'E2'
import configparser
import re
import sys

p = configparser.ConfigParser(interpolation=None)
p.read(sys.argv[1])
rules = [re.compile(x.strip().replace("<HOST>", r"(?P<host>[0-9a-fA-F:.]+)"))
         for x in p["Definition"]["failregex"].splitlines()]
found = failed = 0
for line in open(sys.argv[2], encoding="utf-8", errors="replace"):
    hit = [m for r in rules if (m := r.search(line))]
    want = "event=auth result=failed" in line and (
        'reply="535' in line or "too many failed" in line)
    failed += want
    if bool(hit) != want or (hit and hit[0]["host"] != "127.0.0.1"):
        print("wrongly", "found" if hit else "passed over", line)
        sys.exit(1)
    found += bool(hit)
print(found, "found of", failed)
sys.exit(found < 10)
E2
check "fail2ban's filter finds the failures and nothing else" \
    python3 "$T/fail2ban.py" "$TOP/postern/postern.fail2ban" "$T/gw/log"
