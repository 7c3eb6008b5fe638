#!/bin/sh
# sendmail, mailq and newaliases as programs call them: what cron, PHP, git,
# mutt and mailx say, what arrives, what is refused, and what becomes of a
# message while the gateway is away.
. "$(dirname "$0")/lib.sh"

D=$T/bin
mkdir -p "$D" "$T/home" "$T/peer"
for n in sendmail mailq newaliases; do ln -s "$BUILD/posternctl" "$D/$n"; done
HOME=$T/home
export HOME
# The machine's name as sendmail has it.
M=$(head -n 1 /etc/mailname 2>/dev/null) || :
[ -n "$M" ] || M=$(hostname -f 2>/dev/null || hostname)
U=$(id -un)
sm() { "$D/sendmail" -s "$T/gw/run" -O Timeout.connect=3s "$@"; }
arrives() { wait_until 10 got sink "$1"; }

peer sink $A:2500 --caps PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SMTPUTF8,DSN
gateway_start <<E2 || exit 1
hostname gw.example.org
action "out" relay to { "$A:2500" } open
listen on $A port 2525
match for rcpt-to "bad@dest.example" reject "550 5.1.1 no bad here"
match for any action "out"
queue retry 1s..2s
E2

# ---- as programs call it ----
printf '%s\n' 'From: root (Cron Daemon)' 'To: root' \
    'Subject: Cron <root@here> job' 'MIME-Version: 1.0' '' 'cron says' . 'more' |
    sm -FCronDaemon -i -B8BITMIME -oem root
check "cron: taken" test $? -eq 0
check "cron: arrives" arrives 'cron says'
check "cron: once, to root of this machine" sh -c \
    "grep -q '^RCPT TO:<root@$M>' '$T/got' && [ \$(grep -c ^END '$T/got') = 1 ]"
check "cron: the sender is the user here" has "^MAIL FROM:<$U@$M>"
check "cron: names in the header have a domain" has "^From: root@$M (Cron Daemon)\$"
check "cron: a lone point is content with -i" has '^\.$'
check "cron: Date and Message-ID are added" sh -c \
    "grep -q '^Date: ' '$T/got' && grep -q '^Message-ID: <.*@$M>' '$T/got'"

printf 'To: php@dest.example\nSubject: from php\nX-PHP: 1\r\nFrom: web@site.example\r\nCc: "C, c" <c@dest.example>\r\nBcc: hidden@dest.example\r\n\nphp body\n' |
    sm -t -i
check "PHP: taken" test $? -eq 0
check "PHP: arrives" arrives 'php body'
check "PHP: to all that the header names" sh -c \
    "[ \$(grep -c '^RCPT TO:<\(php\|c\|hidden\)@dest.example>' '$T/got') = 3 ]"
check "PHP: Bcc is not shown" lacks '^Bcc\|hidden@dest.example$'
check "PHP: lines end alike" has '^X-PHP: 1$'

printf 'From: Author <author@dev.example>\nTo: list@dest.example\nCc: c@dest.example\nSubject: [PATCH] a\n\n---\n.\ndiff\n' |
    sm -f author@dev.example -i list@dest.example c@dest.example
check "git send-email: taken" test $? -eq 0
check "git send-email: arrives" arrives '[PATCH]'
check "git send-email: its sender" has '^MAIL FROM:<author@dev.example>'
check "git send-email: whole" sh -c "grep -A2 -e '^---' '$T/got' | tail -n 1 | grep -q ^diff"

printf 'From: M <m@mutt.example>\nTo: x@dest.example\nSubject: m\303\274tt\n\n\303\274ber mutt\n' |
    sm -oem -oi -N failure,delay -R hdrs -B8BITMIME -f m@mutt.example -- x@dest.example
