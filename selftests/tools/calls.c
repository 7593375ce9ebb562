// SPDX-License-Identifier: BSD-2-Clause
/*
 * usage: calls
 *
 * Says what the programs need of a kernel, for docs/kernels.md: the types of maps; and as a table
 * what each program is for, its type, and the helpers that it calls. All by the names that
 * `bpftool feature probe` has for them. As root: calls are complete when libbpf has linked them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#define OBJECT	    "build/bpf/pp.bpf.o"
#define HELPERS_MAX 256
#define MAPS_MAX    64

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

/* By the beginnings of names, the longer one first. */
static const struct {
	const char *program, *feature;
} features[] = {
	{"pp_gate", "all"},
	{"pp_sockops", "all"},
	{"pp_in", "split"},
	{"pp_out", "split"},
	{"pp_getsockopt", "pp_lookup()"},
	{"pp_getpeer", "transparent mode"},
	{"pp_getsock", "transparent mode"},
	{"pp_sender", "proxies on this host"},
	{"pp_msg", "proxies on this host"},
	{"pp_pass", "proxies on this host"},
	{"pp_count", "ppctl connections"},
};

static const char *feature_of(const char *program)
{
	size_t i;

	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (strncmp(program, features[i].program, strlen(features[i].program)) == 0)
			return features[i].feature;
	}
	fprintf(stderr, "calls: %s: what is it for? Add it to features[]\n", program);
	exit(1);
}

static void print_map_types(const struct bpf_object *object)
{
	unsigned char used[MAPS_MAX] = {};
	const char *separator = "Types of maps: ";
	struct bpf_map *map;
	int i;

	bpf_object__for_each_map(map, object) used[bpf_map__type(map) % MAPS_MAX] = 1;
	for (i = 0; i < MAPS_MAX; i++) {
		if (!used[i])
			continue;
		printf("%s%s", separator, libbpf_bpf_map_type_str(i));
		separator = ", ";
	}
	puts(".\n");
}

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
	print_map_types(object);
	puts("| program | for | type | helpers |\n| --- | --- | --- | --- |");
	bpf_object__for_each_program(program, object)
	{
		unsigned char called[HELPERS_MAX] = {};

		note(program, called);
		printf("| %s | %s | %s | ", bpf_program__name(program),
		       feature_of(bpf_program__name(program)),
		       libbpf_bpf_prog_type_str(bpf_program__type(program)));
		print(called, basic);
		puts(" |");
	}
	bpf_object__close(object);
	return 0;
}
