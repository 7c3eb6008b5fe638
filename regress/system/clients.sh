#!/bin/sh
# Clients of every make through the proxy to servers of every make: each message
# arrives as it was sent, and each refusal is the server's.
. "$(dirname "$0")/lib.sh"
need_root "clients" || exit 0
need_peers "clients" postfix opensmtpd exim msmtp || exit 0
. "$TOP/regress/lib/opensmtpd.sh"
. "$TOP/regress/lib/exim.sh"
. "$TOP/regress/lib/haraka.sh"
jail_able || { skip "clients: needs a mount namespace"; exit 0; }

# What the servers take goes on to one peer, which writes it down.
peer in $A:2600 --caps "PIPELINING,8BITMIME,SIZE 9000000,SMTPUTF8"
SERVERS="postfix opensmtpd exim exchange qmail"
POSTFIX_MORE="virtual_mailbox_domains =
relay_domains = dest.example
relay_recipient_maps = inline:{ user@dest.example=1 }
transport_maps = inline:{ dest.example=smtp:[$A]:2600 }"
postfix_start "$T/postfix" $A 2501
opensmtpd_start "$T/os" $A 2502 <<E2
action "on" relay host smtp+notls://$A:2600
match from any for rcpt-to "user@dest.example" action "on"
E2
EXIM_OUT=2600
exim_start "$T/ex" $A 2503 <<E2
on:
  driver = manualroute
  transport = out
  route_list = * $A byname
  self = send
E2
# Exchange: keywords of its own, none of which may reach the client.
peer exchange $A:2504 --on "rcpt=unknown" \
    "reply:550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found" \
    --caps "SIZE 37748736,PIPELINING,DSN,ENHANCEDSTATUSCODES,STARTTLS,X-ANONYMOUSTLS,AUTH NTLM,X-EXPS GSSAPI NTLM,8BITMIME,BINARYMIME,CHUNKING,XRDST,XSHADOWREQUEST"
# qmail: no SIZE, every recipient is taken, replies without enhanced codes.
peer qmail $A:2505 --caps "PIPELINING,8BITMIME" \
    --greet "220 qmail.example ESMTP" --on "dot=" "reply:250 ok 1795656680 qp 4711"
if need_peers "clients: Haraka and nodemailer" haraka nodemailer; then
	SERVERS="$SERVERS haraka"
	haraka_start "$T/haraka" $A 2506 $A:2600 || no "Haraka does not listen"
fi
gateway_start <<E2 || exit 1
hostname gw.example.org
action "postfix"   proxy to { "$A:2501" }
action "opensmtpd" proxy to { "$A:2502" }
action "exim"      proxy to { "$A:2503" }
action "exchange"  proxy to { "$A:2504" }
action "qmail"     proxy to { "$A:2505" }
action "haraka"    proxy to { "$A:2506" }
listen on $A port 2601 proxy "postfix"
listen on $A port 2602 proxy "opensmtpd"
listen on $A port 2603 proxy "exim"
listen on $A port 2604 proxy "exchange"
listen on $A port 2605 proxy "qmail"
listen on $A port 2606 proxy "haraka"
E2
port() { case $1 in postfix) p=2601 ;; opensmtpd) p=2602 ;; exim) p=2603 ;;
	exchange) p=2604 ;; qmail) p=2605 ;; haraka) p=2606 ;; esac; }
where() { case $1 in exchange|qmail) w=$1 ;; *) w=in ;; esac; }

# Lines that framing has to take care of; $1 is the subject.
message() {
	printf 'From: <a@client.example>\nTo: <user@dest.example>\n'
	printf 'Date: Thu, 26 Nov 2026 08:00:00 +0000\n'
	printf 'Message-ID: <%s@client.example>\nSubject: %s\n' "$1" "$1"
	printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n'
	printf 'Content-Transfer-Encoding: 8bit\n\n'
	printf 'first\n.\n..\n...three\n.QUIT\n\nGr\303\274\303\237e\n'
	printf '%0900d\nlast line\n' 7
}
message x | sed '1,/^$/d' >"$T/body"
# The client's lines, whatever the server put in front of them.
whole() {
	sed -n '/^first$/,/^last line$/p' "$T/got" | diff -u "$T/body" -
}
arrived() {
	where "$2"
	wait_until 20 got "$w" "Subject: $1-$2"
}
judge() {	# CLIENT SERVER
	if ! arrived "$1" "$2"; then
		no "$1 to $2: it arrives"
		return
	fi
	ok "$1 to $2: it arrives"
	check "$1 to $2: once" once
	check "$1 to $2: as it was sent" whole
	check "$1 to $2: with our Received field" has 'by gw.example.org'
}

