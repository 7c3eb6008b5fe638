#!/bin/sh
# Who the client is, both ways: real servers behind (Postfix by XCLIENT and with
# the PROXY protocol, OpenSMTPD) have it in their own logs, and a real haproxy in
# front, with version 1 and 2, is not taken for it.
. "$(dirname "$0")/lib.sh"
need_root "real servers" || exit 0
need_peers "servers and a balancer" postfix haproxy || exit 0

C=${A%.*}.7		# the client
U=${A%.*}.9		# another, of no name
dnsmasq --keep-in-foreground --no-daemon --no-resolv --no-hosts \
    --listen-address=$A --bind-interfaces --port=5353 --no-poll \
    --conf-file=/dev/null --pid-file= --cache-size=0 --user= --local=/test/ \
    --local=/127.in-addr.arpa/ --host-record=client.test,$C >"$T/dns" 2>&1 &
PIDS="$PIDS $!"
POSTFIX_MORE='smtpd_authorized_xclient_hosts = 127.0.0.1' \
    postfix_start "$T/xc" $A 2501
POSTFIX_MORE='smtpd_upstream_proxy_protocol = haproxy' \
    postfix_start "$T/pp" $A 2502
wait_until 10 listening $A:2501 || no "Postfix with XCLIENT does not listen"
wait_until 10 listening $A:2502 || no "Postfix with PROXY does not listen"
peer bare $A:2504
mkdir -p "$T/ha"
cat >"$T/ha/cfg" <<E2
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen one
  bind $A:2601
  server gw $A:2541 send-proxy
listen two
  bind $A:2602
  server gw $A:2542 send-proxy-v2 check check-send-proxy inter 500
listen three
  bind $A:2603
  server gw $A:2543 send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id
E2
"$PEERS/haproxy/usr/sbin/haproxy" -db -f "$T/ha/cfg" >"$T/ha/log" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 listening $A:2603 || no "haproxy does not listen"

gateway_start <<E2 || exit 1
hostname gw.example.org
resolver { $A:5353 }
log level debug
action "xclient" proxy to { "$A:2501" } identity xclient
action "v1" proxy to { "$A:2502" } identity proxy-v1
action "v2" proxy to { "$A:2502" } identity proxy-v2
action "absent" proxy to { "$A:2504" } identity xclient
listen on $A port 2525
listen on $A port 2531 proxy "xclient"
listen on $A port 2532 proxy "v1"
listen on $A port 2533 proxy "v2"
listen on $A port 2534 proxy "absent"
listen on $A port 2541 proxy "xclient" proxy-protocol from 127.0.0.1
listen on $A port 2542 proxy "v2" proxy-protocol from { 127.0.0.1 }
listen on $A port 2543 proxy "v1" proxy-protocol from { 127.0.0.1 }
listen on $A port 2551 proxy "v2" xclient from { 127.0.0.1 }
listen on $A port 2552 proxy "xclient" xclient from { 127.0.0.1 }
match from any for rcpt-to { "user@example.org" } action "xclient"
match from any for rcpt-to { "other@example.org" } action "v2"
E2
mail() {	# port, from which address, subject, more
	_p=$1 _c=$2 _s=$3; shift 3
	send $A:$_p a@client.example user@example.org --local-interface "$_c" \
	    --header "Subject: $_s" "$@"
}
# The trace that this Postfix has put on the message of that subject.
traced() {	# dir, subject, pattern
	f=$(grep -rl "^Subject: $2\$" "$T/$1/mail") || return 1
	awk '/^[^ \t]/ { n += /^Received:/ } n == 1' "$f" | tr '\n\t' '  ' |
	    tee "$T/trace" | grep -q "$3"
}
in_log() { grep -q "$2" "$T/$1/log"; }

# ---- towards the server ----
check "XCLIENT, the whole session: taken" mail 2531 "$C" listener
check "Postfix's trace has the client and its name" wait_until 10 \
    traced xc listener "from client.example.org (client.test \[$C\])"
check "so has its log" in_log xc "client=client.test\[$C\]"
check "XCLIENT by a rule: taken" mail 2525 "$C" byrule
check "the client said so itself, for the server" wait_until 10 \
    traced xc byrule "from client.example.org (client.test \[$C\])"
check "a client without a name" mail 2531 "$U" nameless
check "has none there" wait_until 10 traced xc nameless "(unknown \[$U\])"
check "PROXY version 1: taken" mail 2532 "$C" version1
check "Postfix has the client" wait_until 10 traced pp version1 "\[$C\]"
check "PROXY version 2: taken" mail 2533 "$C" version2
check "Postfix has the client" wait_until 10 traced pp version2 "\[$C\]"
check "version 2 by a rule: taken" send $A:2525 a@client.example \
    other@example.org --local-interface "$C" --header "Subject: rule2"
check "Postfix has the client" wait_until 10 traced pp rule2 "\[$C\]"
check "and never the gateway" sh -c "! grep -q 'client=.*\[127.0.0.1\]' '$T/xc/log' '$T/pp/log'"
mail 2534 "$C" absent >"$T/out" 2>&1
check "a server without XCLIENT: the session goes on" got bare "Subject: absent"
check "it has the client in the trace" has "\[$C\]"
mail 2534 "$C" again >"$T/out" 2>&1
check "once more" got bare "Subject: again"
told() {	# by each proxyd that has met it, and no more
	grep 'event=identity .*result=failed' "$T/gw/log" | awk '{ print $2 }' >"$T/told"
	[ -s "$T/told" ] && [ -z "$(sort "$T/told" | uniq -d)" ]
}
check "which is told once" told

