#!/bin/sh
# Every example of postern.conf(5) and postern-tables(5) goes through the parser
# as it stands in the manual. An example is what lies between .Bd -literal and
# .Ed; one that is a whole configuration has a listen statement, the others get
# what they need around them.	regress/conf/man.sh [BUILD]
set -u
build=${1:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
cd "$(dirname "$0")" || exit 1
dump=$build/regress/lib/confdump
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
bad=0
# Files that the examples name.
for f in domains qmailusers users networks; do
	echo "example.org" >"$t/$f"
done
echo "10.1.0.0/16" >"$t/networks"
mkdir "$t/conf.d"
"$build/posternctl" -q makemap "$t/domains" "$t/customers.cdb" || bad=1
for man in postern.conf.5 postern-tables.5; do
	awk -v t="$t" -v man="$man" '
	/^\.Bd -literal/ { n++; f = sprintf("%s/%s.%02d", t, man, n); next }
	/^\.Ed/ { if (f) close(f); f = ""; next }
	f {
		gsub(/\\e/, "\\"); gsub(/\\&/, ""); gsub(/\\-/, "-")
		gsub(/\\\(dq/, "\""); gsub(/"\/etc\/postern\/([a-z]*\/)?/, "\"")
		print >f
	}' "../../man/$man"
done
set -- "$t"/*.[0-9][0-9]
if [ ! -e "$1" ]; then
	echo "not ok - manual: no examples found"
	exit 1
fi
for f; do
	name=$(basename "$f")
	conf=$t/conf
	cat "$f" >"$conf"
	grep -q '^listen ' "$f" || echo "listen on 127.0.0.1" >>"$conf"
	# Names that a single statement leaves to others.
	grep -o 'proxy "[a-z]*"' "$f" | tr -d '"' | sort -u |
	while read -r _ name_; do
		grep -q "^action \"$name_\"" "$f" ||
		    echo "action \"$name_\" proxy to 192.0.2.25"
	done >>"$conf"
	grep -o 'action "[a-z]*"' "$f" | tr -d '"' | sort -u |
	while read -r _ name_; do
		grep -q "^action \"$name_\"" "$f" ||
		    echo "action \"$name_\" relay"
	done >>"$conf"
	if "$dump" "$conf" >"$t/out" 2>"$t/msgs"; then
		echo "ok - manual: $name"
	else
		echo "not ok - manual: $name"
		sed 's/^/    /' "$t/msgs" "$conf"
		bad=1
	fi
done
exit $bad
