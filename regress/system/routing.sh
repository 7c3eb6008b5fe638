#!/bin/sh
# One recipient and the ways of his mail: lists of actions, aliases with files,
# postmaster, archives; what arrives at scripted servers.
. "$(dirname "$0")/lib.sh"

mkdir -p "$T/peer" "$T/gw"
for n in in twin vault journal; do
	case $n in in) p=2500 ;; twin) p=2501 ;; vault) p=2502 ;; *) p=2503 ;; esac
	python3 "$TOP/regress/lib/peer.py" $A:$p --log "$T/peer/$n" \
	    --caps PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,SMTPUTF8,DSN \
	    >"$T/peer/$n.out" 2>&1 &
	PIDS="$PIDS $!"
	wait_until 5 grep -q ready "$T/peer/$n.out"
done
cat >"$T/show.py" <<'E2'
import json, sys
for line in open(sys.argv[1]):
    m = json.loads(line)
    if m["event"] != "message" or sys.argv[2] not in m["content"]:
        continue
    print("MAIL", m["mail"])
    for r in m["rcpt"]:
        print("RCPT", r)
    print(m["content"].encode("latin-1").decode("utf-8", "replace")
          .replace("\r\n", "\n"), end="")
    print("END")
E2
# got SERVER MARK: its messages with this in them, into $T/got.
got() { python3 "$T/show.py" "$T/peer/$1" "$2" >"$T/got" && [ -s "$T/got" ]; }
arrives() { wait_until 15 got "$1" "$2"; }
has() { grep -q -e "$1" "$T/got"; }
count() { [ "$(grep -c -e "$1" "$T/got")" -eq "$2" ]; }
mail() {
	_to=$1 _mark=$2; shift 2
	send $A:2525 s@far.example "$_to" --header "Subject: $_mark" \
	    --body "$_mark body" "$@" >"$T/said" 2>&1
}

printf 'carl\n# nobody\ndora@home.example, :include:more\n' >"$T/gw/people"
printf 'emil@home.example\n' >"$T/gw/more"
printf 'all: :include:people\nself: self, fritz\nold+x: gone@home.example\n' \
    >"$T/gw/aliases"
chmod 644 "$T/gw/people" "$T/gw/more" "$T/gw/aliases"
gateway_start <<E2 || exit 1
hostname gw.example.org
postmaster boss@home.example
table aliases file "aliases"
table names { "sales@home.example" = "anna, bert, nobody", "@old.example" = "@home.example" }
action "local" expand aliases <aliases>
action "names" expand aliases <names>
action "in" relay to { "$A:2500" }
action "twin" relay to { "$A:2501" }
action "vault" relay to { "$A:2502" }
action "journal" relay to { "$A:2503" }
listen on $A port 2525
match from any for rcpt-to nobody@home.example reject "550 5.1.1 nobody"
match from any for local action "local"
match from any for domain { home.example, old.example } action "names"
match from any for domain home.example action { "in", "twin" }
match from any for domain gw.example.org action "in"
match from any for rcpt-to known@users.example action "in"
archive to "vault" format headers when for domain { home.example, old.example }
archive to "journal" as keep@journal.example format journal
queue retry 1s..2s
E2

mail anna@home.example one
check "a list: 250" grep -q '250 2.0.0 .* queued' "$T/said"
check "a list: at the first" arrives in 'one body'
check "a list: at the second" arrives twin 'one body'

mail sales@home.example two
check "an alias: 250, though one is refused" grep -q '250 2.0.0' "$T/said"
check "an alias: to those that it stands for" arrives in 'two body'
check "an alias: to two of them" sh -c "grep -q '<anna@home.example>' '$T/got' &&
    grep -q '<bert@home.example>' '$T/got' && ! grep -q 'TO:<sales' '$T/got'"
check "an alias: the refused one is told" logged \
    'event=expand to=<nobody@home.example> orig=<sales@home.example> result=refused'

