#!/bin/sh
# Users whom a real Dovecot knows: its auth socket as a table, each mechanism that
# it offers, wrong passwords, guesses, mail by the name that it gives; Dovecot that
# is away and comes back.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/dovecot.sh"
cleanup() { dovecot_stop "$T/dove"; }

need_root "a real Dovecot" || exit 0
need_peers "a real Dovecot" postfix dovecot || exit 0
mkdir -p "$T/dove"
printf '%s\n' 'anna:{PLAIN}geheim-sesam' 'bert,1=x:{PLAIN}streng-geheim' \
    'guessed:{PLAIN}nie-geraten' >"$T/dove/users"
dovecot_start "$T/dove" || { no "Dovecot starts"; cat "$T/dove/log"; exit 1; }
sink "$A:2600" "$T/sink" || { no "the server starts"; exit 1; }
gateway_start <<E2 || exit 1
hostname gw.example.org
table people dovecot "unix:$T/dove/auth"
table nobody dovecot "unix:$T/dove/not-there"
action "out" relay to { "$A:2600" }
listen on $A port 2525 auth <people> auth-plaintext
listen on $A port 2526 auth-optional <nobody> auth-plaintext
listen on $A port 2527 auth <people>
listen on $A port 2528
limit auth-failures per user 3 for { guessed }
match from auth auth-user { "bert,1=x" } for any reject "550 5.7.1 not for bert"
match from auth for any action "out"
E2
cat >"$T/auth.py" <<'E2'
"""auth.py LIB A"""
import smtplib
import sys
import time

sys.path.insert(0, sys.argv[1])
from sasl import auth, b64  # noqa: E402
from smtp import Cases, Smtp  # noqa: E402

at = sys.argv[2]
c = Cases("dovecot")
ANNA = ("anna", "geheim-sesam")
BERT = ("bert,1=x", "streng-geheim")


def open_(port):
    s = Smtp("%s:%d" % (at, port))
    return s, s.hello()[1]


s, got = open_(2525)
mechs = [x for x in got.split("\n") if x.startswith("AUTH")]
c.check("its mechanisms are offered", len(mechs) == 1 and
        sorted(mechs[0].split()[1:]) == sorted(
            "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256".split()), got)
c.code("MAIL before AUTH", s.cmd("MAIL FROM:<a@b.example>"), 530)
c.code("a mechanism that was not", s.cmd("AUTH NTLM"), 504)
s.close()
for mech in ("PLAIN", "PLAIN2", "LOGIN", "LOGIN2", "CRAM-MD5", "SCRAM-SHA-1",
             "SCRAM-SHA-256"):
    for user, password in (ANNA, BERT):
        s, _ = open_(2525)
        c.code("%s of %s" % (mech, user), auth(s, mech, user, password)[0], 235)
        c.code("MAIL after it", s.cmd("MAIL FROM:<%s@b.example>" % user[:4]), 250)
        c.code("the rules know who it is", s.cmd("RCPT TO:<user@example.org>"),
               550 if user == BERT[0] else 250)
        c.code("AUTH again", s.cmd("AUTH PLAIN"), 503)
        s.close()
s, _ = open_(2525)
for mech, want in (("PLAIN", 535), ("LOGIN", 535), ("CRAM-MD5", 535)):
    t = time.monotonic()
    c.code("a wrong password: " + mech, auth(s, mech, "anna", "falsch-geraten")[0],
           want)
    c.check("held", time.monotonic() - t > 0.9)
c.code("and no mail", s.cmd("MAIL FROM:<a@b.example>"), 530)
c.code("then the right one", auth(s, "SCRAM-SHA-256", *ANNA)[0], 235)
s.close()
s, _ = open_(2525)
c.code("nobody", auth(s, "PLAIN", "nobody", "x")[0], 535)
c.code("begun", s.cmd("AUTH CRAM-MD5"), 334)
c.code("cancelled", s.cmd("*"), 501)
c.code("begun", s.cmd("AUTH LOGIN"), 334)
c.code("no base64", s.cmd("geheim sesam!"), 501)
c.code("begun", s.cmd("AUTH LOGIN"), 334)
c.code("too long", s.cmd("A" * 13000), 500)
c.code("a NUL in the name", s.cmd(b"AUTH PLAIN " + b64(b"\0an\0na\0geheim-sesam")), 535)