use_swaks() {
	message "$1" >"$T/message"
	send "$A:$2" a@client.example user@dest.example --data "@$T/message" \
	    --pipeline
}
use_msmtp() {
	message "$1" | "$PEERS/msmtp/usr/bin/msmtp" --host=$A --port="$2" \
	    --from=a@client.example --domain=client.example --tls=off \
	    --auth=off --timeout=20 user@dest.example
}
use_smtplib() {
	message "$1" | python3 -c '
import smtplib, sys
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), "client.example", 20) as s:
    s.sendmail("a@client.example", ["user@dest.example"],
               sys.stdin.buffer.read().replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])' $A "$2"
}
use_nodemailer() {
	message "$1" >"$T/message"
	NODE_PATH="$PEERS/nodemailer/node_modules" node -e '
const [host, port, raw] = process.argv.slice(1)
require("nodemailer").createTransport({ host, port, secure: false,
    ignoreTLS: true, name: "client.example" }).sendMail({
    envelope: { from: "a@client.example", to: ["user@dest.example"] },
    raw: { path: raw } }).catch(e => { console.error(e); process.exit(1) })' \
	    $A "$2" "$T/message"
}
# Postfix as a client: one more of it, that gives its mail to the port that the
# recipient's domain stands for.
POSTFIX_MORE="smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains =
sender_dependent_default_transport_maps = inline:{ postfix@client.example=smtp:[$A]:2601, opensmtpd@client.example=smtp:[$A]:2602, exim@client.example=smtp:[$A]:2603, exchange@client.example=smtp:[$A]:2604, qmail@client.example=smtp:[$A]:2605, haraka@client.example=smtp:[$A]:2606 }"
postfix_start "$T/client" $A 2507
use_postfix() {
	message "$1" >"$T/message"
	send "$A:2507" "${1#postfix-}@client.example" user@dest.example \
	    --data "@$T/message"
}

CLIENTS="swaks msmtp smtplib postfix"
[ ! -e "$PEERS/nodemailer/.ok" ] || CLIENTS="$CLIENTS nodemailer"
for server in $SERVERS; do
	port "$server"
	for client in $CLIENTS; do
		check "$client to $server: it is sent" \
		    "use_$client" "$client-$server" "$p"
	done
done
for server in $SERVERS; do
	for client in $CLIENTS; do
		judge "$client" "$server"
	done
done

# smtp-source: many at a time, one server after the other.
count() { python3 "$TOP/regress/lib/peerlog.py" "$T/peer/$w" "" | grep -c '^END$'; }
grown() { [ "$(count)" -eq $((before + 50)) ]; }
for server in $SERVERS; do
	port "$server"
	where "$server"
	before=$(count)
	check "smtp-source to $server: 50 in 10 sessions" \
	    smtp_source -s 10 -m 50 -l 2000 -f a@client.example \
	    -t user@dest.example "$A:$p"
	check "smtp-source to $server: they arrive" wait_until 60 grown
done

# What the client is told, and what it is not.
refused() { send "$A:$p" a@client.example unknown@dest.example >"$T/out" 2>&1; }
for s in "postfix 550 5.1.1" "opensmtpd 550" "exchange 550 5.1.10 RESOLVER"; do
	port "${s%% *}"
	refused
	check "an unknown recipient of ${s%% *}: its own words" \
	    grep -q "^<\*\* ${s#* }" "$T/out"
done
port exchange
send "$A:$p" a@client.example user@dest.example --quit-after EHLO >"$T/out" 2>&1
check "Exchange: what it can do is announced" grep -q '250.DSN' "$T/out"
check "Exchange: its inner keywords are not" sh -c \
    "! grep -E 'XRDST|X-EXPS|XSHADOW|ANONYMOUSTLS|BINARYMIME|STARTTLS|NTLM' '$T/out'"
