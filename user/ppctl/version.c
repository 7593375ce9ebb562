// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pins outlive the ppctl that made them. pp_version says which version that was; a map whose values
 * are larger than this ppctl's would be read into too little room.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <pp/version.h>

#include "../common/array.h"
#include "ppctl.h"

#define MAP_VERSION "pp_version"

/* The maps that ppctl reads and writes. */
static const struct {
	const char *name;
	unsigned int key_size, value_size;
} known[] = {
	{MAP_PORTS, sizeof(uint16_t), sizeof(struct pp_port)},
	{MAP_SERVED, sizeof(uint32_t), sizeof(uint32_t)},
	{MAP_ADDRESSES, sizeof(struct pp_port_key), sizeof(struct pp_port)},
	{MAP_PROXIES, sizeof(struct pp_prefix), sizeof(struct pp_proxy)},
	{MAP_CONFIG, sizeof(uint32_t), sizeof(struct pp_config)},
	{MAP_STATS, sizeof(uint32_t), sizeof(uint64_t)},
	{MAP_GUARDED, sizeof(struct pp_interface), sizeof(uint64_t)},
	{MAP_ONLY, sizeof(struct pp_interface_name), sizeof(uint32_t)},
	{MAP_HOOKED, sizeof(uint64_t), sizeof(uint32_t)},
	{"pp_refused", sizeof(struct pp_peer_key), sizeof(struct pp_peer)},
	{"pp_unmarked", sizeof(struct pp_peer_key), sizeof(struct pp_peer)},
	{"pp_flows", sizeof(struct pp_connection_key), sizeof(struct pp_flow)},
	{"pp_forwarded", sizeof(struct pp_connection_key), sizeof(struct pp_forward)},
	{MAP_VERSION, sizeof(uint32_t), sizeof(struct pp_version)},
};

/* Return: 0; or -1 with errno set: it is not there, or cannot be read. */
static int read_sizes(const char *map, struct bpf_map_info *info)
{
	__u32 len = sizeof(*info);
	int fd = pin_open("maps", map), result;

	if (fd < 0)
		return -1;
	memset(info, 0, sizeof(*info));
	result = bpf_obj_get_info_by_fd(fd, info, &len);
	close(fd);
	return result;
}

/* Of a set that has none, as bpftool pins it, nothing is known. */
static void version_read(struct pp_version *version)
{
	int fd = pin_open("maps", MAP_VERSION);
	__u32 zero = 0;

	memset(version, 0, sizeof(*version));
	if (fd < 0)
		return;
	if (bpf_map_lookup_elem(fd, &zero, version))
		memset(version, 0, sizeof(*version));
	version->name[sizeof(version->name) - 1] = 0;
	close(fd);
}

int version_write(void)
{
	struct pp_version version = {.abi = PP_MAPS_ABI, .name = PP_VERSION};

	return pin_write(MAP_VERSION, &version, sizeof(version));
}

static int is_of_another(size_t i, const struct bpf_map_info *info)
{
	return info->key_size != known[i].key_size || info->value_size != known[i].value_size;
}

int version_can_replace(void)
{
	struct pp_version version;

	version_read(&version);
	if (version.abi == PP_MAPS_ABI)
		return 0;
	return error("%s was pinned by ppsplit %s, with maps of version %u, and those of %s have "
		     "%u: 'ppctl down', then up again. Nothing was changed",
		     options.pin, version.name[0] ? version.name : "(of no known version)",
		     version.abi, PP_VERSION, PP_MAPS_ABI);
}

int version_is_readable(void)
{
	struct bpf_map_info info;
	struct pp_version version;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!read_sizes(known[i].name, &info) && is_of_another(i, &info))
			return 0;
	}
	version_read(&version);
	return version.abi <= PP_MAPS_ABI;
}

int version_check(void)
{
	struct bpf_map_info info = {};
	struct pp_version version;
	size_t i;

	if (!read_sizes(MAP_VERSION, &info) && is_of_another(ARRAY_SIZE(known) - 1, &info))
		return error("%s was pinned by another version of ppsplit, this is %s: use the "
			     "ppctl that made it; 'ppctl down --now' removes it in any case, and "
			     "what lives on it with it",
			     options.pin, PP_VERSION);
	version_read(&version);
	if (version.abi > PP_MAPS_ABI)
		return error("%s was pinned by ppsplit %s, with maps of version %u, this is %s, "
			     "which has %u: use the newer ppctl; 'ppctl down --now' removes it in "
			     "any case, and what lives on it with it",
			     options.pin, version.name, version.abi, PP_VERSION, PP_MAPS_ABI);
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (read_sizes(known[i].name, &info) || !is_of_another(i, &info))
			continue;
		return error(
			"%s was pinned by ppsplit %s, this is %s: %s has keys of %u and "
			"values of %u bytes there, and %u and %u here. Use the ppctl that made "
			"it; 'ppctl down --now' removes it in any case, and what lives on it "
			"with it",
			options.pin, version.name[0] ? version.name : "(of no known version)",
			PP_VERSION, known[i].name, info.key_size, info.value_size,
			known[i].key_size, known[i].value_size);
	}
	return 0;
}
