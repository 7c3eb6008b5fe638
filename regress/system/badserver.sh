#!/bin/sh
# Actual servers that misbehave in every phase, and clients that vanish at every
# byte: a right answer always, never a false 250, never half a message.
. "$(dirname "$0")/lib.sh"

lanes="0 1 2 3"
{
	echo "hostname gw.example.org"
	for k in $lanes; do
		echo "action \"s$k\" proxy to \"$A:260$k\" open"
		echo "listen on $A port 262$k proxy \"s$k\""
		echo "listen on $A port 264$k tag t$k"
		echo "match tag t$k from any for domain \"dest.example\" action \"s$k\""
	done
} >"$T/conf"
gateway_start <"$T/conf" || exit 1
# Its cases are lines of its own.
run() {
	python3 "$TOP/regress/lib/badserver.py" $A 2600 2620 2640 "$1" || FAILED=1
	look_around
}
run matrix
run cuts
check "none of the daemons was started again" sh -c \
    "! grep -Eq 'event=(died|restart)|signal' '$T/gw/log'"
gateway_stop
check "SIGTERM ends it in order" test $? -eq 0
