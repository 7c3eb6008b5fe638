#!/bin/sh
# Recipient verification: a real Postfix and scripted servers say who is known,
# and what they said is remembered, shown, forgotten, and used while they are
# down.
. "$(dirname "$0")/lib.sh"

# peer NAME PORT [OPTION ...]: a scripted server; its pid in PEER.
peer() {
	_name=$1 _port=$2; shift 2
	rm -f "$T/$_name.ready"
	"$TOP/regress/lib/peer.py" "$A:$_port" --log "$T/$_name.log" "$@" \
	    >"$T/$_name.ready" 2>"$T/$_name.err" &
	PEER=$!
	PIDS="$PIDS $PEER"
	wait_until 20 grep -q ready "$T/$_name.ready" || no "no peer $_name"
}
# rcpt PORT ADDRESS ...: the reply to each RCPT, all sent at once.
cat >"$T/rcpt.py" <<'E2'
import socket
import sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
f = s.makefile("rwb")
def reply():
    while (got := f.readline())[3:4] == b"-":
        pass
    return got.decode().strip()
def say(*lines):
    for line in lines:
        f.write(line.encode() + b"\r\n")
    f.flush()
    return [reply() for _ in lines]
reply()
say("EHLO client.example.org")
for r in say("MAIL FROM:<a@client.example>",
             *["RCPT TO:<%s>" % a for a in sys.argv[3:]])[1:]:
    print(r)
say("QUIT")
E2
rcpt() { _p=$1; shift; timeout 60 python3 "$T/rcpt.py" $A "$_p" "$@"; }
# gets PATTERN ADDRESS: the reply to one RCPT.
gets() { rcpt 2525 "$2" | grep -Eq "^$1"; }
# asked NAME TEXT: how often this stood in a RCPT to a peer.
asked() { grep -c "\"line\": \"RCPT TO:<$2" "$T/$1.log"; }
shows() { ctl -j recipient show "$1" | grep -q "$2"; }

peer sel 2600 --on rcpt=good "reply:250 2.1.5 fine" \
    --on rcpt=soft "reply:451 4.3.0 not now" \
    --on rcpt "reply:550 5.1.1 <x> who is that"
SEL=$PEER
peer all 2601
peer primary 2602 --on rcpt=good "reply:250 2.1.5 fine" \
    --on rcpt "reply:550 5.1.1 who is that"
PRIMARY=$PEER
pf=
if need_root "a real Postfix" && need_peers "a real Postfix"; then
	postfix_start "$T/pf" $A 2500
	wait_until 10 listening $A:2500 || no "Postfix does not listen"
	pf=1
fi

gateway_start <<E3 || exit 1
hostname gw.example.org
table people { anna@sel.example, "goodie@sel.example", "good@backup.example" }
table staff { dora@staff.example }
action "exchange" relay to "$A:2500" recipients { server }
action "sel" relay to "$A:2600" \
    recipients { <people>, server cache 1h } known-good 10d
action "site" relay to "$A:2600" recipients { server } unknown 450
action "all" relay to "$A:2601" recipients { server }
action "staff" relay to "$A:2600" recipients { directory <staff>, server }
action "list" relay to "$A:2600" recipients { <people> }
action "backup" relay to "$A:2602" backup-mx known-good 10d
listen on $A port 2525
match from any for domain "example.org" action "exchange"
match from any for domain "sel.example" action "sel"
match from any for domain "site.example" action "site"
match from any for domain "all.example" action "all"
match from any for domain { "staff.example", "other.example" } action "staff"
match from any for domain "list.example" action "list"
match from any for domain "backup.example" action "backup"
E3

# ---- tables ----
check "a table knows its addresses" gets "250 " anna@sel.example
check "nobody was asked" [ "$(asked sel anna)" -eq 0 ]
check "a directory knows its addresses" gets "250 " dora@staff.example
check "and others of its domain are unknown at once" \
    gets "550 5.1.1 unknown user$" good@staff.example
check "nobody was asked" [ "$(asked sel good@staff)" -eq 0 ]
check "for other domains the server is asked" gets "250 " good@other.example
check "tables alone: the others are unknown" \
    gets "550 5.1.1 unknown user$" good@list.example

# ---- a server ----
check "the server knows a recipient" gets "250 " good@sel.example
check "an unknown one is refused in its words" \
    gets "550 5.1.1 unknown user; his server said: 550 5.1.1 <x> who" \
    bad@sel.example
