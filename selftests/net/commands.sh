#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check: native long
# ppctl's command line: help, exit statuses, options of each command, --set, completion. In guests there
# are no bash and zsh.
. selftests/lib/tap.sh
ppctl=build/bin/ppctl
say=$tap_work/say
pin=$LAB_BPFFS/pp
up="$ppctl up --cgroup $LAB_CGROUP"

# exits STATUS PATTERN WORD...: ppctl WORD... does, and says PATTERN
exits() {
	expected=$1 pattern=$2
	shift 2
	$ppctl "$@" >"$say" 2>&1
	status=$?
	[ $status = "$expected" ] || {
		echo "ppctl $*: exit $status, not $expected: $(cat "$say")"
		return 1
	}
	says "$say" "$pattern"
}

# all_commands: one a line
all_commands() {
	$ppctl complete -- '' | cut -f 1 | while read -r first; do
		seconds=
		[ "$first" = help ] || seconds=$($ppctl complete -- "$first" '' | cut -f 1)
		case $seconds in
		*add*) for second in $seconds; do echo "$first $second"; done ;;
		*) echo "$first" ;;
		esac
	done
}

check help_names_all_commands exits 0 '^  port add PORT' help
each_is_in_the_overview() {
	[ "$(all_commands | wc -l)" -ge 15 ] || return 1
	$ppctl help >"$say"
	all_commands | while read -r command; do
		says "$say" "^  $command( |\$)" || exit 1
	done
}
check every_command_is_in_the_overview each_is_in_the_overview
same_help() {
	$ppctl help $1 >"$tap_work/a" && $ppctl $1 --help >"$tap_work/b" && $ppctl --help $1 >"$tap_work/c" &&
		$ppctl $1 -h >"$tap_work/d" && cmp "$tap_work/a" "$tap_work/b" && cmp "$tap_work/a" "$tap_work/c" &&
		cmp "$tap_work/a" "$tap_work/d"
}
each_has_help() {
	all_commands | while read -r command; do
		same_help "$command" && says "$tap_work/a" "^usage: ppctl $command" &&
			says "$tap_work/a" '^options$' && says "$tap_work/a" "^  ppctl $command" || exit 1
	done
}
check every_command_has_help_with_an_example each_has_help
# an example that were wrong would be refused for its usage
each_example_is_understood() {
	all_commands | while read -r command; do
		example=$($ppctl help $command | sed -n '/^example$/,$s/^  ppctl //p')
		[ -n "$example" ] || exit 1
		$ppctl $example --pin "$LAB_BPFFS/none" >"$say" 2>&1
		status=$?
		case $example in
		status*) [ $status = 2 ] && status=0 ;; # down
		help* | lookup* | check*) $ppctl $example >"$say" 2>&1; status=$? ;;
		esac
		[ $status -lt 2 ] || {
			echo "$example: exit $status: $(cat "$say")"
			exit 1
		}
	done
}
check every_example_is_understood each_example_is_understood
each_option_is_somebodys() {
	$ppctl complete -- -- | cut -f 1 | grep -v -e '^--help$' -e '^--version$' | while read -r option; do
		all_commands | while read -r command; do $ppctl help $command; done | grep -Eq "^  (-., )?$option\b" || {
			echo "$option is of no command"
			exit 1
		}
	done
}
check every_option_is_of_a_command each_option_is_somebodys
in_the_manual() {
	sed 's/\\-/-/g' docs/man/ppctl.8 >"$tap_work/page"
	for option in $($ppctl complete -- -- | cut -f 1); do
		sed -n '/^.SH OPTIONS/,/^.SH INTERFACES/p' "$tap_work/page" | grep -Eq -- "^\.B.*$option\b" || {
			echo "ppctl.8 says nothing of $option"
			return 1
		}
	done
	for command in $($ppctl complete -- '' | cut -f 1); do
		says "$tap_work/page" "^\.SY \"ppctl $command\b" || return 1
	done
}
check every_command_and_option_is_in_the_manual in_the_manual
check help_of_a_group exits 0 '^usage: ppctl port del' help port
check help_of_an_unknown_command exits 2 '^ppctl: prot: no such command \(did you mean port\?\)' help prot
check the_version exits 0 '^ppctl [0-9]+\.[0-9]+\.[0-9]+$' -V
check the_long_version exits 0 '^ppctl [0-9]' --version

