#!/bin/sh
# How packages come: only what is missing, through sudo when not root, with
# fresh lists when the first try fails; and no mail server among them. Nothing
# is installed here: apt-get, dpkg-query and sudo are stand-ins.
. "$(dirname "$0")/lib.sh"
cd "$TOP" || exit 1
mkdir "$T/bin"
chmod 755 "$T/bin"
# stand_in NAME <SCRIPT
stand_in() { { echo '#!/bin/sh'; cat; } >"$T/bin/$1"; chmod 755 "$T/bin/$1"; }
stand_in dpkg-query <<E2
for p; do :; done
grep -qx "\$p" "$T/missing" || echo 'install ok installed'
E2
# Fails while there is no list of packages, or for good.
stand_in apt-get <<E2
echo "apt-get \$*" >>"$T/calls"
case \$1 in
update) [ ! -e "$T/offline" ] && : >"$T/lists" ;;
*) [ -e "$T/lists" ] ;;
esac
E2
# deps UID PART: as that user would see it.
stand_in id <<E2
[ "\$*" = -u ] && cat "$T/uid" && exit
exec /usr/bin/id "\$@"
E2
deps() {
	echo "$1" >"$T/uid"
	: >"$T/calls"
	PATH=$T/bin:$PATH regress/deps "$2" >"$T/out" 2>&1
}
calls() { sed 's/ -.*--no-install-recommends/ ../' "$T/calls" | tr '\n' ','; }

: >"$T/missing"
deps 0 check
check "nothing missing: nothing is called" test $? -eq 0 -a ! -s "$T/calls"
printf 'swaks\nbison\n' >"$T/missing"
: >"$T/lists"
deps 0 run
check "what is missing is installed" test "$?: $(calls)" = \
    "0: apt-get install .. bison swaks,"
check "it is told" grep -q 'installing bison swaks' "$T/out"
rm "$T/lists"
deps 0 run
check "no list of packages: it is fetched, then once more" test "$?: $(calls)" = \
    "0: apt-get install .. bison swaks,apt-get update -qq,apt-get install .. bison swaks,"
rm "$T/lists"
: >"$T/offline"
deps 0 run
check "no network: that is an error" test $? -ne 0
rm "$T/offline"
stand_in sudo <<E2
echo sudo >>"$T/calls"
exec "\$@"
E2
: >"$T/lists"
deps 1000 run
check "not root: through sudo" test "$?: $(calls)" = \
    "0: sudo,apt-get install .. bison swaks,"
rm "$T/bin/sudo"
if ! command -v sudo >/dev/null; then
	deps 1000 run
	check "neither root nor sudo: nothing is called" test $? -ne 0 -a ! -s "$T/calls"
	check "it says what to install" grep -q 'by hand: bison swaks' "$T/out"
fi

servers='postfix|exim[0-9a-z-]*|opensmtpd|sendmail[a-z-]*|qmail|courier-mta|dovecot[a-z-]*|masqmail|nullmailer|msmtp-mta|dma|clamav[a-z-]*|rspamd|unbound|bind9|dnsmasq'
check "no server is among what is installed" sh -c \
    "! sed -n '/^build=/,/^case/p' regress/deps | tr -s ' \\t\"=' '\\n' | grep -Ex '$servers'"
check "peers installs and starts nothing" sh -c \
    "! grep -vE '^[[:space:]]*#' regress/peers regress/lib/*.sh |
    grep -E 'apt-get.* install|dpkg +(-i|--install)|systemctl|service [a-z]+ (re)?start|invoke-rc'"
