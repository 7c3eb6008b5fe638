#!/bin/sh
# Separation, seen from outside: /proc of every process (security.md, 2 to 4),
# and a forbidden call in each daemon refused at run time.
. "$(dirname "$0")/lib.sh"
need_root "separation" || exit 0
if "$BUILD/posternctl" -V | grep -q sanitizer; then
	skip "separation: this build has no sandbox"
	exit 0
fi

gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
action "live" proxy to { "$A:2500" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
match from any for any action "out"
EOF

field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
all() { ctl -j status | sed -n 's/.*"kind":"process".*"title":"\([^"]*\)".*"pid":\([0-9]*\).*/\1 \2/p'; }
is() { [ "$2" = "$3" ] && return 0; echo "$1 is $2, not $3"; return 1; }
# one TITLE PID USER
one() {
	u=$(id -u "_postern-$3")
	g=$(id -g "_postern-$3")
	is uid "$(field "$2" Uid | tr '\t' ' ')" "$u $u $u $u" &&
	is gid "$(field "$2" Gid | tr '\t' ' ')" "$g $g $g $g" &&
	is groups "$(field "$2" Groups | tr -d ' ')" "$([ -z "$(field "$2" Groups)" ] || echo "$g")" &&
	is CapPrm "$(field "$2" CapPrm)" 0000000000000000 &&
	is CapEff "$(field "$2" CapEff)" 0000000000000000 &&
	is CapInh "$(field "$2" CapInh)" 0000000000000000 &&
	is CapAmb "$(field "$2" CapAmb)" 0000000000000000 &&
	is CapBnd "$(field "$2" CapBnd)" 0000000000000000 &&
	is NoNewPrivs "$(field "$2" NoNewPrivs)" 1 &&
	is Seccomp "$(field "$2" Seccomp)" 2 &&
	is core "$(awk '/^Max core file size/ {print $5 $6}' "/proc/$2/limits")" 00
}
# A root directory of its own: empty and nobody's to write, or queued's spool.
rooted() {
	r=$(readlink "/proc/$2/root")
	case $1 in
	queued) is root "$r" "$(realpath "$T/gw/spool")" ;;
	*) is empty "$(ls -A "/proc/$2/root/")" "" &&
	    is "root's mode" "$(stat -L -c '%u %a' "/proc/$2/root")" "0 555" ;;
	esac
}
# R2: no directory is open, save in queued's spool.
no_dirs() {
	for fd in "/proc/$2/fd"/*; do
		[ -d "$fd" ] || continue
		case $1:$(readlink "$fd") in
		queued:$(realpath "$T/gw/spool")*) ;;
		*) echo "$1 holds $(readlink "$fd")"; return 1 ;;
		esac
	done
}
# Not even root's debugger gets a core with mail in it; the title says who it is.
titled() { tr '\0' ' ' <"/proc/$2/cmdline" | grep -q "$1"; }

all >"$T/all"
check "there are all the daemons" test "$(cut -d. -f1 <"$T/all" | cut -d' ' -f1 |
    sort -u | tr '\n' ' ')" = "deliverd keyd lookupd passwd postern proxyd queued smtpd "
while read -r title pid; do
	case $title in
	postern) check "the parent has no new privileges" \
	    is NoNewPrivs "$(field "$pid" NoNewPrivs)" 1
	    check "the parent keeps seven capabilities at most" \
		is CapEff "$(field "$pid" CapEff)" 00000000000405e1
	    continue ;;
	smtpd.*) user=smtpd ;; queued) user=queue ;; deliverd.*) user=deliver ;;
	proxyd.*) user=proxy ;; lookupd) user=lookup ;; keyd) user=key ;;
	passwd) user=auth ;;
	esac
	check "$title: uid, groups, capabilities, no_new_privs, seccomp, core" \
	    one "$title" "$pid" $user
	check "$title: root directory" rooted "$title" "$pid"
	check "$title: no open directory" no_dirs "$title" "$pid"
	check "$title: process title" titled "$title" "$pid"
done <"$T/all"
# Those that passwd keeps beside itself for slow hashes are confined as it is.
ps -o pid= --ppid "$(pid_of passwd)" >"$T/workers"
check "passwd has processes beside it" test -s "$T/workers"
while read -r pid; do
	check "a process of passwd: as passwd" one passwd "$pid" auth
	check "and its root directory" rooted passwd "$pid"
	check "and no open directory" no_dirs passwd "$pid"
	check "and four descriptors" test "$(ls "/proc/$pid/fd" | wc -l)" -le 4
done <"$T/workers"

# A forbidden call, made by the process itself (ptrace puts it there). Only of
# one that is ready: before that it is not confined yet.
is_ready() { ctl -j status | grep -q "\"title\":\"$1\".*\"state\":\"ready\""; }
gone_and_back() { p=$(pid_of "$title"); [ "${p:-0}" != 0 ] && [ "$p" != "$pid" ]; }
inject="$BUILD/regress/lib/inject"
for title in smtpd.1 proxyd.1 deliverd.1 lookupd keyd passwd queued; do
	for call in "2 open" "41 socket" "59 execve" "257 openat"; do
		n=${call% *} what=${call#* } args="0 0 0"
		# socket(AF_PACKET, SOCK_RAW, 0); queued may open its own files.
		[ "$what" = socket ] && args="17 3 0"
		[ "$title $what" = "queued openat" ] && continue
		wait_until 10 is_ready "$title"
		pid=$(pid_of "$title")
		"$inject" "$pid" "$n" $args >"$T/inject.out" 2>&1
		check "$title: $what ends the process with status 99" \
		    wait_until 5 logged "$title.*$pid.*(99|SIGSYS|signal 31)"
		check "$title is back after it" wait_until 10 gone_and_back
	done
done
check "the refused call's number is in the log" logged 'seccomp: refused call 41'
