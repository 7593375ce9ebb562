// SPDX-License-Identifier: BSD-2-Clause
/*
 * usage: verify [PROGRAM]
 *
 * Loads the programs, attaches none, and says for each what the verifier counted; of PROGRAM
 * its whole log. As root, in the project's folder:
 *
 *   build/selftests/tools/verify
 *   selftests/vm/run bookworm build/selftests/tools/verify
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#define OBJECT	   "build/bpf/pp.bpf.o"
#define LOG_SIZE   (64 << 20)
#define STATS_ONLY 4 /* BPF_LOG_STATS */
#define WHOLE_LOG  (2 | STATS_ONLY)

/* What libbpf says of a program that is refused has the log's end. */
static int print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

int main(int argc, char **argv)
{
	struct bpf_program *program;
	struct bpf_object *object;
	const char *line;
	int error, found = argc < 2;
	char *log;

	libbpf_set_print(print);
	object = bpf_object__open(OBJECT);
	if (!object) {
		perror(OBJECT);
		return 1;
	}
	bpf_object__for_each_program(program, object)
	{
		int whole = argc > 1 && !strcmp(argv[1], bpf_program__name(program));

		found |= whole;
		log = malloc(whole ? LOG_SIZE : 4096);
		if (!log)
			return 1;
		log[0] = 0;
		bpf_program__set_log_buf(program, log, whole ? LOG_SIZE : 4096);
		bpf_program__set_log_level(program, whole ? WHOLE_LOG : STATS_ONLY);
	}
	if (!found) {
		fprintf(stderr, "verify: there is no program %s in %s\n", argv[1], OBJECT);
		return 1;
	}
	error = bpf_object__load(object);
	bpf_object__for_each_program(program, object)
	{
		size_t size;

		log = (char *)bpf_program__log_buf(program, &size);
		if (argc > 1 && !strcmp(argv[1], bpf_program__name(program)))
			fputs(log, stdout);
		line = strstr(log, "processed ");
		if (line)
			printf("%-14s %.*s\n", bpf_program__name(program), (int)strcspn(line, "\n"),
			       line);
	}
	return error != 0;
}