check no_command exits 2 'which command\?'
check an_unknown_command_names_the_nearest exits 2 'statsu: no such command \(did you mean status\?\)' statsu
check a_half_command_names_the_rest exits 2 'which one: proxy add, proxy del, proxy list\?' proxy
check an_unknown_second_word exits 2 'port ad: no such command \(did you mean add\?\)' port ad 25
check an_unknown_option_names_the_nearest exits 2 '--tranparent: no such option \(did you mean --transparent\?\)' \
	port add 25 --tranparent
check an_unknown_letter exits 2 '^ppctl: -x: no such option' down -x
check an_option_of_others_is_refused exits 2 "--gate is no option of 'ppctl down'; it is one of: up, port add" down --gate 5
check also_before_the_command exits 2 "--now is no option of 'ppctl upgrade'; it is one of: down" --now upgrade
check an_option_without_its_value exits 2 '--pin needs a value' down --pin
check a_value_for_an_option_without_one exits 2 '--json takes no value' down --json=yes
check too_many_words exits 2 'usage: ppctl port list \[OPTIONS\]' port list 25
check too_few_words exits 2 'usage: ppctl proxy add' proxy add
check what_up_needs exits 2 'usage: ppctl up --cgroup PATH' up
check two_that_exclude_each_other exits 2 'one of both' down --wait --now
check a_set_that_has_no_name exits 2 "--set: 'a/b' is not a name" down --set a/b
check a_set_named_as_a_directory_of_sets exits 2 "--set: 'maps' is not a name" down --set maps
check an_error_in_json exits 2 '"schema":1' down --json extra
check a_failure_is_1 exits 1 'nothing is up at' down
check an_error_of_status_is_none_of_a_sets_healths exits 3 '--frob: no such option' status --frob

before_and_after() {
	$up >"$say" && $ppctl --gate 5000 port add 26 && $ppctl port --gate 6000 add 27 && $ppctl port add 28 --gate 7000 || return 1
	$ppctl port list >"$say"
	says "$say" '^26 .*gate 5000' && says "$say" '^27 .*gate 6000' && says "$say" '^28 .*gate 7000' &&
		exits 0 '^down' down
}
check options_stand_before_and_after_their_command before_and_after

sets() {
	mkdir "${LAB_CGROUP%/*}/web" && $up --set mail --port 25 && $ppctl up --cgroup "${LAB_CGROUP%/*}/web" --set web --port 80 || return 1
	[ -d "$pin/mail/maps" ] && [ -d "$pin/web/maps" ] || return 1
	exits 2 "2 sets are up; which one: --set (mail, --set web|web, --set mail)\?" port add 465 || return 1
	exits 2 'which one' down || return 1
	$ppctl port add 465 --set mail && exits 0 '^465 ' port list --set mail || return 1
	! $ppctl port list --set web | grep -q '^465' || return 1
	exits 0 '^80 ' --pin "$pin" port list --set web || return 1
	exits 1 'nothing is up' --pin "$pin" port list || return 1
	exits 0 '^down$' down --set mail || return 1
	# the one that is left needs no name
	exits 0 '^80 ' port list && exits 0 '^down$' down && exits 1 'nothing is up' down && rmdir "${LAB_CGROUP%/*}/web"
}
check a_set_is_named_where_there_are_several sets
beside() {
	mkdir "${LAB_CGROUP%/*}/web" && $up --port 25 && $ppctl up --cgroup "${LAB_CGROUP%/*}/web" --set web --port 80 || return 1
	exits 2 "which one: --pin $pin, --set web\?" port list && exits 0 '^25 ' port list --pin "$pin" || return 1
	exits 0 '^down$' down --pin "$pin" && [ -d "$pin/web/maps" ] && exits 0 '^down$' down && rmdir "${LAB_CGROUP%/*}/web"
}
check a_set_in_the_directory_itself_and_one_below_it beside
planted() {
	rmdir "$pin" 2>/dev/null
	mkdir -m 777 "$pin" && exits 1 'others may write there' up --cgroup "$LAB_CGROUP" --set mail && rmdir "$pin/mail" "$pin" 2>/dev/null
	[ ! -e "$pin/mail" ] && rm -rf "$pin"
}
check a_set_where_others_may_write_is_refused planted

