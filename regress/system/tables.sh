#!/bin/sh
# Tables that posternctl makemap made, as large as they come, and listeners on an
# interface.
. "$(dirname "$0")/lib.sh"
need_peers "tables" || exit 0

sink $A:2500 "$T/sink"
wait_until 10 listening $A:2500 || no "the sink does not listen"

# 100,000 users, and what an address, a domain and a prefix are looked up as.
{
	echo "# made by a program"
	awk 'BEGIN { for (i = 0; i < 100000; i++)
		printf "user%d@example.org\tv%d\n", i, i }'
	echo "whole.example"
	echo ".below.example"
} >"$T/users"
echo "127.0.0.0/8" >"$T/nets"
echo "one.example: $A:2500" >"$T/customers"
ctl makemap "$T/users" "$T/users.cdb" >"$T/said" 2>&1
check "makemap takes a file" test $? -eq 0
check "and says how many entries it has" grep -q '^100002 entries' "$T/said"
check "quietly too" test -z "$(ctl -q makemap "$T/nets" "$T/nets.cdb")"
ctl -q makemap "$T/customers" "$T/customers.cdb"
printf 'good\n\001bad\n' >"$T/broken"
ctl makemap "$T/broken" "$T/broken.cdb" >"$T/said" 2>&1
check "a line that is none is told" test $? -eq 65
check "by its number" grep -q 'broken: line 2 is no entry' "$T/said"
check "and nothing is written" test ! -e "$T/broken.cdb"
ctl makemap "$T/none" "$T/none.cdb" >/dev/null 2>&1
check "so is a file that is not there" test $? -eq 66
ctl makemap "$T/nets" "$T/nowhere/x.cdb" >/dev/null 2>&1
check "and a folder that is not there" test $? -eq 73
check "no piece of one is left" test -z "$(ls "$T" | grep 'cdb\.')"

gateway_start <<E2 || exit 1
hostname gw.example.org
table users cdb "$T/users.cdb"
table nets cdb "$T/nets.cdb"
table customers cdb "$T/customers.cdb"
action "inside" relay to { "$A:2500" }
action "customers" relay to <customers> by rcpt-domain
listen on lo port 2525
match from source <nets> for rcpt-to <users> action "inside"
match from source <nets> for any action "customers"
E2
check "a user of the table is taken" send 127.0.0.1:2525 a@client.example \
    USER99999+x@example.org
check "and one of a domain in it" send 127.0.0.1:2525 a@client.example \
    anyone@whole.example
check "and below one" send 127.0.0.1:2525 a@client.example x@a.below.example
check "and where the servers stand in one" send 127.0.0.1:2525 \
    a@client.example x@one.example
send 127.0.0.1:2525 a@client.example user100000@example.org >"$T/said" 2>&1
check "nobody else is" grep -q '550 5.1.1' "$T/said"
count() { [ "$(find "$T/sink" -type f | wc -l)" -eq "$1" ]; }
check "they are delivered" wait_until 20 count 4
if [ -e /proc/sys/net/ipv6 ] && ip -6 addr show dev lo 2>/dev/null |
    grep -q inet6; then
	check "all addresses of the interface answer" listening "[::1]:2525"
fi

# Each daemon has the pages of one and the same file.
echo "user100000@example.org" >>"$T/users"
ctl -q makemap "$T/users" "$T/users.cdb"
check "a reload takes the new one" ctl reload
check "its new user is taken" send 127.0.0.1:2525 a@client.example \
    user100000@example.org
cp "$T/users" "$T/users.cdb"
ctl reload >"$T/said" 2>&1
check "one that is none stops a reload" test $? -ne 0
check "and it is said" grep -q "users.cdb: not made by .posternctl makemap" \
    "$T/said"
check "what was there goes on" send 127.0.0.1:2525 a@client.example \
    user2@example.org
gateway_stop
