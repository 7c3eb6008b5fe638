#!/bin/sh
# SCRAM-SHA-256-PLUS: a login that is bound to its TLS (RFC 9266), with GNU SASL
# over GnuTLS as the client.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/lib/certs.sh"

need_root "keys that only root may read" || exit 0
mkdir -p "$T/pki" "$T/gw" && chmod 700 "$T/pki"
(cd "$T/pki" && ca_make "A CA" && ca_sign gw "IP:$A" && chmod 600 gw.key) \
    >"$T/openssl" 2>&1 || { no "certificate"; cat "$T/openssl"; exit 1; }
echo geheim | "$BUILD/posternctl" -q -S scram-sha-256 user add anna "$T/gw/users"
printf 'bert:{PLAIN}geheim\n' >"$T/gw/plain" && chmod 600 "$T/gw/plain"
gateway_start <<E2 || exit 1
hostname gw.example.org
pki gw.example.org cert "$T/pki/gw.crt" key "$T/pki/gw.key"
table "users" passwd "$T/gw/users"
table "plain" passwd "$T/gw/plain"
listen on $A port 2525 tls pki gw.example.org auth <users> auth-plaintext
listen on $A port 2526 tls pki gw.example.org auth <plain>
action "out" relay to { "$A:2500" }
match from auth for any action "out"
E2

# login PORT PASSWORD MECH OPTION ...: 0 if the client is let in and content.
login() {
	_port=$1 _pass=$2 _mech=$3; shift 3
	timeout 20 gsasl --smtp --client --connect "$A:$_port" \
	    --x509-ca-file "$T/pki/ca.crt" \
	    --authentication-id anna --authorization-id "" --password "$_pass" \
	    --mechanism "$_mech" "$@" </dev/null >"$T/gsasl" 2>&1
}
refused() { ! login "$@"; }
v12="NORMAL:-VERS-ALL:+VERS-TLS1.2"

check "SCRAM-SHA-256-PLUS over TLS 1.3" login 2525 geheim SCRAM-SHA-256-PLUS
check "it was offered first" grep -q \
    '^250.AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN' "$T/gsasl"
check "the log has its name" logged \
    'event=auth result=ok mech=SCRAM-SHA-256-PLUS user=anna '
check "with a wrong password" refused 2525 falsch SCRAM-SHA-256-PLUS
check "the log tells of it" logged \
    'event=auth result=failed mech=SCRAM-SHA-256-PLUS user=anna '
check "a client that knows no binding" login 2525 geheim SCRAM-SHA-256 --no-cb
check "TLS 1.2: not bound" \
    login 2525 geheim SCRAM-SHA-256 --no-cb --priority "$v12"
check "and not offered" sh -c "! grep -q -e -PLUS '$T/gsasl'"
check "without TLS, neither" login 2525 geheim SCRAM-SHA-256 --no-starttls
check "is it offered" sh -c "! grep -q -e -PLUS '$T/gsasl'"
refused 2526 geheim SCRAM-SHA-256-PLUS
check "nor where a user has no such hash" sh -c \
    "grep -q '^250.AUTH PLAIN LOGIN' '$T/gsasl'"

# A man in the middle: TLS on both sides of him, the words go through as they are.
cat >"$T/middle.py" <<'E2'
"""middle.py LISTEN SERVER CERT KEY: for one client"""
import select
import socket
import ssl
import sys

at, to = (x.split(":") for x in sys.argv[1:3])
ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ours.load_cert_chain(sys.argv[3], sys.argv[4])
theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
theirs.check_hostname = False
theirs.verify_mode = ssl.CERT_NONE
door = socket.create_server((at[0], int(at[1])))
print("ready", flush=True)
client = door.accept()[0]
server = socket.create_connection((to[0], int(to[1])))
starts = False
while True:
    for s in select.select([client, server], [], [])[0]:
        data = s.recv(65536)
        if not data:
            sys.exit(0)
        (server if s is client else client).sendall(data)
        if s is client and data.upper().startswith(b"STARTTLS"):
            starts = True
        elif s is server and starts:
            client = ours.wrap_socket(client, server_side=True)
            server = theirs.wrap_socket(server)
            starts = False
E2
middle() {
	rm -f "$T/ready"
	python3 "$T/middle.py" $A:2540 $A:2525 "$T/pki/gw.crt" "$T/pki/gw.key" \
	    >"$T/ready" &
	_middle=$!
	wait_until 10 grep -q ready "$T/ready"
	login 2540 geheim "$@"
	_st=$?
	kill $_middle 2>/dev/null
	wait $_middle 2>/dev/null
	return $_st
}
through() { ! middle "$@"; }
check "in the middle: what is not bound goes through" middle SCRAM-SHA-256 --no-cb
check "what is bound does not" through SCRAM-SHA-256-PLUS
check "and the log says why" logged \
    'mech=SCRAM-SHA-256-PLUS user=anna .*why="not the binding that was said first"'
