# SPDX-License-Identifier: BSD-2-Clause
# A name server for the lab. Sourced after tap.sh.

# start_dnsmasq: Debian's dnsmasq on 127.0.0.1, which knows what is on standard input, and nothing else
start_dnsmasq() {
	{
		printf '%s\n' no-resolv no-hosts keep-in-foreground listen-address=127.0.0.1 bind-interfaces user=root pid-file=
		cat
	} >"$tap_work/dnsmasq.conf"
	dnsmasq -C "$tap_work/dnsmasq.conf" >"$tap_work/dnsmasq" 2>&1 &
	soon grep -q ':0035 ' /proc/net/udp
}
