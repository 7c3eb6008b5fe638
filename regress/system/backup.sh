#!/bin/sh
# A backup taken while mail flows, checked and put into the place of another
# queue: every message acknowledged before it began comes out there. And what
# verify and recover say of damage, of half a backup, and of a queue in use.
. "$(dirname "$0")/lib.sh"
need_peers "backup" || exit 0

sink $A:2500 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } open
action "flow" relay to { "$A:2500" } open
listen on $A port 2525
match from any for domain "flow.example" action "flow"
match from any for any action "out"
queue retry 1s..2s
EOF
load() { python3 "$TOP/regress/lib/load.py" $A:2525 "$@"; }
status_is() {
	want=$1; shift
	"$@"
	got=$?
	[ $got -eq "$want" ] || { echo "status $got"; return 1; }
}

# Some that wait, long and short, a held one; then more that come and go.
ctl pause destination out
load --out "$T/first" --sessions 4 --count 40
load --out "$T/long" --sessions 2 --count 4 --first 1001 --size 200000
check "hold" ctl -y hold rcpt=r7@dest.example
load --out "$T/before" --sessions 3 --count 60 --first 2001 --to flow.example
load --out "$T/during" --sessions 3 --seconds 3 --first 5001 \
    --to flow.example &
load=$!
wait_until 10 loaded "$T/during" 10
check "backup under load" ctl backup "$T/copy"
check "it has a manifest" grep -q '^end ' "$T/copy/manifest"
check "its files are their owner's alone" sh -c \
    "[ -z \"\$(find '$T/copy' -perm /077 -name 'seg.*')\" ]"
check "verify of the running queue" ctl verify
check "and as JSON" sh -c "'$BUILD/posternctl' -j -s '$T/gw/run' verify |
    grep -q '\"problems\":0'"
check "verify of the backup" ctl verify "$T/copy"
check "a folder that is not empty is refused" status_is 73 ctl backup "$T/copy"
wait $load
check "queued has it: verify offline is refused" status_is 75 ctl verify "$T/gw/spool"
check "and recover too" status_is 75 ctl recover "$T/gw/spool"
check "the log tells of the backup" logged 'event=backup .*result=done'
gateway_stop
check "verify of a queue that rests" sh -c \
    "'$BUILD/posternctl' verify '$T/gw/spool' | grep -q ', index; 0 problems'"
mkdir "$T/in1"
find "$T/in" -type f -exec mv -t "$T/in1" {} +

# Half a backup, and a damaged one.
cp -a "$T/copy" "$T/half"
mv "$T/half/manifest" "$T/half/manifest.new"
check "a backup without its manifest is refused" status_is 65 ctl verify "$T/half"
check "by recover too" status_is 65 ctl recover "$T/half" "$T/spool1"
cp -a "$T/copy" "$T/bad"
damage() { python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(4)
    f.seek(int(sys.argv[2])); f.write(bytes(x ^ 0xff for x in b))' "$@"; }
damage "$(ls "$T"/bad/seg.* | head -n 1)" 9000
check "a damaged backup is told" status_is 65 ctl verify "$T/bad"
rm "$T/bad/manifest"
check "by its records as well" status_is 65 ctl verify "$T/bad"

# In its place, and delivered. Everything before the backup must come out, what
# came while it was taken may.
rm -rf "$T/gw/spool"
check "recover of the backup" ctl recover "$T/copy" "$T/gw/spool"
check "not over a queue" status_is 73 ctl recover "$T/copy" "$T/gw/spool"
gateway_again || exit 1
check "the held one is held" sh -c \
    "'$BUILD/posternctl' -s '$T/gw/run' queue list state=held | grep -q r7@dest.example"
check "what was paused is paused" sh -c \
    "[ \$('$BUILD/posternctl' -s '$T/gw/run' -j queue list action=out | wc -l) -eq 44 ]"
ctl -y release all >"$T/out" 2>&1
ctl resume destination out
cat "$T/first" "$T/long" >"$T/fates"
nothing_missing() { python3 "$TOP/regress/lib/tally.py" --missing "$@"; }
empty() { ! ctl -j queue list | grep -q '"kind":"queued"'; }
wait_until 60 empty
check "the long ones are whole" sh -c \
    "[ \$(find '$T/in' -size +190k | wc -l) -ge 4 ]"
check "every message that waited at the backup is there" \
    nothing_missing "$T/fates" "$T/in"
check "every one acknowledged before it has arrived" \
    nothing_missing "$T/before" "$T/in" "$T/in1"
check "the log is without damage" sh -c "! grep -q 'event=damage' '$T/gw/log'"

# The index of a queue, lost: recover, and on it goes.
ctl pause mta
load --out "$T/more" --sessions 2 --count 20 --first 9001
gateway_stop
check "recover of a queue in its place" ctl recover "$T/gw/spool"
gateway_again || exit 1
twenty() { [ "$(ctl -j queue list | grep -c '"kind":"queued"')" -eq 20 ]; }
check "all that waited is there" wait_until 10 twenty
check "verify of it" ctl verify
gateway_stop
