// SPDX-License-Identifier: BSD-2-Clause
/*
 * A record as JSON and as text, wherever it comes from: a socket of a process, or the list of those
 * that live.
 */
#include <errno.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/internal.h"
#include "../common/array.h"
#include "../common/name.h"
#include "json.h"
#include "ppctl.h"
#include "record.h"

static const char *const state_names[] = {
	[PP_STATE_NONE] = "none",
	[PP_STATE_PENDING] = "pending",
	[PP_STATE_EXPIRED] = "expired",
	[PP_STATE_VALID] = "valid",
	[PP_STATE_LOCAL] = "local",
	[PP_STATE_BAD] = "bad",
	[PP_STATE_FRAGMENTED] = "fragmented",
};

static const char *const path_names[] = {
	[PP_PATH_NONE] = "none",       [PP_PATH_HANDSHAKE] = "handshake",
	[PP_PATH_SEGMENT] = "segment", [PP_PATH_SENDER] = "sender",
	[PP_PATH_SPLIT] = "split",
};

static const struct {
	uint8_t type;
	const char *name;
} tlv_names[] = {
	{PP_TLV_ALPN, "alpn"},
	{PP_TLV_AUTHORITY, "authority"},
	{PP_TLV_CRC32C, "crc32c"},
	{PP_TLV_NOOP, "noop"},
	{PP_TLV_UNIQUE_ID, "unique_id"},
	{PP_TLV_SSL, "ssl"},
	{PP_TLV_SSL_VERSION, "ssl_version"},
	{PP_TLV_SSL_CN, "ssl_cn"},
	{PP_TLV_SSL_CIPHER, "ssl_cipher"},
	{PP_TLV_SSL_SIG_ALG, "ssl_sig_alg"},
	{PP_TLV_SSL_KEY_ALG, "ssl_key_alg"},
	{PP_TLV_SSL_GROUP, "ssl_group"},
	{PP_TLV_SSL_SIG_SCHEME, "ssl_sig_scheme"},
	{PP_TLV_SSL_CLIENT_CERT, "ssl_client_cert"},
	{PP_TLV_NETNS, "netns"},
	{PP_TLV_GCP_CONNECTION, "gcp_connection"},
	{PP_TLV_AWS, "aws"},
	{PP_TLV_AZURE, "azure"},
};

static const char *name_in(const char *const *names, size_t count, unsigned int index)
{
	return index < count && names[index] ? names[index] : "unknown";
}

static struct json_object *tlv_object(const struct pp_tlv *tlv)
{
	struct json_object *object = json_object_new_object();
	char *hex = calloc(1, 2 * tlv->len + 1);
	int printable = tlv->len > 0;
	const char *name = "other";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tlv_names); i++) {
		if (tlv_names[i].type == tlv->type)
			name = tlv_names[i].name;
	}
	for (i = 0; hex && i < tlv->len; i++) {
		sprintf(hex + 2 * i, "%02x", tlv->value[i]);
		printable &= isprint(tlv->value[i]) != 0;
	}
	json_object_object_add(object, "type", json_object_new_int(tlv->type));
	json_object_object_add(object, "name", json_object_new_string(name));
	json_object_object_add(object, "hex", json_object_new_string(hex ? hex : ""));
	if (printable)
		json_object_object_add(object, "text",
				       json_object_new_string_len((const char *)tlv->value,
								  tlv->len));
	free(hex);
	return object;
}

static struct json_object *tlvs_object(const uint8_t *tlvs, size_t len)
{
	struct json_object *list = json_object_new_array();
	struct pp_tlv tlv;
	size_t offset = 0;

	while (pp_tlv_next(tlvs, len, &offset, &tlv) == 1)
		json_object_array_add(list, tlv_object(&tlv));
	return list;
}

/* The process that sent the header, if it was a proxy on this host. */
static void add_sender(struct json_object *object, const struct pp_record *record)
{
	struct json_object *sender = json_object_new_object();
	char path[PATH_MAX];

	if (cgroup_path_of_id(record->sender_cgroup, path) && errno == ESTALE)
		snprintf(path, sizeof(path), "gone");
	json_object_object_add(sender, "cgroup", json_object_new_string(path));
	if (record->path == PP_PATH_SENDER)
		json_object_object_add(sender, "pid", json_object_new_int(record->sender_pid));
	json_object_object_add(sender, "uid", json_object_new_int64(record->sender_uid));
	json_object_object_add(object, "sender", sender);
}

static void add_reason(struct json_object *object, unsigned int reason)
{
	const char *name, *meaning;

	reason_names(reason, &name, &meaning);
	json_object_object_add(object, "reason", json_object_new_string(name));
	json_object_object_add(object, "meaning", json_object_new_string(meaning));
}

