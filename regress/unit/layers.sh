#!/bin/sh
# Who may include whom: base knows nothing of mail; smtp, sasl, mime, dns and conf
# are pure and know base alone; io, ipc and proc know no mail; a daemon never
# includes another daemon's header.
cd "$(dirname "$0")/../.." || exit 1
bad=0
only() {	# folder, allowed folders as a pattern
	found=$(grep -n '^#include "' "$1"/*.[chy] | grep -Ev "\"($2)/")
	[ -z "$found" ] && return
	printf '%s may include %s only:\n%s\n' "$1" "$2" "$found"
	bad=1
}
only common/base common/base
only common/smtp 'common/(base|smtp)'
only common/sasl 'common/(base|sasl)'
only common/mime 'common/(base|mime)'
only common/dns 'common/(base|dns)'
only common/tls 'common/(base|conf|dns|tls)'
only common/conf 'common/(base|conf)'
only common/io 'common/(base|io)'
only common/ipc 'common/(base|ipc)'
only common/proc 'common/(base|ipc|proc)'
for d in postern smtpd queued deliverd proxyd lookupd keyd posternctl; do
	only "$d" "common/[a-z]*|$d"
done
# No clock, log or I/O in the pure rooms.
found=$(grep -nE '(^|[^A-Za-z0-9_.>])(log_(warn|info|debug)|fatalx?|clock_(mono|wall)|open|read|write|socket)\(' \
    common/smtp/*.c common/sasl/*.c common/mime/*.c common/dns/*.c \
    common/conf/*.c \
    common/tls/dane.c common/tls/rpt.c common/tls/rpt_write.c \
    common/tls/sts.c common/tls/statement.c \
    common/tls/verify.c |
    grep -vE '/\*|\* ')
[ -z "$found" ] || { echo "pure rooms call out:"; echo "$found"; bad=1; }
exit $bad
