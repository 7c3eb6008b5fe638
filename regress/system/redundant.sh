#!/bin/sh
# A pool of real servers, two Postfix and an OpenSMTPD as standby, that are
# stopped and started under load: every message arrives, and waits only if it was
# just being given to the one that went.
. "$(dirname "$0")/lib.sh"
need_root "redundant" || exit 0
need_peers "redundant" postfix opensmtpd || exit 0
. "$TOP/regress/lib/opensmtpd.sh"
jail_able || { skip "redundant: needs a mount namespace"; exit 0; }

sink $A:2600 "$T/in"
postfix_start "$T/one" $A 2501
postfix_start "$T/two" $A 2502
os_start() {
	opensmtpd_start "$T/os" $A 2503 <<-E2
	action "on" relay host smtp+notls://$A:2600
	match from any for any action "on"
	E2
	wait_until 10 listening $A:2503
}
os_start || no "OpenSMTPD does not listen"
gateway_start <<E2 || exit 1
hostname gw.example.org
pool "inner" { "$A:2501" weight 3, "$A:2502" weight 1, "$A:2503" standby } probe 1s..2s
action "inner" relay to pool "inner" open
listen on $A port 2525
match from any for any action "inner"
queue retry 3s..5s
E2

load() {	# MESSAGES
	smtp_source -s 4 -m "$1" -l 2000 -f a@client.example \
	    -t user@example.org $A:2525
}
# Ids of the gateway's Received fields: a message, however often it came.
ids() {
	cat "$T/one/mail/user/new/"* "$T/two/mail/user/new/"* "$T/in/"* 2>/dev/null |
	    sed -n 's/.*by gw\.example\.org.* with E\{0,1\}SMTP id \([0-9a-z]*\).*/\1/p'
}
here() { find "$T/one/mail/user/new" "$T/two/mail/user/new" "$T/in" -type f 2>/dev/null | wc -l; }
in_one() { find "$T/one/mail/user/new" -type f 2>/dev/null | wc -l; }
distinct() { [ "$(ids | sort -u | wc -l)" -eq "$1" ]; }
# What the gateway has got rid of; a Postfix that was stopped may still hold it.
delivered() { [ "$(grep -c 'event=deliver .*result=delivered' "$T/gw/log")" -eq "$1" ]; }
server_is() {	# PORT STATE
	ctl -j hosts | grep "\"port\":$1\|:$1\"" | grep -q "\"state\":\"$2\""
}

check "a load while all are there" load 100
check "it arrives" wait_until 40 distinct 100
check "nothing at the standby" sh -c "! ls '$T/in' | grep -q ."

# The first goes away in the middle of a load.
load 200 >"$T/load.out" 2>&1 &
LOAD=$!
sleep 0.2
postfix_stop "$T/one"
check "a load while the first is stopped" wait "$LOAD"
check "it is delivered without it, at once" wait_until 20 delivered 300
check "hosts shows it as down" wait_until 5 server_is 2501 down

# Then the other one, too: the standby has it.
postfix_stop "$T/two"
check "a load while both are stopped" load 50
check "the standby takes it, at once" wait_until 20 delivered 350
check "it was the standby" sh -c "ls '$T/in' | grep -q ."

postfix_start "$T/two" $A 2502
check "the second is found again" wait_until 10 server_is 2502 up
load 200 >"$T/load.out" 2>&1 &
LOAD=$!
postfix_start "$T/one" $A 2501
before=$(in_one)
check "a load while the first is started" wait "$LOAD"
check "it is delivered" wait_until 20 delivered 550
check "the first is found again" wait_until 10 server_is 2501 up
check "a load with all of them back" load 100
check "it arrives" wait_until 40 distinct 650
check "the first has its share again" test "$(in_one)" -gt "$before"
check "nothing waits" sh -c "[ -z \"\$('$BUILD/posternctl' -j -s '$T/gw/run' queue list)\" ]"
echo "redundant: $(ids | wc -l) came of $(ids | sort -u | wc -l) messages"
