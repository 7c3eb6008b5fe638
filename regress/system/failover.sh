#!/bin/sh
# Several actual servers behind a proxy: one is killed and started under load,
# a standby, servers that are paused, limits of sessions and those that servers
# have of their own, sessions kept for the next client. Two real Postfix.
. "$(dirname "$0")/lib.sh"
need_root "a proxy in front of two servers" || exit 0
need_peers "a proxy in front of two servers" || exit 0

POSTFIX_MORE="virtual_mailbox_maps = static:all/"
pf() {	# NAME PORT
	postfix_start "$T/$1" $A "$2"
	wait_until 10 listening "$A:$2" || no "Postfix $1 does not listen"
}
# All of its processes at once, in the middle of whatever they do.
pf_kill() {
	_m=$(tr -d ' ' <"$T/$1/spool/pid/master.pid")
	kill -9 $_m $(ps -o pid= --ppid "$_m")
}
pf one 2501
pf spare 2502
peer few $A:2503
peer full $A:2504 --on connect@3 "reply-drop:421 4.3.2 too many sessions"
# Connections are counted: none is to be there for TLS alone.
gateway_start <<E2 || exit 1
hostname gw.example.org
pool "inside" { "$A:2501", "$A:2502" standby } probe 1s..4s tls off
action "inside" proxy to pool "inside" open
action "few" proxy to "$A:2503" max-connections 2 open tls off
action "full" proxy to { "$A:2504", "$A:2503" } open tls off
action "kept" proxy to "$A:2502" idle-connections 4 open tls off
listen on $A port 2525 proxy "inside"
listen on $A port 2526 proxy "few"
listen on $A port 2527 proxy "full"
listen on $A port 2528 proxy "kept"
limit sessions per source 1000
log level debug
E2
host() { ctl -j hosts | grep "]:$1\""; }
is() { host "$1" | grep -q "\"$2\":$3[,}]"; }
connects() { grep -c ' connect from ' "$T/$1/log"; }
to_inside() {
	send $A:2525 a@client.example "r$1@example.org" \
	    --header "X-Number: $1" >"$T/out" 2>&1
}

# ---- one dies under load ----
check "the first server takes mail" to_inside 100000
check "the standby has nothing to do" test "$(connects spare)" -eq 0
check "hosts has a proxy's server, too" wait_until 5 is 2501 state '"up"'
check "with its pool" is 2501 pool '"inside"'
python3 "$TOP/regress/lib/load.py" "$A:2525" --out "$T/acked" --sessions 6 \
    --seconds 8 --to example.org --pause 0.005 & LOAD=$!
sleep 1.5
pf_kill one
check "killed under load: hosts has it as down" wait_until 5 is 2501 state '"down"'
i=0
while [ $i -lt 4 ]; do
	i=$((i + 1))
	sleep 0.6
	to_inside 40000$i
done
check "it is probed, by sessions" wait_until 5 sh -c \
    "[ \$(grep -c 'event=health.*:2501.*state=down' '$T/gw/log') -ge 2 ]"
pf one 2501
wait $LOAD
n=$(connects spare)
check "the standby took over: $n sessions" test "$n" -ge 4
sleep 4
for i in 1 2 3 4; do to_inside 20000$i; done
check "back by the first session that probes it" wait_until 5 is 2501 state '"up"'
check "and has nothing to do again" test "$(connects spare)" -eq "$n"
# Each that was acknowledged is in one of the two mailboxes, once.
awk '$1 == "acked" { print $2 }' "$T/acked" | sort -n >"$T/want"
have() {
	find "$T/one/mail" "$T/spare/mail" -path '*/new/*' -exec \
	    sed -n 's/^X-Number: //p' {} + 2>/dev/null | tr -d '\r' |
	    sort -n >"$T/have"
	sort -u -n "$T/have" >"$T/once"
}
all_there() {
	sort "$T/want" >"$T/want.s"
	have
	sort "$T/once" >"$T/once.s"
	[ -z "$(comm -23 "$T/want.s" "$T/once.s")" ]
}
n=$(wc -l <"$T/want")
check "of $n acknowledged there is no false one" wait_until 30 all_there
check "most of the time mail flows" test "$n" -gt 300
check "none twice" sh -c "[ \$(wc -l <'$T/have') -eq \$(wc -l <'$T/once') ]"
refused=$(grep -c '^refused' "$T/acked")
check "clients heard of it once or twice each: $refused" test "$refused" -le 60
tally() { find "$T/$1/mail" -path '*/new/*' | wc -l; }
check "both have taken mail: $(tally one), $(tally spare)" \
    test "$(tally one)" -gt 20 -a "$(tally spare)" -gt 20

