#!/bin/sh
# AUTH through postern to a real Postfix with Dovecot's SASL, byte by byte as it
# is without postern between; the same server asked by a regular listener (auth
# via); tokens and NTLM with a scripted one; guesses; and no password anywhere.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/dovecot.sh"
cleanup() { dovecot_stop "$T/dove"; }

need_root "a real Postfix" || exit 0
need_peers "a real Postfix with Dovecot" postfix dovecot || exit 0
mkdir -p "$T/dove"
printf '%s\n' 'anna:{PLAIN}geheim-sesam' 'bert,1=x:{PLAIN}streng-geheim' \
    'guessed:{PLAIN}nie-geraten' >"$T/dove/users"
dovecot_start "$T/dove" || { no "Dovecot starts"; cat "$T/dove/log"; exit 1; }
POSTFIX_MORE="smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $T/dove/auth
broken_sasl_auth_clients = yes
smtpd_sasl_security_options = noanonymous
smtpd_error_sleep_time = 0"
postfix_start "$T/pf" "$A" 2600
wait_until 20 listening "$A:2600" || { no "Postfix starts"; exit 1; }
python3 "$TOP/regress/lib/tap.py" "$A:2601" "$A:2600" "$T/tap" >"$T/tap.out" &
PIDS="$PIDS $!"
wait_until 10 grep -q ready "$T/tap.out"
peer odd "$A:2602" \
    --caps "AUTH XOAUTH2 OAUTHBEARER NTLM GSSAPI EXTERNAL SCRAM-SHA-1-PLUS,AUTH=XOAUTH2,X-MORE 1 2,X-LESS,XCLIENT NAME,STARTTLS,X-EXPS GSSAPI NTLM" \
    --on "auth=dXNlcj1iYWQ" "reply:334 eyJzdGF0dXMiOiI0MDEifQ==" \
    --on "auth=bixhPWJhZC" "reply:334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=" \
    --on "any=AQ==" "reply:535 5.7.8 the token is no good" \
    --on "any=*" "reply:501 5.7.0 cancelled" \
    --on "auth=NTLM" "reply:334 TlRMTVNTUAACAAAA" \
    --on "any=TlRMTVNTUAAD" "reply:235 2.7.0 welcome"
gateway_start <<E2 || exit 1
hostname gw.example.org
action "live" proxy to { "$A:2601" }
action "odd" proxy to { "$A:2602" }
action "gone" proxy to { "$A:2699" }
action "out" relay to { "$A:2600" }
listen on $A port 2525 proxy "live" auth auth-plaintext
listen on $A port 2526 auth via "live" auth-plaintext
listen on $A port 2527 proxy "odd" auth-plaintext announce { NTLM, "X-MORE" }
listen on $A port 2528 auth-optional via "gone" auth-plaintext
limit auth-failures per user 3 for { guessed }
match from auth auth-user { "bert,1=x" } for any reject "550 5.7.1 not for bert"
match from auth for domain "example.org" action "out"
E2
cat >"$T/auth.py" <<'E2'
"""auth.py LIB A TAP"""
import smtplib
import sys
import time

sys.path.insert(0, sys.argv[1])
from sasl import auth  # noqa: E402
from smtp import Cases, Smtp  # noqa: E402

at = sys.argv[2]
c = Cases("authproxy")
ANNA = ("anna", "geheim-sesam")
BERT = ("bert,1=x", "streng-geheim")


def open_(port):
    s = Smtp("%s:%d" % (at, port))
    return s, s.hello()[1]


def at_server():
    """What the server has heard and said in its newest connection."""
    with open(sys.argv[3], "rb") as f:
        lines = [x.split(b" ", 2) for x in f.read().split(b"\n")[:-1]]
    newest = max(int(n) for n, _, _ in lines)
    return [who + text for n, who, text in lines if int(n) == newest]


# ---- what is announced ----
_, direct = open_(2600)
s, got = open_(2525)
mechs = [x for x in got.split("\n") if x.startswith("AUTH")]
c.check("the server's mechanisms, in the new form alone",
        mechs == [x for x in direct.split("\n") if x.startswith("AUTH ")], got)
c.code("MAIL before AUTH", s.cmd("MAIL FROM:<a@b.example>"), 530)
c.code("a mechanism that was not announced", s.cmd("AUTH NTLM"), 504)
c.code("nothing but QUIT ends it", s.cmd("QUIT"), 221)
s.close()

