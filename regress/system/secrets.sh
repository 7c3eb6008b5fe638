#!/bin/sh
# Whose memory has a secret while the gateway is at work: handshakes, logins of
# users and at smarthosts go on as all processes are searched, several times. A
# user's password passes smtpd, once: as soon as he has his 235 it is nowhere but
# in passwd. Keys, and passwords that go over no wire, are in keyd alone.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
need_root "other processes' memory" || exit 0
case $BUILD in
*asan*) skip "memory is searched in the build that is shipped"; exit 0 ;;
esac

LOGINS=2000
mkdir -p "$T/gw"
cert_self "$T/ec" 30 >"$T/openssl" 2>&1 &&
    cert_self "$T/rsa" 30 rsa:2048 >>"$T/openssl" 2>&1 ||
    no "certificates"
python3 - $LOGINS >"$T/gw/people" <<'E2'
import sys
for n in range(int(sys.argv[1])):
    print("u%04d:{PLAIN}Geheimnis-%04d" % (n, n))
E2
echo 'einmal-token-eins.zwei' >"$T/token"
echo 'smart gateway nie-auf-der-leitung' >"$T/credentials"
chmod 600 "$T/gw/people" "$T/token" "$T/credentials"
# One asks for a proof at each second message, one is shown a token once.
peer cram "$A:2500" --caps "AUTH CRAM-MD5" --no-content --max-messages 2 \
    --on "auth=CRAM-MD5" "reply:334 PDEyMzQ1PmE=" \
    --on "any=Z2F0ZXdheS" "reply:235 2.7.0 ok"
peer bearer "$A:2501" --caps "AUTH OAUTHBEARER" --no-content \
    --on "auth=OAUTHBEARER" "reply:235 2.7.0 ok"
gateway_start <<E2 || exit 1
hostname gw.example.org
pki mx.example.org cert "$T/ec.crt" key "$T/ec.key"
pki mx.example.org cert "$T/rsa.crt" key "$T/rsa.key"
table people passwd "$T/gw/people"
credentials "$T/credentials"
credentials token user "anna@example.org" file "$T/token"
limit sessions per source 1000
limit rate per source 100000 per 1m
action "cram" relay to { "$A:2500" auth smart auth-plaintext }
action "bearer" relay to { "$A:2501" auth token auth-plaintext } max-connections 1
listen on $A port 2525 tls pki mx.example.org auth <people>
listen on $A port 2526 tls pki mx.example.org auth <people> auth-plaintext
match from auth for domain "cram.example" action "cram"
match from auth for domain "bearer.example" action "bearer"
E2
cat >"$T/load.py" <<'E2'
"""load.py LIB A FIRST STEP LOGINS DONE STOP: logs in as FIRST, FIRST + STEP ...
and writes down each number that has its 235."""
import base64
import os
import ssl
import sys
import time

sys.path.insert(0, sys.argv[1])
from smtp import Smtp  # noqa: E402

