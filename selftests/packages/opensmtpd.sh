#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# OpenSMTPD's package under systemd, with docs/opensmtpd.md's files.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
page=docs/opensmtpd.md layer=opensmtpd unit=opensmtpd port=25 process=smtpd talk='EHLO_client.example QUIT'
log='journalctl -u opensmtpd -o cat'
prepare() {
	:
}
scene
tap_end
