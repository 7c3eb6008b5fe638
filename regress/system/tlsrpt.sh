#!/bin/sh
# TLSRPT (RFC 8460): what deliveries to servers of domains with policies of both
# kinds come to, as their reports tell it, which Python's parsers read. The
# servers are a real Postfix and one that knows no TLS, which takes the reports
# too; the zone is signed, and told by unbound.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"
. "$TOP/regress/lib/unbound.sh"
need_root "ports 25 and 443" || exit 0
need_peers "a real Postfix and a signed zone" postfix unbound ldns || exit 0

B=${A%.1}.2 C=${A%.1}.3 W=${A%.1}.4 D=${A%.1}.5
mkdir -p "$T/ca" "$T/dns" "$T/www/.well-known"
chmod 755 "$T/www" "$T/www/.well-known"
(
	cd "$T/ca" || exit 1
	ca_make "A CA"
	ca_sign mx DNS:mx.good.test,DNS:mx.key.test
	ca_sign web DNS:mta-sts.good.test,DNS:mta-sts.wrong.test,DNS:mta-sts.cert.test,DNS:mta-sts.try.test
	key_make old.key
	chmod 644 ./*
) >"$T/ca.out" 2>&1
key_hash() { openssl pkey -pubin -outform DER | sha256sum | cut -d ' ' -f 1; }
MX=$(openssl x509 -in "$T/ca/mx.crt" -noout -pubkey | key_hash)
OLD=$(openssl pkey -in "$T/ca/old.key" -pubout | key_hash)

zone() {
	for h in good wrong cert try forged; do
		echo "_mta-sts.$h TXT \"v=STSv1; id=1;\""
		echo "mta-sts.$h A $W"
	done
	for h in good wrong cert try forged key old bogus plain quiet rpt web; do
		echo "$h MX 10 mx.$h"
		case $h in
		plain | rpt) echo "mx.$h A $C" ;;
		*) echo "mx.$h A $B" ;;
		esac
		case $h in
		quiet) ;;
		web) echo "_smtp._tls.$h TXT \"v=TLSRPTv1; rua=https://rpt.$h.test/v1?x=y\"" ;;
		*) echo "_smtp._tls.$h TXT \"v=TLSRPTv1; rua=mailto:$h@rpt.test\"" ;;
		esac
	done
	echo "rpt.web A $D"
	echo "_25._tcp.mx.key TLSA 3 1 1 $MX"
	echo "_25._tcp.mx.old TLSA 3 1 1 $OLD"
	echo "_25._tcp.mx.bogus TLSA 3 0 1 $OLD"
}
zone >"$T/dns/zone"
cat >"$T/dns/open.zone" <<E2
\$ORIGIN open.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
ns 60 A $A
E2
SIGN=1 SPOIL='/^_25._tcp.mx.bogus.test.*TLSA/s/3 0 1/3 1 1/' \
    unbound_start "$T/dns" $A 5353 <"$T/dns/zone" ||
    { no "unbound does not start"; cat "$T/dns/sign"; exit 1; }

POSTFIX_MORE="smtpd_tls_security_level = may
smtpd_tls_chain_files = $T/ca/mx.key $T/ca/mx.crt
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/" postfix_start "$T/mx" $B 25
peer plain $C:25
# The policy is one of all these; try.test's is another one in a moment.
policy() {
	printf 'version: STSv1\r\nmode: %s\r\nmax_age: 86400\r\n' "$1"
	printf 'mx: mx.%s.test\r\n' good cert forged try
}
web() {
	(cd "$T/www" && exec openssl s_server -accept $W:443 -WWW -quiet \
	    -cert "$T/ca/web.crt" -key "$T/ca/web.key") >>"$T/web.out" 2>&1 &
	WEB=$!
	PIDS="$PIDS $WEB"
	wait_until 10 listening $W:443
}
# Takes a report, with a certificate that is not its own.
python3 "$TOP/regress/lib/posts.py" $D:443 "$T/ca/mx.crt" "$T/ca/mx.key" \
    "$T/posts" >"$T/posts.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 listening $D:443
policy enforce >"$T/www/.well-known/mta-sts.txt"
web

gateway_start <<E2 || exit 1
hostname gw.test
resolver { $A:5353 }
ca "$T/ca/ca.crt"
report tls from tls@gw.test contact "admin@gw.test" organization "Our Org"
action "out" relay
listen on $A port 2525
match for any action "out"
queue retry 1h..2h
queue ttl 1d
log level debug
E2
mail() { send $A:2525 x@x.test "u@$1" >"$T/out" 2>&1; }
story() { wait_until 20 logged "event=deliver .*to=<?u@$1[ >].*$2"; }
for d in good wrong cert forged key old bogus plain quiet web; do
	mail $d.test
done
for d in good forged key plain quiet web; do
	story $d.test result=delivered || no "mail to $d.test"
done
for d in wrong cert old bogus; do
	story $d.test result=deferred || no "mail to $d.test"
done
policy testing >"$T/www/.well-known/mta-sts.txt"
mail try.test
story try.test result=delivered || no "mail to try.test"

# collected DOMAIN SESSIONS FAILED: the queue's word.
collected() {
	ctl -j tlsrpt | grep "\"domain\":\"$1\"" |
	    grep -q "\"sessions\":$2,\"failed\":$3,"
}
check "posternctl tells what is collected" wait_until 10 collected good.test 1 0
check "also of servers that were not connected to" collected wrong.test 1 1
check "two words of a session and its missing policy" \
    wait_until 10 collected forged.test 2 1
check "nothing of a domain without a record" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' -j tlsrpt | grep -q quiet"
check "for people too" sh -c "'$BUILD/posternctl' -s '$T/gw/run' tlsrpt |
    grep -q '^old.test .* 1  *1 .*mailto:old@rpt.test'"

# The sums are still there after kill -9 and a restart.
kill -9 "$(pid_of queued)"
wait_until 20 collected good.test 1 0
gateway_stop
gateway_again
check "the sums outlive kill -9 and a restart" collected plain.test 1 1
check "posternctl tlsrpt send" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' -j tlsrpt send | grep -q '\"domains\":10'"
check "a report by POST is taken" wait_until 20 logged \
    'event=tlsrpt domain=web.test to="https://rpt.web.test/v1.x=y" result=delivered'
posted() {
	python3 - "$T/posts" <<-E3
	import json, sys
	[p] = [json.loads(x) for x in open(sys.argv[1])]
	assert p["path"] == "/v1?x=y" and p["host"] == "rpt.web.test"
	assert p["type"] == "application/tlsrpt+json"
	[q] = json.loads(p["body"])["policies"]
	assert q["policy"]["policy-domain"] == "web.test"
	assert q["summary"]["total-successful-session-count"] == 1
	E3
}
check "and is one" posted
arrived() {
	python3 "$TOP/regress/lib/peerlog.py" "$T/peer/plain" \
	    TLS-Report-Domain >"$T/reports"
	[ "$(grep -c '^END$' "$T/reports")" -eq 9 ]
}
check "nine reports arrive" wait_until 30 arrived
python3 "$TOP/regress/lib/tlsrpt.py" "$T/peer/plain" "$MX" "$OLD" >"$T/told" 2>&1
sed -n '/^ok - \|^not ok - /p' "$T/told"
grep -q '^not ok' "$T/told" && FAILED=$((FAILED + 1))
grep -q '^done$' "$T/told" || { no "the reports are read"; cat "$T/told"; }
# The report's own server has a record, and is not told of them.
check "reports are not reported" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' -j tlsrpt | grep -q domain"
check "the counter" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' -j status | grep -q '\"tls_reports\":9'"
# Not over one of their connections.
wait_until 20 sh -c "! ss -Htn state established dst $C | grep -q ."
mail rpt.test
story rpt.test result=delivered || no "mail to rpt.test"
check "other mail to that server is" wait_until 10 collected rpt.test 1 1
