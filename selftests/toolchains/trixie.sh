#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian trixie's compilers and libraries: builds without a warning, unit tests, the demo, the packages. See scene.sh.
suite=trixie
. selftests/toolchains/scene.sh