# completes WORD... [-- EXPECTED...]: the last WORD can become EXPECTED and nothing else, in bash
if command -v bash >/dev/null; then
	cat >"$tap_work/bash" <<'BASH'
PATH=$PWD/build/bin:$PATH
. user/ppctl/completion/ppctl
COMP_WORDS=(ppctl "$@")
COMP_CWORD=$#
COMPREPLY=()
_ppctl
printf '%s\n' "${COMPREPLY[@]}"
BASH
	completes() {
		expected=$1
		shift
		bash "$tap_work/bash" "$@" >"$say" 2>&1
		[ "$(sort "$say" | tr '\n' ' ')" = "$expected " ] || {
			echo "ppctl $*: $(tr '\n' ' ' <"$say"), not $expected"
			return 1
		}
	}
	check bash_completes_commands completes 'port proxy proxy-cgroup' p
	check bash_completes_second_words completes 'add del list' port ''
	check bash_completes_options_of_the_command completes '--help --json --now --pin --set --wait' down --
	check bash_completes_values completes 'no yes' port add 25 --split ''
	check bash_completes_values_after_an_equals_sign completes 'drop' port add 25 --on-bad = d
	check bash_completes_after_the_value_of_an_option completes 'add del list' --gate 5 port ''
	check bash_completes_interfaces completes 'lo' port add 25 --interface lo
	check bash_completes_the_second_of_a_list completes 'x,lo' port add 25 --interface x,lo
	check bash_completes_help completes 'proxy-cgroup' help proxy-
	cgroups() {
		mount=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
		here=${LAB_CGROUP#"$mount"/}
		mkdir "$LAB_CGROUP/sys\\x2d" "$LAB_CGROUP/system" "$LAB_CGROUP/system/unit" || return 1
		completes "$here/system/" up --cgroup "$here/syste" || return 1
		completes "$here/system/unit" up --cgroup "$here/system/" || return 1
		completes "$LAB_CGROUP/system/" proxy-cgroup add "$LAB_CGROUP/syste" || return 1
		# a backslash, which units have, goes through the shell
		completes "$here/sys\\\\x2d" up --cgroup "$here/sys\\\\" || return 1
		rmdir "$LAB_CGROUP/sys\\x2d" "$LAB_CGROUP/system/unit" "$LAB_CGROUP/system"
	}
	check bash_completes_cgroups cgroups
	set_names() {
		$up --set mail && completes mail port list --set '' && completes mail --pin "$pin" port list --set = m &&
			$ppctl down
	}
	check bash_completes_names_of_sets set_names
	nothing() {
		bash "$tap_work/bash" status '' >"$say" && [ -z "$(cat "$say")" ]
	}
	check bash_completes_nothing_where_nothing_fits nothing
else
	echo "ok - bash_completes # SKIP there is no bash"
fi

if command -v zsh >/dev/null; then
	check zsh_reads_the_completion zsh -n user/ppctl/completion/_ppctl
	# compadd is of the line editor: here it prints what it is given
	cat >"$tap_work/zsh" <<'ZSH'
path=($PWD/build/bin $path)
compadd() { print -rl -- "${(@P)@[-1]}"; }
words=(ppctl "$@") CURRENT=$(( $# + 1 )) PREFIX=${@[-1]}
. user/ppctl/completion/_ppctl
ZSH
	zsh_completes() {
		expected=$1
		shift
		zsh -f "$tap_work/zsh" "$@" >"$say" 2>&1
		[ "$(sort "$say" | tr '\n' ' ')" = "$expected " ] || {
			echo "ppctl $*: $(tr '\n' ' ' <"$say"), not $expected"
			return 1
		}
	}
	check zsh_completes_commands zsh_completes 'port proxy proxy-cgroup' p
	check zsh_completes_values zsh_completes '--on-bad=drop' port add 25 --on-bad=d
	check zsh_completes_after_options zsh_completes 'add del list' --gate 5 port ''
else
	echo "ok - zsh_reads_the_completion # SKIP there is no zsh"
fi

# whoever waits says for whom, once, and goes on when it can
is_locked() {
	! flock -n "$LAB_BPFFS" true
}
# waiter_waits: $waiter, a ppctl, for the lock that $holder has
waiter_waits() {
	flock "$LAB_BPFFS" sleep 1000 &
	holder=$!
	soon is_locked || return 1
	$up --port 25 >"$say" 2>&1 &
	waiter=$!
	wait_says "$say" "^ppctl: waiting for process $holder \\(flock\\), which has the lock of $LAB_BPFFS\$"
}
release() { # the lock is its child's, too
	kill "$(cat "/proc/$holder/task/$holder/children")"
	wait "$holder"
}
waits() {
	waiter_waits || return 1
	release
	wait $waiter && [ "$(grep -c waiting "$say")" = 1 ] && says "$say" '^up on ' && exits 0 '^down$' down || return 1
	! grep waiting "$say" && waiter_waits || return 1
	kill -INT $waiter
	kill -TERM $waiter
	wait $waiter
	[ $? -gt 128 ] && [ ! -e "$pin" ]
	result=$?
	release
	return $result
}
check a_lock_is_waited_for_and_told waits

# what cannot be said is an error, whatever was to be said: a full disk, a closed standard output
unsaid() {
	$up --port 25 >/dev/null || return 1
	[ "$(all_commands | wc -l)" -ge 15 ] || return 1
	for command in 'help' 'help up' '-V' '--version --json' 'port list' 'port list --json' 'proxy list --json' 'status' 'status --json' \
		'status -v' 'metrics' 'connections --json' 'check /dev/null' 'check --json /dev/null' 'apply /dev/null --json' \
		'port add 26 --json' 'upgrade' "$up_again" 'complete -- p' 'sweep --json' 'down --now'; do
		for output in full closed; do
			if [ $output = full ]; then
				$ppctl $command >/dev/full 2>"$say"
			else
				$ppctl $command >&- 2>"$say"
			fi
			status=$?
			[ $status = 1 ] || [ "$status ${command%% *}" = "3 status" ] || {
				echo "$command to a $output standard output: exit $status"
				return 1
			}
			says "$say" '^ppctl: standard output: (No space left on device|Bad file descriptor)' || return 1
			[ "$command" != 'down --now' ] || $up --port 25 >/dev/null 2>&1
		done
	done
	# larger than a buffer
	$ppctl metrics >/dev/full 2>"$say" && return 1
	says "$say" 'standard output: ' && exits 0 '^down' down
}
up_again="up --cgroup $LAB_CGROUP"
check what_cannot_be_said_is_an_error unsaid

# none of ppctl's own files is in the place of a closed one, and written to
closed() {
	for way in '<&-' '>&-' '2>&-' '<&- >&-' '<&- >&- 2>&-' '>&- 2>&-'; do
		eval "$ppctl up --cgroup $LAB_CGROUP --port 25 --split yes --proxy 127.0.0.2 $way"
		$ppctl status >"$say" 2>&1
		says "$say" '^25 ' && says "$say" '^127.0.0.2' || return 1
		file=$tap_work/metrics
		rm -f "$file"
		eval "$ppctl metrics --output $file $way"
		says "$file" '^ppsplit_health' && ! grep -q '^ppctl' "$file" || return 1
		eval "$ppctl down $way"
		[ ! -e "$pin" ] || return 1
	done
}
check closed_standard_files_are_not_written_to closed
limited() {
	$up --port 25 >/dev/null || return 1
	(
		ulimit -f 0
		$ppctl metrics --output "$tap_work/limited" 2>&1 | cat >&3
	) 3>&1 >/dev/null | grep -q 'File too large' && [ ! -e "$tap_work/limited" ] || return 1
	[ -z "$(find "$tap_work" -name 'limited*')" ] && exits 0 '^down' down
}
check a_limit_of_files_is_told limited

installed() {
	flock build make -s install DESTDIR="$tap_work/root" PREFIX=/usr >"$say" 2>&1 || return 1
	[ -s "$tap_work/root/usr/share/bash-completion/completions/ppctl" ] &&
		[ -s "$tap_work/root/usr/share/zsh/vendor-completions/_ppctl" ] || return 1
	make -s uninstall DESTDIR="$tap_work/root" PREFIX=/usr && [ -z "$(find "$tap_work/root" -name '*ppctl*')" ]
}
check install_puts_completion_where_debian_looks installed
tap_end
