#!/bin/sh
# Certificates and keys in the gateway as shipped: smtpd has the ones and keyd the
# others. What a reload takes, what it refuses, what is told of an expiry, and
# whose memory has a key.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
need_root "certificates" || exit 0

# cert NAME DAYS KEY ...: $T/NAME.crt, $T/NAME.key
cert() {
	_n=$1; shift
	cert_self "$T/$_n" "$@" >"$T/openssl" 2>&1 || no "certificate $_n $*"
}
cert rsa 30 rsa:3072
cert ec 30
cert ed 30 ed25519
cert p521 30 ec -pkeyopt ec_paramgen_curve:P-521
cert soon 5 ec -pkeyopt ec_paramgen_curve:P-384

write() {
	cat <<E2
hostname gw.example.org
pki mx.example.org cert "$T/ec.crt" key "$T/ec.key"
pki mx.example.org cert "$T/rsa.crt" key "$T/rsa.key"
pki two.example.org cert "$T/$1.crt" key "$T/$1.key"
action "none" discard
listen on $A port 2525 tls pki mx.example.org pki two.example.org
match from any for any action "none"
E2
}
gateway_start <<E2 || exit 1
$(write ed)
E2
reload_with() {
	{
		echo "queue path \"$T/gw/spool\""
		echo "control path \"$T/gw/run\""
		write "$1"
	} >"$T/gw/postern.conf"
	ctl reload
}
kinds() { ctl -j keys | grep -o '"key":"[^"]*"' | cut -d'"' -f4 | sort |
    tr '\n' ' '; }

check "a listener with certificates takes mail" send $A:2525 a@example.org \
    b@example.org
[ "$(kinds)" = "EC P-256 Ed25519 RSA 3072 " ] && ok "keys of each kind" ||
    no "keys of each kind: $(kinds)"

# hello OPTION ...: "subject | kind of signature" of a handshake.
hello() {
	echo QUIT | timeout 20 openssl s_client -connect $A:2525 \
	    -starttls smtp "$@" >"$T/hello" 2>&1
	sed -n 's/^subject=CN = //p; s/^Peer signature type: /| /p' "$T/hello" |
	    tr '\n' ' '
}
# shakes WANTED OPTION ...
shakes() {
	_want=$1; shift
	_got=$(hello "$@")
	[ "$_got" = "$_want " ] && ok "s_client $*: $_want" || {
		no "s_client $*: $_want, not $_got"
		tail -n 20 "$T/hello"; tail -n 5 "$T/gw/log"
	}
}
for v in -tls1_2 -tls1_3; do
	shakes "ec.example.org | ECDSA" $v
	shakes "rsa.example.org | RSA-PSS" $v -sigalgs rsa_pss_rsae_sha256
	shakes "ed.example.org | ed25519" $v -servername ed.example.org
	shakes "ec.example.org | ECDSA" $v -servername elsewhere.example.org
done
shakes "rsa.example.org | RSA" -tls1_2 -sigalgs RSA+SHA512

# in_memory KEYS DAEMON: does one of them stand there?
in_memory() {
	python3 "$TOP/regress/lib/memory.py" "$1" "$(pid_of "$2")" >"$T/found"
	[ $? -eq 1 ]
}
# Keys have been at work: handshakes, several at once.
for i in 1 2 3 4 5 6 7 8; do
	hello -sigalgs rsa_pss_rsae_sha256 >/dev/null
done
case $BUILD in
*asan*) skip "memory is searched in the build that is shipped" ;;
*)
	for k in ec rsa ed; do
		key_secret "$T/$k.key" >"$T/$k.secret"
		check "the key is found in keyd: $k" in_memory "$T/$k.secret" keyd
	done
	cat "$T/ec.secret" "$T/rsa.secret" "$T/ed.secret" >"$T/secrets"
	for d in $(ctl -j status | grep -o '"title":"[^"]*"' | cut -d'"' -f4); do
		[ "$d" != keyd ] || continue
		if in_memory "$T/secrets" "$d"; then
			no "no key is in $d: $(cat "$T/found")"
		else
			ok "no key is in $d"
		fi
	done
	;;
esac

# ---- reload ----
check "another key in a file's place is taken" reload_with ec
logged 'event=secrets pkis=3' && ok "keyd has it" || no "keyd has it"
reload_with p521 >"$T/refused" 2>&1 && no "a key on P-521 is refused" ||
    ok "a key on P-521 is refused"
grep -q "neither P-256 nor P-384" "$T/refused" && ok "with the reason" ||
    { no "with the reason"; cat "$T/refused"; }
# One file changed, not the configuration.
cp "$T/rsa.crt" "$T/ec.crt"
reload_with ed >"$T/refused" 2>&1 && no "a wrong certificate is refused" ||
    ok "a wrong certificate is refused"
check "mail is taken meanwhile" send $A:2525 a@example.org b@example.org
cert ec 30 rsa:2048
reload_with ed >"$T/refused" 2>&1 && no "two keys of a kind are refused" ||
    ok "two keys of a kind are refused"
grep -q "another key of this pki is of the same kind" "$T/refused" &&
    ok "with the reason" || { no "with the reason"; cat "$T/refused"; }
cert ec 30 ec -pkeyopt ec_paramgen_curve:P-384
check "a renewed certificate is taken" reload_with soon
logged 'event=certificate pki=two.example.org key="EC P-384" state="expires soon"' &&
    ok "one that ends in 5 days is said" ||
    no "one that ends in 5 days is said"
# Workers of the generation before are just ending.
counted() { ctl -j stats 2>/dev/null | grep -q '"expiring":1[,}]'; }
check "and counted" wait_until 20 counted
left() { ctl -j stats 2>/dev/null | grep -Eq '"expires_s":4[0-9]{5}[,}]'; }
check "with the time left" wait_until 20 left
ctl status >"$T/status"
grep -Eq '^two.example.org +EC P-384 +20[0-9T:-]+Z +expires soon' "$T/status" &&
    ok "and the status shows it" || { no "and the status shows it"; cat "$T/status"; }
ctl -j status | grep '"kind":"pki"' >"$T/status"
[ "$(wc -l <"$T/status")" -eq 1 ] && ok "and no other" ||
    { no "and no other"; cat "$T/status"; }
check "mail is taken afterwards" send $A:2525 a@example.org b@example.org
shakes "soon.example.org | ECDSA" -servername soon.example.org
# keyd killed: its successor has all of it, and nobody else has noticed.
kill -9 "$(pid_of keyd)"
check "keyd comes back" wait_until 20 sh -c \
    "[ \"\$('$BUILD/posternctl' -s '$T/gw/run' -j keys | grep -c subject)\" = 3 ]"
check "mail is taken after that" send $A:2525 a@example.org b@example.org
shakes "soon.example.org | ECDSA" -servername soon.example.org
# While keyd stands still others go on, and its handshake waits.
keyd=$(pid_of keyd)
kill -STOP "$keyd"
echo QUIT | timeout 30 openssl s_client -connect $A:2525 -starttls smtp \
    >"$T/waits" 2>&1 &
waits=$!
PIDS="$PIDS $waits"
check "mail is taken beside a handshake that waits" send $A:2525 \
    a@example.org b@example.org
ctl status >"$T/status" 2>&1
check "the status is seen, and that keyd does not answer" \
    grep -q "^posternctl: keyd does not answer" "$T/status"
kill -CONT "$keyd"
check "which ends well" wait "$waits"
logged 'event=malformed|seccomp|event=pki ' && no "nothing was out of order" ||
    ok "nothing was out of order"
gateway_stop
exit $FAILED
