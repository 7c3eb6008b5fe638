#!/bin/sh
# TLS towards clients, with real ones: openssl's, swaks, Postfix, OpenSMTPD; no TLS,
# and commands that somebody adds behind STARTTLS. A proxied listener offers it
# whatever its server can.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
. "$TOP/regress/lib/opensmtpd.sh"

need_root "keys that only root may read" || exit 0
mkdir -p "$T/pki" && chmod 700 "$T/pki"
{ cert_self "$T/pki/gw" 30 && cert_self "$T/pki/client" 30 &&
    cert_self "$T/pki/other" 30 && cert_self "$T/pki/second" 30; } \
    >"$T/openssl" 2>&1 || { no "certificates"; cat "$T/openssl"; exit 1; }
print=$(openssl x509 -in "$T/pki/other.crt" -outform DER | sha256sum |
    cut -d' ' -f1)
peer live "$A:2601" --caps "PIPELINING,8BITMIME,STARTTLS,AUTH PLAIN" \
    --on "auth=PLAIN" "reply:235 2.7.0 welcome"
gateway_start <<E2 || exit 1
hostname gw.example.org
ca "$T/pki/client.crt"
pki gw.example.org cert "$T/pki/gw.crt" key "$T/pki/gw.key"
pki second.example.org cert "$T/pki/second.crt" key "$T/pki/second.key"
action "live" proxy to { "$A:2601" }
action "out" relay to { "$A:2601" }
listen on $A port 2525 tls pki gw.example.org
listen on $A port 2587 tls-require pki gw.example.org
listen on $A port 2465 smtps pki gw.example.org
listen on $A port 2526 tls pki gw.example.org proxy "live"
listen on $A port 2588 tls-require verify pki gw.example.org pki second.example.org
listen on $A port 2589 smtps pki gw.example.org proxy-protocol from 127.0.0.0/8
listen on $A port 2590
match from any tls "$print" for domain "cert.example" action "out"
match from any for domain { "example.org", "elsewhere.example" } \\
    action "out"
E2
CA=$T/pki/gw.crt
# talk PORT OPTIONS: openssl's client; the session comes from stdin.
talk() {
	_port=$1; shift
	timeout 20 openssl s_client -connect "$A:$_port" -quiet -ign_eof \
	    -CAfile "$CA" -verify_return_error -crlf "$@" 2>&1
}
mail() { printf 'EHLO c.example\nMAIL FROM:<a@b.example>\nRCPT TO:<%s>\nDATA\nSubject: x\n\nhello\n.\nQUIT\n' "$1"; }
accepts() { grep -q '^250 2.0.0'; }
starttls="-starttls smtp"

for v in 1_2 1_3; do
	mail user@example.org | talk 2525 $starttls -tls$v >"$T/s" 
	check "STARTTLS, TLS $v" grep -q '^250 2.0.0' "$T/s"
	mail user@example.org | talk 2465 -tls$v >"$T/s"
	check "smtps, TLS $v" grep -q '^250 2.0.0' "$T/s"
done
check "the log has version and cipher" logged \
    'event=accepted .* tls=TLSv1.3 cipher=TLS_AES'
check "Received has them" wait_until 10 sh -c \
    "grep -hr -A1 'with ESMTPS' '$T/peer/live' | grep -q 'version=TLSv1.[23] cipher='"
for v in 1 1_1; do
	talk 2525 $starttls -tls$v -cipher DEFAULT@SECLEVEL=0 </dev/null >"$T/s"
	check "TLS $v is refused" sh -c "! grep -q '^250 2.0.0' '$T/s'"
done
check "and the log says so" logged 'event=tls result=failed how=starttls why="no common protocol"'
mail user@example.org | talk 2587 $starttls >"$T/s"
check "tls-require" grep -q '^250 2.0.0' "$T/s"
check "swaks --tls" send "$A:2525" a@b.example user@example.org --tls
check "swaks -tlsc" send "$A:2465" a@b.example user@example.org --tlsc
check "swaks without TLS where it has to be: 530" sh -c \
    "swaks --server $A:2587 --from a@b.example --to user@example.org | grep -q '530 5.7.0'"
