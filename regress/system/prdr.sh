#!/bin/sh
# A reply for each recipient (PRDR), with a real Exim as the client.
. "$(dirname "$0")/lib.sh"
need_root "prdr" || exit 0
need_peers "prdr" exim || exit 0
. "$TOP/regress/lib/exim.sh"
jail_able || { skip "prdr: needs a mount namespace"; exit 0; }

peer one $A:2501
peer picky $A:2502 --on "dot=" "reply:550 5.7.1 not this one"
peer later $A:2503
gateway_start <<E2 || exit 1
hostname gw.example.org
action "one"   proxy to "$A:2501" open
action "picky" proxy to "$A:2502" open
action "later" relay to "$A:2503"
listen on $A port 2525 on-conflict fan-out
match from any for domain "one.example" action "one"
match from any for domain "picky.example" action "picky"
match from any for domain { later.example, client.example } action "later"
E2
EXIM_OUT=2525 exim_start "$T/ex" $A 2526 <<E2
all:
  driver = manualroute
  route_list = * $A byname
  transport = out
  self = send
E2
wait_until 10 listening $A:2526 || no "Exim does not listen"
exim_says() { grep -q -e "$1" "$T/ex/log/mainlog"; }
out() { ! "$@"; }

check "Exim takes it" send $A:2526 a@client.example \
    user@one.example,x@picky.example,y@later.example --header "Subject: three"
check "one has it" wait_until 20 got one "Subject: three"
check "once" once
check "the queue delivers its part" wait_until 20 got later "Subject: three"
check "Exim was told PRDR" wait_until 10 exim_says '=> user@one.example.* PRDR'
check "and of the queue's recipient" exim_says '[-=]> y@later.example'
check "whose server has refused it is told so" \
    exim_says '\*\* x@picky.example.*PRDR.*550 5.7.1 not this one'
check "all of it in one session" sh -c \
    "[ \$(grep -c 'event=accepted .*way=fan-out' '$T/gw/log') -eq 1 ]"
check "Exim tells the sender" wait_until 20 got later 'x@picky.example'
check "and we do not" sh -c "! grep -q 'event=bounce' '$T/gw/log'"
check "none but Exim" has 'exim.example'

# The picky one is asked first from now on; that is no reason for the others.
check "Exim takes another" send $A:2526 a@client.example \
    user@one.example,x@picky.example --header "Subject: two"
check "one has it" wait_until 20 got one "Subject: two"
check "once" once
check "and nothing waits" wait_until 20 sh -c \
    "[ -z \"\$('$BUILD/posternctl' -j -s '$T/gw/run' queue list)\" ]"