check "unknown 450" gets "450 4.1.1 unknown user" bad@site.example
check "an answer that is none is a 450" gets "450 4.4.1 " soft@sel.example
n=$(asked sel good@sel)
check "what is known is not asked again" gets "250 " good@sel.example
check "nobody was asked" [ "$(asked sel good@sel)" -eq "$n" ]
check "a no that is used is asked for anew" wait_until 10 sh -c \
    "$(command -v timeout) 20 python3 $T/rcpt.py $A 2525 bad@sel.example;
    [ \$(grep -c 'RCPT TO:<bad@sel' $T/sel.log) -gt 1 ]"
rcpt 2525 good1@sel.example bad1@sel.example good2@sel.example \
    bad2@sel.example anna@sel.example >"$T/group"
check "pipelined recipients keep their order" [ "$(cut -c1-3 "$T/group" |
    tr '\n' ' ')" = "250 550 250 550 250 " ]
check "no message was begun" sh -c "! grep -q '\"line\": \"DATA' $T/sel.log"
check "recipient show" shows good@sel.example '"state":"known"'
check "recipient show: unknown" shows bad@sel.example '"state":"unknown"'
check "recipient show: the server's words" shows bad@sel.example "who is that"
check "recipient show: the server itself" shows good@sel.example \
    '"state":"selective"'

# ---- deliveries ----
check "mail for one whom a table knows" \
    send $A:2525 a@client.example goodie@sel.example
check "its delivery shows that he is known" wait_until 20 \
    shows goodie@sel.example '"state":"known".*"by":"delivery"'
check "mail for one whom the server does not know" \
    send $A:2525 a@client.example dora@staff.example
check "its delivery shows that he is not" wait_until 20 \
    shows dora@staff.example '"state":"unknown".*"by":"delivery"'

# ---- a server that takes any address ----
check "a server that takes everything" gets "250 " nina@all.example
check "it was found out" logged "event=accept-all where=.action all."
check "it is shown" shows nina@all.example '"state":"accept-all"'
n=$(grep -c '"line": "RCPT' "$T/all.log")
check "anybody is taken then" gets "250 " nick@all.example
check "nobody was asked" [ "$(grep -c '"line": "RCPT' "$T/all.log")" -eq "$n" ]

# ---- a real Postfix ----
if [ -n "$pf" ]; then
	check "Postfix knows a recipient" gets "250 " user@example.org
	check "Postfix does not know one" \
	    gets "550 5.1.1 unknown user; his server said: 550 5.1.1 " \
	    nobody@example.org
	rcpt 2525 other@example.org no1@example.org no2@example.org \
	    no3@example.org no4@example.org no5@example.org no6@example.org \
	    user@example.org >"$T/group"
	check "Postfix answers for many" [ "$(cut -c1-3 "$T/group" |
	    tr '\n' ' ')" = "250 550 550 550 550 550 550 250 " ]
	check "and the mail is taken" \
	    send $A:2525 a@client.example user@example.org
fi

# ---- what is remembered ----
kill -9 "$(pid_of queued)"
check "queued is there again" wait_until 10 ctl queue stats
check "it still knows" shows good@sel.example '"state":"known"'
check "a restarted gateway stops" gateway_stop
check "and starts" gateway_again
check "it still knows" shows good@sel.example '"state":"known"'

# ---- the server goes down ----
kill "$SEL"; wait "$SEL" 2>/dev/null
check "what was known holds while it is down" gets "250 " good@sel.example
check "what was unknown, too" gets "550 " bad@sel.example
check "recipient forget" ctl recipient forget bad@sel.example
check "it is forgotten" sh -c "! $BUILD/posternctl -s $T/gw/run -q \
    recipient show bad@sel.example | grep -q '^ *state: unknown'"
check "others get 450 while it is down" gets "450 4.4.1 " bad@sel.example
check "of a domain" ctl recipient forget @sel.example
check "all are forgotten" gets "450 4.4.1 " good@sel.example

# ---- backup-mx ----
check "while the primary is up it gets the mail" \
    gets "450 4.3.2 The primary mail server is up" good1@backup.example
check "unknown ones, too" gets "450 4.3.2 " bad1@backup.example
check "what a table knows, too" gets "450 4.3.2 " good@backup.example
check "and it is remembered" shows good1@backup.example '"state":"known"'
kill "$PRIMARY"; wait "$PRIMARY" 2>/dev/null
down() { gets "250 " good1@backup.example; }
check "once it is down those known are taken" wait_until 30 down
check "others get 450" gets "450 4.4.1 " bad1@backup.example
check "who was never seen, too" gets "450 4.4.1 " good2@backup.example
peer primary 2602 --on rcpt=good "reply:250 2.1.5 fine" \
    --on rcpt "reply:550 5.1.1 who is that"
up() { gets "450 4.3.2 " good1@backup.example; }
check "when it is back the mail goes there" wait_until 30 up
check "the gateway stops in order" gateway_stop
