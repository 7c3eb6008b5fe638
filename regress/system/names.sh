#!/bin/sh
# Names: MX order, implicit MX, null MX, no such domain, a name in the loop, a
# dead resolver. The resolver is dnsmasq on a loopback address.
. "$(dirname "$0")/lib.sh"
need_peers "names" || exit 0

dns() {
	dnsmasq --keep-in-foreground --no-daemon --no-resolv --no-hosts \
	    --listen-address=$A --bind-interfaces --port=5353 --no-poll \
	    --conf-file=/dev/null --pid-file= --cache-size=0 \
	    --auth-ttl=60 --local=/test/ --user= \
	    --mx-host=mx.test,two.test,20 --mx-host=mx.test,one.test,10 \
	    --host-record=one.test,$A --host-record=two.test,$A \
	    --host-record=implicit.test,$A \
	    --mx-host=null.test,.,0 \
	    --mx-host=loop.test,gw.example.org,10 \
	    --host-record=gw.example.org,$A \
	    >"$T/dns.log" 2>&1 &
	DNS=$!
	PIDS="$PIDS $DNS"
	wait_until 5 sh -c "ss -Hlun 'src $A' | grep -q 5353"
}
dns
sink $A:25 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
resolver { $A:5353 }
action "out" relay
listen on $A port 2525
match for any action "out"
queue retry 1s..2s
EOF
mail() { send $A:2525 a@client.example "$1" --header "Subject: $2"; }
arrived() { grep -rlq "^Subject: $1\$" "$T/in"; }
story() { logged "event=deliver .*to=<?$1.*$2"; }

mail b@mx.test viamx >"$T/out" 2>&1
check "by MX" wait_until 20 arrived viamx
check "the preferred host of two" wait_until 5 story b@mx.test 'server="?one\.test'
mail b@implicit.test implicit >"$T/out" 2>&1
check "no MX: the domain's own address" wait_until 20 arrived implicit
mail b@nowhere.test none >"$T/out" 2>&1
check "no such domain: failed for good" \
    wait_until 20 story b@nowhere.test 'result=failed'
mail b@null.test null >"$T/out" 2>&1
check "null MX: failed for good" wait_until 20 story b@null.test 'result=failed'
mail b@loop.test loop >"$T/out" 2>&1
check "our own name as the best MX: a loop, failed" \
    wait_until 20 story b@loop.test 'result=failed'
check "lookupd answers posternctl" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' dns query mx.test MX | grep -q one.test"

kill $DNS
wait_until 5 sh -c "! ss -Hlun 'src $A' | grep -q 5353"
ctl dns flush
mail b@other.test late >"$T/out" 2>&1
check "a dead resolver: deferred, not failed" \
    wait_until 40 story b@other.test 'result=deferred'
