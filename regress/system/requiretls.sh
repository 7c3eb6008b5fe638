#!/bin/sh
# REQUIRETLS and "TLS-Required: No" (RFC 8689): one gateway sends to another one,
# which knows REQUIRETLS, to a real Postfix, which has TLS but does not, and to a
# server without TLS. Who the servers are tell a signed zone with TLSA records
# and one that is not signed, with an MTA-STS policy for one of its domains.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
. "$TOP/regress/lib/unbound.sh"
need_root "ports 25 and 443" || exit 0
need_peers "a real Postfix and a signed zone" postfix unbound ldns || exit 0

B=${A%.1}.2 C=${A%.1}.3 D=${A%.1}.4 W=${A%.1}.5
mkdir -p "$T/ca" "$T/dns" "$T/far" "$T/www/.well-known"
chmod 755 "$T/www" "$T/www/.well-known"
(
	cd "$T/ca" || exit 1
	ca_make "A CA"
	ca_sign far DNS:mx.sec.test,DNS:mx.open,DNS:mx.bare.open
	ca_sign old DNS:mx.old.test
	ca_sign gw DNS:gw.test
	ca_sign web DNS:mta-sts.open
	chmod 644 ./*
	chmod 600 far.key gw.key
) >"$T/ca.out" 2>&1
KEY=$(openssl x509 -in "$T/ca/far.crt" -noout -pubkey |
    openssl pkey -pubin -outform DER | sha256sum | cut -d ' ' -f 1)

cat >"$T/dns/open.zone" <<E2
\$ORIGIN open.
\$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A $A
@ MX 10 mx
mx A $B
_mta-sts TXT "v=STSv1; id=1;"
mta-sts A $W
bare MX 10 mx.bare
mx.bare A $B
E2
zone() {
	# By its records; by its name, which the zone's signature tells.
	echo "key MX 10 mx.key"
	echo "mx.key A $B"
	echo "_25._tcp.mx.key TLSA 3 1 1 $KEY"
	echo "sec MX 10 mx.sec"
	echo "mx.sec A $B"
	# Its certificate is for others.
	echo "cert MX 10 mx.cert"
	echo "mx.cert A $B"
	echo "old MX 10 mx.old"
	echo "mx.old A $C"
	# The next one of the domain will do.
	echo "two MX 10 mx.old"
	echo "two MX 20 mx.sec"
	echo "naked MX 10 mx.naked"
	echo "mx.naked A $D"
	echo "_25._tcp.mx.naked TLSA 3 1 1 $KEY"
}
zone >"$T/dns/zone"
SIGN=1 unbound_start "$T/dns" $A 5353 <"$T/dns/zone" ||
    { no "unbound does not start"; cat "$T/dns/sign"; exit 1; }
printf 'version: STSv1\r\nmode: testing\r\nmx: mx.open\r\nmax_age: 86400\r\n' \
    >"$T/www/.well-known/mta-sts.txt"
(cd "$T/www" && exec openssl s_server -accept $W:443 -WWW -quiet \
    -cert "$T/ca/web.crt" -key "$T/ca/web.key") >>"$T/web.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 listening $W:443

POSTFIX_MORE="smtpd_tls_security_level = may
smtpd_tls_chain_files = $T/ca/old.key $T/ca/old.crt
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/" postfix_start "$T/old" $C 25
peer naked $D:25

# The far one keeps what it gets: where it sends to nobody listens.
cat >"$T/far/postern.conf" <<E2
hostname far.test
queue path "$T/far/spool"
control path "$T/far/run"
resolver { $A:5353 }
pki far.test cert "$T/ca/far.crt" key "$T/ca/far.key"
action "end" relay to "$A:9" open
listen on $B port 25 tls pki far.test
match from any for any action "end"
E2
far_start() {
	: >"$T/far/out"
	"$BUILD/postern" -d -f "$T/far/postern.conf" -L "$BUILD" \
	    >"$T/far/out" 2>>"$T/far/log" &
	FAR=$!
	PIDS="$PIDS $FAR"
	wait_until 20 grep -q '^ready$' "$T/far/out" && return 0
	no "the far gateway did not get ready"
	tail "$T/far/log"
	return 1
}
far_start || exit 1

gateway_start <<E2 || exit 1
hostname gw.test
resolver { $A:5353 }
ca "$T/ca/ca.crt"
pki gw.test cert "$T/ca/gw.crt" key "$T/ca/gw.key"
action "out" relay open
action "must" relay open tls require
action "near" proxy to "$B:25" tls verify name mx.sec.test
action "mute" proxy to "$C:25" tls verify name mx.old.test
action "plain" proxy to "$B:25"
listen on $A port 2525 tls pki gw.test
listen on $A port 2526 tls pki gw.test proxy "near"
listen on $A port 2527 tls pki gw.test proxy "mute"
listen on $A port 2528 tls pki gw.test proxy "plain"
match from any mail-from "must@x.test" for any action "must"
match from any for any action "out"
queue retry 1s..2s
queue ttl 1h
E2

# smtp PORT FROM TO HEADER OPTION ...: over TLS with options of MAIL; says the
# keywords and what came of it. PLAIN=1: without TLS.
smtp() {
	python3 - "$A" "$@" <<'E2'
import os, smtplib, ssl, sys
host, port, sender, to, header, options = *sys.argv[1:6], sys.argv[6:]
with smtplib.SMTP(host, int(port), "client.example", 20) as s:
    s.ehlo()
    if not os.environ.get("PLAIN"):
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
    print("keywords", *s.esmtp_features)
    try:
        text = header + "\r\nFrom: a@x.test\r\nSubject: s\r\n\r\nthe body\r\n"
        s.sendmail(sender, [to], text.lstrip(), options)
        print("sent")
    except smtplib.SMTPException as e:
        print("refused", e)
E2
}
mail() { smtp 2525 "${2:-a@key.test}" "u@$1" "${3:-}" REQUIRETLS >"$T/out" 2>&1; }
story() { wait_until 20 logged "event=deliver .*to=<?u@$1[ >].*$2"; }
far() { "$BUILD/posternctl" -s "$T/far/run" "$@"; }
# far_id WORD: of the one that waits there and has it in its row.
far_id() {
	far -j queue list | grep -- "$1" |
	    sed -n '1s/.*"id":"\([^"]*\)".*/\1/p'
}
# at_far WORD TEXT: its envelope has TEXT.
at_far() { far -j message show "$(far_id "$1")" | grep -q -- "$2"; }
bounce_is() {
	far message content "$(far_id back@key.test)" >"$T/bounce" &&
	    grep -q '550 5\.7\.30' "$T/bounce" &&
	    grep -q '^Subject: s' "$T/bounce" &&
	    ! grep -q 'the body' "$T/bounce"
}