# ---- each mechanism, compared with the direct exchange ----
for mech in ("PLAIN", "PLAIN2", "LOGIN", "LOGIN2", "CRAM-MD5", "SCRAM-SHA-1",
             "SCRAM-SHA-256"):
    for user, password in (ANNA, BERT):
        s, _ = open_(2600)
        want, direct = auth(s, mech, user, password)
        s.close()
        s, _ = open_(2525)
        got, lines = auth(s, mech, user, password)
        c.check("%s of %s: as the direct one" % (mech, user),
                got == want and got[0] == 235, (got, want))
        seen = [x + b"\r" for x in lines]
        there = at_server()[-len(seen):]
        c.check("%s of %s: the same bytes at the server" % (mech, user),
                there == seen, (there, seen))
        if mech in ("PLAIN", "LOGIN"):
            c.check("%s of %s: the same bytes as without" % (mech, user),
                    lines == direct, (lines, direct))
        c.code("MAIL after " + mech, s.cmd("MAIL FROM:<a@b.example>"), 250)
        want = 550 if user == BERT[0] else 250
        c.code("the rules know " + user, s.cmd("RCPT TO:<user@example.org>"), want)
        s.close()

# ---- refused ----
s, _ = open_(2600)
want, _ = auth(s, "PLAIN", "anna", "falsch-geraten")
s.close()
s, _ = open_(2525)
t = time.monotonic()
got, _ = auth(s, "PLAIN", "anna", "falsch-geraten")
t = time.monotonic() - t
c.check("a wrong password: the server's own words", got == want, (got, want))
c.check("after a second", 0.9 <= t < 8, t)
c.code("and no mail", s.cmd("MAIL FROM:<a@b.example>"), 530)
got, _ = auth(s, "CRAM-MD5", *ANNA)
c.code("then the right one", got, 235)
s.close()
s, _ = open_(2525)
s.cmd("AUTH CRAM-MD5")
c.code("cancelled", s.cmd("*"), 501)
s.cmd("AUTH LOGIN")
c.code("no base64", s.cmd("geheim sesam!"), 501)
s.cmd("AUTH LOGIN")
c.code("too long", s.cmd("A" * 13000), 500)
c.code("the session is as before", auth(s, "LOGIN", *ANNA)[0], 235)
s.close()

# ---- guesses: by one name, over all workers ----
codes = []
for i in range(4):
    s, _ = open_(2525)
    codes.append(auth(s, "PLAIN", "guessed", "geraten-%d" % i)[0][0])
    there = [x for x in at_server() if x.startswith(b"CAUTH")]
    s.close()
c.check("the fourth guess does not reach the server",
        codes == [535] * 3 + [454] and there == [], (codes, there))
s, _ = open_(2525)
c.code("nor does the right one", auth(s, "PLAIN", "guessed", "nie-geraten")[0], 454)
s.close()

# ---- a regular listener that asks the server ----
s, got = open_(2526)
c.check("via: the server's mechanisms", any(
    x == m for m in mechs for x in got.split("\n")), got)
c.code("via: MAIL before AUTH", s.cmd("MAIL FROM:<a@b.example>"), 530)
c.code("via: a wrong password", auth(s, "LOGIN", "anna", "falsch")[0], 535)
for mech in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"):
    s, _ = open_(2526)
    c.code("via: " + mech, auth(s, mech, *ANNA)[0], 235)
    c.code("via: MAIL", s.cmd("MAIL FROM:<anna@example.org>"), 250)
    c.code("via: from auth", s.cmd("RCPT TO:<user@example.org>"), 250)
    s.close()
s, _ = open_(2526)
auth(s, "PLAIN", *BERT)
s.cmd("MAIL FROM:<b@example.org>")
c.code("via: auth-user", s.cmd("RCPT TO:<user@example.org>"), 550)
s.close()
s, got = open_(2528)
c.check("via a server that is away: not announced", "AUTH" not in got, got)
s.close()

# ---- clients ----
for port in (2525, 2526):
    with smtplib.SMTP(at, port, timeout=20) as m:
        m.login(*ANNA)
        m.sendmail("anna@example.org", ["user@example.org"],
                   "Subject: smtplib %d\r\n\r\nx\r\n" % port)
    c.check("smtplib on %d" % port, True)

# ---- tokens, layers ----
s, got = open_(2527)
got = got.split("\n")
c.check("announce: its keyword as it was, others not", "X-MORE 1 2" in got and
        "AUTH XOAUTH2 OAUTHBEARER NTLM" in got and not any(
            x.startswith(("X-LESS", "XCLIENT", "X-EXPS", "STARTTLS")) for x in got), got)
