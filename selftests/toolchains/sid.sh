#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian sid's compilers and libraries: builds without a warning, unit tests, the demo, the packages. See scene.sh.
suite=sid
. selftests/toolchains/scene.sh
