#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Exim's package under systemd, with docs/exim.md's files.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
page=docs/exim.md layer=exim4 unit=exim4 port=25 process=exim4 talk='EHLO_client.example QUIT'
log='cat /var/log/exim4/mainlog'
prepare() {
	certificate /etc/exim4 2>/dev/null
}
scene
tap_end
