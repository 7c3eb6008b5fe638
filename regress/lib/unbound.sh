# A real unbound that answers for zones of a test and asks nobody: run from its
# unpacked package, as the caller; sourced by tests.
#
#	unbound_start DIR ADDRESS PORT <ZONE
#				ZONE is a zone file of test.; what stands below
#				dead.test. is asked of ADDRESS port 54, below
#				mute.test. of port 55, where the test puts
#				nobody, or one who never answers; sets UNBOUND
#	SIGN=1 unbound_start …	test. is signed, by ldns, and validated; open. is
#				the zone DIR/open.zone, which is not. SPOIL, a
#				command of sed, is run over what was signed.

unbound_start() {
	d=$1
	mkdir -p "$d"
	{
		echo '$ORIGIN test.'
		echo '$TTL 60'
		echo '@ SOA ns hostmaster 1 3600 600 86400 60'
		echo '@ NS ns'
		echo "ns A $2"
		cat
	} >"$d/test.zone"
	modules=iterator zone=$d/test.zone
	if [ -n "${SIGN:-}" ]; then
		modules="validator iterator" zone=$d/test.zone.signed
		unbound_sign || return 1
	fi
	cat >"$d/unbound.conf" <<-EOF2
	server:
	  interface: $2
	  port: $3
	  username: ""
	  chroot: ""
	  directory: "$d"
	  pidfile: ""
	  use-syslog: no
	  logfile: "$d/log"
	  do-ip6: no
	  do-not-query-localhost: no
	  access-control: 127.0.0.0/8 allow
	  outgoing-interface: $2
	  outgoing-range: 64
	  num-queries-per-thread: 32
	  so-rcvbuf: 0
	  module-config: "$modules"
	  ${SIGN:+trust-anchor-file: "$d/anchor"}
	  ${SIGN:+local-zone: "open." nodefault}
	  local-zone: "test." nodefault
	  root-hints: "$d/hints"
	auth-zone:
	  name: "test."
	  zonefile: "$zone"
	  for-downstream: no
	  for-upstream: yes
	stub-zone:
	  name: "dead.test."
	  stub-addr: $2@54
	stub-zone:
	  name: "mute.test."
	  stub-addr: $2@55
	remote-control:
	  control-enable: no
	EOF2
	[ -z "${SIGN:-}" ] || cat >>"$d/unbound.conf" <<-EOF2
	auth-zone:
	  name: "open."
	  zonefile: "$d/open.zone"
	  for-downstream: no
	  for-upstream: yes
	EOF2
	# The root is not asked either.
	printf '. 3600 NS a.\na. 3600 A %s\n' "$2" >"$d/hints"
	"$PEERS/unbound/usr/sbin/unbound" -d -c "$d/unbound.conf" \
	    >"$d/out" 2>&1 &
	UNBOUND=$!
	PIDS="$PIDS $UNBOUND"
	wait_until 10 unbound_listens "$2:$3"
}
unbound_listens() { ss -Hlun "src $1" | grep -q .; }
ldns() {
	_tool=$1; shift
	LD_LIBRARY_PATH="$PEERS/ldns/usr/lib/$(uname -m)-linux-gnu" \
	    "$PEERS/ldns/usr/bin/ldns-$_tool" "$@"
}
# Signs d/test.zone with keys of its own; the anchor says whom to believe.
unbound_sign() {
	(
		cd "$d" || exit 1
		ksk=$(ldns keygen -a ECDSAP256SHA256 -k test) &&
		    zsk=$(ldns keygen -a ECDSAP256SHA256 test) &&
		    ldns signzone -o test -f test.zone.signed test.zone \
			"$ksk" "$zsk" &&
		    cp "$ksk.key" anchor &&
		    sed -i -e "${SPOIL:-}" test.zone.signed
	) >"$d/sign" 2>&1
}
