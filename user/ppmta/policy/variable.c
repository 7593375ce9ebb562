// SPDX-License-Identifier: BSD-2-Clause
/*
 * The variables of expansions.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../common/name.h"
#include "../../common/number.h"
#include "policy.h"

/* ---- TLVs of the header that named the origin ---- */

/* Bits of the first byte of PP_TLV_SSL. */
enum { CLIENT_SHOWED_CERT_NOW = 2, CLIENT_SHOWED_CERT_BEFORE = 4 };

static const uint8_t *find_tlv(const uint8_t *tlvs, size_t tlvs_len, int type, size_t *len)
{
	struct pp_tlv tlv;
	size_t offset = 0;

	while (pp_tlv_next(tlvs, tlvs_len, &offset, &tlv) == 1) {
		if (tlv.type == type) {
			*len = tlv.len;
			return tlv.value;
		}
	}
	return NULL;
}

/* TLV @type's value, or NULL; sub-TLVs of PP_TLV_SSL by their type. */
static const uint8_t *origin_tlv(const struct session *session, int type, size_t *len)
{
	const uint8_t *ssl;
	size_t ssl_len;

	if (!session->tlvs)
		return NULL;
	if (type < PP_TLV_SSL_VERSION || type > PP_TLV_SSL_CLIENT_CERT)
		return find_tlv(session->tlvs, session->tlvs_len, type, len);
	ssl = find_tlv(session->tlvs, session->tlvs_len, PP_TLV_SSL, &ssl_len);
	if (!ssl || ssl_len < PP_TLV_SSL_FIXED)
		return NULL;
	return find_tlv(ssl + PP_TLV_SSL_FIXED, ssl_len - PP_TLV_SSL_FIXED, type, len);
}

/* Has the header TLVs that could not be had? */
static bool origin_tlvs_lost(const struct session *session)
{
	return session->origin.command == PP_PROXY && session->origin.tlv_len && !session->tlvs;
}

/* Did the client show the proxy a certificate, and was it verified? */
static bool origin_is_verified(const struct session *session)
{
	size_t len;
	const uint8_t *ssl = origin_tlv(session, PP_TLV_SSL, &len);

	/* a certificate, and 0 as the result of its verification */
	return ssl && len >= PP_TLV_SSL_FIXED &&
	       ssl[0] & (CLIENT_SHOWED_CERT_NOW | CLIENT_SHOWED_CERT_BEFORE) &&
	       !memcmp(ssl + 1, "\0\0\0\0", 4);
}

/* ---- what has to be made ---- */

char *sender_host_name(struct session *session)
{
	if (!session->sender_host_name)
		session->sender_host_name =
			dns_name_of(&session->dns, session->sender_host_address, &session->kept);
	return session->sender_host_name;
}

char *session_host(struct session *session)
{
	const char *name = session->sender_host_name ? session->sender_host_name : "";
	bool has_helo = session->helo[0] && strcasecmp(name, session->helo) != 0;

	return pool_printf(&session->pool, "%s%s%s%s%s[%s]", name, *name ? " " : "",
			   has_helo ? "(" : "", has_helo ? session->helo : "", has_helo ? ") " : "",
			   session->sender_host_address);
}

static char *get_domain(struct session *session)
{
	return (char *)address_domain(session->mail.recipient);
}

static char *get_sender_domain(struct session *session)
{
	return (char *)address_domain(session->mail.sender);
}

static char *get_sender_local_part(struct session *session)
{
	const char *address = session->mail.sender, *at = strrchr(address, '@');

	return pool_copy(&session->pool, address, at ? (size_t)(at - address) : strlen(address));
}

/* The recipient's: in small letters, and without quotes. */
static char *get_local_part(struct session *session)
{
	char *local_part = mailbox_local_part(session->mail.recipient, &session->pool), *at;

	for (at = local_part; *at; at++)
		*at = tolower((unsigned char)*at);
	return local_part;
}

static char *get_primary_hostname(struct session *session)
{
	return session->config->primary_hostname;
}

static char *get_tls_cipher(struct session *session)
{
	return session->channel->ssl ? tls_cipher(session->channel->ssl, &session->pool) : "";
}

