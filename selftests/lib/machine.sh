# SPDX-License-Identifier: BSD-2-Clause
# A Debian with systemd as process 1, in namespaces of its own and with a cgroup that it takes for the root. Sourced after
# tap.sh, so in a lab, which ends all of it. Who sources it makes its root file system $machine, and $tap_work/boot,
# which is called there as process 1 and ends in systemd.
tools=$PWD/build/selftests/tools
machine=$tap_work/machine # its root
chmod 755 "$tap_work"
trap 'umount -l "$machine" "$tap_work/memory" 2>/dev/null; rm -rf --one-file-system "$tap_work"' EXIT

# machine_boot: $init is its process 1 then, all its units have been started
machine_boot() {
	mkdir -p "$LAB_CGROUP/machine"
	sh -c 'echo $$ >"$LAB_CGROUP/machine/cgroup.procs" && exec unshare --cgroup --net --mount --uts --ipc --pid --fork \
		--kill-child sh "$1" "$2"' sh "$tap_work/boot" "$machine" >"$tap_work/console" 2>&1 &
	machine_parent=$!
	for _ in $(seq 300); do
		init=$(cat /proc/$machine_parent/task/$machine_parent/children 2>/dev/null)
		init=${init% }
		if [ -n "$init" ]; then
			case $(inside systemctl is-system-running 2>/dev/null) in
			running | degraded) return 0 ;;
			esac
		fi
		sleep 0.2
	done
	echo "the machine does not come up:"
	cat "$tap_work/console"
	[ -z "$init" ] || inside systemctl list-jobs
	return 1
}

# inside COMMAND...: in the machine
inside() {
	nsenter --target "$init" --mount --net --uts --ipc --pid --cgroup --root --wd "$@" </dev/null
}
