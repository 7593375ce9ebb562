// SPDX-License-Identifier: BSD-2-Clause
/*
 * corpus DIR: writes the table of headers to DIR, a file each, for the fuzzer to begin with.
 */
#include <stdio.h>

#include "../unit/headers.h"

int main(int argc, char **argv)
{
	static uint8_t bytes[HEADER_CASE_MAX];
	char path[4096];
	size_t i, len;
	FILE *file;

	if (argc != 2) {
		fprintf(stderr, "usage: corpus DIR\n");
		return 2;
	}
	for (i = 0; i < header_case_count; i++) {
		len = header_bytes(&header_cases[i], bytes);
		snprintf(path, sizeof(path), "%s/%03zu", argv[1], i);
		file = fopen(path, "w");
		if (!file || fwrite(bytes, 1, len, file) != len || fclose(file)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
