#!/bin/sh
# The queue beside and behind the live proxy: a real Postfix as the actual server,
# stopped and started under load, and every message that was acknowledged arrives
# once; copies and an archive of what went live; two servers in one transaction;
# the fallback by hand.
. "$(dirname "$0")/lib.sh"
need_root "hybrid" || exit 0
need_peers "hybrid" postfix || exit 0

sink $A:2600 "$T/copies"
sink $A:2601 "$T/vault"
sink $A:2602 "$T/out"
postfix_start "$T/one" $A 2501
gateway_start <<E2 || exit 1
hostname gw.example.org
action "later" relay to { "$A:2501" } open
action "box" relay to { "$A:2600" } open
action "vault" relay to { "$A:2601" }
action "out" relay to { "$A:2602" }
action "bare" proxy to { "$A:2501" }
action "live" proxy to { "$A:2501" } on-failure queue "later"
listen on $A port 2525 proxy "live"
listen on $A port 2526 proxy "bare" copy "box" tag copied
listen on $A port 2527 on-conflict queue
listen on $A port 2528 proxy "live" at rcpt
archive to "vault" as journal@vault.example format journal when tag copied
match from any for domain "example.org" action "live"
match from any for domain "out.example" action "out"
queue retry 10s..20s
E2

load() {	# FILE FIRST COUNT PORT
	python3 "$TOP/regress/lib/load.py" $A:$4 --out "$T/$1" --sessions 4 \
	    --count "$3" --first "$2" --to user@example.org
}
MAIL=$T/one/mail/user/new
tally() { python3 "$TOP/regress/lib/tally.py" --once --again "$T/$1" "$MAIL"; }
# A Postfix that is ended between a file and its own note of it delivers the same
# message, by its id, once more: that is not ours.
arrived() {
	awk '/by actual\.example\.org \(Postfix\)/ {
		if (seen[$NF]++) print FILENAME
		nextfile
	}' "$MAIL"/* | xargs -r rm -f
	tally "$1"
}
files() { find "$1" -type f 2>/dev/null | wc -l; }
all_here() { [ "$(files "$MAIL")" -ge "$1" ]; }
in_copies() { [ "$(files "$T/copies")" -ge "$1" ]; }
acked() { grep -c '^acked' "$T/$1"; }
empty() { [ -z "$(ctl -j queue list)" ]; }
mail() {	# PORT TO [swaks options]
	_port=$1 _to=$2; shift 2
	send $A:$_port a@client.example "$_to" "$@"
}

# What a copy and an archive see.
check "messages with a copy" load copied 1 20 2526
check "all acknowledged" test "$(acked copied)" -eq 20
check "the server has each once" wait_until 10 tally copied
check "the queue's copies arrive" wait_until 10 in_copies 20
check "and the archive's" sh -c "grep -l 'Recipient: user@example.org' '$T/vault/'* |
    grep -q ."
check "a recipient whom the server refuses has no copy" \
    sh -c "! swaks --server $A:2526 --from a@client.example --to no@example.org --timeout 20"
counted() {	# NAME N: in all workers
	[ "$(ctl -j stats | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" |
	    awk '{ n += $1 } END { print n + 0 }')" -eq "$2" ]
}
check "counted" counted copies 20

# The server stops and starts under load.
check "a load that goes live" load live 1001 50 2525
rm -f "$MAIL"/*
load down 2001 600 2525 >"$T/load.out" 2>&1 &
LOAD=$!
wait_until 10 loaded "$T/down" 50
postfix_stop "$T/one"
wait_until 10 loaded "$T/down" 300
postfix_start "$T/one" $A 2501
check "a load while the server is stopped and started" wait "$LOAD"
check "the queue took over" logged 'event=failover action=live to=later'
check "most of it was taken" test "$(acked down)" -ge 500
check "all that was acknowledged arrives, once" wait_until 60 arrived down
tally down | sed 's/^/hybrid: /'
check "nothing waits" wait_until 30 empty

# By hand.
check "fallback on" ctl fallback live on
check "status shows it" sh -c "'$BUILD/posternctl' -s '$T/gw/run' status | grep -i fallback"
mail 2525 user@example.org --header "Subject: by hand" >"$T/hand" 2>&1
check "a message goes into the queue" grep -q '250 2.0.0 .* queued' "$T/hand"
mail 2525 new@example.org >"$T/hand" 2>&1
check "for who is not known it comes again later" grep -q '450 4.4.1' "$T/hand"
check "fallback off" ctl fallback live off
mail 2525 user@example.org >"$T/hand" 2>&1
check "and live again" grep -q '250 2.0.0 Ok: .*queued as' "$T/hand"
check "no action of this name" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' fallback none on"

# Two ways in one transaction; at rcpt.
mail 2527 user@example.org,x@out.example --header "Subject: two ways" \
    >"$T/two" 2>&1
check "two ways, one reply of the live server" \
    grep -q '250 2.0.0 Ok: .*queued as' "$T/two"
check "the other one arrives by the queue" wait_until 10 \
    grep -rqs 'two ways' "$T/out"
check "the live one is there" wait_until 10 grep -rqs 'two ways' "$MAIL"
mail 2528 user@example.org --header "Subject: at rcpt" >"$T/at" 2>&1
check "at rcpt: the server answers" grep -q '250 2.0.0 Ok: .*queued as' "$T/at"
mail 2528 no@example.org >"$T/at" 2>&1
check "and decides on recipients" grep -q '550 5.1.1' "$T/at"
