#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian bookworm's compilers and libraries: builds without a warning, unit tests, the demo, the packages. See scene.sh.
suite=bookworm
. selftests/toolchains/scene.sh
