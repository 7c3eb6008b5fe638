#!/bin/sh
# Forwarded mail: an alias to elsewhere, whose sender is rewritten so that it is
# ours; and what comes back to that address, to its sender.
. "$(dirname "$0")/lib.sh"
need_peers "forwarding" || exit 0

sink $A:2500 "$T/away"
sink $A:2501 "$T/back"
wait_until 10 listening $A:2501 || no "the sinks do not listen"
echo "the secret of this test" >"$T/srs.key"
echo "another secret, as long" >"$T/other.key"
chmod 600 "$T/srs.key" "$T/other.key"

gateway_start <<E2 || exit 1
hostname gw.example.org
srs key "$T/srs.key" domain srs.example.org
table aliases { "anna@example.org" = "anna@away.example" }
action "aliases" expand aliases <aliases>
action "away" relay to { "$A:2500" } srs
action "back" relay to { "$A:2501" }
listen on $A port 2525
match from any for domain example.org action "aliases"
match from expanded for domain away.example action "away"
match from expanded for domain client.example action "back"
E2
# The sender, recipient or body that smtp-sink wrote down in its files.
field() { sed -n "s/^X-Mail-Args: <\(.*\)>.*/\1/p" "$1"/* 2>/dev/null; }
count() { [ "$(find "$1" -type f | wc -l)" -eq "$2" ]; }

check "mail for an alias is taken" send $A:2525 Bert@client.example \
    anna@example.org --header "Subject: forward"
check "and goes on" wait_until 20 count "$T/away" 1
srs=$(field "$T/away")
case $srs in
SRS0=????????=??=client.example=Bert@srs.example.org)
	ok "its sender is ours: $srs" ;;
*)	no "its sender is ours: $srs" ;;
esac
grep -q '^X-Rcpt-Args: <anna@away.example>' "$T/away"/* &&
    ok "its recipient is the alias's" || no "its recipient is the alias's"

check "what is returned to it is taken" send $A:2525 "<>" "$srs" \
    --header "Subject: returned"
check "and reaches the sender" wait_until 20 count "$T/back" 1
check "him alone" grep -q '^X-Rcpt-Args: <Bert@client.example>' "$T/back"/*
low=$(printf '%s' "$srs" | tr 'A-Z' 'a-z')
check "also in lower case" send $A:2525 "<>" "$low"

# Nobody else can make one.
bad=$(printf '%s' "$srs" | sed 's/=Bert@/=carl@/')
send $A:2525 "<>" "$bad" >"$T/said" 2>&1
check "another sender in it is refused" grep -q '550 5.1.1' "$T/said"
check "and the log says why" logged 'event=srs .*why="not made here"'
send $A:2525 "<>" "SRS0=x@srs.example.org" >"$T/said" 2>&1
check "what is none is refused" grep -q '550 5.1.1' "$T/said"

check "a notification is forwarded as it is" send $A:2525 "<>" \
    anna@example.org --header "Subject: null"
check "its sender stays empty" wait_until 20 grep -rq '^X-Mail-Args: <>' \
    "$T/away"
check "mail for a gateway before us is forwarded" send $A:2525 \
    "SRS0=ABCDEFGH=XY=first.example=carl@one.example" anna@example.org
one() { field "$T/away" | grep -q \
    '^SRS1=........=one.example==ABCDEFGH=XY=first.example=carl@srs.example.org$'; }
check "through the gateway that made it" wait_until 20 one

# The secret is keyd's alone, and it lives on.
pid=$(pid_of keyd)
kill -9 "$pid"
check "a keyd that died is asked once it is back" send $A:2525 "<>" "$srs"
cp "$T/other.key" "$T/srs.key"
check "a reload takes another secret" ctl reload
send $A:2525 "<>" "$srs" >"$T/said" 2>&1
check "then the address is none of ours" grep -q '550 5.1.1' "$T/said"
echo "short" >"$T/srs.key"
ctl reload >"$T/said" 2>&1
check "a short one is refused" grep -q 'srs.key.*16 bytes' "$T/said"
gateway_stop
