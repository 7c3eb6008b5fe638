# A real Dovecot that only authenticates, for the SASL of a Postfix: run from its
# unpacked package, sourced by tests. Needs root.
#
#	dovecot_start DIR	listens on DIR/auth; its users are in DIR/users,
#				"name:{PLAIN}password" a line
#	dovecot_stop DIR

DOVECOT=$PEERS/dovecot/usr/lib/dovecot

dovecot_start() {
	d=$1
	chmod 755 "$d"
	cat >"$d/dovecot.conf" <<-EOF
	base_dir = $d/run
	state_dir = $d/state
	libexec_dir = $DOVECOT
	log_path = $d/log
	auth_debug = yes
	protocols =
	listen = 127.0.0.1
	ssl = no
	default_internal_user = daemon
	default_internal_group = daemon
	default_login_user = nobody
	import_environment = TZ LD_LIBRARY_PATH
	auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
	auth_failure_delay = 0
	auth_username_chars =
	disable_plaintext_auth = no
	passdb {
	  driver = passwd-file
	  args = $d/users
	}
	userdb {
	  driver = static
	  args = uid=nobody gid=nogroup home=/nonexistent
	}
	# No delays of its own for addresses that failed.
	service anvil {
	  unix_listener anvil-auth-penalty {
	    mode = 0
	  }
	}
	service auth {
	  unix_listener $d/auth {
	    mode = 0666
	  }
	}
	EOF
	mkdir -p "$d/run" "$d/state"
	LD_LIBRARY_PATH="$DOVECOT:$DOVECOT/modules/old-stats" \
	    "$PEERS/dovecot/usr/bin/doveconf" -p -f service=master \
	    -c "$d/dovecot.conf" -e "$PEERS/dovecot/usr/sbin/dovecot" -F \
	    -c "$d/dovecot.conf" >"$d/out" 2>&1 &
	DOVE=$!
	PIDS="$PIDS $DOVE"
	wait_until 20 test -S "$d/auth"
}

dovecot_stop() {
	[ -s "$1/run/master.pid" ] || return 0
	kill "$(cat "$1/run/master.pid")" 2>/dev/null || :
}
