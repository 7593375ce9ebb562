#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nginx's package under systemd, with docs/nginx.md's files.
. selftests/lib/tap.sh
. selftests/lib/pages.sh
. selftests/packages/machine.sh
. selftests/packages/scene.sh
page=docs/nginx.md layer=nginx unit=nginx port=2527 process=nginx talk=
log='cat /var/log/nginx/stream.log'
prepare() {
	:
}
scene
tap_end
