# SPDX-License-Identifier: BSD-2-Clause
# For tests that do what a page of docs/ says. Sourced.

# page_files PAGE [ROOT [VARIANT]]: writes the blocks of PAGE that name a file, below ROOT: ```language /path. A block with
# a third word is for that variant alone, and takes the place of one without.
page_files() {
	awk -v root="${2-}" -v variant="${3-}" '
		/^```[a-z]+ \// && (NF == 2 || $3 == variant) {
			file = root $2
			system("mkdir -p $(dirname " file ")")
			printf "" >file
			next
		}
		/^```/ { if (file) close(file); file = "" }
		file { print >file }' "$1"
}
