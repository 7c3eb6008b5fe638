#!/bin/sh
# Reload under load: all or nothing, no connection refused, no message lost.
. "$(dirname "$0")/lib.sh"
need_peers "reload" || exit 0

sink $A:2500 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
listen on $A port 2525
match from any for domain "dest.example" action "out"
match from any for domain "one.example" action "out"
log level info
EOF
cp "$T/gw/postern.conf" "$T/good"

python3 "$TOP/regress/lib/load.py" $A:2525 --out "$T/load" --sessions 8 \
    --seconds 30 --until "$T/enough" --size 500 &
load=$!
wait_until 10 loaded "$T/load" 30

# A file with errors changes nothing and says all of them.
{ cat "$T/good"; echo 'match from any for domain "x" action "nowhere"'
  echo 'listen on 999.1.1.1 port 25'; } >"$T/gw/postern.conf"
ctl reload >"$T/bad" 2>&1
check "a file with errors is refused" test $? -eq 78
check "its first error with file, line and column" \
    grep -q 'postern.conf:[0-9]*:[0-9]*: .*nowhere' "$T/bad"
check "its second error too" grep -q '999.1.1.1' "$T/bad"
check "a caret stands below" grep -q '^ *^' "$T/bad"
send $A:2525 a@c.example u@one.example --quit-after RCPT >"$T/out" 2>&1
check "nothing has changed" test $? -eq 0
ctl check >"$T/checked" 2>&1
check "check says the same without a reload" grep -q nowhere "$T/checked"

# A good one is used by new sessions.
sed 's/one\.example/two.example/' "$T/good" >"$T/gw/postern.conf"
check "a good file is taken" ctl reload
send $A:2525 a@c.example u@two.example --quit-after RCPT >"$T/out" 2>&1
check "its new rule holds" test $? -eq 0
send $A:2525 a@c.example u@one.example --quit-after RCPT >"$T/out" 2>&1
check "its old rule is gone" grep -q '550 5.7.1' "$T/out"
kill -HUP "$GW"
check "SIGHUP reloads as well" wait_until 10 sh -c \
    "[ \$(grep -c 'event=reload .*result=ok' '$T/gw/log') -ge 2 ]"
# A listener that cannot be bound changes nothing.
{ cat "$T/good"; echo "listen on $A port 2500"; } >"$T/gw/postern.conf"
ctl reload >"$T/bound" 2>&1
check "a listener that cannot be bound changes nothing" test $? -ne 0
send $A:2525 a@c.example u@two.example --quit-after RCPT >"$T/out" 2>&1
check "the rules of before still hold" test $? -eq 0

: >"$T/enough"
wait $load
check "no client was refused or lost in all that" \
    sh -c "! grep -qE 'refused [0-9]+ connection|unknown' '$T/load'"
nothing_missing() { python3 "$TOP/regress/lib/tally.py" --missing "$T/load" "$T/in"; }
wait_until 30 nothing_missing
check "every message arrived, once" \
    python3 "$TOP/regress/lib/tally.py" --once "$T/load" "$T/in"
sed 's/^/# /' "$T/check.out"
