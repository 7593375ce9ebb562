#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian trixie's compilers, libraries and servers: no warning, the demo, the tests, the packages. See scene.sh.
suite=trixie
. selftests/toolchains/scene.sh
