#!/bin/sh
# kill -9 of each daemon in turn under load: nothing acknowledged is lost, the
# others live on, and service is back within two seconds.
. "$(dirname "$0")/lib.sh"
need_peers "kill" || exit 0

sink $A:2500 "$T/in"
gateway_start <<EOF || exit 1
hostname gw.example.org
action "out"  relay to { "$A:2500" } open
action "live" proxy to { "$A:2500" }
listen on $A port 2525
listen on $A port 2526 proxy "live"
match from any for any action "out"
queue retry 1s..2s
log level warn
EOF

# How long until a message is taken again, in hundredths of a second.
back() {
	python3 - "$1" <<'E2'
import smtplib, sys, time
host, port = sys.argv[1].split(":")
t = time.time()
while time.time() - t < 10:
    try:
        with smtplib.SMTP(host, int(port), "c.example", timeout=5) as s:
            s.sendmail("a@client.example", ["late@dest.example"],
                       "X-Late: 1\r\n\r\nlate\r\n")
        break
    except (OSError, smtplib.SMTPException):
        time.sleep(0.01)
print(int((time.time() - t) * 100))
E2
}
nothing_missing() { python3 "$TOP/regress/lib/tally.py" --missing "$1" "$T/in"; }
others() { ctl -j status | grep '"kind":"process"' |
    sed 's/.*"title":"\([^"]*\)".*"pid":\([0-9]*\).*/\1 \2/' |
    grep -v "^$1 " | sort; }

for d in queued deliverd.1 lookupd keyd passwd smtpd.1 proxyd.1; do
	port=2525
	[ $d = proxyd.1 ] && port=2526
	find "$T/in" -type f -delete
	others $d >"$T/before"
	python3 "$TOP/regress/lib/load.py" $A:$port --out "$T/load.$d" \
	    --sessions 10 --seconds 20 --until "$T/enough" &
	load=$!
	wait_until 10 loaded "$T/load.$d" 500
	pid=$(pid_of $d)
	check "$d runs" kill -0 "$pid"
	kill -9 "$pid"
	t=$(back $A:$port)
	[ "$t" -lt 200 ] && ok "service is back ${t}0 ms after kill -9 of $d" ||
	    no "service was back ${t}0 ms after kill -9 of $d"
	wait_until 10 loaded "$T/load.$d" $(($(wc -l <"$T/load.$d") + 200))
	: >"$T/enough"
	wait $load
	rm "$T/enough"
	check "$d is another process now" wait_until 10 sh -c \
	    "[ -n \"\$('$BUILD/posternctl' -s '$T/gw/run' -j status | grep '\"$d\"' | grep -v '\"pid\":$pid,')\" ]"
	others $d >"$T/after"
	check "the others lived through the death of $d" \
	    cmp "$T/before" "$T/after"
	wait_until 30 nothing_missing "$T/load.$d"
	# What was on its way through these may be there, and is sent again.
	case $d in
	queued|proxyd.1) again=--again ;;
	*) again= ;;
	esac
	check "nothing acknowledged is lost with $d" \
	    python3 "$TOP/regress/lib/tally.py" $again "$T/load.$d" "$T/in"
	sed 's/^/# /' "$T/check.out"
	check "the death of $d is in the log" logged "$d.*(signal|SIGKILL)"
done