PLAIN=1 smtp 2525 a@key.test u@key.test "" REQUIRETLS >"$T/out" 2>&1
check "in plain it is not offered" sh -c "! grep -q 'keywords.*requiretls' '$T/out'"
check "and refused as unknown" grep -q 'refused.*555.*5\.5\.4' "$T/out"
mail key.test
check "over TLS it is offered" grep -q 'keywords.*requiretls' "$T/out"
check "and taken" grep -q '^sent' "$T/out"
check "TLSA records: delivered, verified" \
    story key.test 'result=delivered .*tls="TLSv1.3 .*verified'
check "with REQUIRETLS, and so it waits there" wait_until 10 at_far \
    u@key.test '"tls":"required"'
mail sec.test
check "a signed MX and a certificate: delivered, verified" \
    story sec.test 'result=delivered .*tls="TLSv1.3 .*verified'
mail open
check "a policy, if only in testing: delivered, verified" \
    story open 'result=delivered .*tls="TLSv1.3 .*verified'
mail two.test
check "the first does not know it: the second of the domain" \
    story two.test 'result=delivered server="?mx\.sec\.test'

# What fails is told with REQUIRETLS, and the header alone.
mail old.test back@key.test
check "a server with TLS that does not know it: failed, 5.7.30" \
    story old.test 'result=failed .*550 5\.7\.30 .*REQUIRETLS is not offered'
check "the notification goes with REQUIRETLS" wait_until 20 at_far \
    back@key.test '"tls":"required"'
check "and has the header of the message, but no more" bounce_is
mail bare.open
check "nobody validates the MX: failed, 5.7.10" \
    story bare.open 'result=failed .*550 5\.7\.10 '
mail cert.test
check "a certificate for others: failed, 5.7.10" \
    story cert.test 'result=failed .*550 5\.7\.10 '
mail naked.test a@old.test
check "no TLS: failed, 5.7.10" \
    story naked.test 'result=failed .*550 5\.7\.10 .*STARTTLS'
check "and the notification, which can't go either, is dropped" wait_until 20 \
    logged 'event=bounce to=<> result=dropped'
check "the plain server got nothing" sh -c "! grep -q MAIL '$T/peer/naked'"

# Others get their mail there.
smtp 2525 b@key.test u@bare.open "" >"$T/out" 2>&1
check "without REQUIRETLS: delivered" story bare.open 'result=delivered '
smtp 2525 b@key.test v@naked.test "" >"$T/out" 2>&1
check "TLSA records, but no STARTTLS: deferred" wait_until 20 logged \
    'event=deliver .*to=<v@naked.test> .*result=deferred .*4\.7\.4'
smtp 2525 b@key.test w@naked.test "TLS-Required: No" >"$T/out" 2>&1
check "TLS-Required: No goes in plain" wait_until 20 logged \
    'event=deliver .*to=<w@naked.test> .*result=delivered'
check "and no other" sh -c "! grep -q 'to=<v@naked.test> .*result=delivered' \
    '$T/gw/log'"
mail naked.test a@key.test "TLS-Required: No"
check "but not where MAIL says REQUIRETLS" wait_until 20 sh -c \
    "[ \$(grep -c 'to=<u@naked.test> .*result=failed .*5\.7\.10' '$T/gw/log') -eq 2 ]"
smtp 2525 must@x.test x@naked.test "TLS-Required: No" >"$T/out" 2>&1
check "nor against tls require" wait_until 20 logged \
    'event=deliver .*to=<x@naked.test> .*result=deferred .*4\.7\.4'

# Live: offered where the server that is there keeps to it.
smtp 2526 c@x.test live@key.test "" REQUIRETLS >"$T/out" 2>&1
check "a proxied listener: offered, and taken" sh -c \
    "grep -q 'keywords.*requiretls' '$T/out' && grep -q '^sent' '$T/out'"
check "and passed on" wait_until 10 at_far live@key.test '"tls":"required"'
for p in 2527 2528; do
	smtp $p c@x.test no$p@key.test "" REQUIRETLS >"$T/out" 2>&1
	check "port $p: not offered, and refused" sh -c \
	    "! grep -q 'keywords.*requiretls' '$T/out' &&
	    grep -q 'refused.*555' '$T/out'"
done
PLAIN=1 smtp 2526 c@x.test no2526@key.test "" REQUIRETLS >"$T/out" 2>&1
check "a client without TLS: refused" grep -q 'refused.*555' "$T/out"
check "nothing of it was passed on" sh -c "! grep -q 'to=<no25' '$T/far/log'"

# What waits is what it was.
kill $FAR; wait $FAR 2>/dev/null
far_start || exit 1
check "after a new start" at_far live@key.test '"tls":"required"'