check "mutt: taken" test $? -eq 0
check "mutt: arrives" arrives 'ber mutt'
check "mutt: with SMTPUTF8 and what to do about notifications" sh -c \
    "grep '^MAIL' '$T/got' | grep SMTPUTF8 | grep -q RET=HDRS &&
    grep '^RCPT' '$T/got' | grep -q 'NOTIFY=FAILURE,DELAY'"

printf 'To: someone\nSubject: from mailx\n\nmailx body\n' | sm -i "x, Some One <y@dest.example>"
check "mailx: taken" test $? -eq 0
check "mailx: arrives" arrives 'mailx body'
check "mailx: a list with a name is two recipients" sh -c \
    "grep -q '^RCPT TO:<x@$M>' '$T/got' && grep -q '^RCPT TO:<y@dest.example>' '$T/got'"
check "mailx: From is added" has "^From: .*$U@$M"

printf 'to: l@dest.example\nsubject: changes\n\nlistchanges body\n' | sm -oi -t
check "apt-listchanges: arrives" arrives 'listchanges body'
printf 'To: t@dest.example\nSubject: both\n\n' | sm -t -- more@dest.example
check "-t and recipients" arrives 'Subject: both'
check "are added" sh -c "[ \$(grep -c ^RCPT '$T/got') = 2 ]"
echo 'no header at all' | sm -r '' x@dest.example
check "text alone, the null sender" arrives 'no header at all'
check "is the null sender" has '^MAIL FROM:<>'
printf 'Subject: dots\n\none\n.\ntwo\n' | sm x@dest.example
check "without -i a point ends the message" arrives 'Subject: dots'
check "nothing behind it" lacks '^two'
{ printf 'Subject: long\n\n'; head -c 5000 /dev/zero | tr '\0' x; echo; } |
    sm -i x@dest.example
check "a long line" arrives 'Subject: long'
check "is folded" sh -c "! grep -q '.\{999\}' '$T/got' && grep -q '^ xxxx' '$T/got'"
printf 'Subject: nul\n\na\0b\n' | sm x@dest.example 2>"$T/err"
check "a NUL is refused: 65" test $? -eq 65
printf 'EHLO here\r\nMAIL FROM:<bs@site.example>\r\nRCPT TO:<x@dest.example>\r\nDATA\r\nSubject: bs\r\n\r\nbs body\r\n.\r\nQUIT\r\n' |
    sm -bs >"$T/bs"
check "-bs speaks SMTP" grep -q '^250 2.0.0.*queued' "$T/bs"
check "-bs: arrives" arrives 'bs body'

# ---- where the gateway is ----
printf 'Subject: by conf\n\nby its configuration\n' |
    "$D/sendmail" -C "$T/gw/postern.conf" -O Timeout.connect=3s x@dest.example
check "-C: the configuration says where" test $? -eq 0
check "-C: arrives" arrives 'by its configuration'
check "-C: mailq" sh -c "'$D/mailq' -C '$T/gw/postern.conf' >'$T/out'"
check "posternctl -f" sh -c "'$BUILD/posternctl' -f '$T/gw/postern.conf' status | grep -q queued"

# ---- refusals ----
echo 'partly' | sm -f $U bad@dest.example good@dest.example 2>"$T/err"
check "a refused recipient: 67" test $? -eq 67
check "with the gateway's words" grep -q 'bad@dest.example: 550 5.1.1 no bad here' "$T/err"
check "the other one has it" arrives 'partly'
check "alone" has '^RCPT TO:<good@dest.example>'
echo 'mailed back' | sm -oem -f sender@dest.example bad@dest.example 2>"$T/err"
check "-oem: 67" test $? -eq 67
check "-oem: the sender gets it back" arrives 'mailed back'
check "-oem: from the null sender, with the words" sh -c \
    "grep -q '^MAIL FROM:<>' '$T/got' && grep -q '550 5.1.1 no bad here' '$T/got'"
