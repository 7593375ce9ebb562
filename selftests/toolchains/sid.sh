#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian sid's compilers, libraries and servers: no warning, the demo, the tests, the packages. See scene.sh.
suite=sid
. selftests/toolchains/scene.sh