check "renegotiation is refused" sh -c "(printf 'EHLO c.example\n'; sleep 1;
    echo R; sleep 1; echo QUIT) | timeout 20 openssl s_client -connect $A:2465 \
    -tls1_2 -crlf -CAfile $CA 2>&1 | grep -qi 'no renegotiation'"
(mail user@cert.example; sleep 1) | talk 2525 $starttls >"$T/s"
check "no certificate: the rule does not hold" grep -q '^550' "$T/s"
mail user@cert.example | talk 2525 $starttls -cert "$T/pki/other.crt" \
    -key "$T/pki/other.key" >"$T/s"
check "by its certificate's fingerprint a client may relay" \
    grep -q '^250 2.0.0' "$T/s"
mail user@example.org | talk 2588 $starttls -cert "$T/pki/client.crt" \
    -key "$T/pki/client.key" >"$T/s"
check "verify: a certificate of the CA's" grep -q '^250 2.0.0' "$T/s"
# What a certificate is held against stays where SNI brings another of ours.
cat "$T/pki/gw.crt" "$T/pki/second.crt" >"$T/pki/both.crt"
mail user@example.org | CA=$T/pki/both.crt talk 2588 $starttls \
    -servername second.example.org -verify_hostname second.example.org \
    -cert "$T/pki/client.crt" -key "$T/pki/client.key" >"$T/s"
check "verify: the same with another certificate of ours" \
    grep -q '^250 2.0.0' "$T/s"
mail user@example.org | talk 2588 $starttls -cert "$T/pki/other.crt" \
    -key "$T/pki/other.key" >"$T/s"
check "verify: not of the CA's" sh -c "! grep -q '^250 2.0.0' '$T/s'"
cat >"$T/tls.py" <<'E2'
"""tls.py LIB A CA: what no library's client does."""
import socket
import ssl
import sys
import time

sys.path.insert(0, sys.argv[1])
from smtp import Cases, Smtp  # noqa: E402

at, ca = sys.argv[2], sys.argv[3]
c = Cases("tls")


def secure(s):
    """The same session over TLS: a client's handshake, byte by byte."""
    ctx = ssl.create_default_context(cafile=ca)
    s.s = ctx.wrap_socket(s.s, server_hostname="gw.example.org")
    return s


# Commands behind STARTTLS, in the same packet and in the next.
for rest in (b"EHLO evil.example\r\n", b"R"):
    s = Smtp(at + ":2525")
    s.hello()
    s.send(b"STARTTLS\r\n" + rest)
    c.code("what follows STARTTLS: refused", s.reply(), 554)
    c.check("and the session has ended", s.reply() == (0, ""))
s = Smtp(at + ":2525")
s.hello()
c.code("STARTTLS", s.cmd("STARTTLS"), 220)
s.send(b"RSET\r\nMAIL FROM:<evil@example.org>\r\n")
got = s.s.recv(1000)
c.check("in clear behind 220: no reply of SMTP's", got[:1] in (b"", b"\x15"), got)
# Plain text on smtps, TLS where it was not asked for.
s = Smtp(at + ":2465")
s.send(b"EHLO c.example\r\n")
got = s.s.recv(1000)
c.check("plain text on smtps", got[:1] in (b"", b"\x15"), got)
s = Smtp(at + ":2590")
s.reply()
s.send(bytes.fromhex("16030100c8010000c40303") + b"\x00" * 194)
code = s.reply()[0]
c.check("a ClientHello on a plain port", code in (421, 500, 0), code)
# Cut anywhere: the gateway goes on.
out = ssl.MemoryBIO()
tls = ssl.create_default_context(cafile=ca).wrap_bio(ssl.MemoryBIO(), out,
                                                      server_hostname="gw.example.org")
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = out.read()
for n in range(0, len(hello), 23):
    s = socket.create_connection((at, 2465))
    s.sendall(hello[:n])
    s.close()
s = socket.create_connection((at, 2465))
for i in range(len(hello)):
    s.sendall(hello[i:i + 1])
    time.sleep(0.001)