# ---- from a balancer ----
for n in 1 2 3; do
	check "haproxy, kind $n: taken" mail 260$n "$C" balanced$n
	check "the log has the client, and haproxy beside it" logged \
	    "event=connect client=$C:[0-9]+ listener=$A:254$n via=127.0.0.1"
done
check "Postfix has haproxy's client by XCLIENT" wait_until 10 \
    traced xc balanced1 "from client.example.org (client.test \[$C\])"
check "by version 2" wait_until 10 traced pp balanced2 "\[$C\]"
check "by version 1" wait_until 10 traced pp balanced3 "\[$C\]"
check "the gateway's own trace, too" sh -c \
    "grep -r -A1 '^Received: from client.example.org' '$T/pp/mail' | grep -q '\[$C\]'"
check "haproxy's checks are seen as nobody's" wait_until 10 logged \
    'event=connect client=unknown listener=.*:2542 via=127.0.0.1'
cat >"$T/raw.py" <<'E2'
import socket, sys
sys.path.insert(0, sys.argv[1] + "/regress/lib")
from smtp import Smtp
s = Smtp(sys.argv[2])
if sys.argv[3]:
    s.send(sys.argv[3].encode() + b"\r\n")
print(s.reply())
for line in sys.argv[4:]:
    print(line, s.cmd(line))
E2
# raw ADDRESS:PORT WHAT LINE ...: what goes before the greeting, or ""; commands.
raw() { python3 "$T/raw.py" "$TOP" "$@" >"$T/out" 2>&1; }
check "an address of elsewhere" raw $A:2541 \
    "PROXY TCP4 203.0.113.7 198.51.100.1 4711 25" "EHLO far.example" \
    "MAIL FROM:<a@far.example>" "RCPT TO:<nobody@example.org>"
check "is whom Postfix refuses" in_log xc "reject: RCPT from [^ ]*\[203.0.113.7\]"
check "no header: cut off" raw $A:2541 "EHLO far.example"
check "without a word" grep -q '^(0' "$T/out"
check "and told" logged 'event=refused client=127.0.0.1 why='
check "a header where none is expected" raw $A:2531 \
    "PROXY TCP4 203.0.113.8 198.51.100.1 4711 25" "NOOP"
check "is no command" grep -q "^NOOP (500" "$T/out"
check "and no client" sh -c "! grep -q 203.0.113.8 '$T/xc/log' && ! grep -q 'client=203.0.113.8' '$T/gw/log'"

# ---- from another gateway ----
check "XCLIENT of a gateway that may: taken" mail 2551 127.0.0.1 gateway1 \
    --xclient-addr 203.0.113.9 --xclient-name far.example --xclient-port 4711
check "Postfix has its client, by version 2" wait_until 10 \
    traced pp gateway1 "\[203.0.113.9\]"
check "XCLIENT passed on as XCLIENT: taken" mail 2552 127.0.0.1 gateway2 \
    --xclient-addr 203.0.113.9 --xclient-name far.example
check "Postfix has its client and name" wait_until 10 \
    traced xc gateway2 "from client.example.org (far.example \[203.0.113.9\])"
check "the log has both" logged \
    'event=xclient client=203.0.113.9:4711 via=127.0.0.1 rdns=far.example'
mail 2551 "$C" gateway3 --xclient-addr 203.0.113.10 >"$T/out" 2>&1
check "from anybody else it is not offered" grep -q "XCLIENT" "$T/out"
check "nor believed" sh -c "! grep -q 203.0.113.10 '$T/gw/log'"
raw $A:2551 "" "EHLO x.example" "MAIL FROM:<a@far.example>" RSET \
    "XCLIENT ADDR=203.0.113.11"
check "nor behind MAIL" grep -q '^XCLIENT.*(502' "$T/out"

# ---- OpenSMTPD ----
if ! need_peers "OpenSMTPD with proxy-v2" opensmtpd; then
	exit 0
elif ! . "$TOP/regress/lib/opensmtpd.sh" || ! jail_able; then
	skip "OpenSMTPD with proxy-v2: no mount namespaces here"
	exit 0
fi
peer out $A:2605
opensmtpd_start "$T/os" $A "2503 proxy-v2" <<E2
action "on" relay host smtp+notls://$A:2605
match from any for any action "on"
E2
wait_until 10 listening $A:2503 || no "OpenSMTPD does not listen"
gateway_stop
sed "s/$A:2502\" } identity proxy-v2/$A:2503\" } identity proxy-v2/" \
    "$T/gw/postern.conf" >"$T/gw/new.conf"
mv "$T/gw/new.conf" "$T/gw/postern.conf"
gateway_again || exit 1
check "OpenSMTPD by version 2: taken" mail 2533 "$C" opensmtpd
check "its log has the client" grep -q "smtp connected address=$C" "$T/os/log"
check "so has its trace" wait_until 10 got out "[$C]"