/* What is no text is empty: it must say no less than the client, and nothing else. */
static char *tlv_text(struct session *session, int type, size_t skip)
{
	size_t len = 0;
	const char *value = (const char *)origin_tlv(session, type, &len);
	char *text;

	if (!value || len < skip)
		return "";
	text = pool_copy(&session->pool, value + skip, len - skip);
	text_clean(text, len - skip, false);
	if (strlen(text) == len - skip && !memcmp(text, value + skip, len - skip))
		return text;
	log_line("TLV 0x%02x of H=%s is no text", (unsigned int)type, session_host(session));
	return "";
}

/* The client's SNI, maybe: a domain, or nothing. */
static char *get_authority(struct session *session)
{
	char *name = tlv_text(session, PP_TLV_AUTHORITY, 0);

	return address_is_domain(name, strlen(name)) && *name != '[' ? name : "";
}

static char *get_ssl_verify(struct session *session)
{
	size_t len;

	return !origin_tlv(session, PP_TLV_SSL, &len) ? ""
	       : origin_is_verified(session)	      ? "yes"
						      : "no";
}

static char *get_ssl_cn(struct session *session)
{
	return origin_is_verified(session) ? tlv_text(session, PP_TLV_SSL_CN, 0) : "";
}

/* Amazon's TLV begins with a subtype: 1 is the VPC endpoint's id */
static char *get_aws_vpce_id(struct session *session)
{
	size_t len = 0;
	const uint8_t *value = origin_tlv(session, PP_TLV_AWS, &len);

	return value && len && value[0] == 1 ? tlv_text(session, PP_TLV_AWS, 1) : "";
}

/* What is at an offset in struct session, but for TLV and GOT. */
enum type {
	TEXT,	/* an array */
	STRING, /* a pointer; NULL is "" */
	COUNT,	/* an int */
	SIZE,	/* uint64_t */
	PORT,	/* 0 is "" */
	YES_NO, /* a bool */
	TLV,
	GOT,
};

static const struct variable {
	const char *name;
	enum type type;
	size_t at; /* an offset, or the type of a TLV */
	char *(*get)(struct session *session);
} variables[] = {
#define AT(field) offsetof(struct session, field), NULL
	{"dnslist_domain", STRING, AT(dnslist_domain)},
	{"dnslist_matched", STRING, AT(dnslist_matched)},
	{"dnslist_text", STRING, AT(dnslist_text)},
	{"dnslist_value", STRING, AT(dnslist_value)},
	{"domain", GOT, 0, get_domain},
	{"local_part", GOT, 0, get_local_part},
	{"message_exim_id", TEXT, AT(mail.id)},
	{"message_size", SIZE, AT(mail.size)},
	{"pp_tlv_alpn", TLV, PP_TLV_ALPN, NULL},
	{"pp_tlv_authority", GOT, 0, get_authority},
	{"pp_tlv_aws_vpce_id", GOT, 0, get_aws_vpce_id},
	{"pp_tlv_ssl_cipher", TLV, PP_TLV_SSL_CIPHER, NULL},
	{"pp_tlv_ssl_cn", GOT, 0, get_ssl_cn},
	{"pp_tlv_ssl_verify", GOT, 0, get_ssl_verify},
	{"pp_tlv_ssl_version", TLV, PP_TLV_SSL_VERSION, NULL},
	{"pp_tlv_unique_id", TLV, PP_TLV_UNIQUE_ID, NULL},
	{"primary_hostname", GOT, 0, get_primary_hostname},
	{"proxy_external_address", TEXT, AT(proxy_external_address)},
	{"proxy_external_port", PORT, AT(proxy_external_port)},
	{"proxy_host", TEXT, AT(proxy_host_address)},
	{"proxy_host_address", TEXT, AT(proxy_host_address)},
	{"proxy_host_port", PORT, AT(proxy_host_port)},
	{"proxy_local_address", TEXT, AT(proxy_host_address)},
	{"proxy_local_port", PORT, AT(proxy_host_port)},
	{"proxy_session", YES_NO, AT(proxy_session)},
	{"rcpt_count", COUNT, AT(mail.rcpt_count)},
	{"received_ip_address", TEXT, AT(received_ip_address)},
	{"received_port", PORT, AT(received_port)},
	{"recipients_count", COUNT, AT(mail.recipient_count)},
	{"sender_address", TEXT, AT(mail.sender)},
	{"sender_address_domain", GOT, 0, get_sender_domain},
	{"sender_address_local_part", GOT, 0, get_sender_local_part},
	{"sender_helo_name", TEXT, AT(helo)},
	{"sender_host_address", TEXT, AT(sender_host_address)},
	{"sender_host_name", GOT, 0, sender_host_name},
	{"sender_host_port", PORT, AT(sender_host_port)},
	{"sender_rate", STRING, AT(sender_rate)},
	{"sender_rate_limit", STRING, AT(sender_rate_limit)},
	{"sender_rate_period", STRING, AT(sender_rate_period)},
	{"spf_header_comment", STRING, AT(mail.spf_header_comment)},
	{"spf_received", STRING, AT(mail.spf_received)},
	{"spf_result", STRING, AT(mail.spf_result)},
	{"spf_smtp_comment", STRING, AT(mail.spf_smtp_comment)},
	{"tls_in_cipher", GOT, 0, get_tls_cipher},
#undef AT
};