c.code("XOAUTH2", auth(s, "XOAUTH2", "anna@example.org", "token-streng")[0], 235)
s.close()
s, _ = open_(2527)
c.code("OAUTHBEARER", auth(s, "OAUTHBEARER", "a,b@example.org".replace(",", "=2C"),
       "token-streng")[0], 235)
s.close()
s, _ = open_(2527)
got, _ = auth(s, "XOAUTH2", "bad", "token-falsch")
c.check("XOAUTH2: a challenge with the error", got == (334, "eyJzdGF0dXMiOiI0MDEifQ=="), got)
t = time.monotonic()
c.code("XOAUTH2: given up", s.cmd("*"), 501)
c.check("XOAUTH2: and held", time.monotonic() - t > 0.9)
c.code("OAUTHBEARER: a challenge", auth(s, "OAUTHBEARER", "bad", "token-falsch")[0], 334)
c.code("OAUTHBEARER: the answer to its challenge (RFC 7628, 3.2.3)", s.cmd("AQ=="), 535)
s.close()
for what, then in (("SMTP", b"NOOP\r\n"), ("a layer", b"\0\0\0\x10" + b"x" * 16)):
    s, _ = open_(2527)
    c.check("NTLM's challenge", s.cmd("AUTH NTLM TlRMTVNTUAABAAAA") ==
            (334, "TlRMTVNTUAACAAAA"))
    c.code("NTLM", s.cmd("TlRMTVNTUAADAAAA"), 235)
    s.send(then)
    c.code("NTLM, then " + what, s.reply(), 250 if what == "SMTP" else 421)
    s.close()
sys.exit(c.bad > 0)
E2
python3 "$T/auth.py" "$TOP/regress/lib" "$A" "$T/tap" || FAILED=1
for m in PLAIN LOGIN CRAM-MD5; do
	check "swaks, $m" send "$A:2525" anna@example.org user@example.org \
	    --auth "$m" --auth-user anna --auth-password geheim-sesam
	check "swaks, $m, via" send "$A:2526" anna@example.org user@example.org \
	    --auth "$m" --auth-user anna --auth-password geheim-sesam
done
check "Postfix has who it was" grep -q 'sasl_method=SCRAM-SHA-256, sasl_username=anna' "$T/pf/log"
check "the log has who it was" logged 'event=auth result=ok mech=SCRAM-SHA-256 user=anna client=127\.[0-9.]* reply="235 '
check "and who it was not" logged 'event=auth result=failed mech=PLAIN user=guessed client=127\.[0-9.]* reply="454 4\.7\.0 Too many'
check "a name of a token" logged 'result=ok mech=XOAUTH2 user=anna@example.org '
check "a name with a comma" logged 'result=ok mech=OAUTHBEARER user=a,b@example.org '
check "bytes of a layer are told" logged 'event=error what="no SMTP behind AUTH'
check "the queue has who it was" logged 'event=accepted.*from=<anna@example.org>'
ctl log level debug
python3 "$T/auth.py" "$TOP/regress/lib" "$A" "$T/tap" >/dev/null
# In clear, and in base64 at each of the three places that it can stand at.
python3 - >"$T/secrets" <<'E2'
import base64
for w in (b"geheim-sesam", b"streng-geheim", b"nie-geraten", b"falsch-geraten",
          b"geraten-", b"token-streng", b"token-falsch"):
    print(w.decode())
    for n in range(3):
        b = base64.b64encode(b"\0" * n + w).decode().rstrip("=")
        print(b[(0, 2, 3)[n]:len(w) * 4 // 3 - 1 + n])
E2
case $BUILD in
*asan*) skip "memory is searched in the build that is shipped" ;;
*)
	check "no password is left in the memory of the daemons" \
	    python3 "$TOP/regress/lib/memory.py" "$T/secrets" $(ctl -j status |
	    sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
	echo gw.example.org >"$T/known"
	check "the search there finds what is there" sh -c "! python3 \
	    '$TOP/regress/lib/memory.py' '$T/known' $(pid_of 'smtpd\.[0-9]*' |
	    tr '\n' ' ')"
	;;
esac
gateway_stop
check "no password is in a log, at debug either" \
    sh -c "! grep -F -f '$T/secrets' '$T/gw/log' '$T/gw/out'"
check "the search for them finds them where they are" \
    grep -q -F -f "$T/secrets" "$T/tap"
