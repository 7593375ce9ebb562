// SPDX-License-Identifier: BSD-2-Clause
/*
 * ppctl lookup PID FD: what the programs know of a socket of another process. Does not modify the
 * socket: the header stays where it is.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "../lib/internal.h"
#include "../common/array.h"
#include "../common/endpoint.h"
#include "../common/number.h"
#include "ppctl.h"

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

/* A socket of process @pid, as ours. */
static int fetch_fd(const char *pid_text, const char *fd_text)
{
	uint64_t pid, fd;
	int process, copy;

	if (number_parse(pid_text, 1, INT_MAX, &pid) || number_parse(fd_text, 0, INT_MAX, &fd))
		return usage_error("lookup %s %s: PID and FD are numbers, as in /proc/PID/fd/FD",
				   pid_text, fd_text);
	process = syscall(SYS_pidfd_open, (int)pid, 0);
	if (process < 0)
		return error("process %s: %s", pid_text, strerror(errno));
	copy = syscall(SYS_pidfd_getfd, process, (int)fd, 0);
	close(process);
	if (copy < 0 && errno == EPERM)
		return error("process %s: fetching its descriptor needs root (CAP_SYS_PTRACE)",
			     pid_text);
	if (copy < 0)
		return error("descriptor %s of process %s: %s", fd_text, pid_text, strerror(errno));
	return copy;
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

static struct json_object *tlvs_read(int fd)
{
	struct json_object *list = json_object_new_array();
	uint8_t tlvs[PP_HEADER_MAX];
	struct pp_tlv tlv;
	size_t offset = 0;
	int len = pp_tlvs(fd, tlvs, sizeof(tlvs));

	while (len > 0 && pp_tlv_next(tlvs, len, &offset, &tlv) == 1)
		json_object_array_add(list, tlv_object(&tlv));
	return list;
}

/* The process that sent the header, if it was a proxy on this host. */
static void add_sender(struct json_object *object, const struct pp_record *record)
{
	struct json_object *sender = json_object_new_object();
	char path[PATH_MAX];

	if (cgroup_path_of_id(record->sender_cgroup, path))
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

/* While a header is incomplete, all that TCP has received is part of it. */
static void add_progress(struct json_object *object, int fd, uint32_t needed)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return;
	json_object_object_add(object, "bytes_seen",
			       json_object_new_int64(info.tcpi_bytes_received));
	json_object_object_add(object, "bytes_needed", json_object_new_int64(needed));
}

static void add_endpoint(struct json_object *object, const char *key,
			 const struct sockaddr_storage *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_text(endpoint, text);
	json_object_object_add(object, key, json_object_new_string(text));
}

/* The ends of the TCP connection: "peer" is the client in transparent mode. */
static void add_proxy(struct json_object *object, const struct pp_answer *answer)
{
	struct pp_origin origin = {};

	pp_origin_proxy_from_answer(&origin, answer);
	if (origin.proxy.ss_family == AF_UNSPEC)
		return;
	add_endpoint(object, "proxy", &origin.proxy);
	add_endpoint(object, "proxy_dst", &origin.proxy_dst);
}

static struct json_object *record_object(int fd, const struct pp_answer *answer)
{
	const struct pp_record *record = &answer->record;
	struct json_object *object = json_object_new_object();
	struct sockaddr_storage peer;
	struct pp_origin origin = {};
	uint8_t header[PP_PAGE] = {0};
	char text[PP_ORIGIN_PRINT_MAX];
	socklen_t len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &len))
		peer.ss_family = AF_UNSPEC;
	add_endpoint(object, "peer", &peer);
	add_proxy(object, answer);
	json_object_object_add(object, "state",
			       json_object_new_string(name_in(state_names, ARRAY_SIZE(state_names),
							      record->state)));
	if (record->state == PP_STATE_BAD)
		add_reason(object, record->reason);
	if (record->state == PP_STATE_FRAGMENTED)
		add_progress(object, fd, record->need);
	if (record->sender_cgroup)
		add_sender(object, record);
	if (record->state != PP_STATE_VALID && record->state != PP_STATE_LOCAL)
		return object;

	pp_sockopt(fd, PP_HEADER, header, sizeof(header));
	pp_origin_from_record(&origin, record, header);
	pp_origin_print(&origin, text, sizeof(text));
	json_object_object_add(object, "origin", json_object_new_string(text));
	json_object_object_add(object, "version", json_object_new_int(origin.version));
	json_object_object_add(object, "command",
			       json_object_new_string(origin.command == PP_LOCAL ? "LOCAL"
										 : "PROXY"));
	if (origin.family == AF_INET || origin.family == AF_INET6) {
		add_endpoint(object, "source", &origin.src);
		add_endpoint(object, "destination", &origin.dst);
	}
	json_object_object_add(object, "header_len", json_object_new_int(origin.header_len));
	json_object_object_add(object, "tlv_len", json_object_new_int(origin.tlv_len));
	json_object_object_add(object, "taken",
			       json_object_new_boolean(record->flags & PP_RECORD_TAKEN));
	json_object_object_add(
		object, "path",
		json_object_new_string(name_in(path_names, ARRAY_SIZE(path_names), record->path)));
	json_object_object_add(object, "tlvs", tlvs_read(fd));
	return object;
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

static void print_record(struct json_object *object)
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

int command_lookup(int argc, char **argv)
{
	struct json_object *object;
	struct pp_answer answer = {};
	int fd, result;

	(void)argc;
	fd = fetch_fd(argv[0], argv[1]);
	if (fd < 0)
		return fd;
	result = pp_sockopt(fd, PP_ORIGIN, &answer, sizeof(answer));
	if (result == -ENOTCONN) {
		close(fd);
		return error("descriptor %s of process %s is a listening socket: only connections "
			     "have an origin",
			     argv[1], argv[0]);
	}
	if (result < 0) {
		close(fd);
		return error("descriptor %s of process %s: %s", argv[1], argv[0],
			     pp_strerror(result));
	}
	object = record_object(fd, &answer);
	close(fd);
	if (options.json) {
		print_json(object);
		return 0;
	}
	print_record(object);
	json_object_put(object);
	return 0;
}