c.check("a ClientHello byte by byte", s.recv(1) == b"\x16")
# A proxied listener: STARTTLS is ours, the login goes to the server.
s = Smtp(at + ":2526")
caps = s.hello()[1]
c.check("proxied: STARTTLS yes, AUTH no", "STARTTLS" in caps and "AUTH" not in caps, caps)
c.code("proxied: STARTTLS", s.cmd("STARTTLS"), 220)
secure(s)
caps = s.cmd("EHLO c.example")[1]
c.check("proxied: over TLS AUTH", "AUTH PLAIN" in caps and "STARTTLS" not in caps, caps)
c.code("proxied: a login", s.cmd("AUTH PLAIN AGEAYg=="), 235)
c.code("proxied: MAIL", s.cmd("MAIL FROM:<a@b.example>"), 250)
c.code("proxied: RCPT", s.cmd("RCPT TO:<user@example.org>"), 250)
c.code("proxied: DATA", s.cmd("DATA"), 354)
s.send("Subject: x\r\n\r\n" + "long " * 20000 + "\r\n.\r\n")
c.code("proxied: a message", s.reply(), 250)
c.code("proxied: QUIT", s.cmd("QUIT"), 221)
# The PROXY header comes first, then TLS, in one packet.
s = Smtp(at + ":2589")
s.send(b"PROXY TCP4 192.0.2.77 192.0.2.1 4000 465\r\n")
secure(s)
c.code("PROXY, then TLS: the greeting", s.reply(), 220)
c.code("and QUIT", s.cmd("QUIT"), 221)
sys.exit(c.bad > 0)
E2
python3 "$T/tls.py" "$TOP/regress/lib" "$A" "$CA" || FAILED=$((FAILED + 1))
check "the log of PROXY and TLS" logged 'event=connect client=192.0.2.77'
check "plain text on a TLS port is told" logged \
    'event=tls result=failed how=smtps why="plain text on a TLS port"'
check "what followed STARTTLS is told" logged \
    'event=tls result=refused how=starttls why="plain text behind STARTTLS"'
check "and counted" sh -c "'$BUILD/posternctl' -s '$T/gw/run' -j stats |
    grep -q '\"tls-injected\":[12]'"
check "STARTTLS went to no server" sh -c \
    "! grep -rqi '^STARTTLS' '$T/peer/live'"
if need_peers "a real Postfix as a client"; then
	POSTFIX_MORE="relayhost = [$A]:2587
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_tls_CAfile = $CA"
	POSTFIX_SERVICES="tlsmgr unix - - n 1000 1 tlsmgr"
	postfix_start "$T/pf" "$A" 2600
	wait_until 20 listening "$A:2600" || no "Postfix starts"
	send "$A:2600" a@b.example user@elsewhere.example >"$T/s" 2>&1
	check "Postfix's message has come" wait_until 20 \
	    logged 'event=accepted .*to=<user@elsewhere.example> .* tls=TLSv1.3'
	check "Postfix speaks TLS with the gateway" wait_until 20 \
	    grep -q 'TLS connection established to .*TLSv1.3' "$T/pf/log"
	postfix_stop "$T/pf"
fi
# The other direction is Exim's (tlsclient.sh): as a server OpenSMTPD 6.8.0 fails
# in each handshake with OpenSSL 3, wherever it runs. What it sets in a key, so
# that its process of keys is asked, is set in a copy there (its issue 1239).
if need_peers "a real OpenSMTPD as a client" opensmtpd && jail_able; then
	opensmtpd_start "$T/os" "$A" 2602 <<-E2
	action "on" relay host smtp+tls://$A:2587 tls no-verify
	action "at-once" relay host smtps://$A:2465 tls no-verify
	match from any for domain "example.org" action "on"
	match from any for domain "elsewhere.example" action "at-once"
	E2
	wait_until 20 listening "$A:2602" || no "OpenSMTPD starts"
	for to in example.org elsewhere.example; do
		send $A:2602 os@example.org "b@$to" --header \
		    "Subject: by opensmtpd to $to" >"$T/swaks" 2>&1
		check "OpenSMTPD's message has come: $to" wait_until 20 \
		    got live "by opensmtpd to $to"
	done
	check "OpenSMTPD speaks TLS with the gateway" [ "$(grep -c \
	    'event=accepted from=<os@example.org> .* tls=TLSv1' "$T/gw/log")" -eq 2 ]
	opensmtpd_stop "$T/os"
fi
[ "$FAILED" -eq 0 ]
