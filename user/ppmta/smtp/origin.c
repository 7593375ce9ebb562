// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who the client is: what accept() says, and where a proxy stands between, what its header says.
 * This is where ppmta uses libpp.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/endpoint.h"
#include "smtp.h"

static void keep_tlvs(struct session *session, const uint8_t *tlvs, int len)
{
	session->tlvs = (uint8_t *)pool_copy(&session->kept, (const char *)tlvs, len);
	session->tlvs_len = len;
}

/* The header by user space alone. */
static int read_header(struct session *session)
{
	struct pp_origin *origin = &session->origin;
	uint8_t tlvs[PP_HEADER_MAX];
	int result = pp_read_header_tlvs(session->channel->fd, origin, tlvs, sizeof(tlvs),
					 session->config->proxy_protocol_timeout);

	if (result == 0 && origin->command == PP_PROXY && origin->tlv_len)
		keep_tlvs(session, tlvs, origin->tlv_len);
	return result;
}

/* -ENOENT: an ordinary connection */
static int find(struct session *session, int required)
{
	struct config *config = session->config;
	uint8_t tlvs[PP_HEADER_MAX];
	int result = -ENOPROTOOPT, len;

	if (config->proxy_lookup != LOOKUP_USERSPACE)
		result = pp_lookup_wait(session->channel->fd, &session->origin,
					config->proxy_protocol_timeout);
	if (result == -ENOPROTOOPT && config->proxy_lookup != LOOKUP_KERNEL)
		return required ? read_header(session) : -ENOENT;
	if (result == -ENOENT || result == -ENOPROTOOPT)
		return required ? -EPROTO : -ENOENT;
	if (result == 0) {
		len = pp_tlvs(session->channel->fd, tlvs, sizeof(tlvs));
		if (len > 0)
			keep_tlvs(session, tlvs, len);
	}
	return result;
}

static void log_negotiation(const struct session *session, int result)
{
	const char *reason = pp_reason_text(session->origin.reason);
	char text[PP_ORIGIN_PRINT_MAX], sender[64] = "";

	if (!(session->config->selected & SELECT_PROXY_NEGOTIATION))
		return;
	if (result) {
		log_line("proxy negotiation with [%s]:%u failed: %s%s%s",
			 session->sender_host_address, session->sender_host_port,
			 result == -EPROTO ? "not from a marked proxy" : pp_strerror(result),
			 result == -EBADMSG ? ": " : "", result == -EBADMSG ? reason : "");
		return;
	}
	pp_origin_print(&session->origin, text, sizeof(text));
	if (session->origin.sender_cgroup)
		snprintf(sender, sizeof(sender), ", sent by process %u, uid %u",
			 session->origin.sender_pid, session->origin.sender_uid);
	log_line("connection from [%s]:%u through proxy [%s]:%u (%s, header %u bytes, TLVs %u%s)",
		 session->sender_host_address, session->sender_host_port,
		 session->proxy_host_address, session->proxy_host_port, text,
		 session->origin.header_len, session->origin.tlv_len, sender);
}

void origin_find(struct session *session)
{
	const struct pp_origin *origin = &session->origin;
	int required, result;

	endpoint_address(&session->peer, session->sender_host_address);
	session->sender_host_port = endpoint_port(&session->peer);
	/* if the list cannot be expanded, every host has to send a header */
	required = list_option_matches(session, "proxy_required_hosts",
				       session->config->proxy_required_hosts) != 0;
	result = find(session, required);
	if (result == -ENOENT)
		return;
	session->proxy_session = 1;
	if (result) {
		session->proxy_failed = 1;
		log_negotiation(session, result);
		return;
	}
	strcpy(session->proxy_host_address, session->sender_host_address);
	session->proxy_host_port = session->sender_host_port;
	if (origin->family == AF_INET || origin->family == AF_INET6) {
		endpoint_address(&origin->src, session->sender_host_address);
		session->sender_host_port = endpoint_port(&origin->src);
		endpoint_address(&origin->dst, session->proxy_external_address);
		session->proxy_external_port = endpoint_port(&origin->dst);
	}
	log_negotiation(session, 0);
}
