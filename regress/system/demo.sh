#!/bin/sh
# make run, from "ready" to ^C: what it tells, the commands that it names, typed
# as they stand, and its end; then as a user who is not root.
. "$(dirname "$0")/lib.sh"
cd "$TOP" || exit 1

# demo FOLDER [COMMAND ...]: starts one there, by that command.
demo() {
	_d=$1; shift
	"$@" "$TOP/regress/demo" "$BUILD" "$_d" "$A" >"$_d.out" 2>"$_d.err" &
	DEMO=$!
	PIDS="$PIDS $DEMO"
	wait_until 60 told_or_gone "$_d"
	look_around
	grep -q '^It serves until' "$_d.out" && return 0
	sed 's/^/    /' "$_d.err" "$_d.out"
	return 1
}
told_or_gone() { grep -q 'postern\.8$' "$1.out" || ! kill -0 $DEMO; }
# The story of a way: who did something, in order.
story() {
	awk -v n="$2." '$1 == n { on = 1; next } /^[^ ]/ { on = 0 }
	    on && $2 == "s" { sub(/\..*/, "", $3); print $3 }' "$1.out" |
	    uniq | tr '\n' ' '
}
end_of() {
	kill -INT "$DEMO"
	wait "$DEMO"
}

# cases FOLDER WHO [COMMAND ...]
cases() {
	d=$1 who=$2; shift 2
	if demo "$d" "$@"; then ok "$who: it starts and tells"
	else no "$who: it starts and tells"; return; fi
	check "$who: all eight kinds of process are told" test 8 = \
	    "$(sed -n 's/^  \([a-z]*\)[.0-9]* *[0-9]*  [a-z_].*/\1/p' "$d.out" | sort -u | wc -l)"
	check "$who: the regular way, who did what in order" test \
	    "$(story "$d" 1)" = "smtpd queued smtpd deliverd queued "
	check "$who: the proxy way, who did what in order" test \
	    "$(story "$d" 2)" = "smtpd proxyd smtpd "
	check "$who: the server has both" grep -q 'server has 2 messages' "$d.out"
	check "$who: our trace field is shown" grep -q '^  Received: from client' "$d.out"
	# Each command as it stands there.
	sed -n '/^It serves/,$s/^  \([a-z/].*\)/\1/p' "$d.out" >"$T/next"
	check "$who: commands to try are named" test "$(wc -l <"$T/next")" -ge 8
	while read -r line; do
		check "$who: $line" "$@" sh -c "$line" </dev/null
	done <"$T/next"
	delivered() { [ "$(grep -c 'event=deliver .*result=delivered' "$d/log")" -ge 2 ]; }
	check "$who: what was sent by hand arrives" wait_until 20 delivered
	"$@" "$TOP/regress/demo" "$BUILD" "$d" "$A" >"$T/second" 2>&1
	check "$who: a second one says that one runs" grep -q 'one runs already' "$T/second"
	end_of
	check "$who: ^C ends it in order" test $? -eq 0
	check "$who: it says what stays" grep -q 'stay in' "$d.out"
	check "$who: nothing but that went wrong" test ! -s "$d.err"
}

cases "$T/demo" "$(command id -un)"
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$T/other"
	chown nobody "$T/other"
	as="setpriv --reuid nobody --regid nogroup --clear-groups"
	if $as test -x "$BUILD/postern" -a -r "$TOP/regress/demo"; then
		cases "$T/other/demo" nobody $as
		check "nobody: what is not separated is told" \
		    grep -q '^Started without root\|^Built with' "$T/other/demo.out"
	else
		skip "make run without root: nobody cannot read this folder"
	fi
else
	check "what is not separated is told" \
	    grep -q '^Started without root\|^Built with' "$T/demo.out"
fi
