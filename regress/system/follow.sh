#!/bin/sh
# INSTALL, word by word: its packages, its commands, its configuration, its
# first message; with a folder of its own in the place of / and loopback
# addresses in the place of the network.
. "$(dirname "$0")/lib.sh"
cd "$TOP" || exit 1
rel=${BUILD#"$TOP"/}
root=$T/root
# The same kind of build, should anything have to be made.
case $rel in
*asan*) kind=SANITIZE=1 ;;
*cover*) kind=COVER=1 ;;
*) kind=KIND= ;;
esac

# The blocks of INSTALL: what stands behind a tab, without prompts.
block() { awk -v n="$1" '/^\t/ { if (!in_) k++; in_ = 1; if (k == n)
	print substr($0, 2); next } { in_ = 0 }' INSTALL; }
has_line() { sed -n 's/^\t[#$] //p' INSTALL | grep -qx "$1"; }

# 1. Packages
block 1 | tr -d '\\\n' | sed 's/.*apt-get install//' | tr ' \t' '\n\n' |
    grep . >"$T/packages"
check "1: packages are named" test "$(wc -l <"$T/packages")" -gt 8
sed -n '/^build="/,/"$/p' regress/deps | tr -d '"' | sed 's/^build=//' |
    tr ' \t' '\n\n' | grep . | sort >"$T/deps"
check "1: the same that make run installs" sh -c \
    "sort '$T/packages' | diff - '$T/deps'"
if command -v dpkg-query >/dev/null; then
	while read -r p; do
		check "1: $p is a package of this system" sh -c \
		    "dpkg-query -W -f '\${Status}' $p | grep -q 'ok installed'"
	done <"$T/packages"
else
	skip "1: no dpkg"
fi

# 2. Build
check "2: make -j2 is what it says" has_line 'make -j2'
check "2: make" make -s -j2 BUILD="$rel" $kind

# 3. Users and files
check "3: make users is what it says" has_line 'make users'
check "3: make install is what it says" has_line 'make install'
if [ "$(id -u)" -eq 0 ]; then
	check "3: make users" make -s users
	for a in $(grep -oE '_postern-[a-z]+' INSTALL | sort -u); do
		check "3: $a is there" sh -c \
		    "getent passwd $a || getent group $a"
	done
else
	skip "3: make users needs root"
fi
check "3: make install" make -s install BUILD="$rel" $kind \
    DESTDIR="$root"
# What lies where is install.sh's to look at; here, what the text speaks of.
for f in $(sed -n '/^3\. /,/^4\. /p' INSTALL |
    grep -oE '/(usr|etc)/[a-z/.]+[a-z]'); do
	check "3: $f is there" test -e "$root$f"
done
etc=$root/etc/postern/postern.conf
check "3: an example in /etc/postern" test -s "$etc"
# 4. The first message
awk '/^\thostname/ { f = 1 } f && !/^\t/ { exit } f { print substr($0, 2) }' \
    INSTALL >"$T/shown"
check "4: the configuration as it stands" "$root/usr/sbin/postern" -n -f "$T/shown"
{
	echo "queue path \"$T/gw/spool\""
	echo "control path \"$T/gw/run\""
	sed "s/\"10\.1\.0\.5\"/\"$A:2500\"/; s/^listen on \* port 25\$/listen on $A port 2525/" \
	    "$T/shown"
} >"$etc"
check "4: only addresses differ" test \
    "$(grep -c "$A:2500\|$A port 2525" "$etc")" -eq 2
mkdir -p "$T/gw"
python3 "$TOP/regress/lib/peer.py" "$A:2500" --log "$T/peer.log" \
    >"$T/peer.out" 2>&1 &
PIDS="$PIDS $!"
wait_until 10 grep -q ready "$T/peer.out"
check "4: postern -n is what it says" has_line 'postern -n'
check "4: postern -n" "$root/usr/sbin/postern" -n -f "$etc"
"$root/usr/sbin/postern" -d -f "$etc" -L "$root/usr/libexec/postern" \
    >"$T/gw/out" 2>"$T/gw/log" &
GW=$!
PIDS="$PIDS $GW"
wait_until 20 gateway_ready_or_gone
check "4: it prints ready" grep -qx ready "$T/gw/out"
check "4: swaks is what it says" \
    has_line 'swaks --server 127.0.0.1 --to you@example.org'
check "4: a message is taken" swaks --server "$A:2525" --to you@example.org
id=$(sed -n 's/^<-  250 2\.0\.0 \([0-9a-v]*\) queued$/\1/p' "$T/check.out")
check "4: the reply has its id" test -n "$id"
check "4: posternctl queue list is what it says" has_line 'posternctl queue list'
check "4: posternctl queue list" \
    "$root/usr/sbin/posternctl" -s "$T/gw/run" queue list
delivered() { logged "id=$id event=deliver to=<you@example.org> result=delivered"; }
check "4: it is delivered" wait_until 20 delivered
grep "$id" "$T/gw/log" >"$T/story"
check "4: its story has what the client was told" \
    grep -q "event=accepted .*reply=\"250 2.0.0 $id queued\"" "$T/story"
check "4: the server has it" grep -q '"event": "message"' "$T/peer.log"

# 5. Without root, and removing it
kill "$GW"
wait "$GW"
check "5: it ends in order" test $? -eq 0
