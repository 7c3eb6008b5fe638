#!/bin/sh
# The users' file that posternctl keeps is read by a real Dovecot as well: the
# same names and passwords log in at either, whatever the scheme, and what is
# changed or removed is so for both.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/dovecot.sh"
cleanup() { dovecot_stop "$T/dove"; }

need_root "a real Dovecot" || exit 0
need_peers "a real Dovecot" dovecot || exit 0
mkdir -p "$T/dove" "$T/gw"
users=$T/dove/users
# user ARGUMENT ...: posternctl user, the password on its standard input.
user() { "$BUILD/posternctl" -q -f "$T/gw/postern.conf" ${SCHEME:+-S $SCHEME} user "$@"; }
n=0
for s in yescrypt bcrypt sha512 scram-sha-256; do
	printf 'geheim %s\n' $s | SCHEME=$s user add "$s@own.example" "$users"
	n=$((n + 1))
done
check "a user of each scheme" [ "$(grep -c @own.example "$users")" -eq $n ]
# Dovecot's auth is not root; nobody else is to read it.
chgrp daemon "$users"
chmod 640 "$users"
dovecot_start "$T/dove" || { no "Dovecot starts"; cat "$T/dove/log"; exit 1; }
gateway_start <<E2 || exit 1
hostname gw.example.org
table people passwd "$users"
table dove dovecot "unix:$T/dove/auth"
action "out" relay to { "$A:2600" }
listen on $A port 2525 auth <people> auth-plaintext
listen on $A port 2526 auth <dove> auth-plaintext
match from auth for any action "out"
E2
cat >"$T/login.py" <<'E2'
"""login.py LIB AT NAME PASSWORD MECH: the reply's code"""
import sys

sys.path.insert(0, sys.argv[1])
from sasl import auth  # noqa: E402
from smtp import Smtp  # noqa: E402

s = Smtp(sys.argv[2])
s.hello()
print(auth(s, sys.argv[5], sys.argv[3], sys.argv[4])[0][0])
E2
# says CODE PORT NAME PASSWORD [MECH]
says() {
	got=$(python3 "$T/login.py" "$TOP/regress/lib" "$A:$2" "$3" "$4" \
	    "${5:-PLAIN}" 2>&1)
	[ "$got" = "$1" ] || { echo "$got"; return 1; }
}
# Its mechanisms are known once it has said them.
check "Dovecot is there" wait_until 20 says 535 2526 nemo@own.example x
for p in 2525 2526; do
	for s in yescrypt bcrypt sha512 scram-sha-256; do
		check "$p: $s" says 235 $p "$s@own.example" "geheim $s"
	done
	check "$p: a wrong password" says 535 $p yescrypt@own.example geheim
done
# Ours is not offered in a table where not all can be asked by it.
check "2526: SCRAM-SHA-256" says 235 2526 scram-sha-256@own.example \
    "geheim scram-sha-256" SCRAM-SHA-256
echo neu | user passwd bcrypt@own.example people
echo neuer | user add neu@own.example people
user remove sha512@own.example people
check "Dovecot may still read it" [ "$(stat -c '%a %G' "$users")" = "640 daemon" ]
check "postern's reload" ctl reload
for p in 2525 2526; do
	check "$p: another password" wait_until 10 says 235 $p \
	    bcrypt@own.example neu
	check "$p: the old one is void" says 535 $p bcrypt@own.example \
	    "geheim bcrypt"
	check "$p: who was added" says 235 $p neu@own.example neuer
	check "$p: who was removed" says 535 $p sha512@own.example \
	    "geheim sha512"
done
gateway_stop
