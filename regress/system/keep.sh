#!/bin/sh
# Delivered mail that is kept: read, sent again, let go; rules that are run
# again after a reload; a queue with a limit of its size.
. "$(dirname "$0")/lib.sh"
need_peers "keep" || exit 0

sink $A:2500 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
queue keep 1h
queue size 1M
queue retry 1h..2h
action "out" relay to { "$A:2500" } open
action "away" relay to { "$A:2501" } open
listen on $A port 2525
action "names" expand aliases { "team@dest.example" = "e@dest.example, f@dest.example, e@dest.example", \
    "live@dest.example" = "g@nowhere.example" }
match from any for rcpt-to { "team@dest.example", "live@dest.example" } action "names"
match from any for domain "away.example" action "away"
match from any for domain "dest.example" action "out"
EOF
id_of() { ctl -j queue list "$@" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p' | head -n 1; }
arrived() { [ "$(find "$T/in" -type f | wc -l)" -eq "$1" ]; }
kept() { [ -n "$(id_of state=kept "$@")" ]; }

send $A:2525 a@client.example b@dest.example --header "Subject: kept one" \
    --body "the text" >"$T/out" 2>&1
check "a delivered message is kept" wait_until 5 kept
first=$(id_of state=kept)
check "it arrived" wait_until 5 arrived 1
check "it is not in the list of those that wait" test -z "$(id_of)"
check "its state is told" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message show $first | grep -q 'state: kept'"
check "with what the server said" sh -c \
    "'$BUILD/posternctl' -j -s '$T/gw/run' message show $first |
    grep '\"state\":\"delivered\"' | grep '\"server\":' | grep -q '\"reason\":\"2'"
check "its header is read" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message headers $first | grep -q 'kept one'"
check "its content too" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message content $first | grep -q 'the text'"
check "schedule leaves it alone" sh -c \
    "! '$BUILD/posternctl' -y -s '$T/gw/run' schedule all"
check "resend" ctl message resend "$first"
check "it arrives once more" wait_until 5 arrived 2
check "resend to somebody else" ctl message resend "$first" to c@dest.example
check "which arrives" wait_until 5 arrived 3
check "for him" sh -c "grep -rq 'c@dest.example' '$T/in'"
check "resend to an alias" ctl message resend "$first" to team@dest.example
check "which arrives as one message" wait_until 5 arrived 4
check "for each whom it stands for" sh -c "f=\$(grep -rl '<e@dest.example>' '$T/in') &&
    [ \$(grep -c '^X-Rcpt-Args: <[ef]@dest.example>' \$f) = 2 ]"
check "an alias that leads to nobody" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' message resend $first to live@dest.example"
check "the log tells of both" logged "id=$first event=resend as="
check "no rule, no resend" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' message resend $first to d@nowhere.example"
check "nor to what is no address" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' message resend $first to 'd e'"
kill -9 "$(pid_of queued)"
check "it is kept over a death of queued" wait_until 10 kept sender=a@client.example

# What waits, for another server now.
send $A:2525 a@client.example b@away.example >"$T/out" 2>&1
i=$(id_of)
check "what waits is not sent again so" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' message resend $i"
check "reroute without a change of rules" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' reroute -n all | grep -q 'unchanged: 1'"
sed -i 's/^\(match from any for domain "away.example"\).*/\1 action "out"/' \
    "$T/gw/postern.conf"
check "reload" ctl reload
check "reroute -n shows what would change" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' reroute -n all | grep -q 'b@away.example *away *out'"
check "and changes nothing" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' message show $i | grep -q ' away '"
check "reroute" ctl -y reroute all
tried() { ctl -y schedule "$i" >/dev/null 2>&1; arrived 5; }
check "it arrives by the new action" wait_until 10 tried

# The limit of what the queue holds.
ctl pause mta
python3 "$TOP/regress/lib/load.py" $A:2525 --out "$T/full" --sessions 1 \
    --count 30 --size 60000
check "above queue size mail is answered with 452" grep -q 'refused .* 452' "$T/full"
check "below it is taken" sh -c "[ \$(grep -c acked '$T/full') -ge 16 ]"
check "queue stats say why" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' queue stats | grep -q 'why: .*queue size'"
check "so does the log" logged 'event=closed why=.*queue size'
ctl -y remove all >"$T/out" 2>&1
check "with room again it is open" wait_until 5 sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' queue stats | grep -q 'state: open'"
check "verify" ctl verify

# In its time. What was kept before keeps its own.
sed -i 's/^queue keep 1h/queue keep 10s/' "$T/gw/postern.conf"
check "a shorter time by a reload" ctl reload
ctl resume mta
send $A:2525 short@client.example b@dest.example >"$T/out" 2>&1
check "the next is kept" wait_until 9 kept sender=short@client.example
short=$(id_of state=kept sender=short@client.example)
gone() { ! kept sender=short@client.example; }
check "in time what is kept goes" wait_until 30 gone
check "and can't be read any more" sh -c \
    "! '$BUILD/posternctl' -s '$T/gw/run' message show $short"
check "what was kept for longer can" ctl message show "$first"
gateway_stop
