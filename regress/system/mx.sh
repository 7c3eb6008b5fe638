#!/bin/sh
# The servers of a domain as a real resolver, unbound, tells them: preferences,
# CNAME, null MX, no such name, no answer, our own name among them, no MX at all,
# both families. What the resolver says is in a zone file below.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/unbound.sh"
need_root "port 25" || exit 0
need_peers "a real resolver" unbound || exit 0
# In a network of its own, where a whole IPv6 prefix is this machine and yet no
# interface has an address of it: those would be ours, and a loop.
if [ -z "${ALONE:-}" ] && unshare -n true 2>/dev/null; then
	exec env ALONE=1 unshare -n "$0"
fi
SIX=
if [ -n "${ALONE:-}" ] && ip link set lo up &&
    ip -6 route add local fd00:25::/64 dev lo 2>/dev/null &&
    echo 1 2>/dev/null >/proc/sys/net/ipv6/ip_nonlocal_bind; then
	SIX=fd00:25::2
	INSIDE='^\\[fd00:25:'
fi

B=${A%.1}.2 C=${A%.1}.3		# two more machines
unbound_start "$T/dns" $A 5353 <<E2 || { no "unbound does not start"; exit 1; }
one A $B
two A $C
down A ${A%.1}.4
mx MX 10 one
mx MX 20 two
second MX 30 one
second MX 20 two
second MX 10 down
alias CNAME mx
viacname MX 10 cn
cn CNAME one
null MX 0 .
mixed MX 0 .
mixed MX 10 one
implicit A $C
dual A $C
${SIX:+dual AAAA $SIX}
${SIX:+six AAAA $SIX}
loop MX 10 gw
loop MX 20 one
gw A $A
backup MX 10 down
backup MX 20 gw
backup MX 30 two
noaddr MX 10 nohost
text TXT "nothing else"
dead NS ns.dead
ns.dead A $A
mute NS ns.mute
ns.mute A $A
E2
# One who takes questions and never answers.
python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 55))
time.sleep(600)' $A &
PIDS="$PIDS $!"
peer one $B:25
peer two $C:25
[ -z "$SIX" ] || peer six "[$SIX]:25"

gateway_start <<E2 || exit 1
hostname gw.test
resolver { $A:5353 }
action "out" relay
listen on $A port 2525
match for any action "out"
queue retry 1s..2s
queue ttl 1h
E2
mail() { send $A:2525 '<>' "u@$1" --header "Subject: to $1 $2" >"$T/out" 2>&1; }
story() { wait_until 15 logged "event=deliver .*to=<?u@$1[ >].*$2"; }
query() { ctl dns query "$1" "$2" >"$T/out" 2>&1 && grep -q "$3" "$T/out"; }
for d in mx second alias viacname null mixed implicit dual loop backup noaddr \
    text nowhere dead mute; do
	mail $d.test 1
done

check "the first of two by preference" wait_until 15 got one "to mx.test 1"
check "by its name" story mx.test 'result=delivered server="?one\.test'
check "the first is down: the next" wait_until 15 got two "to second.test 1"
check "not the last" sh -c "! grep -q 'to second.test' '$T/peer/one'"
check "the domain is a CNAME" wait_until 15 got one "to alias.test 1"
check "for the recipient as it was written" has '^RCPT TO:<u@alias.test>'
check "the server's name is a CNAME" wait_until 15 got one "to viacname.test 1"
check "null MX: failed, 5.1.10" story null.test 'result=failed.*5\.1\.10'
check "a null MX beside others is none" wait_until 15 got one "to mixed.test 1"
check "no MX: the domain's own address" wait_until 15 got two "to implicit.test 1"
check "we are the best server: a loop, 5.4.6" story loop.test 'result=failed.*5\.4\.6'
check "we are the second, the first is down: deferred" \
    story backup.test 'result=deferred'
check "and not sent to one behind us" sh -c "! grep -q 'to backup.test' '$T/peer/two'"
check "servers without an address: failed, 5.4.4" \
    story noaddr.test 'result=failed.*5\.4\.4'
check "neither MX nor address: failed" story text.test 'result=failed.*5\.'
check "no such domain: failed, 5.1.2" story nowhere.test 'result=failed.*5\.1\.2'
check "the domain's resolver is dead: deferred, 4.4.3" \
    wait_until 40 logged "event=deliver .*to=<?u@dead.test.*result=deferred.*4\.4\.3"
check "the domain's resolver is mute: deferred, 4.4.3" wait_until 40 \
    logged "event=deliver .*to=<?u@mute.test.*result=deferred.*4\.4\.3"
check "dns query sees no such name" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' dns query nowhere.test MX; [ \$? -eq 68 ]"
check "dns query sees no answer" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' dns query dead.test MX; [ \$? -eq 75 ]"
check "dns query sees preferences" query second.test MX down.test

if [ -n "$SIX" ]; then
	check "both families: IPv6 first" wait_until 15 got six "to dual.test 1"
	mail six.test 1
	check "IPv6 alone" wait_until 15 got six "to six.test 1"
	kill $PEER
	wait $PEER 2>/dev/null
	mail dual.test 2
	check "nobody at the IPv6 address: IPv4" wait_until 15 got two "to dual.test 2"
else
	skip "IPv6: needs a network of its own"
	check "an address alone: IPv4" wait_until 15 got two "to dual.test 1"
fi

# A server that is back is used before one of less preference.
peer down ${A%.1}.4:25
check "the first is back: what waited for it" wait_until 30 got down "to backup.test 1"
check "once" once
check "nothing came to us again" sh -c \
    "! grep -q 'event=accepted.*client=$A' '$T/gw/log'"
