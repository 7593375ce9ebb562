#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian bookworm's compilers, libraries and servers: no warning, the demo, the tests, the packages. See scene.sh.
suite=bookworm
. selftests/toolchains/scene.sh
