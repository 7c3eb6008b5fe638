# Completion of posternctl(8) for bash. The commands are those that the program
# itself names: "posternctl help" has the words of each in front of what it
# takes, of which only a choice (on|off) or an option is offered.

# The next words of each command that begins as what was typed.
_posternctl_words() {
	"$1" help 2>/dev/null | awk -v typed="${*:2}" '
	{
		# The help text stands two blanks behind.
		sub(/^ +/, "")
		sub(/   .*$/, "")
		m = split($0, w, " ")
		n = split(typed, t, " ")
		if (n >= m)
			next
		for (i = 1; i <= n; i++)
			if (w[i] ~ /^[a-z]+$/ && index(w[i], t[i]) != 1)
				next
		s = w[n + 1]
		gsub(/[][]/, "", s)
		k = split(s, c, "|")
		for (i = 1; i <= k; i++)
			if (c[i] ~ /^-*[a-z]+$/ && !seen[c[i]]++)
				print c[i]
	}'
}

_posternctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} i word takes=
	local -a said=()

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -n $takes ]]; then
			takes=
		elif [[ ${#said[@]} -eq 0 && $word == -* ]]; then
			case $word in -f | -s | -S) takes=$word ;; esac
		else
			said+=("$word")
		fi
	done
	case $takes in
	-f) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-s) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	-S) mapfile -t COMPREPLY < <(compgen -W \
	    "yescrypt bcrypt sha512 scram-sha-256" -- "$cur"); return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$(_posternctl_words \
	    "${COMP_WORDS[0]}" "${said[@]}")" -- "$cur")
	case ${said[*]} in
	check | backup | verify | recover* | makemap*)
		mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur") ;;
	esac
	[[ ${#said[@]} -gt 0 || $cur != -* ]] ||
		mapfile -t COMPREPLY < <(compgen -W "-f -j -p -q -S -s -y" -- "$cur")
}
complete -F _posternctl posternctl
