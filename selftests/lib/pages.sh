# SPDX-License-Identifier: BSD-2-Clause
# For tests that do what a page of docs/ says. Sourced.

# page_files PAGE [ROOT]: writes the blocks of PAGE that name a file, below ROOT: ```language /path
page_files() {
	awk -v root="${2-}" '/^```[a-z]+ \// { file = root $2; system("mkdir -p $(dirname " file ")"); printf "" >file; next }
		/^```/ { file = "" }
		file { print >file }' "$1"
}