# ---- paused ----
cat >"$T/session.py" <<'E3'
import socket
import sys
import time


class Session:
    """One that tells what it is greeted with, and when."""
    def __init__(self, at):
        host, port = at.rsplit(":", 1)
        self.t0 = time.time()
        self.s = socket.create_connection((host, int(port)), 20)
        self.s.settimeout(20)
        self.f = self.s.makefile("rb")
        self.greeting = self.line()
        self.ms = (time.time() - self.t0) * 1000

    def line(self):
        line = self.f.readline().decode().strip()
        while line[3:4] == "-":
            line = self.f.readline().decode().strip()
        return line

    def say(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.line()

    def quit(self):
        self.say("QUIT")
        self.s.close()
E3
# A session from before, one during, one after.
cat >"$T/paused.py" <<'E3'
import subprocess
import sys
from session import Session
at, ctl = sys.argv[1], sys.argv[2:]
old = Session(at)
assert old.greeting.startswith("220"), old.greeting
old.say("EHLO c.example")
subprocess.run(ctl, check=True)
assert old.say("MAIL FROM:<a@c.example>").startswith("250")
assert old.say("RCPT TO:<r1@example.org>").startswith("250")
assert old.say("RSET").startswith("250")
new = Session(at)
print(new.greeting)
assert new.greeting.startswith("220"), new.greeting
new.quit()
old.quit()
E3
n=$(connects spare) m=$(connects one)
check "a server is paused: what runs goes on, what is new goes on elsewhere" \
    python3 "$T/paused.py" "$A:2525" "$BUILD/posternctl" -s "$T/gw/run" \
    pause destination "$A:2501"
check "to the standby" test "$(connects spare)" -eq $((n + 1)) -a \
    "$(connects one)" -eq $((m + 1))
check "hosts: paused" is 2501 state '"paused"'
check "both are paused" ctl pause destination inside
greeting() { python3 - "$T" "$1" <<'E3'
import sys
sys.path.insert(0, sys.argv[1])
from session import Session
s = Session(sys.argv[2])
print("%s after %d ms" % (s.greeting, s.ms))
E3
}
check "421 4.3.2, and why" sh -c "true; echo '$(greeting $A:2525)' |
    grep -q '421 4.3.2 .*paused'"
check "queue stats counts them" sh -c "$BUILD/posternctl -s $T/gw/run -j queue stats |
    grep -q '\"destinations_paused\":2'"
gateway_stop
gateway_again || exit 1
check "a restart forgets none of it" sh -c "echo '$(greeting $A:2525)' |
    grep -q '421 4.3.2 .*paused'"
check "hosts names what is paused, known or not" sh -c "$BUILD/posternctl \
    -s $T/gw/run -j hosts | grep -q '\"server\":\"inside\",\"state\":\"paused\"'"
ctl resume destination inside
n=$(connects spare)
to_inside 300001
check "resumed: the one that is not paused" test "$(connects spare)" -eq $((n + 1))
ctl resume destination "$A:2501"
to_inside 300002
check "then the first one again" test "$(connects spare)" -eq $((n + 1))

# ---- no more than two ----
cat >"$T/few.py" <<'E3'
import os
import signal
import sys
import threading
import time
from session import Session
at, queued = sys.argv[1], int(sys.argv[2])
# Over all workers: whoever accepts the third, there is no place.
held = [Session(at) for _ in range(2)]
for s in held:
    assert s.greeting.startswith("220"), s.greeting
third = Session(at)
print(third.greeting, third.ms)
assert third.greeting.startswith("421 4.3.2"), third.greeting
assert 4500 < third.ms < 7000, third.ms
# One that ends in time is for who came first.
got = []
def come(n):
    s = Session(at)
    got.append((n, s.greeting[:3], s.ms))
    if s.greeting.startswith("220"):
        time.sleep(0.2)
        s.quit()
threads = []
for n in (1, 2):
    threads.append(threading.Thread(target=come, args=(n,)))
    threads[-1].start()
    time.sleep(0.5)
held.pop().quit()
for t in threads:
    t.join()
print(got)
assert [g[:2] for g in got] == [(1, "220"), (2, "220")], got
assert 800 < got[0][2] < 2500, got
# queued is stuck: nobody waits for it.
os.kill(queued, signal.SIGSTOP)
try:
    s = Session(at)
    print(s.greeting, s.ms)
    took = s.ms
    # Its share is one session: it may be the one that is held.
    assert s.greeting.startswith("220") or 4500 < took < 7000, s.greeting
    if s.greeting.startswith("220"):
        s.quit()
finally:
    os.kill(queued, signal.SIGCONT)
held.pop().quit()
for _ in range(20):
    s = Session(at)
    assert s.greeting.startswith("220"), s.greeting
    s.quit()
E3
check "max-connections: a wait of 5 s, then 421; first come, first served" \
    python3 "$T/few.py" "$A:2526" "$(pid_of queued)"
n=$(grep -c '"event": "error"' "$T/peer/few")
check "the server saw nothing strange" test "$n" -eq 0

# ---- the server's own limit ----
cat >"$T/full.py" <<'E3'
import sys
from session import Session
s = [Session(sys.argv[1]) for _ in range(6)]
for x in s:
    assert x.greeting.startswith("220"), x.greeting
    assert x.ms < 3000, x.ms
for x in s:
    x.quit()
E3
check "a server that has enough: the others go to the next one, at once" \
    python3 "$T/full.py" "$A:2527"
check "it was asked three times" sh -c \
    "[ \$(grep -c '\"event\": \"connect\"' '$T/peer/full') -eq 3 ]"
check "which is told" logged 'event=limit server=.*:2504 action=full sessions=2'
check "and shown" wait_until 5 is 2504 limit 2
check "but it is not down" is 2504 state '"up"'

# ---- kept for the next ----
n=$(connects spare)
i=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	send $A:2528 a@client.example r1@example.org --header "X-Kept: $i" \
	    >"$T/out" 2>&1 || no "message $i by a session that was kept"
done
n=$(($(connects spare) - n))
kept() { [ "$(grep -rl '^X-Kept: ' "$T/spare/mail" | wc -l)" -eq 20 ]; }
check "20 clients, one message each" wait_until 10 kept
check "fewer connections: $n" test "$n" -ge 1 -a "$n" -le 4
check "stats has them" sh -c "$BUILD/posternctl -s $T/gw/run -j stats |
    grep -q '\"idle\":[1-4],'"
postfix_stop "$T/spare"
wait_until 10 sh -c "! ss -Hltn 'src $A:2502' | grep -q ." || no "Postfix goes on"
pf spare 2502
i=0
while [ $i -lt 4 ]; do
	i=$((i + 1))
	send $A:2528 a@client.example r1@example.org >"$T/out" 2>&1 ||
	    no "message $i after the server was started again"
done
check "one that has ended is not used" logged 'event=idle.*result=closed'
gateway_stop
check "the gateway ends in order" test $? -eq 0
