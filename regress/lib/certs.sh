# Keys and certificates, made on the spot by openssl; sourced by tests.
#
#	key_make FILE		a key, P-256
#	cert_self FILE DAYS KEY ...
#				FILE.key and FILE.crt, signed by itself, for the
#				host of that name in example.org; KEY ... is as
#				behind -newkey, none is P-256
#	key_secret FILE		its secret, for memory.py
#	ca_make CN		ca.key and ca.crt, here
#	ca_sign NAME SAN	NAME.key and NAME.crt, signed by that CA

key_make() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
	    -out "$1"
}

cert_self() {
	_f=$1 _host=${1##*/}.example.org _days=$2; shift 2
	[ $# -gt 0 ] || set -- ec -pkeyopt ec_paramgen_curve:P-256
	openssl req -x509 -nodes -days "$_days" -subj "/CN=$_host" \
	    -addext "subjectAltName=DNS:$_host" -newkey "$@" \
	    -keyout "$_f.key" -out "$_f.crt" && chmod 600 "$_f.key"
}

# In pieces as OpenSSL may have it in memory: either end, in either order of
# bytes.
key_secret() {
	openssl pkey -in "$1" -noout -text | awk '
	/^(priv|privateExponent):/ { on = 1; next }
	/^[a-zA-Z]/ { on = 0 }
	on { gsub(/[ :]/, ""); printf "%s", $0 }' | sed 's/^00//' | python3 -c '
import sys
b = bytes.fromhex(sys.stdin.read())
for x in (b[:24], b[-24:], b[:24][::-1], b[-24:][::-1]):
    print("hex:" + x.hex())'
}

ca_make() {
	key_make ca.key && openssl req -x509 -new -key ca.key -subj "/CN=$1" \
	    -days 2 -addext basicConstraints=critical,CA:true -out ca.crt
}

ca_sign() {
	echo "subjectAltName=$2" >"$1.ext"
	key_make "$1.key" &&
	    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr" &&
	    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -days 2 \
		-CAcreateserial -extfile "$1.ext" -out "$1.crt"
}
