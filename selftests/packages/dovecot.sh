#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Dovecot's package under systemd, with docs/dovecot.md's files.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
page=docs/dovecot.md layer=dovecot unit=dovecot port=143 process=dovecot talk='a_LOGIN_you_secret b_LOGOUT'
log='cat /var/log/dovecot.log'
[ "$suite" = bookworm ] || variant=2.4
prepare() {
	certificate /etc/dovecot
	install -d -o 9000 -g 9000 "$machine/var/mail/you"
}
scene
tap_end
