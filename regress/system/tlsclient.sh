#!/bin/sh
# TLS with real servers, from the queue and through proxies: certificates that
# are good, expired, another's, self-signed, revoked; servers that do not offer
# it, insist on it, break it, or have somebody in between.
. "$(dirname "$0")/lib.sh"
need_root "TLS with servers" || exit 0
need_peers "TLS with servers" postfix exim || exit 0
. "$TOP/regress/lib/certs.sh"
. "$TOP/regress/lib/exim.sh"

# ---- certificates: a CA of ours, and what it has signed ----
C=$T/ca
mkdir -p "$C/new"
chmod 755 "$C"
cat >"$C/cnf" <<E2
[ca]
default_ca = ours
[ours]
database = $C/index
serial = $C/serial
new_certs_dir = $C/new
policy = any
default_md = sha256
copy_extensions = copy
default_days = 30
default_crl_days = 30
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
E2
: >"$C/index"
echo 1000 >"$C/serial"
# One of them is RSA.
newkey() {
	case $1 in
	*/rsa.key) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1" ;;
	*) key_make "$1" ;;
	esac
}
authority() {	# NAME
	newkey "$C/$1.key" && openssl req -x509 -new -config "$C/cnf" \
	    -extensions v3_ca -key "$C/$1.key" -subj "/CN=$1" -days 30 \
	    -out "$C/$1.crt"
}
# leaf NAME CA SAN [option of openssl-ca(1) ...]
leaf() {
	_n=$1 _ca=$2 _san=$3; shift 3
	newkey "$C/$_n.key" && openssl req -new -config "$C/cnf" \
	    -key "$C/$_n.key" -subj "/CN=$_n" -addext "subjectAltName=$_san" \
	    -out "$C/$_n.csr" && openssl ca -config "$C/cnf" -batch -notext \
	    -cert "$C/$_ca.crt" -keyfile "$C/$_ca.key" -in "$C/$_n.csr" \
	    -out "$C/$_n.crt" "$@" && cat "$C/$_n.key" "$C/$_n.crt" >"$C/$_n.pem"
}
{
	authority ours && authority others &&
	    leaf good ours "IP:$A,DNS:mx.example" &&
	    leaf rsa ours "DNS:mx.example" &&
	    leaf old ours "IP:$A" -startdate 20200101000000Z \
	    -enddate 20200201000000Z &&
	    leaf name ours "DNS:another.example" &&
	    leaf strange others "IP:$A" &&
	    leaf revoked ours "IP:$A" &&
	    newkey "$C/self.key" && openssl req -x509 -new -config "$C/cnf" \
	    -key "$C/self.key" -subj "/CN=self" -addext "subjectAltName=IP:$A" \
	    -days 30 -out "$C/self.crt" &&
	    cat "$C/self.key" "$C/self.crt" >"$C/self.pem" &&
	    openssl ca -config "$C/cnf" -cert "$C/ours.crt" \
	    -keyfile "$C/ours.key" -revoke "$C/revoked.crt" &&
	    openssl ca -config "$C/cnf" -cert "$C/ours.crt" \
	    -keyfile "$C/ours.key" -gencrl -out "$C/crl" &&
	    cat "$C/ours.crt" "$C/crl" >"$C/withcrl.pem"
} >"$T/openssl" 2>&1 || { no "openssl makes certificates"; sed 's/^/    /' "$T/openssl" | tail; exit 1; }
chmod 644 "$C"/*.pem
pin=$(openssl x509 -in "$C/self.crt" -noout -pubkey |
    openssl pkey -pubin -outform DER | openssl sha256 -r | cut -c 1-64)

# ---- servers ----
tls() { echo "$A:$1 inet n - n - 0 smtpd -o smtpd_tls_chain_files=$C/$2.pem $3"; }
POSTFIX_MORE="smtpd_tls_security_level = may
smtpd_tls_chain_files = $C/good.pem
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
tls_random_source = dev:/dev/urandom"
POSTFIX_SERVICES="$(tls 2502 old '')
$(tls 2503 name '')
$(tls 2504 self '')
$(tls 2505 strange '')
$(tls 2506 revoked '')
$(tls 2507 good '-o smtpd_tls_security_level=none')
$(tls 2508 good '-o smtpd_tls_security_level=encrypt')
$(tls 2509 good '-o smtpd_tls_wrappermode=yes')
$(tls 2510 good '-o smtpd_tls_mandatory_protocols=TLSv1.2 -o smtpd_tls_protocols=TLSv1.2')
$(tls 2511 good '-o smtpd_tls_protocols=TLSv1.1')
tlsmgr unix - - n 1000? 1 tlsmgr"
postfix_start "$T/pf" "$A" 2501
bad() {	# NAME PORT HOW
	python3 "$TOP/regress/lib/badtls.py" "$A:$2" "$3" >"$T/$1.out" 2>&1 &
	PIDS="$PIDS $!"
	wait_until 10 grep -q ready "$T/$1.out"
}
bad garbage 2521 garbage
bad drop 2522 drop
bad inject 2523 inject
bad injectopp 2524 inject
mkdir -p "$T/ex"
cp "$C/rsa.crt" "$C/rsa.key" "$T/ex/"
chmod 644 "$T/ex/rsa.key"
EXIM_TLS="tls_advertise_hosts = *
tls_certificate = $T/ex/rsa.crt
tls_privatekey = $T/ex/rsa.key"
EXIM_OUT=2501
exim_start "$T/ex" "$A" 2531 <<E2
on:
  driver = manualroute
  transport = out
  route_list = * $A byname
  self = send
E2
wait_until 10 listening "$A:2501" || { no "Postfix listens"; cat "$T/pf/check"; exit 1; }
wait_until 10 listening "$A:2531" || no "Exim listens: $(tail -n 3 "$T/ex/out")"

# The sender says which action a message goes by.
actions="good:2501:tls_verify old:2502:tls_verify name:2503:tls_verify
self:2504:tls_verify strange:2505:tls_verify none:2507:tls_require
selfreq:2504:tls_require oldopp:2502: noneopp:2507: force:2508:
off:2508:tls_off tls12:2510:tls_require ancient:2511:tls_require
ancientopp:2511: garbage:2521: drop:2522: garbagereq:2521:tls_require
inject:2523:tls_require injectopp:2524: sender:2531:tls_verify_name_mx.example
wrongname:2501:tls_verify_name_mx.example.org"
{
	echo "hostname gw.example.org"
	echo "ca \"$C/ours.crt\""
	echo "queue retry 1h..2h"
	for a in $actions; do
		name=${a%%:*} rest=${a#*:}
		echo "action \"$name\" relay to \"$A:${rest%%:*}\" $(echo "${rest#*:}" | tr _ ' ')"
		echo "match mail-from \"$name@c.example\" for any action \"$name\""
	done
	cat <<-E2
	action "pin" relay to "$A:2504" tls verify pin "$pin"
	action "revoked" relay to "$A:2506" tls verify ca "$C/withcrl.pem"
	action "goodcrl" relay to "$A:2501" tls verify ca "$C/withcrl.pem"
	action "smtps" relay to "smtps://$A:2509" tls verify
	action "scheme" relay to "smtp+tls://$A:2502"
	action "second" relay to { "$A:2507", "$A:2502", "$A:2501" } tls verify
	action "ask" relay to "$A:2508" tls verify recipients { server }
	match mail-from "pin@c.example" for any action "pin"
	match mail-from "revoked@c.example" for any action "revoked"
	match mail-from "goodcrl@c.example" for any action "goodcrl"
	match mail-from "smtps@c.example" for any action "smtps"
	match mail-from "scheme@c.example" for any action "scheme"
	match mail-from "second@c.example" for any action "second"
	match mail-from "ask@c.example" for any action "ask"
	action "pgood" proxy to "$A:2501" tls verify
	action "pold" proxy to "$A:2502" tls verify
	action "pnone" proxy to "$A:2507" tls require
	action "popp" proxy to "$A:2501"
	action "poff" proxy to "$A:2508" tls off
	action "psmtps" proxy to "smtps://$A:2509" tls verify
	listen on $A port 2600
	listen on $A port 2601 proxy "pgood"
	listen on $A port 2602 proxy "pold"
	listen on $A port 2603 proxy "pnone"
	listen on $A port 2604 proxy "popp"
	listen on $A port 2605 proxy "poff"
	listen on $A port 2606 proxy "psmtps"
	match mail-from "rule@c.example" for any action "pgood"
	E2
} >"$T/conf"
gateway_start <"$T/conf" || exit 1

mail() { send "$A:2600" "$1@c.example" user@example.org --h-Subject "of $1" >"$T/swaks.$1" 2>&1; }
for a in $actions; do mail "${a%%:*}"; done
for a in pin revoked goodcrl smtps scheme second ask rule; do mail $a; done

# id_of NAME: the message of that sender.
id_of() { sed -n "s/.* id=\([0-9a-z]*\) event=accepted from=<$1@.*/\1/p" "$T/gw/log" | head -n 1; }
outcome() { id=$(id_of "$1"); [ -n "$id" ] && logged "id=$id .*event=deliver .*$2"; }
# goes NAME TLS; waits NAME REPLY
goes() { wait_until 20 outcome "$1" "result=delivered .*tls=$2"; }
waits() { wait_until 20 outcome "$1" "result=deferred .*$2"; }
inbox() { cat "$T"/pf/mail/user/new/* 2>/dev/null; }
V='"TLSv1.3 TLS_[A-Z0-9_]* verified"'
E='"TLSv1.3 TLS_[A-Z0-9_]*"'

check "verify: a good certificate, Postfix" goes good "$V"
received() { inbox | awk -v s="Subject: of $1" -v w="$2" '/^Return-Path/ { h = 0 } $0 ~ w { h = 1 } $0 == s && h { f = 1 } END { exit !f }'; }
check "Postfix says so too" wait_until 10 received good 'using TLSv1.3'
check "verify: Exim (GnuTLS, RSA), by the name" goes sender "$V"
check "verify: expired" waits old "451 4.7.5 .*has expired on 2020-02-01"
check "verify: another's" waits name "451 4.7.5 .*is for another.example, not for $A"
check "verify: another name is asked for" waits wrongname "451 4.7.5 .*mx.example, not for mx.example.org"
check "verify: self-signed" waits self "451 4.7.5 .*self-signed"
check "verify: signed by others" waits strange "451 4.7.5 .*not one of those that are trusted: others"
check "verify: revoked, by a list" waits revoked "451 4.7.5 .*has been revoked"
check "verify: not revoked" goes goodcrl "$V"
check "verify: a pinned key, self-signed" goes pin "$V"
check "smtp+tls:// verifies" waits scheme "451 4.7.5 .*has expired"
check "smtps:// is TLS at once" goes smtps "$V"
check "the third server is the first that will do" goes second "$V"
check "require: whoever it is" goes selfreq "$E"
check "require: TLS 1.2" goes tls12 '"TLSv1.2 [-A-Z0-9]*"'
check "require: not offered" waits none "451 4.7.4 .*STARTTLS is not offered"
check "require: TLS 1.1 alone" waits ancient "451 4.7.5 .*no TLS session"
check "opportunistic: an expired certificate does not matter" goes oldopp "$E"
check "opportunistic: a server that insists" goes force "$E"
check "opportunistic: not offered" goes noneopp none
check "opportunistic: TLS 1.1 alone, so in plain" goes ancientopp none
check "off, with a server that insists" waits off "451 4.7.0 .*takes nothing without TLS, and tls is off for it"
check "opportunistic: broken, so in plain" goes garbage none
sessions() { [ "$(grep -c '^session' "$T/$1.out")" -eq "$2" ]; }
check "over a new connection" grep -q 'line DATA' "$T/garbage.out"
check "opportunistic: hung up, so in plain" goes drop none
check "over a second connection" sessions drop 2
check "require: broken" waits garbagereq "451 4.7.5 .*no TLS session"
check "plain text behind the 220 is refused" waits inject "plain text behind the reply to STARTTLS"
check "also where TLS is not required" waits injectopp "plain text behind the reply to STARTTLS"
check "nothing was said to whoever it was" sh -c "! grep -qE 'line (MAIL|RCPT|DATA)' '$T/inject.out' '$T/injectopp.out'"
check "the log has failures" logged "event=tls server=.*:2502 result=refused mode=verify why="
check "and what goes in plain" logged "event=tls server=.*:2521 result=plain mode=opportunistic why="

hosts() { ctl -j hosts | grep "$A\]:$1\"" | grep -q "\"tls\":\"$2"; }
check "hosts: verified" wait_until 5 hosts 2509 "verify: TLSv1.3 .*verified"
check "hosts: in plain, and why" wait_until 5 hosts 2507 "[a-z]*: .*STARTTLS is not offered"
check "hosts: refused, and why" wait_until 5 hosts 2505 "verify: refused, the CA is not"
check "no server is down for its TLS" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' -j hosts | grep -E '$A\]:25(0[1-8]|10)\"' | grep -q '\"state\":\"down'"

# ---- recipients that are asked for ----
check "a server that insists is asked for recipients under TLS" goes ask "$V"
send "$A:2600" ask@c.example nobody@example.org >"$T/swaks.nobody" 2>&1
check "and says who is unknown" grep -q '550 5.1.1' "$T/swaks.nobody"

# ---- proxies ----
live() { send "$A:$1" "p$1@c.example" user@example.org --h-Subject "of p$1" >"$T/swaks.$1" 2>&1; }
check "proxy, verify" live 2601
check "its server says so too" wait_until 10 received p2601 'using TLSv1.3'
check "proxy, by rule" wait_until 10 received rule 'using TLSv1.3'
live 2602
check "proxy, expired: 421 and why" grep -q "421 4.7.5 .*has expired" "$T/swaks.2602"
live 2603
check "proxy, not offered: 421 and why" grep -q "421 4.7.4 .*STARTTLS is not offered" "$T/swaks.2603"
check "proxy, nothing said of tls" live 2604
check "under TLS" wait_until 10 received p2604 'using TLSv1.3'
live 2605
check "proxy, off, with a server that insists" grep -q "451 4.7.0 The server behind this gateway takes nothing without TLS" "$T/swaks.2605"
check "the log says so" logged "event=tls server=.*:2508 result=wanted mode=off"
check "proxy, smtps" live 2606
check "the log has the session's TLS" logged "event=tls server=.*:2509 result=ok mode=verify tls=\"TLSv1.3"

# ---- a file of CAs that others could change is none ----
cp "$C/ours.crt" "$C/loose.crt"
chmod 666 "$C/loose.crt"
sed "s,ca \"$C/ours.crt\",ca \"$C/loose.crt\"," "$T/gw/postern.conf" >"$T/gw/next"
cat "$T/gw/next" >"$T/gw/postern.conf"
check "a loose file of CAs stops a reload" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' reload"
check "and the log says why" logged "event=reload .*loose.crt"
gateway_stop
check "the gateway ends in order" [ $? -eq 0 ]
