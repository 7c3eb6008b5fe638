#!/bin/sh
# A real Postfix that relays for the client and for no stranger: of those whom it
# takes live its own recipients alone are taken by the queue when it is away.
. "$(dirname "$0")/lib.sh"
need_root "learn" || exit 0
need_peers "learn" postfix || exit 0

# By XCLIENT it knows who is there; we all are in its mynetworks.
POSTFIX_MORE='smtpd_authorized_xclient_hosts = 127.0.0.1
	smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination'
POSTFIX_MORE=$(printf '%s' "$POSTFIX_MORE" | tr -d '\t')
postfix_start "$T/pf" $A 2501
wait_until 10 listening $A:2501 || no "Postfix does not listen"
gateway_start <<E2 || exit 1
hostname gw.example.org
action "later" relay to { "$A:2501" } open
action "live" proxy to { "$A:2501" } identity xclient open on-failure queue "later"
action "here" proxy to { "$A:2501" } open on-failure queue "later"
listen on $A port 2525 proxy "live"
listen on $A port 2526 proxy "here"
queue retry 10s..20s
E2
# says PORT RECIPIENT CODE: to RCPT
says() {
	swaks --server $A:$1 --from a@client.example --to "$2" \
	    --helo client.example --timeout 20 --quit-after RCPT >"$T/out" 2>&1
	grep -A1 '^ -> RCPT' "$T/out" | grep -q "^<.*[ *]*$3 "
}
check "live: its own recipient" says 2525 user@example.org 250
check "and one whom it relays to for this client" says 2525 u@far.example 250
check "a stranger would not be taken" wait_until 10 logged \
    'event=learn action=live domain=far.example result=not'
check "its own are not said to be so" sh -c \
    "! grep -q 'event=learn .*domain=example.org' '$T/gw/log'"
check "by an action that does not tell who the client is, its own" \
    says 2526 other@example.org 250
check "and those of the others, whom it takes from us, and so from all" \
    says 2526 v@other.example 250
postfix_stop "$T/pf"
wait_until 10 sh -c "! ss -Hltn 'src $A:2501' | grep -q ."
check "when it is away its own one is taken" wait_until 10 \
    says 2525 user@example.org 250
check "one who was never seen is not" says 2525 nobody@example.org 450
check "nor the one whom it would relay to" says 2525 u@far.example 450
check "by the other action, too: its own" says 2526 other@example.org 250
check "and the one whom all could send to" says 2526 v@other.example 250
