#!/bin/sh
# DANE (RFC 7672): servers that have to prove themselves by their TLSA records,
# as unbound, which validates, tells them of a zone that ldns has signed. The
# server is a real Postfix with a CA of its own; the other one knows no TLS.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
. "$TOP/regress/lib/unbound.sh"
need_root "port 25" || exit 0
need_peers "a real Postfix and a signed zone" postfix unbound ldns || exit 0

B=${A%.1}.2 C=${A%.1}.3
mkdir -p "$T/ca" "$T/dns"
(
	cd "$T/ca" || exit 1
	ca_make "A CA of its own"
	ca_sign mx DNS:mx.ca.test,DNS:domain.test
	key_make old.key
	cat mx.crt ca.crt >chain.crt
	chmod 644 ./*
) >"$T/ca.out" 2>&1
# tlsa CERT: the digest of its key.
tlsa() {
	openssl x509 -in "$T/ca/$1.crt" -noout -pubkey |
	    openssl pkey -pubin -outform DER | sha256sum | cut -d ' ' -f 1
}
old() {
	openssl pkey -in "$T/ca/old.key" -pubout -outform DER | sha256sum |
	    cut -d ' ' -f 1
}
MX=$(tlsa mx) CA=$(tlsa ca) OLD=$(old)

# Whoever asks for open. gets what anybody may have made.
cat >"$T/dns/open.zone" <<E2
\$ORIGIN open.
\$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A $A
@ MX 10 mx
mx A $B
_25._tcp.mx TLSA 3 1 1 $OLD
E2
zone() {
	for h in key ca domain wrong moved useless none bogus excused; do
		echo "$h MX 10 mx.$h"
		echo "mx.$h A $B"
	done
	echo "_25._tcp.mx.key TLSA 3 1 1 $MX"
	echo "_25._tcp.mx.ca TLSA 2 1 1 $CA"
	echo "_25._tcp.mx.domain TLSA 2 1 1 $CA"
	# Of another name the CA says nothing.
	echo "_25._tcp.mx.moved TLSA 2 1 1 $CA"
	echo "_25._tcp.mx.wrong TLSA 3 1 1 $OLD"
	echo "_25._tcp.mx.excused TLSA 3 1 1 $OLD"
	echo "_25._tcp.mx.useless TLSA 1 1 1 $OLD"
	echo "_25._tcp.mx.bogus TLSA 3 0 1 $OLD"
	# The next key stands beside this one.
	echo "roll MX 10 mx.roll"
	echo "mx.roll CNAME mx.key"
	echo "two MX 10 mx.naked"
	echo "two MX 20 mx.key"
	echo "naked MX 10 mx.naked"
	echo "mx.naked A $C"
	echo "_25._tcp.mx.naked TLSA 3 1 1 $MX"
	echo "stripped MX 10 mx.stripped"
	echo "mx.stripped A $C"
	echo "_25._tcp.mx.stripped TLSA 1 1 1 $MX"
}
zone >"$T/dns/zone"
SIGN=1 SPOIL='/^_25._tcp.mx.bogus.test.*TLSA/s/3 0 1/3 1 1/' \
    unbound_start "$T/dns" $A 5353 <"$T/dns/zone" ||
    { no "unbound does not start"; cat "$T/dns/sign"; exit 1; }

POSTFIX_MORE="smtpd_tls_security_level = may
smtpd_tls_chain_files = $T/ca/mx.key $T/ca/chain.crt
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/" postfix_start "$T/mx" $B 25
peer naked $C:25

gateway_start <<E2 || exit 1
hostname gw.test
resolver { $A:5353 }
action "out" relay
action "must" relay tls dane
tls policy { excused.test = opportunistic }
listen on $A port 2525
match from any mail-from "must@x.test" for domain { key.test, none.test } action "must"
match for any action "out"
queue retry 1s..2s
queue ttl 1h
E2
mail() { send $A:2525 "${2:-x@x.test}" "u@$1" >"$T/out" 2>&1; }
story() { wait_until 20 logged "event=deliver .*to=<?u@$1[ >].*$2"; }
for d in key.test ca.test domain.test wrong.test moved.test useless.test \
    none.test bogus.test excused.test roll.test two.test naked.test \
    stripped.test open; do
	mail $d
done

check "the resolver tells that it has validated" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' dns query _25._tcp.mx.key.test TLSA |
    grep -qi '3 1 1 $MX'"
check "the key of the record: delivered, verified" \
    story key.test 'result=delivered .*tls="TLSv1.3 .*verified'
check "a CA of its own, the host's name: delivered" \
    story ca.test 'result=delivered .*verified'
check "a CA of its own, the domain's name: delivered" \
    story domain.test 'result=delivered .*verified'
check "a CA of its own, another name: deferred" \
    story moved.test 'result=deferred .*4\.7\.5.*TLSA.*ostname'
check "another key: deferred, 4.7.5" \
    story wrong.test 'result=deferred .*4\.7\.5.*matches none of its TLSA'
check "records of no use: encrypted, nobody verified" \
    story useless.test 'result=delivered .*tls="TLSv1.3'
check "which is not called verified" sh -c \
    "! grep -E 'event=deliver .*to=.?u@useless.test.*verified' '$T/gw/log'"
check "no records: opportunistic" \
    story none.test 'result=delivered .*tls="TLSv1.3'
check "a forged record: deferred, 4.7.5" \
    story bogus.test 'result=deferred .*4\.7\.5.*TLSA'
check "tls policy goes above it" story excused.test 'result=delivered'
check "an alias is held to the records at its end" \
    story roll.test 'result=delivered .*verified'
check "the first knows no TLS: the second of the domain" \
    story two.test 'result=delivered server="?mx\.key\.test.*verified'
check "records, but no STARTTLS: deferred" \
    story naked.test 'result=deferred .*4\.7\.4.*STARTTLS'
check "useless records, but no STARTTLS: deferred" \
    story stripped.test 'result=deferred .*4\.7\.4.*STARTTLS'
check "the plain server got nothing" sh -c "! grep -q MAIL '$T/peer/naked'"
check "records that nobody has signed count for nothing" \
    story open 'result=delivered .*tls="TLSv1.3'

# Those who are held to them by the configuration.
mail key.test must@x.test
check "tls dane: with records delivered" wait_until 20 sh -c \
    "[ \$(grep -c 'event=deliver to=<u@key.test> result=delivered' \
    '$T/gw/log') -eq 2 ]"
check "posternctl hosts tells what was asked for" wait_until 10 sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' hosts | grep -q 'dane: TLSv1.3'"
mail none.test must@x.test
check "tls dane: without records deferred, 4.7.5" \
    story none.test 'result=deferred .*4\.7\.5.*no validated TLSA'