static char *value_of(struct session *session, const struct variable *variable)
{
	const void *field = (const char *)session + variable->at;

	switch (variable->type) {
	case TEXT:
		return (char *)field;
	case STRING:
		return *(char *const *)field;
	case COUNT:
		return pool_printf(&session->pool, "%d", *(const int *)field);
	case SIZE:
		return pool_printf(&session->pool, "%llu", *(const unsigned long long *)field);
	case PORT:
		return *(const unsigned int *)field
			       ? pool_printf(&session->pool, "%u", *(const unsigned int *)field)
			       : "";
	case YES_NO:
		return *(const bool *)field ? "yes" : "no";
	case TLV:
		return tlv_text(session, (int)variable->at, 0);
	default:
		return variable->get(session);
	}
}

/* acl_c_NAME lives with the connection, acl_m_NAME with the message */
bool variable_may_be_set(const char *name)
{
	return (!strncmp(name, "acl_c", 5) || !strncmp(name, "acl_m", 5)) &&
	       (name[5] == '_' || isdigit((unsigned char)name[5])) && (name[5] != '_' || name[6]);
}

/* Of $0 to $20: which? -1: it is none. */
static int captured(const char *name)
{
	uint64_t number;

	return number_parse(name, 0, CAPTURED_MAX - 1, &number) ? -1 : (int)number;
}

bool variable_exists(const char *name)
{
	return captured(name) >= 0 || variable_may_be_set(name) || NAME_FIND(name, variables) >= 0;
}

const char *variable_nearest(const char *name)
{
	return NAME_NEAREST(name, variables);
}

static struct acl_variable *find_set(const struct session *session, const char *name)
{
	struct acl_variable *variable;

	for (variable = session->variables; variable && strcmp(variable->name, name);
	     variable = variable->next)
		;
	return variable;
}

void variable_set(struct session *session, const char *name, const char *value)
{
	struct acl_variable *variable = find_set(session, name);

	if (!variable) {
		variable = pool_alloc(&session->kept, sizeof(*variable));
		variable->name = pool_string(&session->kept, name);
		variable->next = session->variables;
		session->variables = variable;
	}
	pool_free(&variable->pool);
	variable->value = pool_string(&variable->pool, value);
}

char *variable_get(struct session *session, const char *name)
{
	const struct acl_variable *set;
	char *value;

	if (!strncmp(name, "pp_tlv_", 7) && origin_tlvs_lost(session))
		return NULL;
	if (captured(name) >= 0) {
		value = session->captured[captured(name)];
	} else if (variable_may_be_set(name)) {
		set = find_set(session, name);
		value = set ? set->value : NULL;
	} else {
		value = value_of(session, &variables[NAME_FIND(name, variables)]);
	}
	return value ? value : "";
}
