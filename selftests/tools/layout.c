// SPDX-License-Identifier: BSD-2-Clause
/*
 * usage: layout
 *
 * Says what the maps of the programs hold: each map's type, and the sizes, members and offsets
 * (bytes) of its keys and values. Programs take over the maps of a set only if this is the same.
 * By their names: the order in the object is the compiler's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define OBJECT "build/bpf/pp.bpf.o"
#define DEPTH  8   /* structures in structures */
#define MAPS   100 /* more than there are */

static void print_members(const struct btf *btf, __u32 id, unsigned int at, int depth)
{
	const struct btf_type *type = btf__type_by_id(btf, id);
	const struct btf_member *member;
	__u32 i;

	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	if (!type || !btf_is_composite(type) || depth == DEPTH)
		return;
	member = btf_members(type);
	for (i = 0; i < btf_vlen(type); i++, member++) {
		unsigned int offset = at + btf_member_bit_offset(type, i) / 8;

		printf("%*s%u %s: %lld bytes\n", 2 * depth + 2, "", offset,
		       btf__name_by_offset(btf, member->name_off),
		       (long long)btf__resolve_size(btf, member->type));
		print_members(btf, member->type, offset, depth + 1);
	}
}

static void print_map(const struct btf *btf, const struct bpf_map *map)
{
	printf("%s: %s, flags %#x, keys of %u bytes, values of %u\n", bpf_map__name(map),
	       libbpf_bpf_map_type_str(bpf_map__type(map)), bpf_map__map_flags(map),
	       bpf_map__key_size(map), bpf_map__value_size(map));
	print_members(btf, bpf_map__btf_key_type_id(map), 0, 0);
	print_members(btf, bpf_map__btf_value_type_id(map), 0, 0);
}

static int by_name(const void *one, const void *other)
{
	return strcmp(bpf_map__name(*(struct bpf_map *const *)one),
		      bpf_map__name(*(struct bpf_map *const *)other));
}

int main(void)
{
	struct bpf_object *object = bpf_object__open(OBJECT);
	struct bpf_map *map, *maps[MAPS];
	size_t count = 0, i;

	if (!object) {
		perror(OBJECT);
		return 1;
	}
	bpf_object__for_each_map(map, object)
	{
		if (!bpf_map__is_internal(map) && count < MAPS)
			maps[count++] = map;
	}
	qsort(maps, count, sizeof(maps[0]), by_name);
	for (i = 0; i < count; i++)
		print_map(bpf_object__btf(object), maps[i]);
	bpf_object__close(object);
	return 0;
}