c.code("as another", s.cmd(b"AUTH PLAIN " + b64(b"bert\0anna\0geheim-sesam")), 535)
c.code("the session is as before", auth(s, "LOGIN", *ANNA)[0], 235)
s.close()
# Many at a time, on the one connection.
many = [open_(2525)[0] for _ in range(20)]
for s in many:
    s.cmd("AUTH CRAM-MD5")
for s in many:
    s.cmd("*")
got = [auth(s, "SCRAM-SHA-1" if i % 2 else "PLAIN", *ANNA)[0][0]
       for i, s in enumerate(many)]
c.check("twenty sessions", got == [235] * 20, got)
for s in many:
    s.close()
codes = []
for i in range(4):
    s, _ = open_(2525)
    codes.append(auth(s, "PLAIN", "guessed", "geraten-%d" % i)[0][0])
    s.close()
c.check("guesses by one name", codes == [535] * 3 + [454], codes)
s, got = open_(2526)
c.check("no such socket: not announced", "AUTH" not in got, got)
s.close()
s, got = open_(2527)
c.check("in clear without the word: not announced", "AUTH" not in got, got)
c.code("and refused", s.cmd("AUTH PLAIN"), 538)
s.close()
s, got = open_(2528)
c.check("a listener without it: not announced", "AUTH" not in got, got)
s.close()
with smtplib.SMTP(at, 2525, timeout=20) as m:
    m.login(*ANNA)
    m.sendmail("anna@example.org", ["user@example.org"],
               "Subject: smtplib\r\n\r\nx\r\n")
c.check("smtplib", True)
sys.exit(c.bad > 0)
E2
python3 "$T/auth.py" "$TOP/regress/lib" "$A" || FAILED=1
for m in PLAIN LOGIN CRAM-MD5; do
	check "swaks, $m" send "$A:2525" anna@example.org user@example.org \
	    --auth "$m" --auth-user anna --auth-password geheim-sesam
done
check "the log has who it was" logged 'event=auth result=ok mech=SCRAM-SHA-256 user=anna client=127\.[0-9.]* reply="235 '
check "and who it was not" logged 'event=auth result=failed mech=PLAIN user=anna client=127\.[0-9.]* reply="535 '
check "Dovecot has the client's address" grep -q "rip=127\." "$T/dove/log"
check "the queue has who it was" logged 'event=accepted.*from=<anna@example.org>'
check "a socket that is not there is told once" \
    [ "$(grep -c 'event=dovecot table=nobody result=away' "$T/gw/log")" -ge 1 ]
check "only workers that take passwords are connected" sh -c "[ \$(grep \
    'event=dovecot table=people result=ok' '$T/gw/log' | wc -l) -lt \
    $(pid_of 'smtpd\.[0-9]*' | wc -l) ]"

# ---- Dovecot ends and comes back -----------------------------------------
# Its auth process would serve whom it has for a while.
ps -eo pid=,ppid=,comm= | awk -v p="$DOVE" '$2 == p && $3 == "auth" { print $1 }' \
    >"$T/auth.pid"
kill "$DOVE"
kill -9 $(cat "$T/auth.pid")
check "its end is told" wait_until 10 logged 'event=dovecot table=people result=away'
login() {
	swaks --server "$A:2525" --quit-after AUTH --helo x.example.org --auth PLAIN \
	    --auth-user anna --auth-password geheim-sesam >"$T/swaks" 2>&1
}
login
check "a login gets 454 meanwhile" grep -q '454 4\.7\.0' "$T/swaks"
wait_until 10 sh -c "[ ! -s '$T/dove/run/master.pid' ]"
rm -f "$T/dove/auth"
dovecot_start "$T/dove" || no "Dovecot starts again"
check "logins work again" wait_until 15 login
gateway_stop
check "no password is in a log" sh -c "! grep -E \
    'geheim-sesam|streng-geheim|nie-geraten|falsch-geraten|geraten-[0-9]' \
    '$T/gw/log' '$T/gw/out'"