echo 'back' | sm -oee -f sender@dest.example bad@dest.example 2>"$T/err"
check "-oee: 0" test $? -eq 0
echo x | sm -i 'no one@' 2>"$T/err"
check "a malformed recipient: 67" test $? -eq 67
for o in "-t=65" "-Z=64" "-bd=69" "-bv=69" "=64"; do
	echo "Subject: x" | sm ${o%=*} 2>"$T/err" >&2
	check "sendmail ${o%=*}: ${o#*=} and a word why" sh -c "[ $? -eq ${o#*=} ] && [ -s '$T/err' ]"
done
check "newaliases has nothing to do" "$D/newaliases"
check "nothing is in dead.letter" test ! -e "$HOME/dead.letter"

# ---- who may ----
if [ "$(id -u)" -eq 0 ]; then
	cp "$BUILD/posternctl" "$T/bin/copy"
	rm "$D/sendmail" "$D/mailq"
	ln "$T/bin/copy" "$D/sendmail"
	ln "$T/bin/copy" "$D/mailq"
	as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/nonexistent "$@"; }
	echo 'from nobody' | as_nobody "$D/sendmail" -s "$T/gw/run" x@dest.example
	check "any user may send" arrives 'from nobody'
	check "as himself" has "^MAIL FROM:<nobody@$M>"
	as_nobody "$D/mailq" -s "$T/gw/run" >"$T/out" 2>"$T/err"
	check "mailq is not for everybody: 77" test $? -eq 77
	as_nobody "$D/sendmail" -s "$T/gw/run" -q
	check "-q of those who may not: quiet" test $? -eq 0
else
	skip "who may: needs root"
fi

# ---- the queue ----
kill $PEER
wait $PEER 2>/dev/null
check "mailq: empty" sh -c "'$D/mailq' -s '$T/gw/run' | grep -q 'Mail queue is empty'"
echo waits | sm -f a@here.example b@dest.example
listed() { "$D/mailq" -s "$T/gw/run" >"$T/out" && grep -q "$1" "$T/out"; }
check "mailq: who waits" wait_until 5 listed 'a@here.example'
check "mailq: for whom" grep -q '^ *b@dest.example$' "$T/out"
check "mailq: why" wait_until 5 listed '^ *(.*)$'
check "sendmail -bp is the same" sh -c "'$D/sendmail' -s '$T/gw/run' -bp | grep -q '1 Request'"
rm "$T/peer/sink"
peer sink $A:2500
check "sendmail -q" sm -q
check "-q: it is delivered" arrives waits

# ---- the gateway is away ----
echo 'over a restart' | sm -f a@here.example -O Timeout.connect=20s x@dest.example &
first=$!
gateway_stop
echo 'while it is down' | sm -f a@here.example -O Timeout.connect=20s x@dest.example &
second=$!
wait_until 5 sh -c "ps -o pid= -p $second"
gateway_again || exit 1
wait $first; a=$?
wait $second; b=$?
check "a restart in between: both are taken" test $a$b = 00
check "the first arrives" arrives 'over a restart'
check "once" once
check "the second arrives" arrives 'while it is down'
check "once" once
gateway_stop

sm() { "$D/sendmail" -s "$T/gw/run" -O Timeout.connect=0s "$@"; }
umask 022
printf 'Subject: dead\nBcc: b@dest.example\n\nFrom here\n' | sm -t 2>"$T/err"
check "no gateway: 75" test $? -eq 75
start=$(date +%s)
echo late | HOME=/nonexistent "$D/sendmail" -s "$T/gw/run" -O Timeout.connect=2s \
    b@dest.example 2>"$T/err2"
check "not before it has been tried for that time" test $? -eq 75 -a \
    $(($(date +%s) - start)) -ge 2
check "without a home nothing is kept, and that is said" \
    grep -q 'could not be kept' "$T/err2"
check "it says where the message is" grep -q "$HOME/dead.letter" "$T/err"
check "dead.letter is for its owner alone" test "$(stat -c %a "$HOME/dead.letter")" = 600
check "it has all of the message" sh -c \
    "grep -q '^Bcc: b@dest.example' '$HOME/dead.letter' && grep -q '^>From here' '$HOME/dead.letter' &&
    head -n 1 '$HOME/dead.letter' | grep -q '^From $U@'"
