#!/bin/sh
# MTA-STS (RFC 8461): policies that deliverd fetches over HTTPS from a real
# server (openssl's), and Postfix as the servers that they are about. Names are
# told by unbound.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
. "$TOP/regress/lib/unbound.sh"
need_root "ports 25 and 443" || exit 0
need_peers "a real Postfix and a real resolver" postfix unbound || exit 0

B=${A%.1}.2 C=${A%.1}.3 W=${A%.1}.4
mkdir -p "$T/ca" "$T/www/.well-known"
chmod 755 "$T/www" "$T/www/.well-known"
(
	cd "$T/ca" || exit 1
	ca_make "A CA"
	ca_sign mx DNS:mx.good.test,DNS:mx.plain.test
	ca_sign web DNS:mta-sts.good.test,DNS:mta-sts.wrong.test,DNS:mta-sts.cert.test,DNS:mta-sts.plain.test,DNS:mta-sts.try.test,DNS:mta-sts.broken.test
	chmod 644 ./*
) >"$T/ca.out" 2>&1

zone() {
	for h in good wrong cert try forged broken policy plain; do
		echo "$h MX 10 mx.$h"
		echo "_mta-sts.$h TXT \"v=STSv1; id=1;\""
		echo "mta-sts.$h A $W"
	done
	for h in good wrong cert try forged broken policy; do
		echo "mx.$h A $B"
	done
	echo "mx.plain A $C"
}
zone >"$T/zone"
unbound_start "$T/dns" $A 5353 <"$T/zone" ||
    { no "unbound does not start"; exit 1; }

POSTFIX_MORE="smtpd_tls_security_level = may
smtpd_tls_chain_files = $T/ca/mx.key $T/ca/mx.crt
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/" postfix_start "$T/mx" $B 25
peer plain $C:25

# One document for all of them: *.good.test is not said, so wrong.test has none
# of its servers in it.
policy() {
	printf 'version: STSv1\r\nmode: %s\r\n' "$1"
	printf 'mx: mx.%s.test\r\n' good cert plain forged broken policy
	printf 'max_age: %s\r\n' "$2"
}
web() {
	(cd "$T/www" && exec openssl s_server -accept $W:443 -WWW -quiet \
	    -cert "$T/ca/web.crt" -key "$T/ca/web.key") >>"$T/web.out" 2>&1 &
	WEB=$!
	PIDS="$PIDS $WEB"
	wait_until 10 listening $W:443
}
policy enforce 86400 >"$T/www/.well-known/mta-sts.txt"
web

gateway_start <<E2 || exit 1
hostname gw.test
resolver { $A:5353 }
ca "$T/ca/ca.crt"
action "out" relay
tls policy { policy.test = opportunistic }
listen on $A port 2525
match for any action "out"
queue retry 1s..2s
queue ttl 1h
E2
mail() { send $A:2525 x@x.test "u@$1" >"$T/out" 2>&1; }
story() { wait_until 20 logged "event=deliver .*to=<?u@$1[ >].*$2"; }
for d in good wrong cert plain forged policy; do
	mail $d.test
done

check "the policy was fetched" wait_until 20 logged \
    'event=sts domain=good.test result=ok mode=enforce policy=1 max_age=86400'
check "a server that it names, with a good certificate: delivered, verified" \
    story good.test 'result=delivered .*tls="TLSv1.3 .*verified'
check "a server that it does not name: deferred, 4.7.5" \
    story wrong.test 'result=deferred .*4\.7\.5.*MTA-STS policy names none'
check "a certificate for another name: deferred" \
    story cert.test 'result=deferred .*4\.7\.5.*not for mx\.cert\.test'
check "no STARTTLS: deferred" \
    story plain.test 'result=deferred .*4\.7\.4.*STARTTLS'
check "the plain server got nothing" sh -c "! grep -q MAIL '$T/peer/plain'"
check "a policy from a host with another name's certificate is none" \
    wait_until 20 logged 'event=sts domain=forged.test result=failed .*not for mta-sts\.forged\.test'
check "so the mail is delivered" \
    story forged.test 'result=delivered .*tls="TLSv1.3'
check "tls policy goes above it" story policy.test 'result=delivered'
check "and nobody asks for it" sh -c \
    "! grep -q 'event=sts domain=policy.test' '$T/gw/log'"

# While nobody answers there, what was fetched holds.
kill $WEB; wait $WEB 2>/dev/null
mail good.test
check "the host is away: the policy still holds" wait_until 20 sh -c \
    "[ \$(grep -c 'event=deliver to=<u@good.test> result=delivered.*verified' \
    '$T/gw/log') -eq 2 ]"

# And so it does after a restart of everything, though its record is gone too,
# for each of the processes that deliver.
check "posternctl shows the policy" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' hosts | grep -q \
    '^good.test  *enforce  *1  *'"
gateway_stop
: >"$T/gw/log"
grep -v '_mta-sts\.' "$T/zone" >"$T/zone2"
kill $UNBOUND; wait $UNBOUND 2>/dev/null
unbound_start "$T/dns" $A 5353 <"$T/zone2" ||
    { no "unbound does not start again"; exit 1; }
gateway_again
mail cert.test
mail good.test
check "after a restart, record and host being away: verified as before" \
    story good.test 'result=delivered .*tls="TLSv1.3 .*verified'
check "and deferred as before" \
    story cert.test 'result=deferred .*4\.7\.5.*not for mx\.cert\.test'
check "nothing was fetched for that" sh -c \
    "! grep -q 'event=sts .*result=ok' '$T/gw/log'"
gateway_stop
kill $UNBOUND; wait $UNBOUND 2>/dev/null
unbound_start "$T/dns" $A 5353 <"$T/zone" ||
    { no "unbound does not start again"; exit 1; }
gateway_again

echo '<html>' >"$T/www/.well-known/mta-sts.txt"
web
mail broken.test
check "no policy, but something else: failed" wait_until 20 logged \
    'event=sts domain=broken.test result=failed'
check "and the mail is delivered" story broken.test 'result=delivered'
policy testing 3600 >"$T/www/.well-known/mta-sts.txt"
mail try.test
check "testing: a server that it does not name gets the mail" \
    story try.test 'result=delivered'
check "and that is told" logged 'event=sts server=mx.try.test result=testing'
