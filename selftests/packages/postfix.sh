#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Postfix's package under systemd, with docs/postfix.md's files.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
page=docs/postfix.md layer=postfix unit=postfix port=25 process=master talk='EHLO_client.example QUIT'
log='cat /var/log/postfix.log'
prepare() {
	certificate /etc/postfix
}
scene
tap_end