mail 'u+ext@old.example' three
check "a domain: local part and extension stay" arrives in 'three body'
check "a domain: the new one" has 'TO:<u+ext@home.example>'

mail all@gw.example.org four
check "a file: all in it, and in those that it includes" arrives in 'four body'
check "a file: each once" sh -c "for n in carl@gw.example.org dora@home.example \
    emil@home.example; do [ \$(grep -c \"TO:<\$n>\" '$T/got') = 1 ] || exit 1; done"
mail self@gw.example.org five
check "his own name: himself as he stands, and others" arrives in 'five body'
check "his own name" sh -c "grep -q 'TO:<self@gw' '$T/got' && grep -q 'TO:<fritz@gw' '$T/got'"

mail abuse@users.example six
check "abuse of a domain served: to who reads it" arrives in 'six body'
check "abuse: his address" has 'TO:<boss@home.example>'
mail other@users.example seven
check "others there stay unknown" grep -q '550 5.1.1' "$T/said"

check "an archive: each message once for each recipient" arrives vault 'two body'
check "an archive: its envelope on top" sh -c \
    "grep -q '^X-Envelope-From: <s@far.example>' '$T/got' &&
    grep -q '^X-Envelope-To: <sales@home.example>' '$T/got'"
check "an archive: the rest as it was" sh -c \
    "grep -q '^Received: ' '$T/got' && grep -q '^Subject: two' '$T/got'"
got vault 'four body'
check "an archive: not what its conditions leave out" test ! -s "$T/got"
check "a journal: each message" arrives journal 'four body'
check "a journal: one copy, to its address, from nobody" sh -c \
    "[ \$(grep -c '^MAIL' '$T/got') = 1 ] && grep -q 'FROM:<>' '$T/got' &&
    grep -q 'TO:<keep@journal.example>' '$T/got'"
check "a journal: who and to whom" sh -c "grep -q '^Sender: s@far.example' '$T/got' &&
    grep -q '^Recipient: all@gw.example.org' '$T/got' &&
    grep -q '^Expanded: emil@home.example' '$T/got' &&
    grep -q '^Message-Id: <' '$T/got'"
check "a journal: it is MIME, with the message in it" python3 - "$T/peer/journal" <<'E2'
import email, json, sys
for line in open(sys.argv[1]):
    m = json.loads(line)
    if m["event"] == "message" and "four body" in m["content"]:
        p = email.message_from_string(m["content"])
        kinds = [x.get_content_type() for x in p.get_payload()]
        inner = p.get_payload()[1].get_payload()[0]
        assert kinds == ["text/plain", "message/rfc822"], kinds
        assert inner["Subject"] == "four", inner["Subject"]
        assert inner["Received"]
        assert "four body" in inner.get_payload()
        sys.exit(0)
sys.exit(1)
E2
# Longer than a record takes: the content is a file, and the copy around it.
{ echo 'eight body'; seq -f '%05.0fyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy' 0 2999; } \
    >"$T/long"
mail bert@home.example eight --body "@$T/long"
check "a long message in a journal" arrives journal 'eight body'
check "a long message in a journal: whole" sh -c \
    "grep -q '^02999yyy' '$T/got' && tail -n 3 '$T/got' | grep -q 'journal--'"

# A changed list counts with the next reload.
printf 'carl\n' >"$T/gw/people"
check "reload" ctl reload
mail all@gw.example.org nine
check "a changed file" arrives in 'nine body'
check "a changed file: who is left" sh -c \
    "grep -q 'TO:<carl@gw' '$T/got' && ! grep -q 'TO:<dora' '$T/got'"
printf '|prog\n' >"$T/gw/people"
ctl reload >"$T/said" 2>&1
check "a bad one is refused, with its line" grep -q \
    "people:1:1: error: the alias \"all\": \"|prog\" is a program" "$T/said"
mail all@gw.example.org ten
check "and what was goes on" arrives in 'ten body'
gateway_stop
exit $FAILED
