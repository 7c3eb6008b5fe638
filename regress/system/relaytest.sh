#!/bin/sh
# Actual servers that trust the gateway: one that takes mail for anybody, one
# that does not, one that is away; real Postfixes.
. "$(dirname "$0")/lib.sh"
need_root "a real Postfix" || exit 0
need_peers "open relays" || exit 0

POSTFIX_MORE="smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination" \
    postfix_start "$T/trusts" $A 2500
postfix_start "$T/careful" $A 2501
wait_until 10 listening $A:2500 || no "the trusting Postfix does not listen"
wait_until 10 listening $A:2501 || no "the careful Postfix does not listen"

gateway_start <<EOF || exit 1
hostname gw.example.org
action "trusting" proxy to { "$A:2501", "$A:2500" }
action "careful"  proxy to "$A:2501"
action "known"    proxy to "$A:2500" open
action "away"     proxy to "$A:2502"
listen on $A port 2525 proxy "trusting"
listen on $A port 2526 proxy "careful"
listen on $A port 2527 proxy "known"
listen on $A port 2528 proxy "away"
EOF

check "the server that trusts us is found at the start" wait_until 20 logged \
    'event=relay action=trusting server=\S*:2500 result=open reply="250 '
check "the careful one is closed" wait_until 20 logged \
    'event=relay action=careful result=closed'
check "nothing is said of one that is open by configuration" \
    sh -c "! grep -q 'event=relay action=known' '$T/gw/log'"
check "nor of one that is away" \
    sh -c "! grep -q 'event=relay action=away' '$T/gw/log'"
check "status shows it" sh -c "'$BUILD/posternctl' -s '$T/gw/run' status |
    grep -q '^trusting .*:2500 *open'"
check "and no other" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' status |
    grep -Eq '^(careful|known|away)'"

ctl check --live >"$T/live" 2>&1
st=$?
check "check --live fails for it" test $st -eq 65
check "it has each server" sh -c "grep -q '^trusting .*:2500 *open' '$T/live' &&
    grep -q '^trusting .*:2501 *closed' '$T/live' &&
    grep -q '^careful .*:2501 *closed' '$T/live' &&
    grep -q '^away .*unknown' '$T/live'"
check "no server was given content" sh -c \
    "! grep -Eq 'relay-test.*(status|queued|removed)' '$T/trusts/log'"
# Clients on loopback are local: for them nothing changes.
check "a local client may" send $A:2525 a@client.example user@example.org \
    --header "Subject: local"

# The server learns better.
sed -i 's/^smtpd_relay_restrictions = permit_mynetworks, /smtpd_relay_restrictions = /' \
    "$T/trusts/etc/main.cf"
postfix_run sbin/postfix -c "$T/trusts/etc" reload >/dev/null 2>&1
# All workers; Postfix reads its rules again with its next process.
closed() {
	ctl check --live >"$T/live2" 2>&1
	grep -q '^trusting .*:2500 *closed' "$T/live2" &&
	    ! grep -q '^trusting .*:2500 *open' "$T/live2"
}
check "check --live sees that it is closed now" wait_until 60 closed
check "and the log says so" wait_until 10 logged \
    'event=relay action=trusting result=closed'
ctl check --live >/dev/null 2>&1
check "what is not known is 75" test $? -eq 75
check "status has no open one" sh -c "! '$BUILD/posternctl' -s '$T/gw/run' \
    status | grep -q '^trusting'"
gateway_stop
