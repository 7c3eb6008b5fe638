#!/bin/sh
# make install into a scratch folder: what is there, that the shipped example is
# taken and gets ready, that a second installation keeps the administrator's file.
. "$(dirname "$0")/lib.sh"

R=$T/root
install_it() { make -s -C "$TOP" BUILD="${BUILD#"$TOP/"}" DESTDIR="$R" install; }
case $BUILD in
*asan*|*cover*) skip "install: this build is not for installing"; exit 0 ;;
esac
check "make install" install_it
for f in sbin/postern sbin/posternctl libexec/postern/smtpd \
    libexec/postern/queued libexec/postern/deliverd libexec/postern/proxyd \
    libexec/postern/lookupd libexec/postern/keyd; do
	check "usr/$f may be run and is nobody's to write" \
	    test "$(stat -c %a "$R/usr/$f")" = 755
done
check "the manuals" test -e "$R/usr/share/man/man8/postern.8" -a \
    -e "$R/usr/share/man/man5/postern.conf.5"
check "sendmail and mailq are posternctl" test \
    "$(readlink "$R/usr/sbin/sendmail")$(readlink "$R/usr/bin/mailq")" = \
    posternctl../sbin/posternctl
check "with their manual" test \
    "$(readlink "$R/usr/share/man/man8/sendmail.8")" = postern-sendmail.8
# completes WANT WORD ...: what bash offers behind posternctl and these words.
completes() {
	want=$1; shift
	got=$(bash -c '. "$0" && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) &&
	    _posternctl && echo "${COMPREPLY[*]}"' \
	    "$R/usr/share/bash-completion/completions/posternctl" \
	    "$R/usr/sbin/posternctl" "$@") &&
	    [ "$got" = "$want" ] || { echo "got: $got"; false; }
}
check "bash completes the commands" completes "message makemap mirror" m
check "their second words, behind options" completes "list stats" -s /run queue ""
check "a scheme of hashes" completes "scram-sha-256" -S sc
check "a command behind it" completes "user" -S bcrypt us
check "a choice behind an argument" completes "on off" fallback live o
check "an option of a command" completes "--live" check --
check "nothing that would be made up" completes "" message show ""
ln -sf other "$R/usr/sbin/sendmail"
check "the example" test "$(stat -c %a "$R/etc/postern/postern.conf")" = 644
unit=$R/usr/lib/systemd/system/postern.service
check "the unit names the program" grep -q '^ExecStart=/usr/sbin/postern -d$' "$unit"
check "nothing is left to be replaced" sh -c "! grep -q '@' '$unit'"
if command -v systemd-analyze >/dev/null; then
	sed "s,=/usr/sbin,=$R/usr/sbin," "$unit" >"$T/postern.service"
	check "systemd takes the unit" sh -c \
	    "! systemd-analyze verify --man=no '$T/postern.service' 2>&1 | grep postern.service"
fi
users() { sed -n 's/^[ug] *\(_postern-[a-z]*\).*/\1/p' "$1" | sort; }
users "$R/usr/lib/sysusers.d/postern.conf" >"$T/users"
{ echo _postern-adm
  sed -n 's/^for u in \(.*\); do$/\1/p' "$TOP/postern/users" | tr ' ' '\n' |
      sed 's/^/_postern-/'; } | sort >"$T/users.want"
check "sysusers has the accounts of make users" cmp "$T/users" "$T/users.want"

conf=$R/etc/postern/postern.conf
check "the example is taken" "$R/usr/sbin/postern" -n -f "$conf"
sed 's/^#\([a-z]\)/\1/' "$conf" >"$T/all.conf"
check "and all that it has in comments" "$R/usr/sbin/postern" -n -f "$T/all.conf"
check "nothing is relayed for strangers" sh -c "! grep -q '^match from' '$conf'"
check "nobody but this machine is listened to" test \
    "$(grep -c '^listen on 127.0.0.1 port 25$' "$conf")$(grep -c '^listen' "$conf")" = 11
echo "# mine" >>"$conf"
check "make install again" install_it
check "keeps another system's sendmail" test \
    "$(readlink "$R/usr/sbin/sendmail")" = other
check "keeps the administrator's file" grep -q '^# mine$' "$conf"

# It runs from where it was installed, but for the ports.
if [ "$(id -u)" -eq 0 ]; then
	sed "s/127.0.0.1 port 25/$A port 2525/" "$conf" >"$T/gw.conf"
	# shellcheck disable=SC2094
	gateway_start -L "$R/usr/libexec/postern" <"$T/gw.conf" || exit 1
	send "$A:2525" a@client.example b@dest.example --quit-after RCPT \
	    >"$T/out" 2>&1
	check "the example takes mail of this machine" grep -q '^<.*250 .*2.1.5' "$T/out"
	gateway_stop
	check "and ends in order" test $? -eq 0
fi
