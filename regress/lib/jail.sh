# A root directory of its own for a server that has its users, its spool and
# its control socket by fixed names: sourced by tests. Nothing of it is seen
# outside, no user and no folder has to exist, and with the process it is gone:
# the mounts are in a namespace of its own. Needs root.
#
#	jail_able		can this machine do it
#	jail_make DIR USER ...	DIR/root, with accounts from number 64100 on
#	jail_exec DIR COMMAND ...	replaces the caller; DIR, $PEERS and the
#				system's programs have their usual names

jail_able() { unshare -m --propagation private true 2>/dev/null; }

jail_make() {
	_r=$1/root
	shift
	mkdir -p "$_r/etc" "$_r/usr" "$_r/dev" "$_r/proc" "$_r/tmp" "$_r/run" \
	    "$_r/var/spool" "$_r/var/lib" "$_r/var/log" "$_r/var/tmp"
	chmod 755 "$_r" "$_r/etc" "$_r/run" "$_r/var" "$_r"/var/*
	chmod 1777 "$_r/tmp" "$_r/var/tmp"
	[ -L "$_r/var/run" ] || ln -s ../run "$_r/var/run"
	for _d in bin sbin lib lib64; do
		[ -L "$_r/$_d" ] || ln -s "usr/$_d" "$_r/$_d"
	done
	# No name is asked of anyone: nobody listens there.
	echo "nameserver 127.0.0.1" >"$_r/etc/resolv.conf"
	echo "127.0.0.1 localhost" >"$_r/etc/hosts"
	echo "hosts: files dns" >"$_r/etc/nsswitch.conf"
	{ echo "root:x:0:0:root:/root:/bin/sh"
	  echo "nobody:x:65534:65534:nobody:/nonexistent:/bin/false"; } \
	    >"$_r/etc/passwd"
	{ echo "root:x:0:"; echo "nogroup:x:65534:"; } >"$_r/etc/group"
	_n=64100
	for _u; do
		echo "$_u:x:$_n:$_n::/nonexistent:/bin/false" >>"$_r/etc/passwd"
		echo "$_u:x:$_n:" >>"$_r/etc/group"
		_n=$((_n + 1))
	done
}
# The number of an account made so.
jail_uid() { sed -n "s/^$2:x:\([0-9]*\):.*/\1/p" "$1/root/etc/passwd"; }

jail_exec() {
	_d=$1; shift
	mkdir -p "$_d/root$_d" "$_d/root$PEERS"
	# shellcheck disable=SC2016
	exec unshare -m --propagation private sh -c '
		d=$1 peers=$2
		shift 2
		mount --bind /usr "$d/root/usr" &&
		mount --rbind /dev "$d/root/dev" &&
		mount --rbind /proc "$d/root/proc" &&
		mount --bind "$peers" "$d/root$peers" &&
		mount --bind "$d" "$d/root$d" &&
		exec chroot "$d/root" "$@"' sh "$_d" "$PEERS" "$@"
}