echo second | sm -oee b@dest.example 2>"$T/err"
check "-oee: 0" test $? -eq 0
check "the next is appended" test "$(grep -c '^From ' "$HOME/dead.letter")" -eq 2
mv "$HOME/dead.letter" "$T/elsewhere"
ln -s "$T/elsewhere" "$HOME/dead.letter"
echo third | sm b@dest.example 2>"$T/err"
check "through no link" sh -c "! grep -q third '$T/elsewhere' && grep -q 'it is a link' '$T/err'"
rm "$HOME/dead.letter"
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$T/his"
	chown nobody "$T/his"
	echo fourth | HOME=$T/his sm b@dest.example 2>"$T/err"
	check "root writes into no other user's folder" test ! -e "$T/his/dead.letter"
fi
printf 'EHLO x\r\n' | sm -bs >"$T/bs"
check "-bs without a gateway: 421" grep -q '^421 ' "$T/bs"

# ---- a gateway that fails at each step ----
S=$T/peer/socket
printf 'Subject: once only\n\n' | tee "$T/short" >"$T/large"
head -c 3000000 /dev/zero | tr '\0' 'x' | fold -w 70 >>"$T/large"
text=short
step() {	# what, status, rules ...
	what=$1 want=$2; shift 2
	rm -f "$S" "$T/peer/step" "$HOME/dead.letter"
	peer step "unix:$S" "$@"
	"$D/sendmail" -s "$S" -O Timeout.connect=2s -f a@b.example \
	    x@dest.example y@dest.example <"$T/$text" >"$T/out" 2>"$T/err"
	check "$what: $want" test $? -eq "$want"
	kill $PEER
	wait $PEER 2>/dev/null
}
messages() { grep -c '"event": "message"' "$T/peer/step"; }
step "421 as a greeting, then not" 0 --on connect@1 "reply-drop:421 4.3.2 later"
step "451 to MAIL, then not" 0 --on mail@1 "reply:451 4.3.0 no"
step "421 to RCPT, then not" 0 --on rcpt@1 "reply-drop:421 4.3.2 later"
text=large
step "cut within the content, then not" 0 --on content:100@1 drop
text=short
check "one message" test "$(messages)" -eq 1
step "451 to the content, then not" 0 --on dot@1 "reply:451 4.3.0 no"
check "twice, since the first was not taken" test "$(messages)" -eq 2
step "452 to one of two" 0 --on "rcpt@1=<y" "reply:452 4.5.3 another way"
check "each has one" sh -c "python3 '$TOP/regress/lib/peerlog.py' '$T/peer/step' once | grep -c ^RCPT | grep -q 2"
step "cut behind the final dot" 75 --on dot drop
check "no second try" test "$(messages)" -eq 1
check "and it says so" grep -q 'it may have been sent' "$T/err"
check "and keeps the message" grep -q 'once only' "$HOME/dead.letter"
step "552 to the content" 65 --on dot "reply:552 5.3.4 too large"
step "554 to the content" 69 --on dot "reply:554 5.7.1 not here"
step "550 to MAIL" 69 --on mail "reply:550 5.7.1 not you"
step "no SMTP at all" 75 --greet "hello there"
GW=
# More than there is memory for.
case $BUILD in
*asan*|*cover*) skip "memory is measured in the build that is shipped" ;;
*)
	rm -f "$S"
	peer huge "unix:$S" --no-content
	huge() {
		{ printf 'Subject: huge\n\n'
		head -c 45000000 /dev/zero | tr '\0' x; } |
		    (ulimit -v 40000; "$D/sendmail" -s "$S" x@dest.example)
	}
	check "what is larger than memory is sent" huge
	check "whole" grep -q '"size": 45[0-9]*' "$T/peer/huge"
	;;
esac