at, first, step, logins = sys.argv[2], *map(int, sys.argv[3:6])
kept = []
with open(sys.argv[6], "w", buffering=1) as done:
    for n in range(first, logins, step):
        if os.path.exists(sys.argv[7]):
            sys.exit(0)
        s = Smtp("%s:%d" % (at, 2525 + (n % 8 == 7)))
        s.hello()
        if n % 8 != 7:
            s.cmd("STARTTLS")
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
            if n % 2:
                c.maximum_version = ssl.TLSVersion.TLSv1_2
                c.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384" if n % 4 == 1 else
                              "ECDHE-ECDSA-AES256-GCM-SHA384")
            s.s = c.wrap_socket(s.s)
            s.cmd("EHLO client.example")
        word = base64.b64encode(b"\0u%04d\0Geheimnis-%04d" % (n, n))
        if n % 3:
            got = s.cmd(b"AUTH PLAIN " + word)
        else:
            s.cmd("AUTH PLAIN")
            got = s.cmd(word)
        if got[0] != 235:
            sys.exit("u%04d: %r" % (n, got))
        print(n, file=done)
        if n % 5 == 0:
            s.cmd("MAIL FROM:<u%04d@example.org>" % n)
            s.cmd("RCPT TO:<x@%s.example>" % ("cram", "bearer")[n // 5 % 2])
            s.cmd("DATA")
            s.cmd("Subject: x\r\n\r\nx\r\n.")
        time.sleep(0.1)			# passwd asks for no less
        kept.append(s)			# with what the daemon has of it
        if len(kept) > 20:
            kept.pop(0).close()
sys.exit("out of users")
E2
cat >"$T/search.py" <<'E2'
"""search.py LIB NEVER KEYD PASSWD DONE... -- PID...: nothing of NEVER in any
other than keyd; no password in any other than passwd of a login that was over
before; nor at all where no password passes. PID is TITLE=PID."""
import base64
import re
import sys

sys.path.insert(0, sys.argv[1])
from memory import pattern, read  # noqa: E402

never, keyd, passwd = pattern(sys.argv[2]), sys.argv[3], sys.argv[4]
cut = sys.argv.index("--")
over = set()
for f in sys.argv[5:cut]:
    with open(f) as lines:
        over.update(int(x) for x in lines.read().split("\n")[:-1])
raw = re.compile(rb"Geheimnis-(\d{4})")
coded = re.compile(base64.b64encode(b"heimni") + rb"([A-Za-z0-9+/]{8})")
bad, there = 0, {}
for p in sys.argv[cut + 1:]:
    title, pid = p.split("=")
    logins, keys = set(), 0
    for name, data in read(pid):
        logins.update(int(m.group(1)) for m in raw.finditer(data))
        for m in coded.finditer(data):
            end = base64.b64decode(m.group(1))
            if re.fullmatch(rb"s-\d{4}", end):
                logins.add(int(end[2:]))
        keys += len(never.findall(data))
    there[title] = (len(logins), keys)
    if keys and title != keyd:
        print(title, "has a key or a credential", keys)
        bad = 1
    if title != passwd and title.split(".")[0] != "smtpd" and logins:
        print(title, "has passwords", sorted(logins)[:9])
        bad = 1
    elif title != passwd and logins & over:
        print(title, "still has", sorted(logins & over)[:9], "of", len(over))
        bad = 1
print(len(over), "logins;", there)
if not there[keyd][1] or not there[passwd][0]:
    print("nothing is found where it is")
    bad = 1
sys.exit(bad)
E2
{
	key_secret "$T/ec.key"
	key_secret "$T/rsa.key"
	python3 - <<'E2'
import base64
for w in (b"nie-auf-der-leitung", b"einmal-token-eins.zwei"):
    print(w.decode())
    for n in range(3):
        b = base64.b64encode(b"\0" * n + w).decode().rstrip("=")
        print(b[(0, 2, 3)[n]:len(w) * 4 // 3 - 1 + n])
E2
} >"$T/never"
# Of what keyd has mapped, the part that is locked, and none of that in a core.
locked() {
	awk -v l="$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status")" '
	/^Size:/ { size = $2 }
	/^VmFlags:.* lo / { n += size; if (!/ dd /) bad = 1 }
	END { exit !(n >= 64 && n <= l && !bad) }' "/proc/$1/smaps"
}
check "keyd's secrets are locked in memory and in no core" \
    locked "$(pid_of keyd)"
loads=
for i in 0 1 2; do
	python3 "$T/load.py" "$TOP/regress/lib" "$A" $i 3 $LOGINS "$T/done.$i" \
	    "$T/stop" 2>"$T/load.$i" &
	loads="$loads $!"
	PIDS="$PIDS $!"
done
logins() { cat "$T"/done.* 2>/dev/null | wc -l; }
reached() { [ "$(logins)" -ge "$1" ]; }
proven() { [ "$(grep -c 'Z2F0ZXdheS' "$T/peer/cram")" -ge "$1" ]; }
shown() { grep -q 'AUTH OAUTHBEARER' "$T/peer/bearer"; }
check "logins go on" wait_until 60 reached 40
check "so do those at the smarthosts" wait_until 60 proven 2
check "and with the token" wait_until 60 shown
titles() { ctl -j status | sed -n \
    's/.*"title":"\([^"]*\)".*"pid":\([0-9]*\).*/\1=\2/p'; }
for round in 1 2 3 4 5; do
	before=$(logins) proofs=$(grep -c 'Z2F0ZXdheS' "$T/peer/cram")
	check "search $round: secrets are where they belong" python3 \
	    "$T/search.py" "$TOP/regress/lib" "$T/never" keyd passwd \
	    "$T"/done.* -- $(titles)
	cat "$T/check.out" >>"$T/searches"
	wait_until 30 reached $((before + 10)) &&
	    wait_until 30 proven $((proofs + 1)) && ok "the load went on" ||
	    no "the load went on"
done
touch "$T/stop"
for p in $loads; do
	wait "$p" || no "the load: $(cat "$T"/load.?)"
done
logged 'event=malformed|seccomp|result=failed' && no "nothing was out of order" ||
    ok "nothing was out of order"
gateway_stop
