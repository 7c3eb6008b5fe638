#!/bin/sh
# One transaction for several live servers and the queue: a real Postfix and a
# real OpenSMTPD, and one that refuses content.
. "$(dirname "$0")/lib.sh"
need_root "fanout" || exit 0
need_peers "fanout" postfix opensmtpd || exit 0
. "$TOP/regress/lib/opensmtpd.sh"
jail_able || { skip "fanout: needs a mount namespace"; exit 0; }

postfix_start "$T/pf" $A 2501
peer os $A:2602
opensmtpd_start "$T/os" $A 2502 <<E2
action "on" relay host smtp+notls://$A:2602
match from any for rcpt-to "user@two.example" action "on"
E2
wait_until 10 listening $A:2502 || no "OpenSMTPD does not listen"
peer picky $A:2503 --on "dot=" "reply:550 5.7.1 not this one"
peer shaky $A:2504 --on "dot=" "reply:451 4.3.0 not now"
peer later $A:2505
gateway_start <<E2 || exit 1
hostname gw.example.org
action "one"   proxy to "$A:2501" open
action "two"   proxy to "$A:2502" open
action "picky" proxy to "$A:2503" open
action "again" relay to "$A:2505"
action "shaky" proxy to "$A:2504" open on-failure queue "again"
action "queue" relay to "$A:2505"
listen on $A port 2525 on-conflict fan-out
match from any for domain "example.org" action "one"
match from any for domain "two.example" action "two"
match from any for domain "picky.example" action "picky"
match from any for domain "shaky.example" action "shaky"
match from any for domain "client.example" action "queue"
match from any for domain "queue.example" action "queue"
queue retry 10s..20s
E2
in_postfix() { grep -rqs "Subject: $1\$" "$T/pf/mail/user/new"; }
out() { ! "$@"; }
# as SUBJECT RECIPIENTS: sends; T/out has the session.
as() {
	send $A:2525 a@client.example "$2" --header "Subject: $1" >"$T/out" 2>&1
}

check "both servers and the queue, in one transaction" \
    as all user@example.org,user@two.example,x@queue.example
check "it is said by which way" logged 'event=accepted .*way=fan-out'
check "Postfix has it" wait_until 10 in_postfix all
check "OpenSMTPD has passed it on" wait_until 20 got os "Subject: all"
check "once" once
check "the queue has delivered its part" wait_until 20 got later "Subject: all"
check "once" once
check "for nobody else" sh -c "! grep -q 'example.org\|two.example' '$T/got' ||
    ! grep '^RCPT' '$T/got' | grep -q 'example.org\|two.example'"

check "a server's refusal of a recipient is its own" sh -c \
    "! swaks --server $A:2525 --from a@client.example \
    --to user@example.org,nobody@two.example --header 'Subject: half' \
    >'$T/half' 2>&1; grep -q '^<\*\* 550 .*' '$T/half'"

as refused user@example.org,x@picky.example
st=$?
if [ $st -ne 0 ] && grep -q '^<\*\* 550 5.7.1 not this one' "$T/out"; then
	ok "the first to be asked refuses: so it is for all"
	check "and Postfix has nothing of it" out wait_until 2 in_postfix refused
else
	# Postfix was asked first and has taken it; the sender hears of the other.
	check "taken by the first: Postfix has it" wait_until 10 in_postfix refused
	check "and the sender is told of the refusal" \
	    wait_until 20 got later "not this one"
fi
# By now the worker that has seen it knows who refuses, soon all of them do.
first() {
	n=$((n + 1))
	as "again-$n-" user@example.org,x@picky.example
	grep -q '^<\*\* 550 5.7.1 not this one' "$T/out"
}
n=0
check "then he is asked first" wait_until 20 first
check "and Postfix has nothing of it" out wait_until 2 in_postfix "again-$n-"

check "one that can't now: the queue finishes it" \
    as shaky user@example.org,x@shaky.example
check "Postfix has it" wait_until 10 in_postfix shaky
check "the other gets it by his on-failure action" \
    wait_until 30 got later "Subject: shaky"
check "once" once

# queued dies under load: no message that was said to be taken is lost.
n=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	[ $((i % 4)) -ne 0 ] || kill -9 "$(pid_of queued)"
	if as "kill-$i-" user@example.org,x@queue.example; then
		echo $i >>"$T/taken"
		n=$((n + 1))
	fi
done
check "some were taken" test $n -gt 4
lost() {
	for i in $(cat "$T/taken"); do
		grep -rqs "Subject: kill-$i-" "$T/pf/mail/user/new" || return 0
		got later "Subject: kill-$i-" || return 0
	done
	return 1
}
check "of those none is lost, at neither" wait_until 40 out lost
check "nothing waits" wait_until 20 sh -c \
    "[ -z \"\$('$BUILD/posternctl' -j -s '$T/gw/run' queue list)\" ]"
