#!/bin/sh
# A full disk: 452 before it is full, nothing lost, and mail again by itself
# when there is room.
. "$(dirname "$0")/lib.sh"
need_root "a small tmpfs" || exit 0
need_peers "a small tmpfs" || exit 0
mkdir -p "$T/small"
mount -t tmpfs -o size=420m,mode=711 tmpfs "$T/small" 2>/dev/null || {
	skip "a small tmpfs cannot be mounted here"; exit 0; }
cleanup() { umount -l "$T/small"; }

sink $A:2500 "$T/in"
mkdir -p "$T/gw"
gateway_start <<EOF || exit 1
hostname gw.example.org
queue path "$T/small/spool"
queue reserve 16M
action "out" relay to { "$A:2500" } open
listen on $A port 2525
match from any for any action "out"
log level warn
EOF
load() { python3 "$TOP/regress/lib/load.py" $A:2525 "$@"; }

ctl pause mta
load --out "$T/first" --sessions 4 --count 50
check "mail is taken while there is room" grep -q acked "$T/first"
# Fill the rest of the disk from outside.
dd if=/dev/zero of="$T/small/ballast" bs=1M >/dev/null 2>&1
load --out "$T/full" --sessions 4 --count 20 --first 1001
check "a full disk is answered with 452" grep -q 'refused .* 452' "$T/full"
check "nothing is acknowledged then" sh -c "! grep -q acked '$T/full'"
check "status says so" sh -c "'$BUILD/posternctl' -s '$T/gw/run' queue stats | grep -q 'state: closed'"
rm "$T/small/ballast"
taken() { load --out "$T/again.$$" --sessions 1 --count 1 --first 2001 &&
    grep -q acked "$T/again.$$"; }
check "with room again it recovers by itself" wait_until 15 taken
ctl resume mta
cat "$T/first" "$T/full" >"$T/fates"
nothing_missing() { python3 "$TOP/regress/lib/tally.py" --missing "$T/fates" "$T/in"; }
wait_until 30 nothing_missing
check "nothing acknowledged was lost, nothing refused delivered" \
    python3 "$TOP/regress/lib/tally.py" "$T/fates" "$T/in"
