// SPDX-License-Identifier: BSD-2-Clause
/*
 * usage: calls
 *
 * Says what the programs need of a kernel, as a table for docs/kernels.md: each program's type, and
 * the helpers that it calls, by the names that `bpftool feature probe` has for both. As root: calls
 * are complete when libbpf has linked them.
 */
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#define OBJECT	    "build/bpf/pp.bpf.o"
#define HELPERS_MAX 256

#define NAME(name) [BPF_FUNC_##name] = "bpf_" #name
static const char *const names[HELPERS_MAX] = {__BPF_FUNC_MAPPER(NAME)};

static void note(const struct bpf_program *program, unsigned char called[HELPERS_MAX])
{
	const struct bpf_insn *insn = bpf_program__insns(program);
	size_t i, count = bpf_program__insn_cnt(program);

	for (i = 0; i < count; i++, insn++) {
		if (insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg && insn->imm > 0 &&
		    insn->imm < HELPERS_MAX)
			called[insn->imm] = 1;
	}
}

/* In @out, one after the other; of @but none. */
static void print(const unsigned char called[HELPERS_MAX], const unsigned char but[HELPERS_MAX])
{
	const char *separator = "";
	int i;

	for (i = 0; i < HELPERS_MAX; i++) {
		if (!called[i] || (but && but[i]))
			continue;
		if (names[i])
			printf("%s%s", separator, names[i]);
		else
			printf("%sno. %d", separator, i);
		separator = ", ";
	}
}

/* Those that every program may call, in each kernel that has programs of this kind. */
static const int usual[] = {
	BPF_FUNC_map_lookup_elem, BPF_FUNC_map_update_elem, BPF_FUNC_map_delete_elem,
	BPF_FUNC_ktime_get_ns,	  BPF_FUNC_tail_call,
};

int main(void)
{
	struct bpf_object *object = bpf_object__open(OBJECT);
	unsigned char basic[HELPERS_MAX] = {};
	struct bpf_program *program;
	size_t i;

	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "calls: %s: cannot be loaded here\n", OBJECT);
		return 1;
	}
	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		basic[usual[i]] = 1;
	puts("| program | type | helpers |\n| --- | --- | --- |");
	bpf_object__for_each_program(program, object)
	{
		unsigned char called[HELPERS_MAX] = {};

		note(program, called);
		printf("| %s | %s | ", bpf_program__name(program),
		       libbpf_bpf_prog_type_str(bpf_program__type(program)));
		print(called, basic);
		puts(" |");
	}
	bpf_object__close(object);
	return 0;
}
