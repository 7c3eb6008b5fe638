#!/bin/sh
# Deliveries that log in: to a real Postfix with Dovecot's SASL by each mechanism,
# with a wrong password, without AUTH, without a mechanism in common; who may not
# log in waits and does not try again and again, others at the same server go on;
# no password in any log, nor in the memory of deliverd where none went over.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/dovecot.sh"
cleanup() { dovecot_stop "$T/dove"; }

need_root "a real Postfix" || exit 0
need_peers "a real Postfix with Dovecot" postfix dovecot || exit 0
mkdir -p "$T/dove"
printf '%s\n' 'anna:{PLAIN}geheim-sesam' 'bert,1=x:{PLAIN}streng-geheim' \
    >"$T/dove/users"
dovecot_start "$T/dove" || { no "Dovecot starts"; cat "$T/dove/log"; exit 1; }
# Only who has logged in may send; each port has other mechanisms.
POSTFIX_MORE="smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $T/dove/auth
smtpd_sasl_security_options = noanonymous
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_delay_reject = yes
smtpd_error_sleep_time = 0"
port=2610
POSTFIX_SERVICES=
for m in plain login cram-md5 scram-sha-1 scram-sha-256 "plain,cram-md5,login"; do
	POSTFIX_SERVICES="$POSTFIX_SERVICES
$A:$port inet n - n - 0 smtpd
  -o smtpd_sasl_mechanism_filter=$m"
	port=$((port + 1))
done
POSTFIX_SERVICES="$POSTFIX_SERVICES
$A:2620 inet n - n - 0 smtpd
  -o smtpd_sasl_auth_enable=no
  -o smtpd_client_restrictions="
postfix_start "$T/pf" "$A" 2600
wait_until 20 listening "$A:2600" || { no "Postfix starts"; exit 1; }
peer odd "$A:2602" --caps "AUTH GSSAPI NTLM"

# A token is good until it is renewed.
echo token-eins >"$T/token"
chmod 600 "$T/token"
peer bearer "$A:2603" --caps "AUTH PLAIN XOAUTH2 OAUTHBEARER" \
    --on "auth=OAUTHBEARER $(printf 'n,a=anna@example.org,\1auth=Bearer token-zwei\1\1' |
    base64 -w 0)" "reply:235 2.7.0 the second one" \
    --on "auth=OAUTHBEARER $(printf 'n,a=anna@example.org,\1auth=Bearer token-eins\1\1' |
    base64 -w 0)" "reply:235 2.7.0 the first one" \
    --on auth "reply:535 5.7.8 no good"
cat >"$T/credentials" <<E2
# label user secret
anna		anna		geheim-sesam
bert		bert,1=x	streng-geheim
wrong		anna		falsch-geraten
E2
chmod 600 "$T/credentials"
gateway_start <<E2 || exit 1
hostname gw.example.org
credentials "$T/credentials"
credentials token user "anna@example.org" file "$T/token"
queue retry 1s..2s
action "best" relay to { "$A:2600" } auth anna auth-plaintext
action "plain" relay to { "$A:2610" auth bert auth-plaintext } auth wrong
action "login" relay to { "$A:2611" } auth bert auth-plaintext
action "cram" relay to { "$A:2612" } auth bert auth-plaintext
action "scram1" relay to { "$A:2613" } auth bert auth-plaintext
action "scram256" relay to { "$A:2614" } auth bert auth-plaintext
action "three" relay to { "$A:2615" } auth anna auth-plaintext
action "wrong" relay to { "$A:2614" } auth wrong auth-plaintext
action "second" relay to { "$A:2612" auth wrong auth-plaintext, "$A:2613" auth anna auth-plaintext }
action "noauth" relay to { "$A:2620" } auth anna auth-plaintext
action "odd" relay to { "$A:2602" } auth anna auth-plaintext
action "bare" relay to { "$A:2600" } auth anna
action "bearer" relay to { "$A:2603" } auth token auth-plaintext
table bysender { anna@example.org = "$A:2614 auth anna auth-plaintext", bert@example.org = "$A:2614 auth bert auth-plaintext" }
action "bysender" relay to <bysender> by mail-from
listen on $A port 2525
$(for a in best plain login cram scram1 scram256 three wrong second noauth odd \
    bare bearer bysender; do
	echo "match from source { $A, 127.0.0.0/8 } helo $a.example.org for any action \"$a\""
done)
E2
# Who says HELO as NAME.example.org goes by that action.
by() {
	swaks --server "$A:2525" --from "${2:-x@example.org}" \
	    --to user@example.org --helo "$1.example.org" --timeout 20 \
	    --header "Subject: by $1 ${2:-}" >"$T/swaks" 2>&1
}
arrived() { grep -rqs "^Subject: by $1" "$T/pf/mail/user/new"; }
waits() { logged "event=login .*label=\"*$1\"* result=refused .*$2"; }

for a in best plain login cram scram1 scram256 three; do
	check "$a: taken" by $a
done
for a in best plain login cram scram1 scram256 three; do
	check "$a: arrives" wait_until 15 arrived $a