static void add_origin(struct json_object *object, const struct sighting *seen)
{
	const struct pp_record *record = seen->record;
	char text[PP_ORIGIN_PRINT_MAX];
	struct pp_origin origin = {};

	pp_origin_from_record(&origin, record, seen->header);
	pp_origin_print(&origin, text, sizeof(text));
	add_string(object, "origin", text);
	add_number(object, "version", origin.version);
	add_string(object, "command", origin.command == PP_LOCAL ? "LOCAL" : "PROXY");
	if (origin.family == AF_INET || origin.family == AF_INET6) {
		endpoint_text(&origin.src, text);
		add_string(object, "source", text);
		endpoint_text(&origin.dst, text);
		add_string(object, "destination", text);
	}
	add_number(object, "header_len", origin.header_len);
	add_number(object, "tlv_len", origin.tlv_len);
	add_boolean(object, "taken", record->flags & PP_RECORD_TAKEN);
	add_string(object, "path", name_in(path_names, ARRAY_SIZE(path_names), record->path));
	json_object_object_add(object, "tlvs", tlvs_object(seen->tlvs, seen->tlvs_len));
}

const char *record_state(unsigned int state)
{
	return name_in(state_names, ARRAY_SIZE(state_names), state);
}

int record_state_find(const char *name)
{
	return NAME_FIND(name, state_names);
}

const char *record_state_nearest(const char *name)
{
	return NAME_NEAREST(name, state_names);
}

struct json_object *record_object(const struct sighting *seen)
{
	const struct pp_record *record = seen->record;
	struct json_object *object = json_object_new_object();
	char text[ENDPOINT_TEXT_MAX];

	endpoint_text(&seen->peer, text);
	add_string(object, "peer", text);
	if (seen->proxy.ss_family != AF_UNSPEC) {
		endpoint_text(&seen->proxy, text);
		add_string(object, "proxy", text);
		endpoint_text(&seen->proxy_dst, text);
		add_string(object, "proxy_dst", text);
	}
	add_string(object, "state", record_state(record->state));
	if (record->state == PP_STATE_BAD)
		add_reason(object, record->reason);
	if (record->state == PP_STATE_FRAGMENTED) {
		/* all that TCP has received is part of it */
		add_number(object, "bytes_seen", seen->received);
		add_number(object, "bytes_needed", record->need);
	}
	if (record->sender_cgroup)
		add_sender(object, record);
	if (record->state == PP_STATE_VALID || record->state == PP_STATE_LOCAL)
		add_origin(object, seen);
	return object;
}

struct json_object *record_of_live(const struct connection *connection)
{
	const struct pp_live *live = &connection->live;
	struct pp_record record = live->record;
	struct sighting seen = {.record = &record, .received = live->received};
	uint8_t header[PP_PAGE] = {0};

	record.state = live_state(live);
	memcpy(header, connection->header, live->kept < PP_PAGE ? live->kept : PP_PAGE);
	seen.header = header;
	mapped_endpoint(&seen.peer, live->remote, live->remote_port);
	if (record.state != PP_STATE_NONE) {
		seen.proxy = seen.peer;
		mapped_endpoint(&seen.proxy_dst, live->local, live->local_port);
	}
	if (record.tlv_len && record.tlv_len <= record.header_len &&
	    record.header_len <= live->kept) {
		seen.tlvs = connection->header + record.header_len - record.tlv_len;
		seen.tlvs_len = record.tlv_len;
	}
	return record_object(&seen);
}

static void print_sender(struct json_object *sender)
{
	struct json_object *pid = json_object_object_get(sender, "pid");

	printf("%-12s ", "sender");
	if (pid)
		printf("pid %s, ", json_object_get_string(pid));
	printf("uid %s, %s\n", json_object_get_string(json_object_object_get(sender, "uid")),
	       json_object_get_string(json_object_object_get(sender, "cgroup")));
}

void record_print(struct json_object *object)
{
	json_object_object_foreach(object, key, value)
	{
		struct json_object *tlv, *text;
		size_t i;

		if (!strcmp(key, "sender")) {
			print_sender(value);
			continue;
		}
		if (strcmp(key, "tlvs")) {
			printf("%-12s %s\n", key, json_object_get_string(value));
			continue;
		}
		for (i = 0; i < json_object_array_length(value); i++) {
			tlv = json_object_array_get_idx(value, i);
			text = json_object_object_get(tlv, "text");
			printf("tlv 0x%02x     %s %s\n",
			       json_object_get_int(json_object_object_get(tlv, "type")),
			       json_object_get_string(json_object_object_get(tlv, "name")),
			       json_object_get_string(text ? text
							   : json_object_object_get(tlv, "hex")));
		}
	}
}
