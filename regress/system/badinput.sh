#!/bin/sh
# Bad input: each malformed thing gets its RFC reply and the session goes on
# until the limit; framing cannot be cheated, either way.
. "$(dirname "$0")/lib.sh"
need_peers "bad input" || exit 0

sink $A:2500 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
action "live" proxy to { "$A:2500" }
listen on $A port 2525 max-message-size 1M
listen on $A port 2526 proxy "live"
match from any for domain "dest.example" action "out"
limit errors 5
limit recipients 3
limit sessions per source 10 for { "127.0.0.0/8" }
EOF
python3 "$TOP/regress/lib/badinput.py" "$TOP/regress/lib" $A:2525 $A:2526 "$T/in" ||
    FAILED=1
check "no password is in the log" sh -c "! grep -q c2VjcmV0 '$T/gw/log'"
check "the gateway still answers" send $A:2525 a@c.example b@dest.example
