// SPDX-License-Identifier: BSD-2-Clause
/*
 * The counters of pp_stats, and names for what they count; so also for the reasons of bad headers.
 * A name is that of pp/maps.h without its prefix, in small letters; selftests/net/ppctl.c compares.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../common/array.h"
#include "ppctl.h"

static const struct counter_name {
	enum pp_stat stat;
	const char *name;
	const char *help;
} counter_names[] = {
	{PP_STAT_CONNECTIONS, "connections", "from marked proxies to served ports"},
	{PP_STAT_ACKS_HELD, "acks_held", "handshake ACKs held back by the gate"},
	{PP_STAT_GATES_EXPIRED, "gates_expired", "connections without a header in the gate's time"},
	{PP_STAT_V1, "v1", "valid v1 headers"},
	{PP_STAT_V2, "v2", "valid v2 headers"},
	{PP_STAT_LOCAL, "local", "of these: LOCAL, UNSPEC and UNKNOWN"},
	{PP_STAT_FRAGMENTED, "fragmented", "headers whose first segment had only a part"},
	{PP_STAT_LARGE, "large", "headers of over 1,024 bytes"},
	{PP_STAT_DROPPED_BAD, "dropped_bad",
	 "segments dropped: a bad header, with a split also none in time"},
	{PP_STAT_DROPPED_HOLE, "dropped_hole", "segments that do not continue a header, dropped"},
	{PP_STAT_GUARDED, "guarded",
	 "split: segments that pp_in has not seen, or no record explains, dropped"},
	{PP_STAT_SPLIT, "split", "headers taken out of the stream"},
	{PP_STAT_PIECES, "pieces", "split: pieces of headers acknowledged"},
	{PP_STAT_UNSERVED, "unserved",
	 "split: connections to listeners outside of the cgroup, reset"},
	{PP_STAT_FORWARDED_FULL, "forwarded_full",
	 "forwarded connections reset: no room in pp_forwarded"},
	{PP_STAT_FOREIGN, "foreign", "addresses that do not fit their socket: 192.0.0.8"},
	{PP_STAT_FROM_SENDER, "from_sender", "records that came from the sending side"},
	{PP_STAT_ASKED, "asked", "connections whose origin a server has asked for"},
	{PP_STAT_OUTSIDERS, "outsiders", "segments of processes outside of the proxies' cgroups"},
	{PP_STAT_NO_MEMORY, "no_memory", "records that could not be stored"},
	{PP_STAT_SENDERS, "senders", "sending side: connections of proxy cgroups"},
	{PP_STAT_SENT, "sent", "sending side: headers decoded inside send()"},
	{PP_STAT_UNSEEN, "unseen", "sending side: headers left to the receiving side"},
	{PP_STAT_SENDERS_NATIVE, "senders_native",
	 "sending side: sockets that have left pp_senders"},
	{PP_STAT_DROPPED_UNREADABLE, "dropped_unreadable",
	 "segments of proxies whose headers cannot be read, dropped"},
	{PP_STAT_DROPPED_FASTOPEN, "dropped_fastopen",
	 "SYNs of proxies with TCP Fast Open, dropped"},
	{PP_STAT_DROPPED_MPTCP, "dropped_mptcp", "SYNs of proxies with Multipath TCP, dropped"},
	{PP_STAT_UNANNOUNCED, "unannounced", "segments whose announcement was lost, dropped"},
	{PP_STAT_UNCONFIRMED, "unconfirmed",
	 "sending side: connections to servers that are not served"},
	{PP_STAT_BAD + PP_BAD_SIGNATURE, "bad_signature", "bad: neither PROXY nor v2 signature"},
	{PP_STAT_BAD + PP_BAD_VERSION, "bad_version", "bad: v2 version is not 2"},
	{PP_STAT_BAD + PP_BAD_COMMAND, "bad_command", "bad: v2 command is unknown"},
	{PP_STAT_BAD + PP_BAD_FAMILY, "bad_family", "bad: address family is unknown"},
	{PP_STAT_BAD + PP_BAD_ADDRESS, "bad_address", "bad: v1 address"},
	{PP_STAT_BAD + PP_BAD_PORT, "bad_port", "bad: v1 port"},
	{PP_STAT_BAD + PP_BAD_LINE, "bad_line", "bad: v1 line end"},
	{PP_STAT_BAD + PP_BAD_LENGTH, "bad_length", "bad: v2 length too short for its family"},
	{PP_STAT_BAD + PP_BAD_TLV, "bad_tlv", "bad: v2 TLV"},
	{PP_STAT_BAD + PP_BAD_CHECKSUM, "bad_checksum", "bad: v2 CRC32C"},
	{PP_STAT_BAD + PP_BAD_TOO_LARGE, "bad_too_large", "bad: over 16,384 bytes"},
	{PP_STAT_BAD + PP_BAD_CLOSED, "bad_closed", "bad: closed before the header was complete"},
	{PP_STAT_BAD + PP_BAD_MISSED, "bad_missed",
	 "bad: bytes arrived that the programs did not see"},
	{PP_STAT_BAD + PP_BAD_SENDER, "bad_sender",
	 "bad: sent by a process of this host outside of the proxies' cgroups"},
	{PP_STAT_BAD + PP_BAD_UNRECORDED, "bad_unrecorded",
	 "bad: the connection is older than the programs, its port or its proxy's mark"},
	{PP_STAT_BAD + PP_BAD_MPTCP, "bad_mptcp", "bad: a Multipath TCP connection"},
};

#define BAD_NAME "bad_"
#define BAD_HELP "bad: "

void reason_names(unsigned int reason, const char **name, const char **meaning)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counter_names); i++) {
		if (!reason || counter_names[i].stat != PP_STAT_BAD + reason)
			continue;
		*name = counter_names[i].name + strlen(BAD_NAME);
		*meaning = counter_names[i].help + strlen(BAD_HELP);
		return;
	}
	*name = "unknown";
	*meaning = "this ppctl is older than the programs";
}

const char *stat_name(size_t i, const char **help)
{
	if (i >= ARRAY_SIZE(counter_names))
		return NULL;
	*help = counter_names[i].help;
	return counter_names[i].name;
}

struct json_object *stats_read(int map)
{
	struct json_object *object = json_object_new_object();
	int cpus = libbpf_num_possible_cpus(), cpu;
	uint64_t *values, sum;
	uint32_t key;
	size_t i;

	if (cpus <= 0)
		return object;
	values = calloc(cpus, sizeof(*values));
	for (i = 0; values && i < ARRAY_SIZE(counter_names); i++) {
		key = counter_names[i].stat;
		sum = 0;
		if (bpf_map_lookup_elem(map, &key, values))
			continue;
		for (cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu];
		json_object_object_add(object, counter_names[i].name, json_object_new_int64(sum));
	}
	free(values);
	return object;
}

void stats_print(struct json_object *stats, int all)
{
	int64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counter_names); i++) {
		value = json_object_get_int64(json_object_object_get(stats, counter_names[i].name));
		if (value || all)
			printf("  %-18s %10lld  %s\n", counter_names[i].name, (long long)value,
			       counter_names[i].help);
	}
}