done
as() { grep -q "sasl_method=$1, sasl_username=$2" "$T/pf/log"; }
check "the best of all is SCRAM-SHA-256" as SCRAM-SHA-256 anna
check "PLAIN, and the destination's label goes first" as PLAIN bert,1=x
check "LOGIN" as LOGIN bert,1=x
check "CRAM-MD5" as CRAM-MD5 bert,1=x
check "SCRAM-SHA-1, a name with a comma" as SCRAM-SHA-1 bert,1=x
check "SCRAM-SHA-256" as SCRAM-SHA-256 bert,1=x
check "CRAM-MD5 before PLAIN and LOGIN" as CRAM-MD5 anna
check "by a table: two senders" by bysender anna@example.org
check "the other one" by bysender bert@example.org
check "each arrives" wait_until 15 sh -c "grep -rqs '^Subject: by bysender anna' \
    '$T/pf/mail/user/new' && grep -rqs '^Subject: by bysender bert' '$T/pf/mail/user/new'"

# ---- a token that is renewed ----------------------------------------------
check "a token: taken" by bearer first@example.org
check "a token: arrives" wait_until 15 got bearer "by bearer first"
echo "token-zwei" >"$T/token.new"
chmod 600 "$T/token.new"
mv "$T/token.new" "$T/token"
# It is looked at each 5 seconds, and a connection is kept for 10.
sleep 17
check "renewed: taken" by bearer second@example.org
check "renewed: arrives" wait_until 15 got bearer "by bearer second"
check "with the new one" grep -aq "$(printf 'n,a=anna@example.org,\1auth=Bearer token-zwei\1\1' |
    base64 -w 0)" "$T/peer/bearer"
check "keys shows whose it is, and no more" sh -c "'$BUILD/posternctl' -s '$T/gw/run' \
    -j keys | grep '\"label\":\"token\",\"user\":\"anna@example.org\",\"kind\":\"token\"'"

# ---- refused -------------------------------------------------------------
check "a wrong password: the mail is taken" by wrong
check "and waits, with the server's words" wait_until 10 waits wrong \
    'reply="451 4\.7\.8 No login at .*SCRAM-SHA-256: 535 5\.7\.8'
check "deferred, not bounced" wait_until 10 logged 'result=deferred.*No login at'
sleep 5
tries() { grep -c "$1" "$T/dove/log"; }
check "no hammering: one attempt while the queue tries each second" \
    [ "$(grep -c 'SASL SCRAM-SHA-256 authentication failed' "$T/pf/log")" -eq 1 ]
check "hosts shows it" sh -c "'$BUILD/posternctl' -s '$T/gw/run' hosts |
    grep '$A.*:2614 .*no login .*535 5.7.8'"
check "the same server takes others meanwhile" by scram256
check "who arrive" wait_until 10 sh -c \
    "[ \$(grep -rls '^Subject: by scram256' '$T/pf/mail/user/new' | wc -l) -eq 2 ]"
check "where one refuses, the next of the list gets it" by second
check "and it arrives" wait_until 15 arrived second
check "no AUTH: taken" by noauth
check "no AUTH: waits" wait_until 10 waits anna 'reply="451 4\.7\.4 .*does not offer AUTH'
check "no mechanism in common: taken" by odd
check "no mechanism in common: waits, told what there was" wait_until 10 \
    waits anna 'reply="451 4\.7\.4 .*GSSAPI NTLM'
check "no TLS and no word for it: taken" by bare
check "no TLS and no word for it: waits" wait_until 10 \
    waits anna 'reply="451 4\.7\.11 .*no verified TLS'
check "what is not to be sent without a login was not" \
    sh -c "! grep -rqsE '^Subject: by (wrong|noauth|odd|bare)' '$T/pf/mail/user/new'"

# ---- the password is put right -------------------------------------------
sed -i 's/falsch-geraten/geheim-sesam/' "$T/credentials"
check "a reload" ctl reload
check "and what waited arrives" wait_until 20 arrived wrong
sed -i '/^bert/d' "$T/credentials"
check "a label that is missing: the reload is refused" \
    sh -c "! '$BUILD/posternctl' -s '$T/gw/run' reload"
check "with its name" logged 'there is no label .*bert'

# ---- secrets -------------------------------------------------------------
python3 - >"$T/secrets" <<'E2'
import base64
for w in (b"geheim-sesam", b"streng-geheim", b"falsch-geraten", b"token-eins",
          b"token-zwei"):
    print(w.decode())
    for n in range(3):
        b = base64.b64encode(b"\0" * n + w).decode().rstrip("=")
        print(b[(0, 2, 3)[n]:len(w) * 4 // 3 - 1 + n])
E2
case $BUILD in
*asan*) skip "memory is searched in the build that is shipped" ;;
*)
	check "no password is left in the memory of any other than keyd" \
	    python3 "$TOP/regress/lib/memory.py" "$T/secrets" $(ctl -j status |
	    grep -v '"title":"keyd' | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
	check "the search finds it there" sh -c "! python3 \
	    '$TOP/regress/lib/memory.py' '$T/secrets' $(pid_of 'keyd[.0-9a-z]*' |
	    tr '\n' ' ')"
	;;
esac
gateway_stop
check "no password is in a log" \
    sh -c "! grep -F -f '$T/secrets' '$T/gw/log' '$T/gw/out'"
